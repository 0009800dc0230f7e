// SPDX-License-Identifier: Apache-2.0
//
// A SIP user agent for iOS and macOS over godwit.h (a module map names it CGodwit). NOT COMPILED
// AND NOT RUN by this project's tests, which have no Swift compiler: it shows which functions to
// bind, and what NWPathMonitor has to tell.
import CGodwit
import Foundation
import Network

public struct GodwitError: Error {
  public let status: UInt32
  public let reason: String
}

public final class Godwit {
  private let agent: OpaquePointer
  private let monitor = NWPathMonitor()
  private let events: (String) -> Void

  /// `events` is called with one JSON object each time, on the library's thread; it must not block.
  public init(stateDirectory: String, events: @escaping (String) -> Void) throws {
    self.events = events
    var config = godwit_config()
    godwit_config_init(&config)
    config.watch_network = 0
    let handler: godwit_event_handler = { context, text in
      guard let context = context, let text = text else { return }
      Unmanaged<Box>.fromOpaque(context).takeUnretainedValue().events(String(cString: text))
    }
    let box = Box(events)
    config.on_event = handler
    // Kept for as long as the agent may call it: until deinit.
    config.context = Unmanaged.passRetained(box).toOpaque()
    let made = stateDirectory.withCString { directory -> OpaquePointer? in
      config.state_dir = directory
      return godwit_agent_create(&config)
    }
    guard let agent = made else {
      Unmanaged.passUnretained(box).release()
      throw Godwit.lastError(GODWIT_FAILED)
    }
    self.agent = agent
    self.box = box
    monitor.pathUpdateHandler = { [weak self] path in self?.tell(path) }
    monitor.start(queue: DispatchQueue(label: "org.godwit.path"))
  }

  private final class Box {
    let events: (String) -> Void
    init(_ events: @escaping (String) -> Void) { self.events = events }
  }
  private let box: Box

  deinit {
    monitor.cancel()
    godwit_agent_destroy(agent)
    Unmanaged.passUnretained(box).release()
  }

  public func addAccount(aor: String, password: String) throws -> UInt32 {
    var account = godwit_account()
    godwit_account_init(&account)
    var id: UInt32 = 0
    let status = aor.withCString { aorText in
      password.withCString { passwordText -> godwit_status in
        account.aor = aorText
        account.password = passwordText
        return godwit_account_add(agent, &account, &id)
      }
    }
    try check(status)
    return id
  }

  public func call(account: UInt32, target: String) throws -> UInt32 {
    var call: UInt32 = 0
    try check(godwit_call(agent, account, target, &call))
    return call
  }

  public func answer(_ call: UInt32) throws { try check(godwit_call_answer(agent, call)) }
  public func hangUp(_ call: UInt32) throws { try check(godwit_call_hang_up(agent, call)) }
  /// After the system has woken the program, or a socket was reclaimed while it was suspended.
  public func handleIpChange() throws { try check(godwit_handle_ip_change(agent, nil)) }

  /// What the system uses now. NWPath names interfaces; their addresses come from getifaddrs().
  private func tell(_ path: NWPath) {
    var owned: [(index: UInt32, name: String, addresses: [(String, UInt8)])] = []
    for interface in path.availableInterfaces {
      owned.append((UInt32(interface.index), interface.name, Godwit.addresses(of: interface.name)))
    }
    let best = path.status == .satisfied ? owned.first : nil
    var strings: [UnsafeMutablePointer<CChar>] = []
    defer { strings.forEach { free($0) } }
    func keep(_ text: String) -> UnsafePointer<CChar>? {
      guard let copy = strdup(text) else { return nil }
      strings.append(copy)
      return UnsafePointer(copy)
    }
    var lists: [UnsafeMutableBufferPointer<godwit_address>] = []
    defer { lists.forEach { $0.deallocate() } }
    var interfaces: [godwit_interface] = []
    for one in owned {
      let list = UnsafeMutableBufferPointer<godwit_address>.allocate(capacity: one.addresses.count)
      lists.append(list)
      for (number, address) in one.addresses.enumerated() {
        list[number] = godwit_address(address: keep(address.0), prefix_length: address.1,
                                      deprecated: 0, temporary: 0)
      }
      interfaces.append(godwit_interface(index: one.index, name: keep(one.name), up: 1, loopback: 0,
                                         link_identity: nil, addresses: list.baseAddress,
                                         address_count: one.addresses.count))
    }
    var routes: [godwit_default_route] = []
    if let best = best {
      if path.supportsIPv4 { routes.append(godwit_default_route(family: 4, interface_index: best.index)) }
      if path.supportsIPv6 { routes.append(godwit_default_route(family: 6, interface_index: best.index)) }
    }
    interfaces.withUnsafeBufferPointer { interfaceList in
      routes.withUnsafeBufferPointer { routeList in
        var network = godwit_network()
        godwit_network_init(&network)
        network.interfaces = interfaceList.baseAddress
        network.interface_count = interfaceList.count
        network.default_routes = routeList.baseAddress
        network.default_route_count = routeList.count
        _ = godwit_update_network(agent, &network)
      }
    }
  }

  private static func addresses(of name: String) -> [(String, UInt8)] {
    var found: [(String, UInt8)] = []
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { return found }
    defer { freeifaddrs(list) }
    var next = list
    while let entry = next {
      next = entry.pointee.ifa_next
      guard String(cString: entry.pointee.ifa_name) == name, let address = entry.pointee.ifa_addr
      else { continue }
      let family = Int32(address.pointee.sa_family)
      guard family == AF_INET || family == AF_INET6 else { continue }
      var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
      guard getnameinfo(address, socklen_t(address.pointee.sa_len), &text, socklen_t(text.count), nil, 0,
                        NI_NUMERICHOST) == 0 else { continue }
      let plain = String(cString: text).split(separator: "%").first.map(String.init) ?? ""
      found.append((plain, family == AF_INET ? 24 : 64))
    }
    return found
  }

  private func check(_ status: godwit_status) throws {
    if status != GODWIT_OK { throw Godwit.lastError(status) }
  }

  private static func lastError(_ status: godwit_status) -> GodwitError {
    GodwitError(status: status.rawValue, reason: String(cString: godwit_last_error()))
  }
}
