// SPDX-License-Identifier: Apache-2.0
//
// A received SIP message: an immutable value over the one buffer it came in. Finds the start line,
// the header lines and the body, in one pass that is linear in the input and allocates nothing;
// what stands inside a header is parsed on demand (headers.hpp), whether the whole makes sense is
// said by validate() (validate.hpp). Keeps offsets, not pointers, so that moving it is safe; every
// string_view it hands out lives as long as the object is neither moved nor destroyed. Does not
// frame streams (framing.hpp) and does not write messages (builder.hpp).
#pragma once

#include <array>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include "godwit/result.hpp"
#include "wire/sip/header_id.hpp"
#include "wire/sip/method.hpp"

namespace godwit::wire {

/// The largest UDP payload; also what keeps every offset within 16 bits. A larger message on a
/// stream is refused as well: no user agent has a use for one.
inline constexpr std::size_t kMaxMessageSize = 65'535;

/// Header lines in one message. Real ones have 10 to 30; long routes through many proxies add some
/// dozens of Via and Record-Route. RFC 4475 §3.1.1.7 has 53.
inline constexpr std::size_t kMaxHeaders = 128;

/// What parse() saw and went past, because the message can still be answered; see validate().
enum class ParseFlaw : std::uint8_t {
  None,
  UnsupportedVersion,
  RequestLine,     ///< White space or brackets where there should be none.
  HeaderLine,      ///< A line that is no "name: value"; it is left out of the table.
  ContentLength,   ///< No number, or given more than once with different values.
  BodyIncomplete,  ///< Content-Length says more than there is.
};

class Message;

struct HeaderView {
  HeaderId id = HeaderId::Unknown;
  std::string_view name;   ///< As received, perhaps compact.
  std::string_view value;  ///< Without surrounding white space; folded lines joined by spaces.
};

/// Steps through the elements of one comma-separated value; commas within "…" and <…> do not count.
/// Empty elements are handed out as empty views, an empty value has none.
class ElementScanner {
 public:
  explicit ElementScanner(std::string_view value);
  /// The next element without surrounding white space; nullopt at the end.
  std::optional<std::string_view> next();

 private:
  std::string_view rest_;
  bool more_;
};

/// All values of one header over all its lines; elements of comma-separated lists one by one.
class HeaderValues {
 public:
  class Iterator {
   public:
    using value_type = std::string_view;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::input_iterator_tag;
    using reference = std::string_view;
    using pointer = void;

    Iterator() = default;
    std::string_view operator*() const { return current_; }
    Iterator& operator++() {
      advance();
      return *this;
    }
    void operator++(int) { advance(); }
    friend bool operator==(const Iterator& a, std::default_sentinel_t) {
      return a.message_ == nullptr;
    }

   private:
    friend class HeaderValues;
    Iterator(const Message* message, HeaderId id);
    void advance();

    const Message* message_ = nullptr;
    std::size_t line_ = 0;
    HeaderId id_ = HeaderId::Unknown;
    bool list_ = false;
    ElementScanner scanner_{{}};
    std::string_view current_;
  };

  HeaderValues(const Message* message, HeaderId id) : message_(message), id_(id) {}
  Iterator begin() const { return {message_, id_}; }
  std::default_sentinel_t end() const { return {}; }

 private:
  const Message* message_;
  HeaderId id_;
};

class Message {
 public:
  /// Takes the datagram (or one frame of a stream) by move. Leading empty lines are skipped.
  ///
  /// Fails only if nothing could be done with the message: no SIP start line, a broken status line
  /// (a response cannot be answered), no empty line after the headers, or one of the limits above
  /// (Malformed, Unsupported, TooLarge). Such a message is to be dropped and counted. Everything
  /// else parses, and validate() says what to answer.
  ///
  /// Line ends may be CRLF or LF alone. Without Content-Length the body goes on to the end; what is
  /// beyond Content-Length is dropped (RFC 3261 §18.3).
  static Result<Message> parse(std::string buffer);

  bool is_request() const { return status_ == 0; }
  bool is_response() const { return status_ != 0; }
  /// Of a request. Unknown for extension methods, and for responses.
  Method method() const { return method_; }
  std::string_view method_text() const { return view(method_text_); }
  std::string_view request_uri() const { return view(request_uri_); }
  /// 100 to 699 for a response, 0 for a request.
  int status() const { return status_; }
  std::string_view reason() const { return view(reason_); }

  std::size_t header_count() const { return headers_.count; }
  HeaderView header(std::size_t index) const;

  /// The first header line of that kind, whole.
  std::optional<std::string_view> first(HeaderId id) const {
    const std::uint8_t index = headers_.first[static_cast<std::size_t>(id)];
    if (index == kNone) return std::nullopt;
    return view(headers_.lines[index].value);
  }
  bool has(HeaderId id) const { return headers_.first[static_cast<std::size_t>(id)] != kNone; }
  /// How many header lines of that kind there are.
  std::size_t line_count(HeaderId id) const {
    return headers_.repeats[static_cast<std::size_t>(id)];
  }
  /// All values of that kind: `for (std::string_view via : message.values(HeaderId::Via))`.
  HeaderValues values(HeaderId id) const { return {this, id}; }
  /// By any name, long or compact, known or not, without regard to case.
  std::optional<std::string_view> first_named(std::string_view name) const;

  std::string_view body() const { return view(body_); }
  /// From the start line to the end of the body.
  std::string_view raw() const {
    return std::string_view(buffer_).substr(start_, body_.offset + body_.length - start_);
  }
  ParseFlaw flaw() const { return flaw_; }

 private:
  struct Slice {
    std::uint16_t offset;
    std::uint16_t length;
  };
  struct Line {
    Slice name;
    Slice value;
    HeaderId id;
  };
  static constexpr std::uint8_t kNone = 0xff;
  static_assert(kMaxHeaders < kNone);

  // Copies and moves touch the lines in use only; the rest stays uninitialised.
  struct HeaderTable {
    HeaderTable() { first.fill(kNone); }
    HeaderTable(const HeaderTable& other) { assign(other); }
    HeaderTable& operator=(const HeaderTable& other) {
      if (this != &other) assign(other);
      return *this;
    }
    void assign(const HeaderTable& other);

    std::size_t count = 0;
    std::array<std::uint8_t, kHeaderIdCount> first;
    std::array<std::uint8_t, kHeaderIdCount> repeats{};
    std::array<Line, kMaxHeaders> lines;
  };

  friend class HeaderValues::Iterator;
  class Scanner;

  Message() = default;
  std::string_view view(Slice slice) const { return {buffer_.data() + slice.offset, slice.length}; }

  std::string buffer_;
  std::uint16_t start_ = 0;
  Slice method_text_{};
  Slice request_uri_{};
  Slice reason_{};
  Slice body_{};
  std::uint16_t status_ = 0;
  Method method_ = Method::Unknown;
  ParseFlaw flaw_ = ParseFlaw::None;
  HeaderTable headers_;
};

}  // namespace godwit::wire
