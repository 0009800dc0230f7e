// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the body of a notification, of an INFO, or of a transfer's progress: what is read is
// within its limits. The first byte chooses the reader.
#include <cstdint>
#include <cstdlib>

#include "base/bytes.hpp"
#include "wire/event/dialog_info.hpp"
#include "wire/event/message_summary.hpp"
#include "wire/event/pidf.hpp"
#include "wire/sip/dtmf.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit;
  if (size == 0) return 0;
  const std::string_view text = as_text({data + 1, size - 1});
  switch (data[0] % 4) {
    case 0: {
      const auto summary = wire::parse_message_summary(text);
      if (summary && summary->counts.size() > wire::kMaxMessageKinds) std::abort();
      break;
    }
    case 1: {
      const auto presence = wire::parse_pidf(text);
      if (presence && presence->tuples.size() > wire::kMaxTuples) std::abort();
      break;
    }
    case 2: {
      const auto info = wire::parse_dialog_info(text);
      if (!info) break;
      if (info->dialogs.size() > wire::kMaxDialogs) std::abort();
      wire::DialogInfoState state;
      if (!state.apply(*info) || state.apply(*info)) std::abort();
      break;
    }
    default: {
      const auto signal = wire::parse_dtmf_relay(text);
      if (signal && wire::parse_dtmf_relay(wire::to_dtmf_relay(*signal))->digit != signal->digit) {
        std::abort();
      }
      static_cast<void>(wire::parse_dtmf(text));
    }
  }
  return 0;
}
