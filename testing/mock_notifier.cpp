// SPDX-License-Identifier: Apache-2.0
#include "testing/mock_notifier.hpp"

#include <algorithm>

namespace godwit::testing {

MockNotifier::MockNotifier(Network& network, Host& host, Endpoint local, std::string user)
    : network_(network),
      host_(host),
      local_(local),
      uri_("sip:" + user + "@" + local.address.to_uri_host() + ":" + std::to_string(local.port)),
      random_(network.simulation().fork_random()) {
  socket_ = *host.bind(local, 0, [this](SocketId, const Endpoint& from, const std::string& bytes) {
    receive(from, bytes);
  });
}

MockNotifier::~MockNotifier() { host_.close(socket_); }

void MockNotifier::on_subscribe(std::string state, std::string content_type, std::string body) {
  first_state_ = std::move(state);
  first_type_ = std::move(content_type);
  first_body_ = std::move(body);
}

std::vector<MockNotifier::Seen> MockNotifier::requests(const std::string& method) const {
  std::vector<Seen> found;
  for (const Seen& item : seen_) {
    if (item.message.method == method) found.push_back(item);
  }
  return found;
}

void MockNotifier::notify(const std::string& state, const std::string& content_type,
                          const std::string& body) {
  if (!subscriptions_.empty()) send_notify(subscriptions_.back(), state, content_type, body);
}

void MockNotifier::send_notify(Dialog& dialog, const std::string& state,
                               const std::string& content_type, const std::string& body) {
  SipText request = SipText::request("NOTIFY", dialog.target);
  request.append("Via", "SIP/2.0/UDP " + local_.address.to_uri_host() + ":" +
                            std::to_string(local_.port) + ";rport;branch=z9hG4bK" +
                            random_.token(16));
  request.append("Max-Forwards", "70");
  for (const std::string& route : dialog.routes) request.append("Route", route);
  request.append("From", dialog.local + ";tag=" + dialog.local_tag);
  request.append("To", dialog.remote);
  request.append("Call-ID", dialog.call_id);
  request.append("CSeq", std::to_string(++dialog.cseq) + " NOTIFY");
  request.append("Contact", "<" + uri_ + ">");
  request.append("Event", dialog.event);
  request.append("Subscription-State", state);
  if (!content_type.empty()) request.append("Content-Type", content_type);
  request.body = body;
  const auto next =
      parse_uri(dialog.routes.empty() ? dialog.target : uri_of(dialog.routes.front()));
  if (next && next->literal()) (void)host_.send(socket_, *next->literal(), request.to_string());
}

void MockNotifier::receive(const Endpoint& from, const std::string& bytes) {
  const auto parsed = SipText::parse(bytes);
  if (!parsed) return;
  const SipText& request = *parsed;
  if (!request.is_request()) {
    if (request.status >= 200) answers_.push_back(request.status);
    return;
  }
  const std::string branch = parameter(request.first("Via"), "branch").value_or("");
  if (const auto known = replies_.find(branch); known != replies_.end()) {
    if (!known->second.empty()) (void)host_.send(socket_, from, known->second);
    return;
  }
  seen_.push_back({network_.simulation().now(), from, request});
  int status = 200;
  if (!script_.empty()) {
    status = script_.front();
    script_.pop_front();
  }
  const auto tag = parameter(request.first("To"), "tag");
  const auto known =
      std::find_if(subscriptions_.begin(), subscriptions_.end(), [&](const Dialog& dialog) {
        return dialog.call_id == request.first("Call-ID") && dialog.local_tag == tag.value_or("");
      });
  if (status == 200 && request.method == "SUBSCRIBE" && tag && known == subscriptions_.end())
    status = 481;
  if (status == 0) {
    replies_[branch] = "";
    return;
  }
  const std::string own_tag = tag.value_or("n" + std::to_string(++tags_));
  SipText response =
      SipText::response_to(request, status, status == 200 ? "OK" : "As told", own_tag);
  const bool ends = request.first("Expires") == "0";
  if (status == 200) {
    response.append("Expires", ends ? "0" : std::to_string(expires_));
    if (request.method == "PUBLISH") response.append("SIP-ETag", "e" + std::to_string(++tags_));
    if (request.method == "SUBSCRIBE") {
      response.append("Contact", "<" + uri_ + ">");
      for (const std::string& route : request.values("Record-Route"))
        response.append("Record-Route", route);
    }
  }
  replies_[branch] = response.to_string();
  (void)host_.send(socket_, from, replies_[branch]);
  if (status != 200 || request.method != "SUBSCRIBE") return;
  Dialog* dialog = known == subscriptions_.end() ? nullptr : &*known;
  if (dialog == nullptr) {
    subscriptions_.push_back({request.first("Call-ID"), own_tag, request.first("From"),
                              "<" + uri_of(request.first("To")) + ">",
                              uri_of(request.first("Contact")), request.first("Event"),
                              request.values("Record-Route"), 0});
    dialog = &subscriptions_.back();
  }
  dialog->target = uri_of(request.first("Contact"));
  if (ends) {
    send_notify(*dialog, "terminated;reason=timeout", {}, {});
  } else if (!first_state_.empty()) {
    send_notify(*dialog, first_state_, first_type_, first_body_);
  }
}

}  // namespace godwit::testing
