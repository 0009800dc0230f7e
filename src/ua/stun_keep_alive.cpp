// SPDX-License-Identifier: Apache-2.0
#include "ua/stun_keep_alive.hpp"

#include <utility>

namespace godwit::ua {

void StunKeepAlive::start(Duration interval, const Endpoint& mapped, Random& random,
                          TimePoint now) {
  interval_ = interval;
  mapped_ = mapped;
  waiting_.reset();
  answered_ = false;
  rest(random, now);
}

void StunKeepAlive::rest(Random& random, TimePoint now) {
  const auto whole = static_cast<std::uint64_t>(interval_.count());
  at_ = now + Duration(static_cast<Duration::rep>(random.between(whole - whole / 5, whole)));
  waiting_.reset();
  sends_ = 0;
}

StunKeepAlive::Due StunKeepAlive::on_timeout(Random& random, TimePoint now) {
  Due due;
  if (!at_ || now < *at_) return due;
  if (sends_ == kSends) {
    due.failed = answered_;
    rest(random, now);
    return due;
  }
  if (!waiting_) waiting_ = wire::make_stun_transaction_id(random);
  wire::StunMessage request;
  request.transaction = *waiting_;
  if (const auto bytes = wire::build_stun(request)) {
    due.send = std::string(bytes->begin(), bytes->end());
  }
  due.doubtful = sends_ == kDoubtAfter && answered_;
  const Duration wait = kFirstWait * (1 << sends_);
  ++sends_;
  at_ = now + (sends_ == kSends ? kLastWait : wait);
  return due;
}

StunKeepAlive::Answer StunKeepAlive::on_message(const wire::StunMessage& message, Random& random,
                                                TimePoint now) {
  if (!at_ || !waiting_ || message.transaction != *waiting_) return Answer::Stray;
  if (message.message_class != wire::StunClass::Success || !message.mapped) return Answer::Stray;
  answered_ = true;
  rest(random, now);
  return std::exchange(mapped_, *message.mapped) == *message.mapped ? Answer::Same : Answer::Moved;
}

}  // namespace godwit::ua
