// SPDX-License-Identifier: Apache-2.0
//
// Counts every call of operator new in the benchmark program, so that a benchmark can report
// allocations per iteration. One thread only.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>

namespace godwit::bench {

/// Since the program began.
std::uint64_t allocations();

/// Sets the counter "allocs" to the allocations per iteration between construction and report().
class AllocationCounter {
 public:
  AllocationCounter() : start_(allocations()) {}
  void report(benchmark::State& state) const {
    state.counters["allocs"] = benchmark::Counter(static_cast<double>(allocations() - start_),
                                                  benchmark::Counter::kAvgIterations);
  }

 private:
  std::uint64_t start_;
};

}  // namespace godwit::bench
