// SPDX-License-Identifier: Apache-2.0
//
// Commands of `godwit phone` beyond registration and calls (Phone's do_* members).
#include <fmt/core.h>

#include <sstream>

#include "phone.hpp"
#include "settings.hpp"

namespace godwit::app {
namespace {

std::string xml_text(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '<': escaped += "&lt;"; break;
      case '>': escaped += "&gt;"; break;
      case '&': escaped += "&amp;"; break;
      case '"': escaped += "&quot;"; break;
      default: escaped += c;
    }
  }
  return escaped;
}

/// RFC 3863 §4: one tuple, whether calls are welcome.
std::string presence_document(const std::string& aor, bool open, const std::string& note) {
  std::string text = R"(<?xml version="1.0" encoding="UTF-8"?>)"
                     "\n"
                     R"(<presence xmlns="urn:ietf:params:xml:ns:pidf" entity=")" +
                     xml_text(aor) + R"("><tuple id="phone"><status><basic>)" +
                     (open ? "open" : "closed") + "</basic></status>";
  if (!note.empty()) text += "<note>" + xml_text(note) + "</note>";
  return text + "</tuple></presence>\n";
}

}  // namespace

template <typename Id>
Result<std::string> Phone::begun(const char* what, const Result<Id>& result) {
  if (!result) return tl::unexpected(result.error());
  begun_ = {what, result->value()};
  return std::string{};
}

Result<std::string> Phone::do_dtmf(const std::string& argument) {
  const auto call = pick({});
  if (!call) return tl::unexpected(call.error());
  return begun("request", agent_->send_dtmf(*call, argument));
}

Result<std::string> Phone::do_message(const std::string& argument) {
  const std::size_t space = argument.find(' ');
  if (space == std::string::npos) {
    return fail(ErrorCode::InvalidArgument, "needs whom it is for and a text");
  }
  MessageContent content;
  content.body = argument.substr(argument.find_first_not_of(' ', space));
  return begun("request",
               agent_->send_message(account_, argument.substr(0, space), std::move(content)));
}

Result<std::string> Phone::do_refresh(const std::string& argument) {
  CallRefresh refresh;
  std::istringstream words(argument);
  for (std::string word; words >> word;) {
    if (word == "update") {
      refresh.method = RefreshMethod::Update;
    } else if (word == "no-offer") {
      refresh.offer = refresh.media = false;
    } else if (word == "no-contact") {
      refresh.contact = false;
    } else if (word == "no-media") {
      refresh.media = false;
    } else {
      return fail(ErrorCode::InvalidArgument,
                  fmt::format("takes update, no-offer, no-contact and no-media, not {}",
                              app::quoted(word)));
    }
  }
  const auto call = pick({});
  if (!call) return tl::unexpected(call.error());
  return begun("request", agent_->refresh_call(*call, refresh));
}

Result<std::string> Phone::do_options(const std::string& argument) {
  return begun("request", agent_->ask_options(account_, argument));
}

Result<std::string> Phone::do_transfer(const std::string& argument) {
  const auto call = pick({});
  if (!call) return tl::unexpected(call.error());
  if (const auto other = pick(argument); other && !argument.empty())
    return begun("request", agent_->transfer(*call, *other));
  return begun("request", agent_->transfer(*call, argument));
}

Result<std::string> Phone::do_accept_transfer(const std::string& argument) {
  return on_call(argument, &UserAgent::accept_transfer);
}

Result<std::string> Phone::do_refuse_transfer(const std::string& argument) {
  return on_call(argument, &UserAgent::reject_transfer);
}

Result<std::string> Phone::do_subscribe(const std::string& argument) {
  const std::size_t space = argument.find(' ');
  SubscribeRequest request;
  request.event = argument.substr(0, space);
  if (space != std::string::npos)
    request.target = argument.substr(argument.find_first_not_of(' ', space));
  return begun("subscription", agent_->subscribe(account_, std::move(request)));
}

Result<std::string> Phone::do_unsubscribe(const std::string& argument) {
  const auto number = parse_number(argument, 1, UINT32_MAX);
  if (!number)
    return fail(ErrorCode::InvalidArgument, "the subscription's number " + number.error().detail);
  const auto ended = agent_->unsubscribe(SubscriptionId{static_cast<std::uint32_t>(*number)});
  if (!ended) return tl::unexpected(ended.error());
  return std::string{};
}

Result<std::string> Phone::do_publish(const std::string& argument) {
  const std::size_t space = argument.find(' ');
  const std::string state = argument.substr(0, space);
  if (state != "open" && state != "closed") {
    return fail(ErrorCode::InvalidArgument, "needs open or closed, and perhaps a note");
  }
  const std::string note =
      space == std::string::npos ? "" : argument.substr(argument.find_first_not_of(' ', space));
  PublishRequest request;
  request.body = presence_document(settings_.account.aor, state == "open", note);
  if (published_) {
    const auto replaced = agent_->publish(*published_, {request.content_type, request.body});
    if (replaced) return begun("publication", Result<PublicationId>(*published_));
    // One that the server refused for good is no more.
    if (replaced.error().code != ErrorCode::NotFound) return tl::unexpected(replaced.error());
  }
  const auto made = agent_->publish(account_, std::move(request));
  if (!made) return tl::unexpected(made.error());
  published_ = *made;
  return begun("publication", made);
}

Result<std::string> Phone::do_unpublish(const std::string&) {
  if (!published_) return fail(ErrorCode::WrongState, "nothing is published");
  const auto ended = agent_->unpublish(*published_);
  if (!ended) return tl::unexpected(ended.error());
  published_.reset();
  return std::string{};
}

}  // namespace godwit::app
