// SPDX-License-Identifier: Apache-2.0
//
// STUN binding messages (RFC 8489) as values, their parser and builder. No transactions, no
// retransmission and no MESSAGE-INTEGRITY: a public server's binding answer is all that is asked
// for so far.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/random.hpp"
#include "godwit/address.hpp"
#include "godwit/result.hpp"

namespace godwit::wire {

inline constexpr std::size_t kMaxStunSize = 1500;
inline constexpr std::size_t kMaxStunAttributes = 32;

enum class StunClass : std::uint8_t { Request, Indication, Success, Error };

using StunTransactionId = std::array<std::uint8_t, 12>;
StunTransactionId make_stun_transaction_id(Random& random);

struct StunError {
  std::uint16_t code = 0;  ///< 300 to 699.
  std::string reason;
  friend bool operator==(const StunError&, const StunError&) = default;
};

/// A message of the Binding method, the only one we speak.
struct StunMessage {
  StunClass message_class = StunClass::Request;
  StunTransactionId transaction{};
  std::optional<Endpoint> mapped;  ///< XOR-MAPPED-ADDRESS.
  std::string software;            ///< Empty: absent. At most 763 bytes.
  std::optional<StunError> error;
  std::vector<std::uint16_t> unknown_attributes;  ///< The UNKNOWN-ATTRIBUTES of a 420.
  bool fingerprint = false;                       ///< Present (and right, when parsed).
  /// Comprehension-required attributes that were found but are not known here: a request with any
  /// gets a 420, a response with any is dropped (RFC 8489 §6.3). Not built.
  std::vector<std::uint16_t> not_understood;
  friend bool operator==(const StunMessage&, const StunMessage&) = default;
};

/// RFC 8489 §5: do the first bytes and the magic cookie say STUN? For sockets shared with RTP or
/// SIP.
bool looks_like_stun(Bytes bytes);
/// A FINGERPRINT that is there must be right and last.
Result<StunMessage> parse_stun(Bytes bytes);
/// Fails if a field is out of its range.
Result<Buffer> build_stun(const StunMessage& message);

}  // namespace godwit::wire
