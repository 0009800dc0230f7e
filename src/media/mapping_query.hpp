// SPDX-License-Identifier: Apache-2.0
//
// Asks STUN servers at which address they see a socket (RFC 8489 §6): one binding request to each
// of up to four, repeated at growing intervals until one has answered. A state machine with its
// time as an argument; owned by whoever owns the socket. It sends nothing itself, and does not know
// what the answer is used for.
#pragma once

#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "base/random.hpp"
#include "godwit/address.hpp"
#include "godwit/time.hpp"
#include "wire/stun/stun.hpp"

namespace godwit::media {

class MappingQuery {
 public:
  static constexpr std::size_t kMaxServers = 4;
  /// RFC 8489 §6.2.1 says 7 within 39.5 s; a call has no use for so late an answer. Five, the last
  /// of which is waited for sixteen first waits, end after 31 of these: 15.5 s at the most.
  static constexpr int kSends = 5;
  /// The first wait follows the measured round trip within these; RFC 8489 §6.2.1 wants 500 ms
  /// where none is known.
  static constexpr Duration kShortestWait = std::chrono::milliseconds(100);
  static constexpr Duration kLongestWait = std::chrono::milliseconds(500);

  /// Begins anew; answers to earlier requests are strangers' from now on. The first requests are
  /// due at once. Servers over the fourth are not asked.
  void start(const std::vector<Endpoint>& servers, Duration first_wait, Random& random,
             TimePoint now);
  void stop();
  /// When on_timeout() wants to be called; empty: nothing more is sent.
  std::optional<TimePoint> next() const { return at_; }

  struct Request {
    Endpoint server;
    Buffer bytes;
  };
  std::vector<Request> on_timeout(TimePoint now);
  /// No server has answered, or each has refused; true once for each start().
  bool take_failure();

  struct Answer {
    Endpoint mapped;
    Endpoint server;
    bool first = true;  ///< Of this query's.
    std::optional<Duration> round_trip;
  };
  /// Empty: not an answer to one of ours, or none that can be used.
  std::optional<Answer> on_packet(const Endpoint& from, Bytes bytes, TimePoint now);

 private:
  struct Asked {
    Endpoint server;
    wire::StunTransactionId transaction;
  };

  std::vector<Asked> asked_;  ///< That have not answered.
  Duration first_wait_{};
  TimePoint sent_at_;
  std::optional<TimePoint> at_;
  int sends_ = 0;
  bool answered_ = false;
  bool failed_ = false;
};

}  // namespace godwit::media
