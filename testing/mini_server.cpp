// SPDX-License-Identifier: Apache-2.0
#include "testing/mini_server.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "testing/digest_guard.hpp"
#include "testing/mini_server_streams.hpp"
#include "testing/sip_text.hpp"

namespace godwit::testing {
namespace {

/// How long an INVITE's way is remembered: longer than proxies let one ring (timer C, RFC 3261
/// §16.6 step 11: more than 3 minutes), for a CANCEL may come at its end.
constexpr Duration kInviteMemory = std::chrono::seconds(300);
/// Timer J of RFC 3261 §17.2.2: how long a REGISTER may be repeated.
constexpr Duration kAnswerMemory = std::chrono::seconds(32);
constexpr int kMaxForwards = 70;
/// A REGISTER is about 600 bytes. Bindings are kept for days: their size must be nobody's choice.
constexpr std::size_t kMaxRegister = 4'096;

std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3ULL;
  }
  return hash;
}

std::string hex(std::uint64_t value) {
  std::string text;
  for (int shift = 60; shift >= 0; shift -= 4) {
    text += "0123456789abcdef"[(value >> static_cast<unsigned>(shift)) & 15U];
  }
  return text;
}

/// "SIP/2.0/UDP host:port;…" -> host:port as written.
std::string sent_by(std::string_view via) {
  const std::size_t blank = via.find_first_of(" \t");
  if (blank == std::string_view::npos) return {};
  const std::size_t begin = via.find_first_not_of(" \t", blank);
  if (begin == std::string_view::npos) return {};
  const std::size_t end = via.find_first_of("; \t", begin);
  return std::string(via.substr(begin, end == std::string_view::npos ? end : end - begin));
}

/// What names a transaction at a server: branch and sent-by (RFC 3261 §17.2.3); without a magic
/// cookie what §16.11 says for stateless proxies.
std::string transaction_key(const SipText& request) {
  const auto vias = request.values("Via");
  const std::string branch = parameter(vias.front(), "branch").value_or("");
  if (branch.starts_with("z9hG4bK")) return branch + "|" + sent_by(vias.front());
  return "2543|" + vias.front() + "|" + request.first("Call-ID") + "|" +
         parameter(request.first("From"), "tag").value_or("") + "|" +
         std::to_string(request.cseq_number()) + "|" + request.uri;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

bool has_mandatory_headers(const SipText& request) {
  for (const char* name : {"From", "To", "Call-ID", "CSeq"}) {
    if (request.first(name).empty()) return false;
  }
  return request.cseq_number() != 0 || request.first("CSeq").starts_with("0 ");
}

}  // namespace

MiniServer::MiniServer(MiniServerConfig config, Random& random, Log& log)
    : config_(std::move(config)),
      random_(random),
      log_(log),
      digest_(std::make_unique<DigestGuard>(config_, random)),
      tag_(random.token(10)) {}

MiniServer::~MiniServer() = default;

void MiniServer::on_datagram(Endpoint local, Endpoint remote, std::string bytes, TimePoint now) {
  ++counters_.datagrams;
  expire(now);
  handle(Arrival{local, remote, now}, std::move(bytes), true);
}

void MiniServer::on_stream_message(const ServerListener& at, Endpoint remote, std::string bytes,
                                   TimePoint now) {
  ++counters_.datagrams;
  expire(now);
  handle(Arrival{at.local, remote, now, at.transport}, std::move(bytes), true);
}

void MiniServer::on_timeout(TimePoint now) {
  expire(now);
  std::vector<Delayed> due;
  const auto split = std::stable_partition(delayed_.begin(), delayed_.end(),
                                           [&](const Delayed& d) { return d.at > now; });
  due.assign(std::make_move_iterator(split), std::make_move_iterator(delayed_.end()));
  delayed_.erase(split, delayed_.end());
  std::stable_sort(due.begin(), due.end(),
                   [](const Delayed& a, const Delayed& b) { return a.at < b.at; });
  for (Delayed& item : due) {
    handle(Arrival{item.local, item.remote, now, item.transport}, std::move(item.bytes), false);
  }
}

std::optional<TimePoint> MiniServer::next_timeout() const {
  std::optional<TimePoint> next;
  for (const Delayed& item : delayed_) next = next ? std::min(*next, item.at) : item.at;
  return next;
}

std::optional<ServerDatagram> MiniServer::poll_output() {
  if (outputs_.empty()) return std::nullopt;
  ServerDatagram datagram = std::move(outputs_.front());
  outputs_.pop_front();
  return datagram;
}

void MiniServer::bind(const std::string& user, const std::string& contact_uri) {
  ServerBinding binding;
  binding.contact = contact_uri;
  binding.local = config_.locals.front();
  if (const auto uri = parse_uri(contact_uri)) {
    if (const auto target = uri->literal()) binding.source = *target;
  }
  auto& bindings = users_[user].bindings;
  bindings.insert(bindings.begin(), std::move(binding));
}

void MiniServer::forget(const std::string& user) {
  if (const auto found = users_.find(user); found != users_.end()) found->second.bindings.clear();
}

void MiniServer::misbehave(Misbehaviour fault) { faults_.push_back(std::move(fault)); }

void MiniServer::expire_nonces() { digest_->expire_all(); }

std::vector<ServerBinding> MiniServer::bindings(const std::string& user, TimePoint now) const {
  std::vector<ServerBinding> live;
  const auto found = users_.find(user);
  if (found == users_.end()) return live;
  for (const ServerBinding& binding : found->second.bindings) {
    if (!binding.expires_at || *binding.expires_at > now) live.push_back(binding);
  }
  return live;
}

void MiniServer::expire(TimePoint now) {
  while (!invite_age_.empty() && invite_age_.front().first <= now) {
    invites_.erase(invite_age_.front().second);
    invite_age_.pop_front();
  }
  while (!answer_age_.empty() && answer_age_.front().first <= now) {
    answers_.erase(answer_age_.front().second);
    answer_age_.pop_front();
  }
}

void MiniServer::handle(const Arrival& arrival, std::string bytes, bool fresh) {
  // RFC 5626 §3.5.1 keepalives over UDP are STUN; CRLF and empty datagrams are common all the same.
  if (bytes.find_first_not_of("\r\n") == std::string::npos) return;
  auto message = SipText::parse(bytes);
  if (!message) {
    handle_malformed(arrival, bytes, message.error().detail);
    return;
  }
  if (!message->is_request()) {
    handle_response(arrival, std::move(*message));
    return;
  }
  const auto vias = message->values("Via");
  if (vias.empty() || sent_by(vias.front()).empty()) {
    ++counters_.malformed_dropped;
    log_.info("server", "dropped a request without Via from " + arrival.remote.to_string());
    return;
  }
  // RFC 3581 §4: rport is filled, and received always goes with it.
  std::string via = vias.front();
  const auto host = parse_uri("sip:" + sent_by(via));
  const auto rport = parameter(via, "rport");
  const bool same = host && IpAddress::parse(host->host) == arrival.remote.address;
  // One that the sender wrote itself would send our answer wherever it likes.
  const bool forged = parameter(via, "received").has_value();
  // The response to what came on a connection finds it by both.
  const bool stream = arrival.transport != ServerTransport::Udp;
  if (rport || !same || forged || stream) {
    via = with_parameter(via, "received", arrival.remote.address.to_string());
  }
  if (rport || stream) via = with_parameter(via, "rport", std::to_string(arrival.remote.port));
  if (config_.keep != 0 && message->method == "REGISTER" && parameter(via, "keep")) {
    via = with_parameter(via, "keep", std::to_string(config_.keep));
  }
  message->set_first_value("Via", via);

  if (!has_mandatory_headers(*message)) {
    ++counters_.malformed_answered;
    if (message->method != "ACK") reply(arrival, *message, 400, "Missing header");
    return;
  }
  if (fresh && misbehaves(arrival, *message, bytes)) return;
  handle_request(arrival, std::move(*message));
}

void MiniServer::handle_malformed(const Arrival& arrival, const std::string& bytes,
                                  const std::string& why) {
  // What can still be read of a request decides whether it can be answered.
  SipText answer = SipText::response(400, "Bad Request");
  constexpr std::array<std::string_view, 8> kWanted{"Via",  "From", "To", "Call-ID",
                                                    "CSeq", "v",    "f",  "t"};
  const std::size_t line_end = bytes.find('\n');
  const std::string first_line = bytes.substr(0, line_end);
  bool answerable = line_end != std::string::npos &&
                    first_line.find(" SIP/2.0") != std::string::npos &&
                    !first_line.starts_with("ACK ");
  std::size_t position = line_end;
  while (answerable && position != std::string::npos && answer.headers.size() < 32) {
    const std::size_t begin = position + 1;
    position = bytes.find('\n', begin);
    std::string_view line(bytes.data() + begin, std::min(position, bytes.size()) - begin);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    if (line.empty()) break;
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    for (const std::string_view name : kWanted) {
      if (!equals_ignoring_case(line.substr(0, colon), name)) continue;
      std::string_view value = line.substr(colon + 1);
      while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
      answer.append(name == "v"   ? "Via"
                    : name == "f" ? "From"
                    : name == "t" ? "To"
                                  : name,
                    std::string(value));
    }
  }
  const auto vias = answer.values("Via");
  answerable = answerable && !vias.empty() && !sent_by(vias.front()).empty();
  for (const char* name : {"From", "To", "Call-ID", "CSeq"}) {
    answerable = answerable && answer.has(name);
  }
  log_.info("server", "malformed datagram from " + arrival.remote.to_string() + ": " + why);
  if (!answerable) {
    ++counters_.malformed_dropped;
    return;
  }
  ++counters_.malformed_answered;
  if (!parameter(answer.first("To"), "tag")) {
    answer.set("To", answer.first("To") + ";tag=" + tag_);
  }
  // The Via is not to be trusted here: the answer goes where the datagram came from.
  outputs_.push_back(
      ServerDatagram{arrival.local, arrival.remote, answer.to_string(), arrival.transport});
}

bool MiniServer::misbehaves(const Arrival& arrival, const SipText& request,
                            const std::string& bytes) {
  const auto fault = std::find_if(faults_.begin(), faults_.end(), [&](const Misbehaviour& f) {
    return f.method.empty() || f.method == request.method;
  });
  if (fault == faults_.end()) return false;
  const Misbehaviour chosen = *fault;
  if (--fault->times == 0) faults_.erase(fault);
  switch (chosen.kind) {
    case Misbehaviour::Kind::Ignore: return true;
    case Misbehaviour::Kind::Delay:
      if (delayed_.size() < config_.max_delayed) {
        delayed_.push_back(Delayed{arrival.now + chosen.delay, arrival.local, arrival.remote, bytes,
                                   arrival.transport});
      }
      return true;
    case Misbehaviour::Kind::Answer: {
      if (request.method == "ACK") return true;
      SipText answer = SipText::response_to(request, chosen.status, "As told", tag_);
      if (chosen.retry_after) {
        answer.append("Retry-After", std::to_string(chosen.retry_after->count()));
      }
      if (chosen.status == 423) {
        answer.append("Min-Expires", std::to_string(config_.min_expires.count()));
      }
      ++counters_.refused;
      send_response(arrival, answer);
      return true;
    }
  }
  return false;
}

void MiniServer::handle_response(const Arrival& arrival, SipText message) {
  const auto vias = message.values("Via");
  const auto ours = vias.empty() ? std::nullopt : parse_uri("sip:" + sent_by(vias.front()));
  const auto own = ours ? ours->literal() : std::nullopt;
  const bool to_us = own && is_own_end(*own, transport_of_via(vias.front()));
  if (!to_us || vias.size() < 2) {
    ++counters_.stray;
    log_.debug("server", "stray response " + message.start_line());
    return;
  }
  // The branch names the socket that the request came in on.
  Arrival back{arrival.local, arrival.remote, arrival.now};
  const std::string branch = parameter(vias.front(), "branch").value_or("");
  if (const std::size_t dot = branch.rfind('.'); dot != std::string::npos) {
    const auto index = number(std::string_view(branch).substr(dot + 1));
    if (const auto end = index ? end_at(*index) : std::nullopt) {
      back.local = end->local;
      back.transport = end->transport;
    }
  }
  message.remove_first_value("Via");
  ++counters_.forwarded_responses;
  send_response(back, message);
}

void MiniServer::handle_request(const Arrival& arrival, SipText request) {
  if (request.has("Max-Forwards")) {
    const auto hops = number(request.first("Max-Forwards"));
    if (!hops || *hops > 255) {
      ++counters_.malformed_answered;
      if (request.method != "ACK") reply(arrival, request, 400, "Bad Max-Forwards");
      return;
    }
  }
  // RFC 3261 §16.4: every leading Route that names us has done its work.
  const auto routes = request.values("Route");
  const auto flow = routes.empty() ? std::nullopt : flow_of(routes.front());
  const auto foreign = std::find_if(routes.begin(), routes.end(), [&](const std::string& route) {
    return !is_own_host(uri_of(route));
  });
  if (foreign != routes.begin()) {
    // In one pass: a datagram has room for thousands of them.
    std::string rest;
    for (auto route = foreign; route != routes.end(); ++route) {
      rest += (rest.empty() ? "" : ", ") + *route;
    }
    request.remove("Route");
    if (!rest.empty()) request.append("Route", std::move(rest));
  }
  const auto uri = parse_uri(request.uri);
  if (!uri) {
    const bool other_scheme = request.uri.find(':') != std::string::npos;
    if (request.method != "ACK") {
      reply(arrival, request, other_scheme ? 416 : 400,
            other_scheme ? "Unsupported URI Scheme" : "Bad Request-URI");
    }
    return;
  }
  const bool at_us = !request.has("Route") && is_own_host(request.uri);
  if (at_us && (uri->user.empty() || request.method == "REGISTER")) {
    handle_own_request(arrival, request);
    return;
  }
  // RFC 5626 §5.3: over the flow of the token, except what came over it.
  if (flow && *flow != arrival.remote) {
    forward(arrival, std::move(request), ServerHop{*flow});
    return;
  }
  route_request(arrival, std::move(request));
}

void MiniServer::handle_own_request(const Arrival& arrival, const SipText& request) {
  if (request.method == "ACK") {
    ++counters_.stray;
  } else if (request.method == "REGISTER") {
    // A repetition of what was answered is not a second request: its CSeq and nonce count are used.
    const std::string key = transaction_key(request);
    if (const auto known = answers_.find(key); known != answers_.end()) {
      if (const auto answer = SipText::parse(known->second)) send_response(arrival, *answer);
      return;
    }
    handle_register(arrival, request);
    // An answer with more header lines than we read ourselves is not repeated.
    if (!outputs_.empty() && answers_.size() < config_.max_transactions) {
      answers_[key] = outputs_.back().bytes;
      answer_age_.emplace_back(arrival.now + kAnswerMemory, key);
    }
  } else if (request.method == "OPTIONS") {
    SipText answer = SipText::response_to(request, 200, "OK", tag_);
    answer.append("Accept", "application/sdp");
    answer.append("Allow", "REGISTER, OPTIONS");
    send_response(arrival, answer);
  } else if (request.method == "CANCEL") {
    reply(arrival, request, 481, "Call/Transaction Does Not Exist");
  } else {
    SipText answer = SipText::response_to(request, 405, "Method Not Allowed", tag_);
    answer.append("Allow", "REGISTER, OPTIONS");
    ++counters_.refused;
    send_response(arrival, answer);
  }
}

void MiniServer::route_request(const Arrival& arrival, SipText request) {
  const bool is_ack = request.method == "ACK";
  const auto refuse = [&](int status, std::string_view reason) {
    if (is_ack) {
      ++counters_.stray;
    } else {
      reply(arrival, request, status, reason);
    }
  };
  if (request.has("Max-Forwards") && number(request.first("Max-Forwards")) == 0U) {
    refuse(483, "Too Many Hops");
    return;
  }
  if (request.has("Proxy-Require")) {
    SipText answer = SipText::response_to(request, 420, "Bad Extension", tag_);
    answer.append("Unsupported", request.first("Proxy-Require"));
    ++counters_.refused;
    if (!is_ack) send_response(arrival, answer);
    return;
  }

  const std::string key = transaction_key(request);
  const bool follows_invite = request.method == "INVITE" || request.method == "CANCEL" || is_ack;
  if (const auto known = invites_.find(key); follows_invite && known != invites_.end()) {
    request.uri = known->second.uri;
    forward(arrival, std::move(request), known->second.hop);
    return;
  }
  if (request.method == "CANCEL") {
    refuse(481, "Call/Transaction Does Not Exist");
    return;
  }

  const bool in_dialog = parameter(request.first("To"), "tag").has_value();
  if (request.method == "INVITE" && !in_dialog) {
    if (config_.tie_calls_to_registration && !registered_from(arrival.remote, arrival.now)) {
      refuse(403, "Not registered from there");
      return;
    }
    const auto from = parse_uri(uri_of(request.first("From")));
    const std::string caller = from ? from->user : std::string();
    if (config_.challenge_invites && config_.users.contains(caller) &&
        !authenticated(arrival, request, caller)) {
      return;
    }
  } else if (request.method == "INVITE" && config_.tie_calls_to_registration &&
             !registered_from(arrival.remote, arrival.now)) {
    refuse(403, "Not registered from there");
    return;
  }

  std::optional<Endpoint> target;
  std::optional<ServerHop> hop;
  const auto uri = parse_uri(request.uri);
  if (const auto routes = request.values("Route"); !routes.empty()) {
    if (!in_dialog) {
      refuse(403, "Not our domain");  // Whoever forwards for everybody is an open relay.
      return;
    }
    const auto route = parse_uri(uri_of(routes.front()));
    hop = route ? hop_of(*route, !config_.streams.empty()) : std::nullopt;
  } else if (is_own_host(request.uri)) {
    const auto user = users_.find(uri->user);
    const auto live = bindings(uri->user, arrival.now);
    if (live.empty()) {
      const bool known = user != users_.end() || config_.users.contains(uri->user);
      refuse(known ? 480 : 404, known ? "Temporarily Unavailable" : "Not Found");
      return;
    }
    const ServerBinding& chosen = binding_for(request.uri, live);
    request.uri = chosen.contact;
    const auto contact = parse_uri(request.uri);
    target = contact ? contact->literal() : std::nullopt;
    if (config_.send_to_source || config_.outbound) target = chosen.source;
    if (target) hop = hop_to(chosen, *target);
  } else if (in_dialog && !config_.streams.empty() && transport_of(*uri) != ServerTransport::Udp) {
    hop = hop_of(*uri, true);
  } else if (in_dialog) {
    target = uri->literal();
    // A peer behind a NAT is reached at its hole, which only its registration knows.
    for (const auto& [name, user] : users_) {
      if (!config_.send_to_source) break;
      for (const ServerBinding& binding : user.bindings) {
        const auto contact = parse_uri(binding.contact);
        if (contact && target && contact->literal() == *target) target = binding.source;
      }
    }
    if (target) hop = ServerHop{*target};
  } else {
    refuse(403, "Not our domain");  // As above.
    return;
  }
  if (!hop) {
    refuse(478, "Unresolvable destination");
    return;
  }
  if (is_own_end(hop->remote, hop->transport)) {
    refuse(482, "Loop Detected");
    return;
  }
  if (request.method == "INVITE") {
    if (invites_.size() >= config_.max_transactions) {
      refuse(503, "Too many calls");
      return;
    }
    invites_[key] = InviteTarget{request.uri, *hop, arrival.now + kInviteMemory,
                                 index_of(arrival.local, arrival.transport)};
    invite_age_.emplace_back(arrival.now + kInviteMemory, key);
  }
  forward(arrival, std::move(request), *hop);
}

void MiniServer::forward(const Arrival& arrival, SipText request, const ServerHop& hop) {
  const Endpoint& target = hop.remote;
  const Endpoint* out = local_for(target.address.family(), hop.transport);
  if (out == nullptr) {
    if (request.method != "ACK") reply(arrival, request, 503, "No way of that family");
    return;
  }
  // Leave on the socket it came in on where that can reach the target.
  if (arrival.transport == hop.transport &&
      arrival.local.address.family() == target.address.family()) {
    out = &arrival.local;
  }
  const std::string key = transaction_key(request);
  const auto hops = number(request.first("Max-Forwards"));
  request.set("Max-Forwards", std::to_string(hops ? *hops - 1 : kMaxForwards));

  const bool may_form_dialog =
      request.method == "INVITE" || request.method == "SUBSCRIBE" || request.method == "REFER";
  if (config_.record_route && may_form_dialog) {
    std::string token;
    if (config_.flow_tokens) {
      // A permanent binding is no flow of ours.
      token =
          flow_token(registered_from(arrival.remote, arrival.now, false) ? arrival.remote : target);
    }
    // Between families and transports each side must find a hop that it can reach: two entries
    // (RFC 5658 §5.1).
    const bool other_transport = arrival.transport != hop.transport;
    if (other_transport || (config_.record_route_host.empty() && !(*out == arrival.local))) {
      request.prepend("Record-Route",
                      record_route_entry({arrival.local, arrival.transport}, token));
    }
    request.prepend("Record-Route", record_route_entry({*out, hop.transport}, token));
  }
  // RFC 3261 §16.11: the branch is a function of what the request's retransmissions share, so that
  // CANCEL and the ACK to a failure get the INVITE's, at whichever of our ends they arrive.
  const auto invite = invites_.find(key);
  const std::size_t arrived_at = invite != invites_.end()
                                     ? invite->second.arrived_at
                                     : index_of(arrival.local, arrival.transport);
  request.prepend("Via", std::string("SIP/2.0/") + via_name(hop.transport) + " " +
                             out->address.to_uri_host() + ":" + std::to_string(out->port) +
                             ";branch=z9hG4bK" + hex(fnv1a(key)) + "." +
                             std::to_string(arrived_at));
  ++counters_.forwarded_requests;
  outputs_.push_back(ServerDatagram{*out, target, request.to_string(), hop.transport});
}

void MiniServer::handle_register(const Arrival& arrival, const SipText& request) {
  const auto to = parse_uri(uri_of(request.first("To")));
  if (!to || to->user.empty()) {
    reply(arrival, request, 400, "Bad To");
    return;
  }
  const std::string& name = to->user;
  if (!config_.users.empty() && !config_.users.contains(name)) {
    reply(arrival, request, 404, "Not Found");
    return;
  }
  if (!config_.users.empty() && !authenticated(arrival, request, name)) return;
  if (config_.refuse_push && request.first("Contact").find("pn-provider") != std::string::npos) {
    reply(arrival, request, 555, "Push Notification Service Not Supported");
    return;
  }
  if (request.to_string().size() > kMaxRegister) {
    reply(arrival, request, 513, "Message Too Large");
    return;
  }
  if (!users_.contains(name) && users_.size() >= config_.max_users) forget_idle_users(arrival.now);
  if (!users_.contains(name) && users_.size() >= config_.max_users) {
    reply(arrival, request, 503, "Too many users");
    return;
  }
  update_bindings(arrival, request, name);
}

void MiniServer::forget_idle_users(TimePoint now) {
  // Not more often than that: with every place taken the search would be the flood's second prize.
  if (users_searched_at_ && now - *users_searched_at_ < std::chrono::seconds(1)) return;
  users_searched_at_ = now;
  std::erase_if(users_, [&](const auto& entry) {
    const auto& bindings = entry.second.bindings;
    return std::none_of(bindings.begin(), bindings.end(), [&](const ServerBinding& binding) {
      return !binding.expires_at || *binding.expires_at > now;
    });
  });
}

void MiniServer::update_bindings(const Arrival& arrival, const SipText& request,
                                 const std::string& name) {
  const auto contacts = request.values("Contact");
  const std::string& expires_header = request.first("Expires");
  const auto asked = number(expires_header);
  std::vector<ServerBinding> updated = users_[name].bindings;
  std::erase_if(updated, [&](const ServerBinding& b) {
    return b.expires_at && *b.expires_at <= arrival.now;
  });
  const std::string& call_id = request.first("Call-ID");
  // RFC 3261 §10.3 step 7: an older request of the same client changes nothing.
  const auto out_of_order = [&](const ServerBinding& binding) {
    return binding.call_id == call_id && request.cseq_number() <= binding.cseq;
  };

  if (std::find(contacts.begin(), contacts.end(), "*") != contacts.end()) {
    if (contacts.size() != 1 || asked != 0U) {
      reply(arrival, request, 400, "Bad wildcard Contact");
      return;
    }
    if (std::any_of(updated.begin(), updated.end(), out_of_order)) {
      reply(arrival, request, 500, "CSeq out of order");
      return;
    }
    updated.clear();
  } else {
    for (const std::string& contact : contacts) {
      const std::string uri = uri_of(contact);
      if (!parse_uri(uri)) {
        reply(arrival, request, 400, "Bad Contact");
        return;
      }
      const std::string own_expires = parameter(contact, "expires").value_or("");
      const auto own = number(own_expires);
      auto seconds = std::chrono::seconds(config_.default_expires);
      if (const auto wanted = own ? own : asked) {
        seconds = std::chrono::seconds(static_cast<std::int64_t>(std::min<std::uint64_t>(
            *wanted, static_cast<std::uint64_t>(config_.max_expires.count()))));
      }
      if (seconds.count() > 0 && seconds < config_.min_expires) {
        SipText answer = SipText::response_to(request, 423, "Interval Too Brief", tag_);
        answer.append("Min-Expires", std::to_string(config_.min_expires.count()));
        ++counters_.refused;
        send_response(arrival, answer);
        return;
      }
      const std::string instance = parameter(contact, "+sip.instance").value_or("");
      const std::string reg_id = parameter(contact, "reg-id").value_or("");
      const auto same = [&](const ServerBinding& binding) {
        // RFC 5626 §6: the same instance (and reg-id) replaces, whatever its URI.
        return binding.contact == uri ||
               (!instance.empty() && binding.instance == instance + "#" + reg_id);
      };
      for (const ServerBinding& binding : updated) {
        if (same(binding) && out_of_order(binding)) {
          reply(arrival, request, 500, "CSeq out of order");
          return;
        }
      }
      std::erase_if(updated, same);
      if (seconds.count() == 0) continue;
      if (updated.size() >= config_.max_bindings_per_user) {
        reply(arrival, request, 503, "Too many bindings");
        return;
      }
      ServerBinding binding;
      binding.contact = uri;
      binding.instance = instance.empty() ? std::string() : instance + "#" + reg_id;
      binding.call_id = call_id;
      binding.cseq = request.cseq_number();
      binding.local = arrival.local;
      binding.source = arrival.remote;
      binding.transport = arrival.transport;
      binding.registered_at = arrival.now;
      binding.expires_at = arrival.now + seconds;
      updated.insert(updated.begin(), std::move(binding));
    }
  }

  ++counters_.registered;
  SipText answer = SipText::response_to(request, 200, "OK", tag_);
  for (const ServerBinding& binding : updated) {
    answer.append("Contact", contact_of(name, binding, request, arrival.now));
  }
  grant_extensions(answer, request);
  users_[name].bindings = std::move(updated);
  send_response(arrival, answer);
}

bool MiniServer::authenticated(const Arrival& arrival, const SipText& request,
                               const std::string& user) {
  const bool registrar = request.method == "REGISTER";
  const auto verdict =
      digest_->check(request.lines(registrar ? "Authorization" : "Proxy-Authorization"),
                     request.method, user, arrival.remote, arrival.now);
  if (verdict == DigestGuard::Verdict::Good) return true;
  SipText answer =
      SipText::response_to(request, registrar ? 401 : 407,
                           registrar ? "Unauthorized" : "Proxy Authentication Required", tag_);
  const bool stale = verdict == DigestGuard::Verdict::Stale;
  for (std::string& value : digest_->challenge(arrival.remote, stale, arrival.now)) {
    answer.append(registrar ? "WWW-Authenticate" : "Proxy-Authenticate", std::move(value));
  }
  ++counters_.challenged;
  send_response(arrival, answer);
  return false;
}

bool MiniServer::is_own_host(const std::string& uri) const {
  const auto parts = parse_uri(uri);
  if (!parts) return false;
  const auto address = IpAddress::parse(parts->host);
  const auto is_at = [&](const Endpoint& local) {
    // Without a port the host is meant, whatever port we listen on.
    if (parts->port != 0 && parts->port != local.port) return false;
    if (address) return *address == local.address;
    return std::find(config_.domains.begin(), config_.domains.end(), parts->host) !=
           config_.domains.end();
  };
  return std::any_of(config_.locals.begin(), config_.locals.end(), is_at) ||
         std::any_of(config_.streams.begin(), config_.streams.end(),
                     [&](const ServerListener& stream) { return is_at(stream.local); });
}

const Endpoint* MiniServer::local_for(Family family, ServerTransport transport) const {
  if (transport != ServerTransport::Udp) {
    for (const ServerListener& stream : config_.streams) {
      if (stream.transport == transport && stream.local.address.family() == family) {
        return &stream.local;
      }
    }
    return nullptr;
  }
  for (const Endpoint& local : config_.locals) {
    if (local.address.family() == family) return &local;
  }
  return nullptr;
}

bool MiniServer::registered_from(const Endpoint& source, TimePoint now, bool permanent) const {
  for (const auto& [name, user] : users_) {
    for (const ServerBinding& binding : user.bindings) {
      const bool live = binding.expires_at ? *binding.expires_at > now : permanent;
      if (binding.source == source && live) {
        return true;
      }
    }
  }
  return false;
}

void MiniServer::reply(const Arrival& arrival, const SipText& request, int status,
                       std::string_view reason) {
  if (status >= 300) ++counters_.refused;
  send_response(arrival, SipText::response_to(request, status, reason, tag_));
}

void MiniServer::send_response(const Arrival& arrival, const SipText& response) {
  const auto vias = response.values("Via");
  if (vias.empty()) {
    ++counters_.stray;
    return;
  }
  // RFC 3261 §18.2.2, RFC 3581 §4.
  const auto sender = parse_uri("sip:" + sent_by(vias.front()));
  const auto received = IpAddress::parse(parameter(vias.front(), "received").value_or(""));
  const auto rport = number(parameter(vias.front(), "rport").value_or(""));
  const auto host = sender ? IpAddress::parse(sender->host) : std::nullopt;
  if (!sender || (!host && !received)) {
    ++counters_.stray;
    return;
  }
  Endpoint target{received ? *received : *host,
                  sender->port != 0 ? sender->port : std::uint16_t{5060}};
  if (rport && *rport > 0 && *rport <= 65'535) target.port = static_cast<std::uint16_t>(*rport);
  Endpoint local = arrival.local;
  if (arrival.transport != ServerTransport::Udp) {
    outputs_.push_back(ServerDatagram{local, target, response.to_string(), arrival.transport});
    return;
  }
  if (local.address.family() != target.address.family()) {
    const Endpoint* other = local_for(target.address.family());
    if (other == nullptr) return;
    local = *other;
  }
  outputs_.push_back(ServerDatagram{local, target, response.to_string()});
}

}  // namespace godwit::testing
