// SPDX-License-Identifier: Apache-2.0
//
// DNS questions asked by c-ares on the event loop: NAPTR, SRV, A and AAAA, the hosts file before
// the DNS for addresses, answers with their times to live. Owned by the driver. It asks what it is
// told to, with c-ares' repetitions; what an answer means, how long it is remembered and what to
// ask instead is decided elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/dns.hpp"
#include "godwit/address.hpp"
#include "godwit/result.hpp"
#include "io/event_loop.hpp"
#include "io/socket_options.hpp"

namespace godwit::io {

class DnsChannel {
 public:
  using Answer = std::function<void(DnsAnswer)>;

  /// Questions at the same time; one more is answered with DnsFailure::Other.
  static constexpr std::size_t kMaxConcurrent = 256;
  /// To each server: the first try waits so long, the second twice as long (c-ares), then it is a
  /// timeout. Short, because a phone that has just changed its network waits for it.
  static constexpr int kTimeoutMs = 1500;
  static constexpr int kTries = 2;
  /// Of what the hosts file says: it may be edited at any time.
  static constexpr std::chrono::seconds kHostsTtl{60};

  /// The same for the servers of a link, behind which the system's are asked: once each.
  static constexpr int kLinkTimeoutMs = 1000;

  /// `servers`: asked instead of the system's (resolv.conf). `check`: asked about each socket
  /// before it is used; empty: none. `link_folder`: where the servers of links are found
  /// (io/link_dns.hpp). `loop` must outlive the channel. Everything here on the loop's thread.
  DnsChannel(EventLoop& loop, std::vector<Endpoint> servers, SocketCheck check = {},
             std::string link_folder = "/run/systemd");
  /// Outstanding answers are never called.
  ~DnsChannel();
  DnsChannel(const DnsChannel&) = delete;
  DnsChannel& operator=(const DnsChannel&) = delete;

  /// From now on the servers of this link are asked first, over it, where they are known; the
  /// others if none of these answers. Index 0: no such link.
  void use_link(std::uint32_t interface_index, std::string interface_name);

  /// `answer` runs on the loop, never inside this call.
  void ask(const DnsQuestion& question, Answer answer);
  /// The network is another one: the servers are read anew and what is outstanding is forgotten
  /// without an answer. (c-ares 1.18 cannot re-read its configuration, so the channel is made
  /// anew.)
  void renew();

 private:
  class Impl;
  /// That of the link, made anew if its servers are other ones by now; nullptr: they are not known.
  std::shared_ptr<Impl> link_channel();

  EventLoop& loop_;
  SocketCheck check_;
  std::shared_ptr<Impl> impl_;
  std::string link_folder_;
  std::uint32_t link_index_ = 0;
  std::uint32_t open_index_ = 0;  ///< Of `link_`.
  std::string link_name_;
  std::shared_ptr<Impl> link_;
  std::vector<Endpoint> link_servers_;
};

}  // namespace godwit::io
