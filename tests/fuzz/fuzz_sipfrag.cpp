// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the body that tells a transfer's progress, and as the headers of a transfer:
// Replaces and addresses. What is understood can be said and is understood again.
#include <cstdint>
#include <cstdlib>

#include "base/bytes.hpp"
#include "wire/sip/headers.hpp"
#include "wire/sip/sipfrag.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit;
  const std::string_view text = as_text({data, size});
  if (const auto progress = wire::parse_sipfrag(text)) {
    if (progress->status < 100 || progress->status > 699) std::abort();
    const auto again = wire::parse_sipfrag(wire::to_sipfrag(progress->status));
    if (!again || again->status != progress->status) std::abort();
  }
  if (const auto replaces = wire::Replaces::parse(text)) {
    if (replaces->call_id.empty() || replaces->to_tag.empty() || replaces->from_tag.empty()) {
      std::abort();
    }
  }
  static_cast<void>(wire::NameAddr::parse(text));
  return 0;
}
