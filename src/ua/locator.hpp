// SPDX-License-Identifier: Apache-2.0
//
// Finds servers for accounts and calls: runs a sip::ServerLocation for each look-up, shares
// questions and their answers between them (cache), waits no longer than is good, and remembers
// which servers have failed of late (RFC 3263 §4.3). Owned by the core, which acts on what it
// finds.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "godwit/result.hpp"
#include "godwit/strong_id.hpp"
#include "godwit/time.hpp"
#include "sip/server_location.hpp"
#include "ua/dns_cache.hpp"
#include "ua/driver.hpp"

namespace godwit::ua {

using LocationId = StrongId<struct LocationIdTag>;

/// What a look-up has found. With `final` false more may come under the same id.
struct Located {
  LocationId id;
  std::vector<sip::Target> targets;  ///< Empty: `failure` says why.
  std::string failure;
  TimePoint fresh_until;  ///< Then the DNS may say something else.
  bool final = true;
};

class Locator {
 public:
  /// Look-ups at the same time.
  static constexpr std::size_t kMaxLocations = 20'000;
  /// RFC 8305 §3: what the other family's answer is waited for.
  static constexpr Duration kResolutionDelay = std::chrono::milliseconds(50);
  /// NAPTR and SRV are luxury: a resolver that swallows them (home routers do) must not cost more
  /// than this for each. Longer than any working resolver takes, even over a satellite.
  static constexpr Duration kPatience = std::chrono::seconds(2);
  /// Where another server could be asked instead, a request waits no longer than this for its first
  /// response. The transaction's own 32 s (RFC 3263 §4.3 by the letter) would outlast any user; by
  /// 4 s UDP has sent four copies, and a server that is alive has answered one of them.
  static constexpr Duration kFirstResponse = std::chrono::seconds(4);
  /// The same when the other server is of the other address family and the present one has never
  /// answered: most likely its family leads nowhere here (RFC 8305's case; docs/adr/0005).
  static constexpr Duration kFirstOfFamily = std::chrono::seconds(1);
  /// A server that did not answer is passed over for a minute, twice as long each further time, up
  /// to half an hour; one that says Retry-After, for that long, but no longer than an hour.
  static constexpr Duration kDown = std::chrono::seconds(60);
  static constexpr Duration kMaxDown = std::chrono::minutes(32);
  static constexpr Duration kMaxRetryAfter = std::chrono::hours(1);
  /// Servers remembered as failed; the one that is due back first gives way.
  static constexpr std::size_t kMaxFailures = 64;

  Locator(Random& random, std::deque<Output>& outputs) : random_(random), outputs_(outputs) {}

  /// The answer comes from poll(), never at once. InvalidArgument as ServerLocation::begin, Busy.
  Result<LocationId> locate(const sip::ServerName& name, const sip::LocationPolicy& policy,
                            TimePoint now);
  void cancel(LocationId id);
  /// The network is another one: what was known of names and of failures counts no more, and what
  /// is being looked up is looked up anew.
  void renew(TimePoint now);

  /// False: nobody waits for it.
  bool on_answer(QueryId query, const DnsAnswer& answer, TimePoint now);
  /// True: a server is due back.
  bool on_timeout(TimePoint now);
  std::optional<TimePoint> next_timeout() const;
  std::optional<Located> poll();

  /// The server did not answer (or said 503). Returns until when it is passed over.
  TimePoint note_failure(const sip::Target& target, std::optional<Duration> retry_after,
                         TimePoint now);
  /// It answered: the next failure is the first again.
  void note_success(sip::Transport transport, const Endpoint& endpoint);
  bool is_down(const sip::Target& target, TimePoint now) const;

 private:
  struct Running {
    sip::ServerName name;
    sip::LocationPolicy policy;
    sip::ServerLocation location;
    std::optional<TimePoint> deadline;  ///< Of the delay or patience that runs now.
    bool told = false;                  ///< A first, not final, answer was given.
  };
  struct Asked {
    QueryId query;
    std::vector<LocationId> askers;
  };
  struct Failure {
    TimePoint until;
    int in_a_row = 0;
    bool due_told = false;
  };
  using Server = std::pair<sip::Transport, Endpoint>;

  void advance(LocationId id, TimePoint now);
  void set_deadline(LocationId id, Running& running, std::optional<TimePoint> at);
  void tell(LocationId id, Running& running, bool final, TimePoint now);

  Random& random_;
  std::deque<Output>& outputs_;
  DnsCache cache_;
  std::map<LocationId, Running> running_;
  std::map<DnsQuestion, Asked> asked_;
  std::map<QueryId, DnsQuestion> queries_;
  std::set<std::pair<TimePoint, LocationId>> deadlines_;  ///< Of those running.
  std::map<Server, Failure> failures_;
  std::deque<Located> found_;
  std::uint32_t last_location_ = 0;
  std::uint32_t last_query_ = 0;
};

}  // namespace godwit::ua
