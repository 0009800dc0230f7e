// SPDX-License-Identifier: Apache-2.0
#include "wire/sip/message.hpp"

#include <algorithm>
#include <cstring>

#include "wire/sip/lex.hpp"

namespace godwit::wire {
namespace {

constexpr std::string_view kVersion = "SIP/2.0";

bool is_sip_version(std::string_view text) {
  // SIP-Version = "SIP" "/" 1*DIGIT "." 1*DIGIT, without regard to case.
  if (text.size() < 7 || !lex::iequals(text.substr(0, 4), "SIP/")) return false;
  const std::string_view number = text.substr(4);
  const std::size_t dot = number.find('.');
  if (dot == std::string_view::npos || dot == 0 || dot + 1 == number.size()) return false;
  return lex::all_of(number.substr(0, dot), lex::kDigit) &&
         lex::all_of(number.substr(dot + 1), lex::kDigit);
}

}  // namespace

// The one pass over the buffer. std::string keeps a NUL behind the last byte, which is no token
// character, so that scans over names need no bound of their own.
class Message::Scanner {
 public:
  explicit Scanner(Message& message)
      : message_(message),
        base_(message.buffer_.data()),
        at_(base_),
        end_(base_ + message.buffer_.size()) {}

  Result<void> run() {
    skip_empty_lines();
    char* const line_end = find_line_end(at_);
    if (line_end == nullptr) return fail(ErrorCode::Malformed, "no SIP start line");
    const std::string_view line = without_cr(at_, line_end);
    message_.start_ = offset(at_);
    at_ = line_end + 1;
    if (auto ok = start_line(line); !ok) return ok;
    if (auto ok = header_lines(); !ok) return ok;
    body();
    return {};
  }

 private:
  std::uint16_t offset(const char* p) const { return static_cast<std::uint16_t>(p - base_); }
  Slice slice(std::string_view text) const {
    return {offset(text.data()), static_cast<std::uint16_t>(text.size())};
  }
  char* find_line_end(char* from) const {
    return static_cast<char*>(std::memchr(from, '\n', static_cast<std::size_t>(end_ - from)));
  }
  static std::string_view without_cr(const char* from, const char* line_end) {
    if (line_end > from && line_end[-1] == '\r') --line_end;
    return {from, static_cast<std::size_t>(line_end - from)};
  }
  void flaw(ParseFlaw what) {
    if (message_.flaw_ == ParseFlaw::None) message_.flaw_ = what;
  }

  // RFC 3261 §7.5: CRLFs before the start line are ignored.
  void skip_empty_lines() {
    while (at_ < end_ && (*at_ == '\r' || *at_ == '\n')) ++at_;
  }

  Result<void> start_line(std::string_view line) {
    if (line.size() >= 4 && lex::iequals(line.substr(0, 4), "SIP/")) return status_line(line);
    return request_line(line);
  }

  Result<void> request_line(std::string_view line) {
    const std::string_view trimmed = lex::trim_right(line);
    if (trimmed.size() != line.size()) flaw(ParseFlaw::RequestLine);
    const std::size_t first = trimmed.find(' ');
    const std::size_t last = trimmed.rfind(' ');
    if (first == std::string_view::npos || !is_sip_version(trimmed.substr(last + 1))) {
      return fail(ErrorCode::Malformed, "no SIP start line");
    }
    const std::string_view method = trimmed.substr(0, first);
    if (!lex::is_token(method)) return fail(ErrorCode::Malformed, "no method in the request line");
    if (!lex::iequals(trimmed.substr(last + 1), kVersion)) flaw(ParseFlaw::UnsupportedVersion);

    std::string_view uri;
    if (last > first) uri = trimmed.substr(first + 1, last - first - 1);
    const std::string_view inner = lex::trim(uri);
    if (inner.empty() || inner.size() != uri.size() || inner.find(' ') != std::string_view::npos ||
        inner.front() == '<') {
      flaw(ParseFlaw::RequestLine);
    }
    message_.method_text_ = slice(method);
    message_.method_ = parse_method(method);
    message_.request_uri_ = inner.empty() ? Slice{offset(method.data()), 0} : slice(inner);
    return {};
  }

  Result<void> status_line(std::string_view line) {
    const std::size_t space = line.find(' ');
    const std::string_view version = line.substr(0, space);
    if (space == std::string_view::npos || !is_sip_version(version)) {
      return fail(ErrorCode::Malformed, "no SIP start line");
    }
    if (!lex::iequals(version, kVersion)) {
      return fail(ErrorCode::Unsupported, "a response of another SIP version");
    }
    const std::string_view code = line.substr(space + 1, 3);
    const std::string_view after = line.substr(std::min(space + 4, line.size()));
    const auto status = lex::number(code, 699);
    // Status-Code SP Reason-Phrase; that the space is left out before an empty phrase is common.
    if (!status || *status < 100 || code.size() != 3 || (!after.empty() && after[0] != ' ')) {
      return fail(ErrorCode::Malformed, "no status code in the status line");
    }
    message_.status_ = static_cast<std::uint16_t>(*status);
    message_.reason_ = slice(after.empty() ? after : after.substr(1));
    return {};
  }

  Result<void> header_lines() {
    HeaderTable& table = message_.headers_;
    while (true) {
      if (*at_ == '\n' && at_ < end_) {
        at_ += 1;
        return {};
      }
      if (*at_ == '\r' && end_ - at_ > 1 && at_[1] == '\n') {
        at_ += 2;
        return {};
      }
      char* const name = at_;
      while (lex::is(*at_, lex::kToken)) ++at_;
      const std::string_view name_text(name, static_cast<std::size_t>(at_ - name));
      char* line_end = find_line_end(at_);
      if (line_end == nullptr) {
        return fail(ErrorCode::Malformed, "no empty line after the headers");
      }
      char* colon = at_;
      while (lex::is_space(*colon)) ++colon;
      line_end = unfold(line_end);
      if (line_end == nullptr) {
        return fail(ErrorCode::Malformed, "no empty line after the headers");
      }
      at_ = line_end + 1;
      if (*colon != ':' || name_text.empty()) {
        flaw(ParseFlaw::HeaderLine);
        continue;
      }
      if (table.count == kMaxHeaders) return fail(ErrorCode::TooLarge, "too many header lines");
      const std::string_view value = lex::trim(without_cr(colon + 1, line_end));
      const HeaderId id = header_id(name_text);
      std::uint8_t& first = table.first[static_cast<std::size_t>(id)];
      if (first == kNone) first = static_cast<std::uint8_t>(table.count);
      ++table.repeats[static_cast<std::size_t>(id)];
      table.lines[table.count++] = Line{slice(name_text), slice(value), id};
    }
  }

  // RFC 3261 §7.3.1: a line that begins with white space goes on with the one before. The line end
  // becomes spaces, in place; returns the end of the whole line, nullptr if there is none.
  char* unfold(char* line_end) const {
    while (line_end + 1 < end_ && lex::is_space(line_end[1])) {
      if (line_end[-1] == '\r') line_end[-1] = ' ';
      *line_end = ' ';
      line_end = find_line_end(line_end + 1);
      if (line_end == nullptr) return nullptr;
    }
    return line_end;
  }

  void body() {
    const std::size_t available = static_cast<std::size_t>(end_ - at_);
    message_.body_ = {offset(at_), static_cast<std::uint16_t>(available)};
    std::optional<std::uint32_t> length;
    for (const std::string_view value : message_.values(HeaderId::ContentLength)) {
      const auto parsed = lex::number(value, kMaxMessageSize);
      if (!parsed || (length && *length != *parsed)) {
        flaw(ParseFlaw::ContentLength);
        return;
      }
      length = parsed;
    }
    if (!length) return;
    if (*length > available) {
      flaw(ParseFlaw::BodyIncomplete);
    } else {
      message_.body_.length = static_cast<std::uint16_t>(*length);
    }
  }

  Message& message_;
  char* base_;
  char* at_;
  char* end_;
};

Result<Message> Message::parse(std::string buffer) {
  if (buffer.size() > kMaxMessageSize) return fail(ErrorCode::TooLarge, "message over 65535 bytes");
  Result<Message> result{Message{}};
  result->buffer_ = std::move(buffer);
  if (auto ok = Scanner(*result).run(); !ok) return tl::unexpected<Error>(std::move(ok.error()));
  return result;
}

void Message::HeaderTable::assign(const HeaderTable& other) {
  count = other.count;
  first = other.first;
  repeats = other.repeats;
  std::copy_n(other.lines.begin(), count, lines.begin());
}

HeaderView Message::header(std::size_t index) const {
  const Line& line = headers_.lines[index];
  return {line.id, view(line.name), view(line.value)};
}

std::optional<std::string_view> Message::first_named(std::string_view name) const {
  if (const HeaderId id = header_id(name); id != HeaderId::Unknown) return first(id);
  for (std::size_t i = 0; i < headers_.count; ++i) {
    const Line& line = headers_.lines[i];
    if (line.id == HeaderId::Unknown && lex::iequals(view(line.name), name)) {
      return view(line.value);
    }
  }
  return std::nullopt;
}

ElementScanner::ElementScanner(std::string_view value)
    : rest_(lex::trim(value)), more_(!rest_.empty()) {}

std::optional<std::string_view> ElementScanner::next() {
  if (!more_) return std::nullopt;
  std::size_t i = 0;
  while (true) {
    while (i < rest_.size() && !lex::is(rest_[i], lex::kListStop)) ++i;
    if (i >= rest_.size() || rest_[i] == ',') break;
    // What is not closed goes on to the end: one element, never a search from each opening.
    const std::size_t next = rest_[i] == '"' ? lex::skip_quoted(rest_, i) : rest_.find('>', i);
    i = std::min(next, rest_.size());
  }
  const std::string_view element = lex::trim(rest_.substr(0, i));
  more_ = i < rest_.size();
  rest_.remove_prefix(std::min(i + 1, rest_.size()));
  return element;
}

HeaderValues::Iterator::Iterator(const Message* message, HeaderId id)
    : message_(message), id_(id), list_(is_list(id)) {
  const std::uint8_t first = message->headers_.first[static_cast<std::size_t>(id)];
  line_ = first == Message::kNone ? message->header_count() : first;
  advance();
}

void HeaderValues::Iterator::advance() {
  while (true) {
    if (const auto element = scanner_.next()) {
      current_ = *element;
      return;
    }
    while (line_ < message_->header_count() && message_->headers_.lines[line_].id != id_) ++line_;
    if (line_ >= message_->header_count()) {
      message_ = nullptr;
      return;
    }
    const std::string_view value = message_->view(message_->headers_.lines[line_++].value);
    if (!list_) {
      current_ = value;
      return;
    }
    scanner_ = ElementScanner(value);
  }
}

}  // namespace godwit::wire
