// SPDX-License-Identifier: Apache-2.0
//
// What every usage of the transaction layer (registration, INVITE session) is given by its owner in
// ua: the layer, timers, randomness and log, none of which it owns. A usage is told of the events
// of its transactions and of its due timers, and is asked for its own events; it calls nobody back.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "base/random.hpp"
#include "base/timer_queue.hpp"
#include "sip/transaction.hpp"
#include "sip/transaction_layer.hpp"

namespace godwit::sip {

/// The owner of the queue pops what is due and calls on_timer(kind, now) of the usage that `owner`
/// names. `kind` means something to that usage only.
struct UsageTimer {
  Owner owner;
  std::uint32_t kind = 0;
};

/// All outlive the usage.
struct UsageContext {
  TransactionLayer& transactions;
  TimerQueue<UsageTimer>& timers;
  Random& random;
  Log& log;
};

}  // namespace godwit::sip
