// SPDX-License-Identifier: Apache-2.0
//
// Where the next hop of a SIP URI is (RFC 3263 §4): from the URI's host, port and transport over
// NAPTR, SRV (RFC 2782), A and AAAA to an ordered list of places to try. A pure state machine: it
// says which questions to ask and takes their answers, in any order; it knows no time, no cache and
// no network. One object for one look-up, owned by whoever needs the list. CNAMEs are the
// resolver's business. Depth is bounded by construction: NAPTR, then SRV, then addresses.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/dns.hpp"
#include "base/random.hpp"
#include "godwit/address.hpp"
#include "godwit/result.hpp"
#include "sip/flow.hpp"

namespace godwit::sip {

/// The parts of a URI that decide where it leads.
struct ServerName {
  std::string host;  ///< A name or a literal; IPv6 with or without brackets.
  std::optional<std::uint16_t> port;
  /// The URI's transport parameter (or a user's wish, which counts the same). With `sips`, Tcp and
  /// Tls both mean TLS.
  std::optional<Transport> transport;
  bool sips = false;

  friend auto operator<=>(const ServerName&, const ServerName&) = default;
};

struct LocationPolicy {
  /// What we can do, the most wanted first. Where the DNS says nothing of transports, UDP is taken
  /// if it is among them (RFC 3263 §4.1), else the first.
  std::vector<Transport> transports{Transport::Udp};
  /// The family whose addresses come first of each host (RFC 6724 is IPv6's advocate); the two are
  /// interleaved (RFC 8305 §4).
  Family first = Family::V6;
};

/// One place to try.
struct Target {
  Transport transport = Transport::Udp;
  Endpoint endpoint;
  /// The domain that was asked for: what a TLS certificate must name (RFC 5922 §4), whatever the
  /// DNS has made of it.
  std::string server_name;
  /// Targets of one group are equally good (same service, same SRV priority); lower ones first.
  std::uint32_t group = 0;

  friend bool operator==(const Target&, const Target&) = default;
};

class ServerLocation {
 public:
  /// Services followed out of one NAPTR answer, hosts out of the SRV answers, addresses of one
  /// host, and targets in all: what is over is cut off, in order of preference.
  static constexpr std::size_t kMaxServices = 6;
  static constexpr std::size_t kMaxHosts = 16;
  static constexpr std::size_t kMaxAddresses = 8;
  static constexpr std::size_t kMaxTargets = 32;

  /// InvalidArgument: no host name, `sips` over UDP, or a transport that `policy` does not have.
  /// `random` chooses among SRV records by weight; it must outlive the object.
  static Result<ServerLocation> begin(ServerName name, LocationPolicy policy, Random& random);

  /// The next question to ask, each once. After an answer there may be more.
  std::optional<DnsQuestion> poll_question();
  /// Questions that were not asked, or are answered already, are ignored.
  void on_answer(const DnsQuestion& question, const DnsAnswer& answer);
  /// What is unanswered now counts as a timeout.
  void give_up_waiting();

  /// Nothing is outstanding: targets() is final, and failure() says why it is empty.
  bool done() const { return stage_ == Stage::Done; }
  /// What is awaited are NAPTR or SRV records, without which it goes on (give_up_waiting()).
  bool can_do_without() const { return stage_ < Stage::Addresses && !outstanding_.empty(); }
  /// An address is known while others are awaited; RFC 8305 §3 says how long they are worth it.
  bool usable() const { return stage_ >= Stage::Addresses && !targets().empty(); }
  std::vector<Target> targets() const;
  /// A sentence.
  std::string failure() const;
  /// For how long what was found holds, given the answers so far. An hour for a literal.
  std::chrono::seconds ttl() const { return ttl_; }
  const ServerName& name() const { return name_; }

 private:
  enum class Stage : std::uint8_t { Naptr, Srv, Addresses, Done };
  /// A domain to ask for SRV records, or (flag "a") for addresses.
  struct Service {
    Transport transport = Transport::Udp;
    std::string domain;
    bool terminal = false;
  };
  struct Hop {
    Transport transport = Transport::Udp;
    std::string host;
    std::uint16_t port = 0;
    std::uint32_t group = 0;
  };

  ServerLocation(ServerName name, LocationPolicy policy, Random& random)
      : name_(std::move(name)), policy_(std::move(policy)), random_(&random) {}
  bool supports(Transport transport) const;
  Transport default_transport() const;
  void ask(std::string name, DnsType type);
  bool waiting() const { return !unasked_.empty() || !outstanding_.empty(); }
  void advance();
  void read_services();
  void ask_services();
  void read_hops();
  void add_hops(const Service& service, std::vector<SrvRecord> records, std::uint32_t& group);
  void ask_addresses();
  const std::vector<DnsRecord>& records(const std::string& name, DnsType type) const;

  ServerName name_;
  LocationPolicy policy_;
  Random* random_;
  Stage stage_ = Stage::Naptr;
  std::vector<DnsQuestion> unasked_;
  std::set<DnsQuestion> outstanding_;
  std::map<DnsQuestion, DnsAnswer> answers_;
  std::vector<Service> services_;
  std::vector<Hop> hops_;
  bool service_denied_ = false;  ///< An SRV record said "." (RFC 2782).
  std::chrono::seconds ttl_{3600};
};

}  // namespace godwit::sip
