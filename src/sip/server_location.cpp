// SPDX-License-Identifier: Apache-2.0
#include "sip/server_location.hpp"

#include <algorithm>
#include <cctype>
#include <tuple>
#include <utility>

namespace godwit::sip {
namespace {

using std::chrono::seconds;

/// After a failure of the DNS (not an answer that there is nothing), and where a server gives no
/// time for "nothing there": how soon it is worth asking again.
constexpr seconds kFailureTtl{30};

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

/// A name that may be asked for. Service labels begin with '_', so that is allowed; what is not
/// printable in a log or a Via is not.
bool is_name(std::string_view name) {
  if (name.empty() || name.size() > 253) return false;
  std::size_t label = 0;
  for (const char c : name) {
    const bool ok = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
    if (c == '.') {
      if (label == 0) return false;
      label = 0;
    } else if (!ok || ++label > 63) {
      return false;
    }
  }
  return label != 0;
}

std::string without_final_dot(std::string name) {
  if (!name.empty() && name.back() == '.') name.pop_back();
  return lower(name);
}

const char* srv_prefix(Transport transport) {
  switch (transport) {
    case Transport::Udp: return "_sip._udp.";
    case Transport::Tcp: return "_sip._tcp.";
    case Transport::Tls: return "_sips._tcp.";
  }
  return "";
}

/// RFC 3263 §4.1: the services of NAPTR records for SIP.
std::optional<Transport> transport_of_service(std::string_view service) {
  const std::string name = lower(service);
  if (name == "sip+d2u") return Transport::Udp;
  if (name == "sip+d2t") return Transport::Tcp;
  if (name == "sips+d2t") return Transport::Tls;
  return std::nullopt;
}

/// RFC 2782: within one priority, each next record is drawn with the chance of its weight; those of
/// weight 0 stand first, so that they have a very small one.
std::vector<SrvRecord> draw_by_weight(std::vector<SrvRecord> records, Random& random) {
  std::stable_partition(records.begin(), records.end(),
                        [](const SrvRecord& record) { return record.weight == 0; });
  std::vector<SrvRecord> drawn;
  while (!records.empty()) {
    std::uint64_t sum = 0;
    for (const SrvRecord& record : records) sum += record.weight;
    const std::uint64_t mark = random.between(0, sum);
    std::uint64_t running = 0;
    auto chosen = records.begin();
    for (; chosen != records.end(); ++chosen) {
      running += chosen->weight;
      if (running >= mark) break;
    }
    drawn.push_back(std::move(*chosen));
    records.erase(chosen);
  }
  return drawn;
}

}  // namespace

bool ServerLocation::supports(Transport transport) const {
  return std::find(policy_.transports.begin(), policy_.transports.end(), transport) !=
         policy_.transports.end();
}

Transport ServerLocation::default_transport() const {
  // RFC 3263 §4.1: "UDP for a SIP URI, and TCP for a SIPS URI", there under TLS.
  if (name_.sips) return Transport::Tls;
  if (name_.transport) return *name_.transport;
  return supports(Transport::Udp) ? Transport::Udp : policy_.transports.front();
}

Result<ServerLocation> ServerLocation::begin(ServerName name, LocationPolicy policy,
                                             Random& random) {
  const auto literal = IpAddress::parse(name.host);
  if (!literal) name.host = without_final_dot(std::move(name.host));
  if (!literal && !is_name(name.host)) {
    return fail(ErrorCode::InvalidArgument, "\"" + name.host + "\" is no host name");
  }
  if (name.sips && name.transport == Transport::Udp) {
    return fail(ErrorCode::InvalidArgument, "a sips URI cannot be reached over UDP");
  }
  if (name.sips) name.transport = Transport::Tls;
  ServerLocation location(std::move(name), std::move(policy), random);
  if (location.policy_.transports.empty() || !location.supports(location.default_transport())) {
    return fail(ErrorCode::InvalidArgument,
                "no transport for " + location.name_.host + " is switched on");
  }
  const ServerName& wanted = location.name_;
  const Transport transport = location.default_transport();
  if (literal || wanted.port) {
    // RFC 3263 §4.1 and §4.2: a numeric host, or a port, leaves nothing to NAPTR and SRV.
    const std::uint16_t port = wanted.port.value_or(default_port(transport));
    location.hops_.push_back(Hop{transport, literal ? literal->to_string() : wanted.host, port, 0});
    location.stage_ = Stage::Addresses;
    location.ask_addresses();
  } else if (wanted.transport) {
    location.services_.push_back(Service{transport, srv_prefix(transport) + wanted.host, false});
    location.stage_ = Stage::Srv;
    location.ask_services();
  } else {
    location.ask(wanted.host, DnsType::Naptr);
  }
  location.advance();
  return location;
}

void ServerLocation::ask(std::string name, DnsType type) {
  DnsQuestion question{std::move(name), type};
  if (answers_.contains(question) || outstanding_.contains(question) ||
      std::find(unasked_.begin(), unasked_.end(), question) != unasked_.end()) {
    return;
  }
  unasked_.push_back(std::move(question));
}

std::optional<DnsQuestion> ServerLocation::poll_question() {
  if (unasked_.empty()) return std::nullopt;
  DnsQuestion question = std::move(unasked_.front());
  unasked_.erase(unasked_.begin());
  outstanding_.insert(question);
  return question;
}

void ServerLocation::on_answer(const DnsQuestion& question, const DnsAnswer& answer) {
  if (outstanding_.erase(question) == 0) return;
  DnsAnswer kept = answer;
  if (kept.records.size() > kMaxDnsRecords) kept.records.resize(kMaxDnsRecords);
  for (const DnsRecord& record : kept.records) ttl_ = std::min(ttl_, record.ttl);
  switch (kept.failure) {
    case DnsFailure::None: break;
    case DnsFailure::NoSuchName:
    case DnsFailure::NoData:
      if (kept.negative_ttl) ttl_ = std::min(ttl_, std::max(*kept.negative_ttl, kFailureTtl));
      break;
    case DnsFailure::Timeout:
    case DnsFailure::Other: ttl_ = std::min(ttl_, kFailureTtl); break;
  }
  answers_.emplace(question, std::move(kept));
  advance();
}

void ServerLocation::give_up_waiting() {
  const std::vector<DnsQuestion> pending(outstanding_.begin(), outstanding_.end());
  for (const DnsQuestion& question : pending) {
    on_answer(question, DnsAnswer{DnsFailure::Timeout, {}});
  }
}

const std::vector<DnsRecord>& ServerLocation::records(const std::string& name, DnsType type) const {
  static const std::vector<DnsRecord> kNone;
  const auto found = answers_.find(DnsQuestion{name, type});
  return found == answers_.end() ? kNone : found->second.records;
}

void ServerLocation::advance() {
  if (stage_ == Stage::Naptr && !waiting()) {
    read_services();
    stage_ = Stage::Srv;
    ask_services();
  }
  if (stage_ == Stage::Srv && !waiting()) {
    read_hops();
    stage_ = Stage::Addresses;
    ask_addresses();
  }
  if (stage_ == Stage::Addresses && !waiting()) stage_ = Stage::Done;
}

void ServerLocation::read_services() {
  std::vector<NaptrRecord> usable;
  for (const DnsRecord& record : records(name_.host, DnsType::Naptr)) {
    const auto* naptr = std::get_if<NaptrRecord>(&record.data);
    if (naptr == nullptr) continue;
    const auto transport = transport_of_service(naptr->service);
    // RFC 3263 §4.1: services that we do not support are discarded, as for a SIPS URI is what is
    // not secure. A rewriting rule instead of a name is not for SIP.
    if (!transport || !supports(*transport) || !naptr->regexp.empty()) continue;
    const std::string flags = lower(naptr->flags);
    if ((flags != "s" && flags != "a") || !is_name(without_final_dot(naptr->replacement))) continue;
    usable.push_back(*naptr);
  }
  std::stable_sort(usable.begin(), usable.end(), [](const NaptrRecord& a, const NaptrRecord& b) {
    return std::tie(a.order, a.preference) < std::tie(b.order, b.preference);
  });
  for (const NaptrRecord& naptr : usable) {
    // RFC 3403 §4.1: behind the first order that suits, others are not considered.
    if (naptr.order != usable.front().order || services_.size() == kMaxServices) break;
    services_.push_back(Service{*transport_of_service(naptr.service),
                                without_final_dot(naptr.replacement), lower(naptr.flags) == "a"});
  }
  if (!services_.empty()) return;
  // RFC 3263 §4.1: without NAPTR records, SRV is asked for each transport that we support.
  for (const Transport transport : policy_.transports) {
    if (services_.size() == kMaxServices) break;
    services_.push_back(Service{transport, srv_prefix(transport) + name_.host, false});
  }
}

void ServerLocation::ask_services() {
  for (const Service& service : services_) {
    if (!service.terminal) ask(service.domain, DnsType::Srv);
  }
}

void ServerLocation::read_hops() {
  std::uint32_t group = 0;
  for (const Service& service : services_) {
    if (service.terminal) {
      if (hops_.size() == kMaxHosts) break;
      hops_.push_back(
          Hop{service.transport, service.domain, default_port(service.transport), group++});
      continue;
    }
    std::vector<SrvRecord> found;
    for (const DnsRecord& record : records(service.domain, DnsType::Srv)) {
      const auto* srv = std::get_if<SrvRecord>(&record.data);
      if (srv == nullptr) continue;
      SrvRecord kept = *srv;
      kept.target = without_final_dot(std::move(kept.target));
      if (kept.target.empty()) {
        service_denied_ = true;
        continue;
      }
      // RFC 2782 allows names only; a number as a target is somebody's mistake or worse.
      if (kept.port == 0 || !is_name(kept.target) || IpAddress::parse(kept.target)) continue;
      found.push_back(std::move(kept));
    }
    add_hops(service, std::move(found), group);
  }
  if (!hops_.empty() || service_denied_) return;
  // RFC 3263 §4.2: no SRV records: the addresses of the domain itself, and the default port.
  const Transport transport = default_transport();
  hops_.push_back(Hop{transport, name_.host, default_port(transport), 0});
}

void ServerLocation::add_hops(const Service& service, std::vector<SrvRecord> found,
                              std::uint32_t& group) {
  std::stable_sort(found.begin(), found.end(),
                   [](const SrvRecord& a, const SrvRecord& b) { return a.priority < b.priority; });
  for (auto first = found.begin(); first != found.end();) {
    const auto last = std::find_if(first, found.end(), [&](const SrvRecord& record) {
      return record.priority != first->priority;
    });
    for (SrvRecord& record : draw_by_weight({first, last}, *random_)) {
      if (hops_.size() == kMaxHosts) return;
      hops_.push_back(Hop{service.transport, std::move(record.target), record.port, group});
    }
    ++group;
    first = last;
  }
}

void ServerLocation::ask_addresses() {
  for (const Hop& hop : hops_) {
    if (IpAddress::parse(hop.host)) continue;
    // RFC 7984 §4: both families of every host, for either may be the one that works.
    ask(hop.host, policy_.first == Family::V4 ? DnsType::A : DnsType::Aaaa);
    ask(hop.host, policy_.first == Family::V4 ? DnsType::Aaaa : DnsType::A);
  }
}

std::vector<Target> ServerLocation::targets() const {
  std::vector<Target> result;
  const auto add = [&](const Hop& hop, const IpAddress& address) {
    const Target target{hop.transport, Endpoint{address, hop.port}, name_.host, hop.group};
    const bool known = std::any_of(result.begin(), result.end(), [&](const Target& other) {
      return other.transport == target.transport && other.endpoint == target.endpoint;
    });
    if (!known && result.size() < kMaxTargets) result.push_back(target);
  };
  for (const Hop& hop : hops_) {
    if (const auto literal = IpAddress::parse(hop.host)) {
      add(hop, *literal);
      continue;
    }
    std::vector<IpAddress> v4;
    std::vector<IpAddress> v6;
    for (const DnsType type : {DnsType::A, DnsType::Aaaa}) {
      auto& list = type == DnsType::A ? v4 : v6;
      for (const DnsRecord& record : records(hop.host, type)) {
        const auto* address = std::get_if<IpAddress>(&record.data);
        if (address == nullptr || address->is_v4() != (type == DnsType::A)) continue;
        // Nobody is reached there; a hostile answer only makes us send to ourselves or to many.
        if (address->is_unspecified() || address->is_multicast()) continue;
        if (list.size() < kMaxAddresses) list.push_back(*address);
      }
    }
    // RFC 8305 §4: the families take turns, so that one dead family costs one attempt, not all.
    const auto& preferred = policy_.first == Family::V4 ? v4 : v6;
    const auto& other = policy_.first == Family::V4 ? v6 : v4;
    for (std::size_t i = 0; i < std::max(preferred.size(), other.size()); ++i) {
      if (i < preferred.size()) add(hop, preferred[i]);
      if (i < other.size()) add(hop, other[i]);
    }
  }
  return result;
}

std::string ServerLocation::failure() const {
  if (service_denied_ && hops_.empty()) {
    return "the domain " + name_.host + " says that it offers no SIP service";
  }
  bool timed_out = false;
  for (const auto& [question, answer] : answers_) {
    if (answer.failure == DnsFailure::Timeout) timed_out = true;
    if (answer.failure == DnsFailure::Other && !answer.detail.empty()) return answer.detail;
  }
  if (timed_out) return to_string(DnsFailure::Timeout);
  return "no address for \"" + name_.host + "\"";
}

}  // namespace godwit::sip
