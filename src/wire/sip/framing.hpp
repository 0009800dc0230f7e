// SPDX-License-Identifier: Apache-2.0
//
// Cuts a byte stream (TCP, TLS) into SIP messages by Content-Length (RFC 3261 §18.3), and finds the
// keep-alives between them (RFC 5626 §3.5.1). One object for each connection; holds what has
// arrived of the next message and no more. Knows no sockets; does not judge the messages.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "godwit/result.hpp"
#include "wire/sip/message.hpp"

namespace godwit::wire {

class StreamFramer {
 public:
  /// Bytes as they arrived, in pieces of any size. Drain next() after each.
  void append(std::string_view bytes);

  /// The next whole message, for Message::parse(); nullopt until there is one. An Error means that
  /// nobody can tell where the next message begins (no SIP headers, no or a wrong Content-Length, a
  /// message beyond the limits of message.hpp): the connection must be closed, and next() goes on
  /// failing.
  Result<std::optional<std::string>> next();

  /// Double CRLFs (pings) and lone CRLFs (pongs) found by next() since the last call. A ping is to
  /// be answered with one CRLF.
  struct KeepAlives {
    std::size_t pings = 0;
    std::size_t pongs = 0;
  };
  KeepAlives take_keep_alives();

  /// How many bytes wait for the rest of their message; at most kMaxMessageSize after next().
  std::size_t buffered() const { return buffer_.size() - begin_; }

 private:
  Result<std::optional<std::string>> lost(ErrorCode code, const char* why);
  /// False while more must arrive before it is clear what the next bytes are.
  bool skip_keep_alives();

  std::string buffer_;
  std::size_t begin_ = 0;       // of the next message in buffer_
  std::size_t scanned_ = 0;     // up to here there is no empty line
  std::size_t frame_size_ = 0;  // known once the headers are whole; 0: not yet
  KeepAlives keep_alives_;
  bool lost_ = false;
};

}  // namespace godwit::wire
