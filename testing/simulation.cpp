// SPDX-License-Identifier: Apache-2.0
#include "testing/simulation.hpp"

#include <algorithm>

namespace godwit::testing {
namespace {

/// Not zero: code that takes time zero for "never" must be found out.
constexpr TimePoint kStart{std::chrono::hours(3)};

}  // namespace

Simulation::Simulation(std::uint64_t seed) : seed_(seed), random_(seed), now_(kStart) {}

Duration Simulation::elapsed() const { return now_ - kStart; }

TimerId Simulation::at(TimePoint when, Action action) {
  return queue_.schedule(std::max(when, now_), std::move(action));
}

void Simulation::run_next(TimePoint when) {
  now_ = std::max(now_, when);
  auto action = queue_.pop_due(now_);
  ++steps_;
  (*action)();
  for (const Action& check : checks_) check();
}

bool Simulation::step() {
  const auto next = queue_.next();
  if (!next) return false;
  run_next(*next);
  return true;
}

void Simulation::run_for(Duration duration) {
  run_until([] { return false; }, duration);
}

bool Simulation::run_until(const std::function<bool()>& done, Duration limit) {
  const TimePoint end = now_ + limit;
  while (!done()) {
    const auto next = queue_.next();
    if (!next || *next > end) {
      now_ = end;
      return false;
    }
    run_next(*next);
  }
  return true;
}

Alarm::Alarm(Simulation& simulation, Simulation::Action action)
    : simulation_(simulation), action_(std::move(action)) {}

Alarm::~Alarm() { simulation_.cancel(timer_); }

void Alarm::set(std::optional<TimePoint> when) {
  if (when == when_) return;
  simulation_.cancel(timer_);
  timer_ = TimerId();
  when_ = when;
  if (!when) return;
  timer_ = simulation_.at(*when, [this] {
    when_.reset();
    action_();
  });
}

}  // namespace godwit::testing
