// SPDX-License-Identifier: Apache-2.0
//
// Any text as a session description: what is read is written, and reads back as the same.
#include <cstdint>
#include <cstdlib>

#include "base/bytes.hpp"
#include "wire/sdp/sdp.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit;
  const auto description = wire::parse_sdp(as_text({data, size}));
  if (!description) return 0;
  for (const wire::SdpMedia& media : description->media) {
    const wire::SdpAddress* address = description->connection_of(media);
    if (!address && media.port != 0) std::abort();
    if (address) static_cast<void>(address->literal());
    static_cast<void>(description->direction_of(media));
  }
  const std::string text = wire::to_string(*description);
  const auto again = wire::parse_sdp(text);
  // What is written may pass a limit that what was read did not: LF has become CRLF.
  if (!again) {
    if (again.error().code != ErrorCode::TooLarge) std::abort();
    return 0;
  }
  if (*again != *description || wire::to_string(*again) != text) std::abort();
  return 0;
}
