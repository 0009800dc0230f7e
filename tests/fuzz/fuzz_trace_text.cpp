// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a message for the trace: what is shown is bounded and cannot steer a terminal. And a
// secret that stands in any message never appears, whatever stands before and behind it: the first
// byte chooses the secret's place and the redaction, the second where the bytes are divided.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/bytes.hpp"
#include "godwit/trace.hpp"

namespace {

using godwit::TraceConfig;
using godwit::TraceRedaction;

constexpr std::string_view kSecret = "s3cr3tW0rd";

/// Each with a line's end before and behind it.
constexpr std::array<std::string_view, 10> kPlaces{
    "Authorization: Digest username=\"a\", nonce=\"n\", response=\"s3cr3tW0rd\"",
    "Proxy-Authorization: Digest\r\n\tresponse=\"s3cr3tW0rd\"",
    "Authentication-Info : rspauth=\"s3cr3tW0rd\"",
    "Contact: <sip:a@h;pn-provider=apns;pn-prid=s3cr3tW0rd;ob>",
    "To: <sip:alice:s3cr3tW0rd@example.org>",
    "\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:s3cr3tW0rd",
    "\r\n a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:s3cr3tW0rd",
    "\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80\r\n inline:s3cr3tW0rd",
    "\r\nk=clear:s3cr3tW0rd",
    "\r\nSignal=s3cr3tW0rd",
};

void check(const std::string& message, const TraceConfig& config) {
  const std::string shown = godwit::trace_text(message, config);
  // The text, and one line each for what was left out.
  if (shown.size() > config.max_text + 256U) std::abort();
  for (const char c : shown) {
    const auto code = static_cast<std::uint8_t>(c);
    if ((code < 0x20 && c != '\n' && c != '\t') || code == 0x7f) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view text = godwit::as_text({data + 2, size - 2});
  TraceConfig config;
  config.redaction = (data[0] & 1) != 0 ? TraceRedaction::Identities : TraceRedaction::Secrets;
  check(std::string(text), config);
  if (text.find(kSecret) != std::string_view::npos) return 0;  // Said by whoever says anything.
  const std::size_t before = text.size() * data[1] / 256;
  std::string message = "INFO sip:h SIP/2.0\r\n";
  message += text.substr(0, before);
  message += "\r\n";
  message += kPlaces[(data[0] >> 1U) % kPlaces.size()];
  message += "\r\n";
  message += text.substr(before);
  config.max_text = 65'536;
  check(message, config);
  if (godwit::trace_text(message, config).find(kSecret) != std::string::npos) std::abort();
  return 0;
}
