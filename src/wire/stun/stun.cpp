// SPDX-License-Identifier: Apache-2.0
#include "wire/stun/stun.hpp"

#include <algorithm>

#include "wire/endian.hpp"

namespace godwit::wire {
namespace {

// RFC 8489 §5 and §18.3.
constexpr std::uint32_t kMagicCookie = 0x2112A442;
constexpr std::size_t kHeaderSize = 20;
constexpr std::uint16_t kBinding = 0x001;
constexpr std::uint16_t kMappedAddress = 0x0001;
constexpr std::uint16_t kErrorCode = 0x0009;
constexpr std::uint16_t kUnknownAttributes = 0x000A;
constexpr std::uint16_t kXorMappedAddress = 0x0020;
constexpr std::uint16_t kSoftware = 0x8022;
constexpr std::uint16_t kFingerprint = 0x8028;
constexpr std::uint32_t kFingerprintXor = 0x5354554e;
constexpr std::size_t kMaxSoftware = 763;
constexpr std::size_t kMaxReason = 763;

/// CRC-32 of ITU-T V.42 (the one of Ethernet and zip), bit by bit: a STUN message is short and
/// rare.
std::uint32_t crc32(Bytes bytes) {
  std::uint32_t crc = 0xffffffff;
  for (const std::uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1U ^ ((crc & 1U) != 0 ? 0xedb88320U : 0U);
  }
  return ~crc;
}

// RFC 8489 §5: the class's two bits stand between the method's (M11…M7 C1 M6…M4 C0 M3…M0).
std::uint16_t message_type(StunClass message_class) {
  const auto c = static_cast<unsigned>(message_class);
  return static_cast<std::uint16_t>(kBinding | (c & 1U) << 4U | (c & 2U) << 7U);
}

std::optional<StunClass> class_of(std::uint16_t type) {
  for (const StunClass c :
       {StunClass::Request, StunClass::Indication, StunClass::Success, StunClass::Error}) {
    if (message_type(c) == type) return c;
  }
  return std::nullopt;
}

/// RFC 8489 §14.2: the port is XORed with the cookie's upper half, the address with the cookie and,
/// beyond four bytes, the transaction id.
std::array<std::uint8_t, 16> xor_mask(const StunTransactionId& transaction) {
  std::array<std::uint8_t, 16> mask{};
  for (unsigned i = 0; i < 4; ++i) {
    mask[i] = static_cast<std::uint8_t>(kMagicCookie >> (24U - 8U * i));
  }
  std::copy(transaction.begin(), transaction.end(), mask.begin() + 4);
  return mask;
}

std::optional<Endpoint> parse_xor_mapped(Bytes value, const StunTransactionId& transaction) {
  if (value.size() < 8) return std::nullopt;
  const std::uint8_t family = value[1];
  const auto mask = xor_mask(transaction);
  Endpoint endpoint;
  endpoint.port = static_cast<std::uint16_t>(get16(value, 2) ^ (kMagicCookie >> 16U));
  std::array<std::uint8_t, 16> bytes{};
  const std::size_t size = value.size() - 4;
  if (!(family == 1 && size == 4) && !(family == 2 && size == 16)) return std::nullopt;
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<std::uint8_t>(value[4 + i] ^ mask[i]);
  }
  endpoint.address =
      family == 1 ? IpAddress::v4(bytes[0], bytes[1], bytes[2], bytes[3]) : IpAddress::v6(bytes);
  return endpoint;
}

std::optional<StunError> parse_error(Bytes value) {
  // RFC 8489 §14.8: class 3 to 6 in three bits, number 0 to 99.
  if (value.size() < 4) return std::nullopt;
  const unsigned hundreds = value[2] & 7U;
  const unsigned number = value[3];
  if (hundreds < 3 || hundreds > 6 || number > 99) return std::nullopt;
  return StunError{static_cast<std::uint16_t>(hundreds * 100 + number),
                   std::string(as_text(value.subspan(4)))};
}

class Builder {
 public:
  explicit Builder(const StunMessage& message) {
    put16(out_, message_type(message.message_class));
    put16(out_, 0);
    put32(out_, kMagicCookie);
    out_.insert(out_.end(), message.transaction.begin(), message.transaction.end());
  }

  void attribute(std::uint16_t type, Bytes value) {
    put16(out_, type);
    put16(out_, static_cast<std::uint16_t>(value.size()));
    out_.insert(out_.end(), value.begin(), value.end());
    while (out_.size() % 4 != 0) out_.push_back(0);
    set_length(out_.size());
  }

  /// RFC 8489 §14.7: the CRC covers all before it, under a length that includes it.
  void fingerprint() {
    set_length(out_.size() + 8);
    Buffer value;
    put32(value, crc32(out_) ^ kFingerprintXor);
    attribute(kFingerprint, value);
  }

  Buffer take() { return std::move(out_); }

 private:
  void set_length(std::size_t end) {
    const std::size_t length = end - kHeaderSize;
    out_[2] = static_cast<std::uint8_t>(length >> 8U);
    out_[3] = static_cast<std::uint8_t>(length);
  }

  Buffer out_;
};

Buffer xor_mapped_value(const Endpoint& endpoint, const StunTransactionId& transaction) {
  Buffer value{0, static_cast<std::uint8_t>(endpoint.address.is_v4() ? 1 : 2)};
  put16(value, static_cast<std::uint16_t>(endpoint.port ^ (kMagicCookie >> 16U)));
  const auto mask = xor_mask(transaction);
  const Bytes address = as_bytes(endpoint.address.bytes());
  for (std::size_t i = 0; i < address.size(); ++i) {
    value.push_back(static_cast<std::uint8_t>(address[i] ^ mask[i]));
  }
  return value;
}

Result<void> on_attribute(StunMessage& message, std::uint16_t type, Bytes value) {
  switch (type) {
    case kXorMappedAddress:
      if (message.mapped) return {};  // RFC 8489 §14: of repeated ones the first counts
      message.mapped = parse_xor_mapped(value, message.transaction);
      if (!message.mapped) return fail(ErrorCode::Malformed, "STUN: bad XOR-MAPPED-ADDRESS");
      return {};
    case kErrorCode:
      if (message.error) return {};
      message.error = parse_error(value);
      if (!message.error) return fail(ErrorCode::Malformed, "STUN: bad ERROR-CODE");
      return {};
    case kUnknownAttributes:
      if (value.size() % 2 != 0) return fail(ErrorCode::Malformed, "STUN: bad UNKNOWN-ATTRIBUTES");
      for (std::size_t i = 0;
           i < value.size() && message.unknown_attributes.size() < kMaxStunAttributes; i += 2) {
        message.unknown_attributes.push_back(get16(value, i));
      }
      return {};
    case kSoftware:
      if (message.software.empty()) message.software = as_text(value);
      return {};
    case kMappedAddress: return {};  // the same in clear, from servers that serve RFC 3489 too
    default:
      // RFC 8489 §14: types from 0x8000 on may be ignored.
      if (type < 0x8000) message.not_understood.push_back(type);
      return {};
  }
}

}  // namespace

StunTransactionId make_stun_transaction_id(Random& random) {
  StunTransactionId id;
  for (std::uint8_t& byte : id) byte = static_cast<std::uint8_t>(random.next());
  return id;
}

bool looks_like_stun(Bytes bytes) {
  return bytes.size() >= kHeaderSize && bytes[0] < 0x40 && get32(bytes, 4) == kMagicCookie;
}

Result<StunMessage> parse_stun(Bytes bytes) {
  if (bytes.size() > kMaxStunSize) return fail(ErrorCode::TooLarge, "STUN: over 1500 bytes");
  if (!looks_like_stun(bytes)) return fail(ErrorCode::Malformed, "STUN: no header");
  const std::size_t length = get16(bytes, 2);
  if (length % 4 != 0 || length != bytes.size() - kHeaderSize) {
    return fail(ErrorCode::Malformed, "STUN: length does not fit");
  }
  StunMessage message;
  const auto message_class = class_of(get16(bytes, 0));
  if (!message_class) return fail(ErrorCode::Unsupported, "STUN: not the Binding method");
  message.message_class = *message_class;
  std::copy_n(bytes.begin() + 8, message.transaction.size(), message.transaction.begin());

  std::size_t count = 0;
  for (std::size_t at = kHeaderSize; at < bytes.size();) {
    if (message.fingerprint) return fail(ErrorCode::Malformed, "STUN: FINGERPRINT is not last");
    if (++count > kMaxStunAttributes) return fail(ErrorCode::TooLarge, "STUN: over 32 attributes");
    if (bytes.size() - at < 4) return fail(ErrorCode::Malformed, "STUN: attribute passes the end");
    const std::uint16_t type = get16(bytes, at);
    const std::size_t size = get16(bytes, at + 2);
    if (bytes.size() - at - 4 < size) {
      return fail(ErrorCode::Malformed, "STUN: attribute passes the end");
    }
    const Bytes value = bytes.subspan(at + 4, size);
    if (type == kFingerprint) {
      if (size != 4 || get32(value, 0) != (crc32(bytes.first(at)) ^ kFingerprintXor)) {
        return fail(ErrorCode::Malformed, "STUN: wrong FINGERPRINT");
      }
      message.fingerprint = true;
    } else if (auto result = on_attribute(message, type, value); !result) {
      return tl::unexpected(result.error());
    }
    at += 4 + (size + 3) / 4 * 4;  // the message is a multiple of four long, so this is within it
  }
  return message;
}

Result<Buffer> build_stun(const StunMessage& message) {
  if (message.software.size() > kMaxSoftware ||
      message.unknown_attributes.size() > kMaxStunAttributes ||
      (message.error && (message.error->code < 300 || message.error->code > 699 ||
                         message.error->reason.size() > kMaxReason)) ||
      (message.mapped && message.mapped->address.family() == Family::None)) {
    return fail(ErrorCode::InvalidArgument, "STUN: a field is out of its range");
  }
  Builder builder(message);
  if (message.mapped) {
    builder.attribute(kXorMappedAddress, xor_mapped_value(*message.mapped, message.transaction));
  }
  if (message.error) {
    Buffer value{0, 0, static_cast<std::uint8_t>(message.error->code / 100),
                 static_cast<std::uint8_t>(message.error->code % 100)};
    value.insert(value.end(), message.error->reason.begin(), message.error->reason.end());
    builder.attribute(kErrorCode, value);
  }
  if (!message.unknown_attributes.empty()) {
    Buffer value;
    for (const std::uint16_t type : message.unknown_attributes) put16(value, type);
    builder.attribute(kUnknownAttributes, value);
  }
  if (!message.software.empty()) builder.attribute(kSoftware, as_bytes(message.software));
  if (message.fingerprint) builder.fingerprint();
  return builder.take();
}

}  // namespace godwit::wire
