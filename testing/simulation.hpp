// SPDX-License-Identifier: Apache-2.0
//
// Virtual time: a clock that stands still until the next event, and the queue of those events. Two
// runs with the same seed are the same run. Owned by the test; everything simulated holds a
// reference. It knows no packets and no hosts (network.hpp).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "base/timer_queue.hpp"
#include "godwit/time.hpp"

namespace godwit::testing {

class Simulation {
 public:
  using Action = std::function<void()>;

  explicit Simulation(std::uint64_t seed);
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  std::uint64_t seed() const { return seed_; }
  TimePoint now() const { return now_; }
  /// Since the simulation's start, for traces.
  Duration elapsed() const;

  /// Randomness of the network; parties take a stream of their own, so that one more number drawn
  /// by one of them does not change what the others see.
  Random& random() { return random_; }
  SeededRandom fork_random() { return SeededRandom(random_.next()); }

  /// A time that has passed means as soon as possible. Events of one time run in order of creation.
  TimerId at(TimePoint when, Action action);
  TimerId after(Duration delay, Action action) { return at(now_ + delay, std::move(action)); }
  void cancel(TimerId id) { queue_.cancel(id); }

  /// Runs the next event; false if there is none.
  bool step();
  void run_for(Duration duration);
  /// Runs until `done` holds (checked after each event), at most for `limit`; false if it never
  /// did.
  bool run_until(const std::function<bool()>& done, Duration limit);

  /// Called after every event, e.g. to check invariants.
  void after_each_step(Action check) { checks_.push_back(std::move(check)); }
  std::uint64_t steps() const { return steps_; }

 private:
  void run_next(TimePoint when);

  std::uint64_t seed_;
  SeededRandom random_;
  TimePoint now_;
  TimerQueue<Action> queue_;
  std::vector<Action> checks_;
  std::uint64_t steps_ = 0;
};

/// One deadline that is moved again and again, such as next_timeout() of a sans-IO object.
class Alarm {
 public:
  Alarm(Simulation& simulation, Simulation::Action action);
  ~Alarm();
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

  void set(std::optional<TimePoint> when);

 private:
  Simulation& simulation_;
  Simulation::Action action_;
  std::optional<TimePoint> when_;
  TimerId timer_;
};

}  // namespace godwit::testing
