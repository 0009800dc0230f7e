// SPDX-License-Identifier: Apache-2.0
#include "wire/sip/framing.hpp"

#include <algorithm>

#include "wire/sip/lex.hpp"

namespace godwit::wire {
namespace {

constexpr std::size_t kNpos = std::string_view::npos;

/// The position behind the empty line that ends the headers, npos if it has not arrived. Looks at
/// `text` from `from` on, where an earlier search ended.
std::size_t find_header_end(std::string_view text, std::size_t from) {
  std::size_t at = text.find('\n', from);
  while (at != kNpos) {
    if (at + 1 < text.size() && text[at + 1] == '\n') return at + 2;
    if (at + 2 < text.size() && text[at + 1] == '\r' && text[at + 2] == '\n') return at + 3;
    at = text.find('\n', at + 1);
  }
  return kNpos;
}

}  // namespace

void StreamFramer::append(std::string_view bytes) {
  if (lost_) return;
  // Taken messages are dropped from the front here, once for each arrival.
  buffer_.erase(0, begin_);
  scanned_ -= std::min(begin_, scanned_);
  begin_ = 0;
  buffer_ += bytes;
}

Result<std::optional<std::string>> StreamFramer::lost(ErrorCode code, const char* why) {
  lost_ = true;
  buffer_ = {};
  begin_ = 0;
  return fail(code, why);
}

bool StreamFramer::skip_keep_alives() {
  const std::string_view text = std::string_view(buffer_);
  while (begin_ < text.size() && (text[begin_] == '\r' || text[begin_] == '\n')) {
    const std::string_view rest = text.substr(begin_);
    if (rest.substr(0, 4) == "\r\n\r\n") {
      ++keep_alives_.pings;
      begin_ += 4;
    } else if (rest == "\r" || rest == "\r\n\r") {
      return false;
    } else if (rest.substr(0, 2) == "\r\n") {
      // RFC 5626 §3.5.1 sends a ping in one piece, so that a lone CRLF at the end is a pong.
      ++keep_alives_.pongs;
      begin_ += 2;
    } else {
      ++begin_;
    }
  }
  return true;
}

Result<std::optional<std::string>> StreamFramer::next() {
  if (lost_) return fail(ErrorCode::Malformed, "the stream has lost its frame");
  if (frame_size_ == 0) {
    if (!skip_keep_alives()) return std::nullopt;
    const std::string_view text = std::string_view(buffer_).substr(begin_);
    const std::size_t from = scanned_ > begin_ ? scanned_ - begin_ : 0;
    const std::size_t end = find_header_end(text, from);
    if (end == kNpos) {
      if (text.size() > kMaxMessageSize)
        return lost(ErrorCode::TooLarge, "headers over 65535 bytes");
      // The empty line may have begun in the last three bytes.
      scanned_ = begin_ + (text.size() > 3 ? text.size() - 3 : 0);
      return std::nullopt;
    }
    if (end > kMaxMessageSize) return lost(ErrorCode::TooLarge, "headers over 65535 bytes");
    // Read as the message itself will be, so that both see the same length.
    const auto headers = Message::parse(std::string(text.substr(0, end)));
    if (!headers) return lost(headers.error().code, "no SIP message on the stream");
    const auto length = headers->first(HeaderId::ContentLength);
    if (!length) return lost(ErrorCode::Malformed, "no Content-Length on a stream");
    const auto body = lex::number(*length, kMaxMessageSize);
    if (!body || headers->flaw() == ParseFlaw::ContentLength) {
      return lost(ErrorCode::Malformed, "a wrong Content-Length on a stream");
    }
    if (end + *body > kMaxMessageSize) {
      return lost(ErrorCode::TooLarge, "message over 65535 bytes");
    }
    frame_size_ = end + *body;
  }
  if (buffered() < frame_size_) return std::nullopt;
  std::string frame = buffer_.substr(begin_, frame_size_);
  begin_ += frame_size_;
  scanned_ = begin_;
  frame_size_ = 0;
  return frame;
}

StreamFramer::KeepAlives StreamFramer::take_keep_alives() {
  const KeepAlives found = keep_alives_;
  keep_alives_ = {};
  return found;
}

}  // namespace godwit::wire
