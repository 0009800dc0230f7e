// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a STUN message: what is read can be built, and reads back as the same.
#include <cstdint>
#include <cstdlib>

#include "wire/stun/stun.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit;
  const auto message = wire::parse_stun({data, size});
  if (!message) return 0;
  auto known = *message;
  known.not_understood.clear();
  const auto built = wire::build_stun(known);
  // Texts are read at any length and written within the RFC's.
  if (!built) {
    if (known.software.size() <= 763 && (!known.error || known.error->reason.size() <= 763)) {
      std::abort();
    }
    return 0;
  }
  const auto again = wire::parse_stun(*built);
  if (!again || *again != known) std::abort();
  return 0;
}
