// SPDX-License-Identifier: Apache-2.0
//
// Commands of `godwit phone` beyond registration and calls (Phone's do_* members).
#include "phone.hpp"
#include "settings.hpp"

namespace godwit::app {
namespace {

template <typename Id>
Result<std::string> begun(const Result<Id>& result) {
  if (!result) return tl::unexpected(result.error());
  return std::string{};
}

}  // namespace

Result<std::string> Phone::do_dtmf(const std::string& argument) {
  const auto call = pick({});
  if (!call) return tl::unexpected(call.error());
  return begun(agent_->send_dtmf(*call, argument));
}

Result<std::string> Phone::do_message(const std::string& argument) {
  const std::size_t space = argument.find(' ');
  if (space == std::string::npos) {
    return fail(ErrorCode::InvalidArgument, "needs whom it is for and a text");
  }
  MessageContent content;
  content.body = argument.substr(argument.find_first_not_of(' ', space));
  return begun(agent_->send_message(account_, argument.substr(0, space), std::move(content)));
}

Result<std::string> Phone::do_options(const std::string& argument) {
  return begun(agent_->ask_options(account_, argument));
}

Result<std::string> Phone::do_transfer(const std::string& argument) {
  const auto call = pick({});
  if (!call) return tl::unexpected(call.error());
  if (const auto other = pick(argument); other && !argument.empty())
    return begun(agent_->transfer(*call, *other));
  return begun(agent_->transfer(*call, argument));
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
  return begun(agent_->subscribe(account_, std::move(request)));
}

Result<std::string> Phone::do_unsubscribe(const std::string& argument) {
  const auto number = parse_number(argument, 1, UINT32_MAX);
  if (!number)
    return fail(ErrorCode::InvalidArgument, "the subscription's number " + number.error().detail);
  const auto ended = agent_->unsubscribe(SubscriptionId{static_cast<std::uint32_t>(*number)});
  if (!ended) return tl::unexpected(ended.error());
  return std::string{};
}

}  // namespace godwit::app
