// SPDX-License-Identifier: Apache-2.0
//
// Any stream, once whole and once in pieces (their sizes are its first bytes): the same messages.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "wire/sip/framing.hpp"

namespace {

using godwit::wire::StreamFramer;

/// False when the frame is lost.
bool drain(StreamFramer& framer, std::vector<std::string>& out) {
  while (true) {
    auto next = framer.next();
    if (!next) return false;
    if (!*next) break;
    out.push_back(std::move(**next));
  }
  if (framer.buffered() > godwit::wire::kMaxMessageSize) std::abort();
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4) return 0;
  const std::string_view stream(reinterpret_cast<const char*>(data) + 4, size - 4);
  std::vector<std::string> whole;
  StreamFramer at_once;
  at_once.append(stream);
  const bool whole_ok = drain(at_once, whole);

  std::vector<std::string> pieces;
  StreamFramer piecewise;
  bool ok = true;
  std::size_t turn = 0;
  for (std::size_t at = 0; at < stream.size() && ok;) {
    const std::size_t n = std::min<std::size_t>(stream.size() - at, data[turn++ % 4] + 1U);
    piecewise.append(stream.substr(at, n));
    at += n;
    ok = drain(piecewise, pieces);
  }
  if (ok != whole_ok || whole != pieces) std::abort();
  return 0;
}
