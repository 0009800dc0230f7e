// SPDX-License-Identifier: Apache-2.0
#include "wire/sip/builder.hpp"

#include <algorithm>
#include <charconv>

#include "wire/sip/headers.hpp"
#include "wire/sip/lex.hpp"

namespace godwit::wire {
namespace {

constexpr std::string_view kLineEnd = "\r\n";

bool breaks_line(char c) { return c == '\r' || c == '\n' || c == '\0'; }

void append_number(std::string& out, std::uint64_t value) {
  char digits[20];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, value);
  static_cast<void>(error);  // 20 characters hold every 64-bit number.
  out.append(digits, end);
}

/// The one place where header values become bytes.
void append_value(std::string& out, std::string_view value) {
  const std::size_t from = out.size();
  out += value;
  std::replace_if(out.begin() + static_cast<std::ptrdiff_t>(from), out.end(), breaks_line, ' ');
}

void append_header(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  append_value(out, value);
  out += kLineEnd;
}

void append_uri(std::string& out, std::string_view uri) {
  constexpr std::string_view hex = "0123456789ABCDEF";
  for (const char c : uri) {
    const auto u = static_cast<unsigned char>(c);
    if (u <= 0x20 || u == 0x7f || c == '<' || c == '>') {
      out += '%';
      out += hex[u >> 4U];
      out += hex[u & 0xfU];
    } else {
      out += c;
    }
  }
}

std::string_view name_of(const DraftHeader& header) {
  return header.id == HeaderId::Unknown ? std::string_view(header.name) : name_of(header.id);
}

std::size_t size_of(const DraftHeaders& headers) {
  std::size_t size = 0;
  for (const DraftHeader& header : headers)
    size += name_of(header).size() + header.value.size() + 4;
  return size;
}

void append_headers(std::string& out, const DraftHeaders& headers, bool skip_content_type) {
  for (const DraftHeader& header : headers) {
    if (header.id == HeaderId::ContentLength) continue;
    if (header.id == HeaderId::ContentType && skip_content_type) continue;
    const std::string_view name = name_of(header);
    if (lex::is_token(name)) append_header(out, name, header.value);
  }
}

void append_end(std::string& out, std::string_view content_type, std::string_view body) {
  if (!content_type.empty()) append_header(out, "Content-Type", content_type);
  out += "Content-Length: ";
  append_number(out, body.size());
  out += "\r\n\r\n";
  out += body;
}

void copy_all(const Message& message, HeaderId id, DraftHeaders& to) {
  for (std::size_t i = 0; i < message.header_count(); ++i) {
    const HeaderView header = message.header(i);
    if (header.id == id) to.emplace_back(id, std::string(header.value));
  }
}

void copy_first(const Message& message, HeaderId id, DraftHeaders& to) {
  if (const auto value = message.first(id)) to.emplace_back(id, std::string(*value));
}

/// The value of a header line with its first list element replaced; an empty one takes it off.
std::string with_first_element(std::string_view line, std::string_view replacement) {
  ElementScanner scanner(line);
  const auto first = scanner.next();
  if (!first) return std::string(replacement);
  const auto offset = static_cast<std::size_t>(first->data() - line.data()) + first->size();
  std::string_view rest = lex::trim(line.substr(offset));
  std::string out(replacement);
  if (out.empty() && !rest.empty() && rest[0] == ',') rest = lex::trim_left(rest.substr(1));
  out += rest;
  return out;
}

bool may_form_dialog(const Message& request, int status) {
  return creates_dialog(request.method()) && status > 100 && status < 300;
}

std::string cseq_value(const Message& request, Method method) {
  const auto cseq = cseq_of(request);
  std::string out;
  append_number(out, cseq ? cseq->number : 0);
  out += ' ';
  out += to_string(method);
  return out;
}

RequestDraft companion_of(const Message& invite, Method method, const Message& to_holder) {
  RequestDraft draft;
  draft.method = method;
  draft.request_uri = invite.request_uri();
  copy_all(invite, HeaderId::Route, draft.headers);
  draft.headers.emplace_back(HeaderId::MaxForwards, "70");
  copy_first(invite, HeaderId::From, draft.headers);
  copy_first(to_holder, HeaderId::To, draft.headers);
  copy_first(invite, HeaderId::CallId, draft.headers);
  draft.headers.emplace_back(HeaderId::CSeq, cseq_value(invite, method));
  return draft;
}

DraftHeader copy_of(const HeaderView& header) {
  return header.id == HeaderId::Unknown ? DraftHeader(header.name, std::string(header.value))
                                        : DraftHeader(header.id, std::string(header.value));
}

}  // namespace

DraftHeader::DraftHeader(std::string_view header_name, std::string header_value)
    : id(header_id(header_name)), value(std::move(header_value)) {
  if (id == HeaderId::Unknown) name = header_name;
}

Result<void> add_header(DraftHeaders& headers, std::string_view name, std::string value) {
  if (!lex::is_token(name)) {
    return fail(ErrorCode::InvalidArgument,
                "a header name may hold letters, digits and -.!%*_+`'~");
  }
  if (std::any_of(value.begin(), value.end(), breaks_line)) {
    return fail(ErrorCode::InvalidArgument,
                "the value of " + std::string(name) + " holds a line break or NUL");
  }
  headers.emplace_back(name, std::move(value));
  return {};
}

void set_header(DraftHeaders& headers, HeaderId id, std::string value) {
  const auto is_it = [id](const DraftHeader& header) { return header.id == id; };
  const auto first = std::find_if(headers.begin(), headers.end(), is_it);
  if (first == headers.end()) {
    headers.emplace_back(id, std::move(value));
    return;
  }
  first->value = std::move(value);
  headers.erase(std::remove_if(first + 1, headers.end(), is_it), headers.end());
}

const std::string* find_header(const DraftHeaders& headers, HeaderId id) {
  for (const DraftHeader& header : headers) {
    if (header.id == id) return &header.value;
  }
  return nullptr;
}

std::string make_via(std::string_view transport, const Endpoint& sent_by, std::string_view branch,
                     bool rport) {
  std::string out = "SIP/2.0/";
  out += transport;
  out += ' ';
  out += sent_by.address.to_uri_host();
  if (sent_by.port != 0) {
    out += ':';
    append_number(out, sent_by.port);
  }
  out += ";branch=";
  out += branch;
  if (rport) out += ";rport";
  return out;
}

std::string make_contact(const ContactSlot& slot, std::string_view transport,
                         const Endpoint& local) {
  std::string out = "<sip:";
  if (!slot.user.empty()) {
    out += percent_encode_user(slot.user);
    out += '@';
  }
  out += local.address.to_uri_host();
  if (local.port != 0) {
    out += ':';
    append_number(out, local.port);
  }
  if (!transport.empty() && !lex::iequals(transport, "UDP")) {
    out += ";transport=";
    for (const char c : transport) out += lex::lower(c);
  }
  out += slot.uri_params;
  out += '>';
  out += slot.params;
  return out;
}

std::string serialise(const RequestDraft& draft, std::string_view via_value,
                      std::string_view contact_value) {
  std::string out;
  out.reserve(256 + draft.request_uri.size() + via_value.size() + contact_value.size() +
              size_of(draft.headers) + draft.content_type.size() + draft.body.size());
  const bool extension = draft.method == Method::Unknown;
  // An extension method that is no token would make the line unreadable: '?' is none either, and
  // the peer answers 400 or 501 instead of reading something else.
  out += !extension                         ? to_string(draft.method)
         : lex::is_token(draft.method_text) ? std::string_view(draft.method_text)
                                            : std::string_view("?");
  out += ' ';
  append_uri(out, draft.request_uri);
  out += " SIP/2.0\r\n";
  if (!via_value.empty()) append_header(out, "Via", via_value);
  if (find_header(draft.headers, HeaderId::MaxForwards) == nullptr) {
    append_header(out, "Max-Forwards", "70");
  }
  append_headers(out, draft.headers, !draft.content_type.empty());
  if (draft.contact.wanted) append_header(out, "Contact", contact_value);
  append_end(out, draft.content_type, draft.body);
  return out;
}

std::string serialise(const ResponseDraft& draft, std::string_view contact_value) {
  std::string out;
  out.reserve(128 + draft.reason.size() + contact_value.size() + size_of(draft.headers) +
              draft.content_type.size() + draft.body.size());
  out += "SIP/2.0 ";
  append_number(out, static_cast<std::uint64_t>(std::clamp(draft.status, 100, 699)));
  out += ' ';
  append_value(out,
               draft.reason.empty() ? reason_phrase(draft.status) : std::string_view(draft.reason));
  out += kLineEnd;
  append_headers(out, draft.headers, !draft.content_type.empty());
  if (draft.contact.wanted) append_header(out, "Contact", contact_value);
  append_end(out, draft.content_type, draft.body);
  return out;
}

std::string via_with_source(std::string_view text, const Endpoint& source, unsigned keep) {
  const auto via = Via::parse(text);
  if (!via) return std::string(text);
  const bool asked = via->has_rport();
  const auto sent_by = IpAddress::parse(via->host);
  const bool received = asked || !sent_by || *sent_by != source.address;

  // Up to the parameters as it was, white space included.
  const std::string_view params = via->params.text();
  std::string out(params.empty() ? lex::trim(text)
                                 : lex::trim_right(text.substr(
                                       0, static_cast<std::size_t>(params.data() - text.data()))));
  for (const Param& param : via->params) {
    if (lex::iequals(param.name, "received")) continue;
    out += ';';
    if (lex::iequals(param.name, "rport")) {
      out += "rport=";
      append_number(out, source.port);
      continue;
    }
    out += param.name;
    if (param.has_value) {
      out += '=';
      out += param.value;
    } else if (keep != 0 && lex::iequals(param.name, "keep")) {
      out += '=';
      append_number(out, keep);
    }
  }
  if (received) {
    out += ";received=";
    out += source.address.to_string();
  }
  return out;
}

ResponseDraft make_response(const Message& request, int status, ResponseOptions options) {
  ResponseDraft draft;
  draft.status = status;
  draft.reason = options.reason;

  copy_all(request, HeaderId::Via, draft.headers);
  if (options.source && !draft.headers.empty()) {
    std::string& line = draft.headers.front().value;
    line = with_first_element(line, via_with_source(top_via_text(request), *options.source));
  }
  if (may_form_dialog(request, status)) copy_all(request, HeaderId::RecordRoute, draft.headers);
  copy_first(request, HeaderId::From, draft.headers);
  copy_first(request, HeaderId::To, draft.headers);
  if (!options.to_tag.empty() && status != 100 && request.has(HeaderId::To)) {
    // A To that does not parse has no tag that anybody could find.
    if (to_tag_of(request).empty()) {
      std::string& to = draft.headers.back().value;
      to += ";tag=";
      to += options.to_tag;
    }
  }
  copy_first(request, HeaderId::CallId, draft.headers);
  copy_first(request, HeaderId::CSeq, draft.headers);
  if (status == 100) copy_first(request, HeaderId::Timestamp, draft.headers);
  return draft;
}

RequestDraft ack_for_failure(const Message& invite, const Message& response) {
  return companion_of(invite, Method::Ack, response);
}

RequestDraft cancel_for(const Message& invite) {
  return companion_of(invite, Method::Cancel, invite);
}

RequestDraft draft_from(const Message& request) {
  RequestDraft draft;
  draft.method = request.method();
  if (draft.method == Method::Unknown) draft.method_text = request.method_text();
  draft.request_uri = request.request_uri();
  draft.headers.reserve(request.header_count());
  for (std::size_t i = 0; i < request.header_count(); ++i) {
    draft.headers.push_back(copy_of(request.header(i)));
  }
  draft.body = request.body();
  return draft;
}

ResponseDraft draft_from_response(const Message& response, bool drop_top_via) {
  ResponseDraft draft;
  draft.status = response.status();
  draft.reason = response.reason();
  bool drop = drop_top_via;
  for (std::size_t i = 0; i < response.header_count(); ++i) {
    DraftHeader header = copy_of(response.header(i));
    if (drop && header.id == HeaderId::Via) {
      drop = false;
      header.value = with_first_element(header.value, "");
      if (header.value.empty()) continue;
    }
    draft.headers.push_back(std::move(header));
  }
  draft.body = response.body();
  return draft;
}

}  // namespace godwit::wire
