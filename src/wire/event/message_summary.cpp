// SPDX-License-Identifier: Apache-2.0
#include "wire/event/message_summary.hpp"

#include <algorithm>
#include <optional>

#include "wire/sip/lex.hpp"

namespace godwit::wire {
namespace {

constexpr std::size_t kMaxBody = 65'535;
constexpr std::size_t kMaxText = 256;

/// "4/8" into two numbers; nullopt if it is none.
bool read_pair(std::string_view text, std::uint32_t& fresh, std::uint32_t& old) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return false;
  const auto left = lex::number(lex::trim(text.substr(0, slash)), 0xffffffff);
  const auto right = lex::number(lex::trim(text.substr(slash + 1)), 0xffffffff);
  if (!left || !right) return false;
  fresh = *left;
  old = *right;
  return true;
}

/// RFC 3842 §5.2: `2/8 (0/2)`: new/old, and of these the urgent ones.
std::optional<MessageSummary::Count> read_count(std::string_view value) {
  MessageSummary::Count count;
  const std::size_t open = value.find('(');
  if (!read_pair(lex::trim(value.substr(0, open)), count.fresh, count.old)) return std::nullopt;
  if (open == std::string_view::npos) return count;
  const std::size_t close = value.find(')', open);
  if (close == std::string_view::npos ||
      !read_pair(value.substr(open + 1, close - open - 1), count.urgent_fresh, count.urgent_old)) {
    return std::nullopt;
  }
  return count;
}

}  // namespace

Result<MessageSummary> parse_message_summary(std::string_view body) {
  if (body.size() > kMaxBody) return fail(ErrorCode::TooLarge, "a message summary too large");
  MessageSummary summary;
  bool told = false;
  while (!body.empty()) {
    const std::size_t end = lex::find_or_end(body, '\n');
    std::string_view line = body.substr(0, end);
    body.remove_prefix(std::min(end + 1, body.size()));
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty()) break;  // RFC 3842 §5.2: the headers of single messages follow.
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos)
      return fail(ErrorCode::Malformed, "a line of a message summary without a colon");
    const std::string_view name = lex::trim(line.substr(0, colon));
    const std::string_view value = lex::trim(line.substr(colon + 1));
    if (lex::iequals(name, "Messages-Waiting")) {
      if (!lex::iequals(value, "yes") && !lex::iequals(value, "no"))
        return fail(ErrorCode::Malformed, "Messages-Waiting says neither yes nor no");
      summary.waiting = lex::iequals(value, "yes");
      told = true;
    } else if (lex::iequals(name, "Message-Account")) {
      summary.account = std::string(value.substr(0, kMaxText));
    } else if (value.find('/') != std::string_view::npos && lex::is_token(name)) {
      auto count = read_count(value);
      if (!count) return fail(ErrorCode::Malformed, "a count of messages that is none");
      if (summary.counts.size() >= kMaxMessageKinds) continue;
      count->kind = std::string(name.substr(0, kMaxText));
      std::transform(count->kind.begin(), count->kind.end(), count->kind.begin(), lex::lower);
      summary.counts.push_back(std::move(*count));
    }
  }
  if (!told) return fail(ErrorCode::Malformed, "no Messages-Waiting in a message summary");
  return summary;
}

}  // namespace godwit::wire
