// SPDX-License-Identifier: Apache-2.0
#include "ua/header_rules.hpp"

#include <algorithm>
#include <array>

#include "wire/sip/lex.hpp"

namespace godwit::ua {
namespace {

using wire::HeaderId;

constexpr std::size_t kMaxName = 64;
constexpr std::size_t kMaxValue = 1024;

constexpr std::array kStructural{
    HeaderId::Via,
    HeaderId::From,
    HeaderId::To,
    HeaderId::CallId,
    HeaderId::CSeq,
    HeaderId::Contact,
    HeaderId::Route,
    HeaderId::RecordRoute,
    HeaderId::Path,
    HeaderId::ServiceRoute,
    HeaderId::MaxForwards,
    HeaderId::ContentLength,
    HeaderId::ContentType,
    HeaderId::ContentEncoding,
    HeaderId::Authorization,
    HeaderId::ProxyAuthorization,
    HeaderId::ProxyRequire,
    HeaderId::Require,
    HeaderId::Supported,
    HeaderId::Unsupported,
    HeaderId::Allow,
    HeaderId::SessionExpires,
    HeaderId::MinSE,
    HeaderId::RAck,
    HeaderId::RSeq,
    HeaderId::Event,
    HeaderId::Expires,
    HeaderId::SubscriptionState,
    HeaderId::Replaces,
    HeaderId::ReferTo,
    HeaderId::SipETag,
    HeaderId::SipIfMatch,
    HeaderId::FlowTimer,
    HeaderId::WwwAuthenticate,
    HeaderId::TargetDialog,
    HeaderId::ProxyAuthenticate,
    HeaderId::Timestamp,
    HeaderId::AuthenticationInfo,
};

bool breaks_line(char c) { return c == '\r' || c == '\n' || c == '\0'; }

bool is_called(const wire::DraftHeader& header, HeaderId id, std::string_view name) {
  return id == HeaderId::Unknown ? wire::lex::iequals(header.name, name) : header.id == id;
}

}  // namespace

bool is_structural(std::string_view name) {
  return std::find(kStructural.begin(), kStructural.end(), wire::header_id(name)) !=
         kStructural.end();
}

Result<void> check_header(const Header& header) {
  if (!wire::lex::is_token(header.name) || header.name.size() > kMaxName) {
    return fail(ErrorCode::InvalidArgument,
                "a header's name has 1 to 64 letters, digits and -.!%*_+`'~");
  }
  if (is_structural(header.name)) {
    return fail(ErrorCode::InvalidArgument,
                "the header " + header.name + " is written by the library itself");
  }
  if (std::any_of(header.value.begin(), header.value.end(), breaks_line)) {
    return fail(ErrorCode::InvalidArgument,
                "the value of " + header.name + " holds a line break or NUL");
  }
  if (header.value.size() > kMaxValue) {
    return fail(ErrorCode::InvalidArgument,
                "the value of " + header.name + " is longer than 1024 bytes");
  }
  return {};
}

Result<void> check_headers(const std::vector<Header>& headers) {
  if (headers.size() > kMaxExtraHeaders) {
    return fail(ErrorCode::TooLarge, "more than 32 extra headers");
  }
  for (const Header& header : headers) {
    if (auto ok = check_header(header); !ok) return ok;
  }
  return {};
}

Result<void> check_reason(const ReasonHeader& reason) {
  if (!wire::lex::is_token(reason.protocol) || reason.protocol.size() > kMaxName) {
    return fail(ErrorCode::InvalidArgument, "a reason's protocol is a token such as SIP or Q.850");
  }
  if (reason.cause < 0 || reason.cause > 999) {
    return fail(ErrorCode::InvalidArgument, "a reason's cause is a number from 1 to 999, or 0");
  }
  return check_header({"Reason", reason.text});
}

void append_headers(wire::DraftHeaders& draft, const std::vector<Header>& headers) {
  for (const Header& header : headers) draft.emplace_back(header.name, header.value);
}

std::string apply_edits(wire::DraftHeaders& draft, const std::vector<HeaderEdit>& edits) {
  std::string complaint;
  std::size_t done = 0;
  for (const HeaderEdit& edit : edits) {
    const auto allowed = done++ < kMaxExtraHeaders
                             ? check_header({edit.name, edit.value.value_or("")})
                             : Result<void>(fail(ErrorCode::TooLarge, "more than 32 edits"));
    if (!allowed) {
      if (complaint.empty()) complaint = allowed.error().detail;
      continue;
    }
    if (edit.value) {
      draft.emplace_back(edit.name, *edit.value);
      continue;
    }
    const HeaderId id = wire::header_id(edit.name);
    std::erase_if(draft, [&](const auto& header) { return is_called(header, id, edit.name); });
  }
  return complaint;
}

std::vector<Header> shown(const wire::DraftHeaders& draft) {
  std::vector<Header> all;
  for (const wire::DraftHeader& header : draft) {
    if (header.id == HeaderId::Via || header.id == HeaderId::Contact) continue;
    const std::string_view name =
        header.id == HeaderId::Unknown ? std::string_view(header.name) : name_of(header.id);
    all.push_back({std::string(name), header.value});
  }
  return all;
}

std::vector<Header> shown(const wire::Message& message) {
  std::vector<Header> all;
  for (std::size_t i = 0; i < message.header_count(); ++i) {
    const wire::HeaderView header = message.header(i);
    // The long form, so that a hook need not know the compact ones.
    const std::string_view name = header.id == HeaderId::Unknown ? header.name : name_of(header.id);
    all.push_back({std::string(name), std::string(header.value)});
  }
  return all;
}

}  // namespace godwit::ua
