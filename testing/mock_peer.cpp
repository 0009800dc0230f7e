// SPDX-License-Identifier: Apache-2.0
#include "testing/mock_peer.hpp"

#include <algorithm>

namespace godwit::testing {
namespace {

// RFC 3261 §17.1.1.1.
constexpr Duration kT1 = std::chrono::milliseconds(500);
constexpr Duration kT2 = std::chrono::seconds(4);

std::string tag_of(const std::string& value) { return parameter(value, "tag").value_or(""); }

/// RFC 3261 §17.2.3, with the method of the INVITE for its ACK and CANCEL left out.
std::string transaction_key(const SipText& request) {
  const auto vias = request.values("Via");
  if (vias.empty()) return {};
  const std::string sent_by = vias.front().substr(0, vias.front().find(';'));
  const bool of_invite = request.method == "ACK" || request.method == "CANCEL";
  return parameter(vias.front(), "branch").value_or("") + "|" + sent_by + "|" +
         (of_invite ? "INVITE" : request.method);
}

}  // namespace

MockPeer::MockPeer(Network& network, Host& host, MockPeerConfig config)
    : network_(network),
      host_(host),
      config_(std::move(config)),
      random_(network.simulation().fork_random()) {
  socket_ = *host.bind(
      config_.local, 0,
      [this](SocketId, const Endpoint& from, const std::string& bytes) { receive(from, bytes); });
  media_ = std::make_unique<MockMedia>(
      network, host, Endpoint{config_.local.address, config_.rtp_port}, config_.latch_after);
  session_.origin_user = "mock";
  session_.session_id = std::to_string(random_.between(1, 1'000'000));
  session_.origin_address = std::string("IN ") + (config_.local.address.is_v4() ? "IP4 " : "IP6 ") +
                            config_.local.address.to_string();
  session_.rtp = media_->local();
  if (config_.other_address.family() != Family::None) media_->listen_also_at(config_.other_address);
}

MockPeer::~MockPeer() {
  for (const TimerId timer : timers_) network_.simulation().cancel(timer);
  host_.close(socket_);
}

std::string MockPeer::uri() const {
  return "sip:" + config_.user + "@" + config_.local.address.to_uri_host() + ":" +
         std::to_string(config_.local.port);
}

void MockPeer::script(const std::string& method, MockReply reply) {
  scripts_[method].push_back(reply);
}

MockReply MockPeer::reply_for(const std::string& method) {
  if (auto& queue = scripts_[method]; !queue.empty()) {
    const MockReply reply = queue.front();
    queue.pop_front();
    return reply;
  }
  const auto usual = defaults_.find(method);
  return usual == defaults_.end() ? MockReply() : usual->second;
}

std::vector<MockPeer::Seen> MockPeer::requests(const std::string& method) const {
  std::vector<Seen> found;
  for (const Seen& item : seen_) {
    if (item.message.method != method) continue;
    const bool repeated = std::any_of(found.begin(), found.end(), [&](const Seen& earlier) {
      return earlier.message.first("CSeq") == item.message.first("CSeq") &&
             earlier.message.first("Call-ID") == item.message.first("Call-ID");
    });
    if (!repeated) found.push_back(item);
  }
  return found;
}

int MockPeer::last_status(const std::string& method) const {
  const auto found = last_status_.find(method);
  return found == last_status_.end() ? 0 : found->second;
}

// ---- Sending ------------------------------------------------------------------------------------

void MockPeer::transmit(const std::string& bytes, const Endpoint& remote) {
  (void)host_.send(socket_, remote, bytes);
}

std::string MockPeer::invite_name(const SipText& message) {
  return message.first("Call-ID") + " " + std::to_string(message.cseq_number());
}

void MockPeer::repeat(Retransmission& what, Duration first, Duration longest, Duration limit) {
  Simulation& simulation = network_.simulation();
  what.interval = first;
  what.until = simulation.now() + limit;
  what.alarm = std::make_unique<Alarm>(simulation, [this, &what, longest, &simulation] {
    if (simulation.now() >= what.until) return;
    transmit(what.bytes, what.remote);
    what.interval = std::min(what.interval * 2, longest);
    what.alarm->set(simulation.now() + what.interval);
  });
  what.alarm->set(simulation.now() + first);
  transmit(what.bytes, what.remote);
}

Endpoint MockPeer::next_hop(const SipText& request) const {
  if (const auto routes = request.values("Route"); !routes.empty()) {
    const auto uri = parse_uri(uri_of(routes.front()));
    const auto literal = uri ? uri->literal() : std::nullopt;
    return literal.value_or(config_.server);
  }
  const auto uri = parse_uri(request.uri);
  return uri ? uri->literal().value_or(config_.server) : config_.server;
}

SipText MockPeer::dialog_request(const std::string& method) {
  SipText request = SipText::request(method, remote_target_);
  request.append("Via", "SIP/2.0/UDP " + config_.local.address.to_uri_host() + ":" +
                            std::to_string(config_.local.port) + ";rport;branch=z9hG4bK" +
                            random_.token(16));
  request.append("Max-Forwards", "70");
  for (const std::string& route : route_set_) request.append("Route", route);
  request.append("From", "<" + local_uri_ + ">;tag=" + local_tag_);
  request.append("To",
                 "<" + remote_uri_ + ">" + (remote_tag_.empty() ? "" : ";tag=" + remote_tag_));
  request.append("Call-ID", call_id_);
  if (method != "ACK") ++local_cseq_;
  request.append("CSeq", std::to_string(local_cseq_) + " " + method);
  request.append("Contact", "<" + uri() + ">");
  request.append("Allow", allowed());
  return request;
}

std::string MockPeer::allowed() const {
  std::string methods = "INVITE, ACK, BYE, CANCEL, OPTIONS";
  if (config_.allow_update) methods += ", UPDATE";
  if (config_.reliable) methods += ", PRACK";
  return methods;
}

void MockPeer::send_request(SipText request) {
  const std::string branch =
      parameter(request.first("Via"), "branch").value_or("") + request.method;
  ClientTransaction& transaction = client_transactions_[branch];
  transaction.sending.bytes = request.to_string();
  transaction.sending.remote = next_hop(request);
  if (!parameter(request.first("To"), "tag")) transaction.sending.remote = config_.server;
  last_status_[request.method] = 0;
  const bool invite = request.method == "INVITE";
  transaction.request = std::move(request);
  repeat(transaction.sending, kT1, invite ? 64 * kT1 : kT2, 64 * kT1);
}

std::string MockPeer::local_sdp(const std::string& direction) {
  ++session_.version;
  session_.direction = direction;
  if (remote_session_) {
    session_.rtp = media_->local(remote_session_->rtp.address.family()).value_or(media_->local());
  }
  return write_sdp(session_);
}

void MockPeer::register_at_server(std::chrono::seconds expires) {
  SipText request = SipText::request("REGISTER", "sip:" + config_.domain);
  request.append("Via", "SIP/2.0/UDP " + config_.local.address.to_uri_host() + ":" +
                            std::to_string(config_.local.port) + ";rport;branch=z9hG4bK" +
                            random_.token(16));
  request.append("From", "<" + aor() + ">;tag=" + random_.token(8));
  request.append("To", "<" + aor() + ">");
  request.append("Call-ID", random_.token(12));
  request.append("CSeq", "1 REGISTER");
  request.append("Contact", "<" + uri() + ">;expires=" + std::to_string(expires.count()));
  send_request(std::move(request));
}

void MockPeer::call(const std::string& target, const std::vector<SipText::Header>& headers) {
  state_ = CallState::Calling;
  end_reason_.clear();
  remote_sdps_.clear();
  call_id_ = random_.token(16);
  local_tag_ = random_.token(8);
  remote_tag_.clear();
  local_uri_ = aor();
  remote_uri_ = target;
  remote_target_ = target;
  route_set_.clear();
  local_cseq_ = 0;
  remote_cseq_ = 0;
  remote_session_.reset();
  acks_.clear();
  offer_types();
  direction_ = "sendrecv";
  last_remote_rseq_ = 0;
  SipText invite = dialog_request("INVITE");
  for (const auto& [name, value] : headers) invite.append(name, value);
  if (config_.reliable) invite.append("Supported", "100rel");
  ask_for_timer(invite);
  if (config_.insist_on_reliable) invite.append("Require", "100rel");
  if (!config_.late_offer) {
    invite.append("Content-Type", "application/sdp");
    invite.body = local_sdp(direction_);
  }
  send_request(std::move(invite));
}

void MockPeer::cancel() {
  for (auto& [branch, transaction] : client_transactions_) {
    const bool over = transaction.sending.until == TimePoint();
    if (transaction.request.method != "INVITE" || over) continue;
    SipText request = SipText::request("CANCEL", transaction.request.uri);
    for (const char* name : {"Via", "Max-Forwards", "Route", "From", "To", "Call-ID"}) {
      if (transaction.request.has(name)) request.append(name, transaction.request.first(name));
    }
    request.append("CSeq", std::to_string(transaction.request.cseq_number()) + " CANCEL");
    send_request(std::move(request));
    return;
  }
}

void MockPeer::bye() {
  send_request(dialog_request("BYE"));
  end("BYE sent");
}

void MockPeer::ask_for_timer(SipText& request) const {
  if (config_.session_expires.count() == 0) return;
  request.append("Supported", "timer");
  request.append("Session-Expires",
                 std::to_string(config_.session_expires.count()) +
                     (config_.refresher.empty() ? "" : ";refresher=" + config_.refresher));
}

void MockPeer::reinvite(const std::string& direction) {
  direction_ = direction;
  SipText request = dialog_request("INVITE");
  ask_for_timer(request);
  request.append("Content-Type", "application/sdp");
  request.body = local_sdp(direction);
  send_request(std::move(request));
}

void MockPeer::update(const std::string& direction) {
  direction_ = direction;
  SipText request = dialog_request("UPDATE");
  ask_for_timer(request);
  request.append("Content-Type", "application/sdp");
  request.body = local_sdp(direction);
  send_request(std::move(request));
}

void MockPeer::send_in_dialog(const std::string& method,
                              const std::vector<SipText::Header>& headers,
                              const std::string& body) {
  SipText request = dialog_request(method);
  for (const auto& [name, value] : headers) request.append(name, value);
  request.body = body;
  send_request(std::move(request));
}

std::string MockPeer::send_outside(const std::string& method, const std::string& target,
                                   const std::vector<SipText::Header>& headers,
                                   const std::string& body) {
  SipText request = SipText::request(method, target);
  request.append("Via", "SIP/2.0/UDP " + config_.local.address.to_uri_host() + ":" +
                            std::to_string(config_.local.port) + ";rport;branch=z9hG4bK" +
                            random_.token(16));
  request.append("Max-Forwards", "70");
  request.append("From", "<" + aor() + ">;tag=" + random_.token(8));
  request.append("To", "<" + target + ">");
  request.append("Call-ID", random_.token(16));
  request.append("CSeq", "1 " + method);
  for (const auto& [name, value] : headers) request.append(name, value);
  request.body = body;
  const std::string id = request.first("Call-ID");
  send_request(std::move(request));
  return id;
}

void MockPeer::send_ack(const SipText& response) {
  const std::uint32_t cseq = response.cseq_number();
  if (response.status < 300 && acks_.contains(cseq)) {
    transmit(acks_[cseq], next_hop(*SipText::parse(acks_[cseq])));
    return;
  }
  SipText ack = dialog_request("ACK");
  ack.set("CSeq", std::to_string(cseq) + " ACK");
  if (config_.late_offer && response.status < 300 && !response.body.empty()) {
    ack.append("Content-Type", "application/sdp");
    ack.body = local_sdp(answer_direction(remote_session_->direction, direction_));
  }
  Endpoint remote = next_hop(ack);
  if (response.status >= 300) {
    // RFC 3261 §17.1.1.3: the INVITE's top Via and route, the response's To.
    const std::string branch = parameter(response.first("Via"), "branch").value_or("") + "INVITE";
    const auto transaction = client_transactions_.find(branch);
    if (transaction == client_transactions_.end()) return;
    ack.set("Via", transaction->second.request.first("Via"));
    ack.uri = transaction->second.request.uri;
    ack.set("To", response.first("To"));
    remote = transaction->second.sending.remote;
  } else {
    acks_[cseq] = ack.to_string();
  }
  transmit(ack.to_string(), remote);
}

// ---- Receiving ----------------------------------------------------------------------------------

void MockPeer::receive(const Endpoint& from, const std::string& bytes) {
  auto message = SipText::parse(bytes);
  if (!message) return;
  seen_.push_back(Seen{network_.simulation().now(), from, *message});
  if (message->is_request()) {
    on_request(from, *message);
  } else {
    on_response(*message);
  }
}

void MockPeer::on_response(const SipText& response) {
  const std::string method = response.cseq_method();
  const std::string branch = parameter(response.first("Via"), "branch").value_or("") + method;
  const auto found = client_transactions_.find(branch);
  if (found == client_transactions_.end()) return;
  ClientTransaction& transaction = found->second;
  const bool invite = method == "INVITE";
  if (response.status < 200) {
    if (invite) transaction.sending.alarm->set(std::nullopt);
    if (state_ == CallState::Calling && invite && response.status > 100)
      state_ = CallState::Ringing;
    if (invite && config_.reliable && response.has("RSeq")) on_reliable(response);
    return;
  }
  const bool repeated = transaction.sending.until == TimePoint();
  transaction.sending.alarm->set(std::nullopt);
  transaction.sending.until = TimePoint();
  if (!repeated) last_status_[method] = response.status;
  if (invite && response.status < 300 && !repeated) {
    if (state_ == CallState::Calling || state_ == CallState::Ringing) {
      remote_tag_ = tag_of(response.first("To"));
      route_set_ = response.values("Record-Route");
      std::reverse(route_set_.begin(), route_set_.end());
      state_ = CallState::Confirmed;
    }
    confirm(response);
  } else if (method == "UPDATE" && response.status < 300 && !repeated) {
    confirm(response);
  }
  if (invite) send_ack(response);
  if (invite && response.status >= 300 && !repeated &&
      (state_ == CallState::Calling || state_ == CallState::Ringing)) {
    end("refused with " + std::to_string(response.status));
  }
}

void MockPeer::on_reliable(const SipText& response) {
  const auto rseq = static_cast<std::uint32_t>(std::stoul(response.first("RSeq")));
  if (withhold_pracks_ || (last_remote_rseq_ != 0 && rseq != last_remote_rseq_ + 1)) return;
  last_remote_rseq_ = rseq;
  remote_tag_ = tag_of(response.first("To"));
  route_set_ = response.values("Record-Route");
  std::reverse(route_set_.begin(), route_set_.end());
  confirm(response);
  SipText prack = dialog_request("PRACK");
  prack.append("RAck", std::to_string(rseq) + " " + response.first("CSeq"));
  if (config_.late_offer && !response.body.empty()) {
    prack.append("Content-Type", "application/sdp");
    prack.body = local_sdp(answer_direction(remote_session_->direction, direction_));
  }
  send_request(std::move(prack));
}

void MockPeer::on_prack(const std::string& key, const SipText& request) {
  if (ignore_pracks_) {
    server_transactions_.erase(key);  // Its retransmission counts as new.
    return;
  }
  const bool matches = unpracked_ && request.first("RAck").starts_with(std::to_string(rseq_) + " ");
  if (matches) unpracked_.reset();
  respond(key, SipText::response_to(request, matches ? 200 : 481, matches ? "OK" : "No such"));
}

void MockPeer::send_early_media(const std::string& key, const SipText& request) {
  const std::string known = request.first("Supported") + request.first("Require");
  const bool reliable = config_.reliable && known.find("100rel") != std::string::npos;
  SipText response = SipText::response_to(request, 183, "Session Progress", local_tag_);
  for (const std::string& route : request.values("Record-Route")) {
    response.append("Record-Route", route);
  }
  response.append("Contact", "<" + uri() + ">");
  response.append("Allow", allowed());
  take_remote_sdp(request);
  answer_types();
  response.append("Content-Type", "application/sdp");
  response.body = local_sdp(answer_direction(remote_session_->direction, direction_));
  start_media();
  if (!reliable) {
    --session_.version;  // The 200 says the same.
    respond(key, response);
    return;
  }
  answered_early_ = true;
  rseq_ = static_cast<std::uint32_t>(random_.between(1, 1000));
  response.append("Require", "100rel");
  response.append("RSeq", std::to_string(rseq_));
  remember(key, response);
  unpracked_ = std::make_unique<Retransmission>();
  unpracked_->bytes = response.to_string();
  unpracked_->remote = server_transactions_[key].source;
  repeat(*unpracked_, kT1, 64 * kT1, 64 * kT1);
}

void MockPeer::confirm(const SipText& from_remote) {
  if (from_remote.has("Contact")) remote_target_ = uri_of(from_remote.first("Contact"));
  take_remote_sdp(from_remote);
  start_media();
}

void MockPeer::offer_types() {
  session_.payload_types = {0, 8};
  if (config_.telephone_event != 0) session_.payload_types.push_back(config_.telephone_event);
  session_.rtcp_mux = config_.rtcp_mux;
}

void MockPeer::answer_types() {
  session_.payload_types.clear();
  for (const std::uint8_t type : remote_session_->payload_types) {
    const bool event = type != 0 && type == config_.telephone_event;
    if (type == 0 || type == 8 || event) session_.payload_types.push_back(type);
  }
  session_.rtcp_mux = config_.rtcp_mux && remote_session_->rtcp_mux;
}

void MockPeer::take_remote_sdp(const SipText& message) {
  if (message.body.empty()) return;
  remote_session_ = read_sdp(message.body);
  remote_sdps_.push_back(*remote_session_);
}

void MockPeer::start_media() {
  if (!remote_session_) return;
  const bool we_send = (direction_ == "sendrecv" || direction_ == "sendonly") &&
                       remote_session_->wants_audio() && remote_session_->rtp.port != 0;
  std::uint8_t type = 0;
  for (const std::uint8_t offered : remote_session_->payload_types) {
    if (offered != 0 && offered != 8) continue;
    type = offered;
    break;
  }
  media_->know_events(config_.telephone_event);
  media_->send_to(we_send ? std::optional(remote_session_->rtp) : std::nullopt, type);
}

void MockPeer::end(const std::string& why) {
  state_ = CallState::Ended;
  end_reason_ = why;
  media_->stop();
}

void MockPeer::check_in_dialog(const SipText& request) {
  if (request.first("Call-ID") != call_id_) complaints_.push_back("Call-ID changed");
  if (request.has("Route") && !routes_allowed_)
    complaints_.push_back("a Route is left at the peer");
  if (request.method == "ACK" || request.method == "CANCEL") return;
  if (request.cseq_number() <= remote_cseq_) {
    complaints_.push_back("CSeq " + request.first("CSeq") + " after " +
                          std::to_string(remote_cseq_));
  }
}

void MockPeer::on_request(const Endpoint& from, const SipText& request) {
  const std::string key = transaction_key(request);
  if (request.method == "ACK") {
    on_ack(request);
    return;
  }
  if (request.method == "CANCEL") {
    on_cancel(request, from);
    return;
  }
  if (const auto known = server_transactions_.find(key); known != server_transactions_.end()) {
    if (!known->second.last_response.empty()) {
      transmit(known->second.last_response, known->second.source);
    }
    return;
  }
  server_transactions_[key] = ServerTransaction{request, from, {}, false};
  const bool in_dialog = parameter(request.first("To"), "tag").has_value();
  if (in_dialog) {
    const bool early =
        state_ == CallState::Ringing && (request.method == "PRACK" || request.method == "UPDATE");
    if ((state_ != CallState::Confirmed && !early) || request.first("Call-ID") != call_id_ ||
        tag_of(request.first("To")) != local_tag_) {
      respond(key, SipText::response_to(request, 481, "Call/Transaction Does Not Exist"));
      return;
    }
    check_in_dialog(request);
    if (request.cseq_number() <= remote_cseq_) {
      respond(key, SipText::response_to(request, 500, "CSeq out of order"));
      return;
    }
    remote_cseq_ = request.cseq_number();
  }
  if (request.method == "INVITE") {
    on_invite(key, request, in_dialog);
    return;
  }
  if (request.method == "PRACK") {
    on_prack(key, request);
    return;
  }
  const MockReply reply = reply_for(request.method);
  if (reply.ignore) return;
  timers_.push_back(network_.simulation().after(
      reply.delay, [this, key, reply] { finish(key, reply.status, reply.retry_after, reply); }));
}

void MockPeer::on_invite(const std::string& key, const SipText& request, bool in_dialog) {
  if (!in_dialog && request.has("Replaces")) {
    if (refuse_replaces_ != 0) {
      respond(key, SipText::response_to(request, refuse_replaces_, "As told", random_.token(8)));
      return;
    }
    // RFC 3891 §3: the tags are as we have them.
    const std::string value = request.first("Replaces");
    if (state_ != CallState::Confirmed || value.substr(0, value.find(';')) != call_id_ ||
        parameter(value, "to-tag") != local_tag_ || parameter(value, "from-tag") != remote_tag_) {
      respond(key, SipText::response_to(request, 481, "No such dialog", random_.token(8)));
      return;
    }
    send_request(dialog_request("BYE"));
    state_ = CallState::Ended;
  }
  if (!in_dialog && state_ != CallState::Idle && state_ != CallState::Ended) {
    respond(key, SipText::response_to(request, 486, "Busy Here", random_.token(8)));
    return;
  }
  const bool waits_for_ack = std::any_of(unacked_.begin(), unacked_.end(), [&](const auto& entry) {
    return entry.second.success && entry.second.sending.until > network_.simulation().now() &&
           entry.first.starts_with(call_id_ + " ");
  });
  if (in_dialog && config_.refuse_before_ack && waits_for_ack) {
    SipText refusal = SipText::response_to(request, 500, "ACK first");
    refusal.append("Retry-After", "1");
    respond(key, refusal);
    return;
  }
  const bool own_pending =
      std::any_of(client_transactions_.begin(), client_transactions_.end(), [&](const auto& entry) {
        return entry.second.request.method == "INVITE" &&
               entry.second.sending.until > network_.simulation().now();
      });
  if (in_dialog && own_pending) {
    respond(key, SipText::response_to(request, 491, "Request Pending"));
    return;
  }
  const MockReply reply = reply_for(in_dialog ? "re-INVITE" : "INVITE");
  if (reply.ignore) return;
  if (!in_dialog) {
    state_ = CallState::Ringing;
    end_reason_.clear();
    remote_sdps_.clear();
    call_id_ = request.first("Call-ID");
    local_tag_ = random_.token(8);
    remote_tag_ = tag_of(request.first("From"));
    local_uri_ = uri_of(request.first("To"));
    remote_uri_ = uri_of(request.first("From"));
    route_set_ = request.values("Record-Route");
    local_cseq_ = 0;
    remote_cseq_ = request.cseq_number();
    direction_ = "sendrecv";
    remote_session_.reset();
    acks_.clear();
    unpracked_.reset();
    answered_early_ = false;
  }
  invite_key_ = key;
  if (reply.early_media) send_early_media(key, request);
  if (reply.ring) {
    SipText ringing = SipText::response_to(request, 180, "Ringing", local_tag_);
    for (const std::string& route : request.values("Record-Route")) {
      ringing.append("Record-Route", route);
    }
    ringing.append("Contact", "<" + uri() + ">");
    respond(key, ringing);
  }
  timers_.push_back(network_.simulation().after(
      reply.delay, [this, key, reply] { finish(key, reply.status, reply.retry_after, reply); }));
}

void MockPeer::answer(int status) { finish(invite_key_, status, std::nullopt); }

void MockPeer::finish(const std::string& key, int status,
                      std::optional<std::chrono::seconds> retry_after, const MockReply& reply) {
  const auto found = server_transactions_.find(key);
  if (found == server_transactions_.end() || found->second.final) return;
  const SipText& request = found->second.request;
  const bool invite = request.method == "INVITE";
  const bool in_dialog = parameter(request.first("To"), "tag").has_value();
  SipText response = SipText::response_to(request, status, status == 200 ? "OK" : "As told",
                                          in_dialog || invite ? local_tag_ : random_.token(8));
  if (retry_after) response.append("Retry-After", std::to_string(retry_after->count()));
  for (const auto& [name, value] : reply.headers) response.append(name, value);
  response.body = reply.body;
  if (config_.session_expires.count() != 0 && status == 200 && request.has("Session-Expires")) {
    const std::string& asked = request.first("Session-Expires");
    const std::string who = parameter(asked, "refresher").value_or(config_.refresher);
    const std::string refresher = who.empty() ? "uac" : who;
    if (refresher == "uac") response.append("Require", "timer");
    response.append("Session-Expires",
                    asked.substr(0, asked.find(';')) + ";refresher=" + refresher);
  }
  if (status >= 200 && status < 300 && (invite || request.method == "UPDATE")) {
    for (const std::string& route : request.values("Record-Route")) {
      response.append("Record-Route", route);
    }
    response.append("Contact", "<" + uri() + ">");
    response.append("Allow", allowed());
    if (invite) state_ = CallState::Confirmed;
    const bool answered = invite && !in_dialog && answered_early_;
    if (!answered) confirm(request);
    if (answered) {
      // The answer went in the reliable 183; the 200 brings none.
    } else if (!request.body.empty()) {
      answer_types();
      response.append("Content-Type", "application/sdp");
      response.body = local_sdp(answer_direction(remote_session_->direction, direction_));
    } else if (invite) {
      offer_types();
      response.append("Content-Type", "application/sdp");
      response.body = local_sdp(direction_);
    }
  }
  const bool ends = request.method == "BYE" && status < 300;
  const bool refused = invite && !in_dialog && status >= 300;
  if (invite) {
    remember(key, response);
    Unacked& pending = unacked_[invite_name(response)];
    pending.success = status < 300;
    pending.sending.bytes = response.to_string();
    pending.sending.remote = found->second.source;
    repeat(pending.sending, kT1, kT2, 64 * kT1);
    // RFC 3261 §13.3.1.4: without an ACK to a 2xx the session is ended.
    if (status < 300) {
      const std::string name = invite_name(response);
      timers_.push_back(network_.simulation().after(64 * kT1, [this, name] {
        if (!unacked_.contains(name) || state_ != CallState::Confirmed) return;
        bye();
        end_reason_ = "no ACK";
      }));
    }
  } else {
    respond(key, response);
  }
  if (ends) end("BYE received");
  if (refused) end("we refused");
}

void MockPeer::remember(const std::string& key, const SipText& response) {
  ServerTransaction& transaction = server_transactions_[key];
  transaction.last_response = response.to_string();
  transaction.final = response.status >= 200;
}

void MockPeer::respond(const std::string& key, const SipText& response) {
  remember(key, response);
  transmit(response.to_string(), server_transactions_[key].source);
}

void MockPeer::on_ack(const SipText& ack) {
  unacked_.erase(invite_name(ack));
  if (ack.first("Call-ID") != call_id_) return;
  if (!ack.body.empty() && state_ == CallState::Confirmed) {
    take_remote_sdp(ack);  // The answer to an offer in our 2xx.
    start_media();
  }
}

void MockPeer::on_cancel(const SipText& request, const Endpoint& from) {
  const std::string key = transaction_key(request);
  const auto found = server_transactions_.find(key);
  const bool known = found != server_transactions_.end();
  transmit(
      SipText::response_to(request, known ? 200 : 481, known ? "OK" : "No such INVITE", local_tag_)
          .to_string(),
      from);
  if (!known || found->second.final) return;
  const bool in_dialog = parameter(found->second.request.first("To"), "tag").has_value();
  finish(key, 487, std::nullopt);
  if (!in_dialog) end("CANCEL received");
}

}  // namespace godwit::testing
