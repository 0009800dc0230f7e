// SPDX-License-Identifier: Apache-2.0
//
// STUN binding requests over the UDP flow of a registration behind a NAT: they keep its mapping,
// and their answers tell when the NAT has given another one (RFC 5626 §4.4.2). A state machine with
// its time as an argument; owned by an account. Sends nothing itself, and decides nothing about the
// registration.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/random.hpp"
#include "godwit/address.hpp"
#include "godwit/time.hpp"
#include "wire/stun/stun.hpp"

namespace godwit::ua {

class StunKeepAlive {
 public:
  /// RFC 8489 §6.2.1: sent again after 0.5 s, then 1 s and so on, seven times in all, and given up
  /// 8 s after the last.
  static constexpr Duration kFirstWait = std::chrono::milliseconds(500);
  static constexpr int kSends = 7;
  static constexpr Duration kLastWait = std::chrono::seconds(8);

  /// From now on, with the first request within `interval`; each interval is drawn from 80 to 100 %
  /// of it (RFC 5626 §4.4.2: 24 to 29 s). `mapped` is what the registrar saw.
  void start(Duration interval, const Endpoint& mapped, Random& random, TimePoint now);
  void stop() { at_.reset(); }
  bool runs() const { return at_.has_value(); }
  /// Valid while it runs.
  TimePoint next() const { return *at_; }

  struct Due {
    std::optional<std::string> send;
    /// No answer, though this server has answered before: the flow has failed.
    bool failed = false;
    /// No answer to kDoubtAfter requests, though this server has answered before: worth a question
    /// over another path. Told once.
    bool doubtful = false;
  };
  /// Sent at 0, 0.5 and 1.5 s: at 5 % loss each way one of 1 000 triples is lost by chance.
  static constexpr int kDoubtAfter = 3;
  Due on_timeout(Random& random, TimePoint now);

  enum class Answer : std::uint8_t {
    Stray,  ///< Not to a request of ours.
    Same,
    Moved,  ///< The world sees us elsewhere than before.
  };
  Answer on_message(const wire::StunMessage& message, Random& random, TimePoint now);

 private:
  void rest(Random& random, TimePoint now);

  Duration interval_{};
  Endpoint mapped_;
  std::optional<TimePoint> at_;
  std::optional<wire::StunTransactionId> waiting_;
  int sends_ = 0;
  bool answered_ = false;
};

}  // namespace godwit::ua
