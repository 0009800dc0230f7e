// SPDX-License-Identifier: Apache-2.0
//
// Randomness as an injected dependency: the system's generator in the runtime, a seeded one in
// tests, so that a failing run can be repeated from its seed.
#pragma once

#include <cstdint>
#include <string>

namespace godwit {

class Random {
 public:
  virtual ~Random() = default;
  virtual std::uint64_t next() = 0;

  /// Uniform in [low, high].
  std::uint64_t between(std::uint64_t low, std::uint64_t high);
  /// `length` characters of [a-z0-9], for branches, tags and Call-IDs: 5 bits of randomness each.
  std::string token(std::size_t length);
};

/// splitmix64. Deterministic, not for secrets: tests and the simulator only.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() override;

 private:
  std::uint64_t state_;
};

}  // namespace godwit
