// SPDX-License-Identifier: Apache-2.0
#include "sip/server_transactions.hpp"

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "wire/sip/headers.hpp"
#include "wire/sip/method.hpp"

namespace godwit::sip {

namespace {

/// A connection without any traffic is closed after 120 s.
constexpr unsigned kKeepSeconds = 90;

using Kind = TransactionTimer::Kind;

ServerInput input_of(int status) {
  if (status < 200) return ServerInput::SendProvisional;
  return status < 300 ? ServerInput::SendSuccess : ServerInput::SendFailure;
}

/// The method of the transaction that a request belongs to.
std::string_view transaction_method(const wire::Message& request) {
  const bool of_invite =
      request.method() == wire::Method::Ack || request.method() == wire::Method::Cancel;
  return of_invite ? wire::to_string(wire::Method::Invite) : request.method_text();
}

/// `line` with its first element replaced: several Vias may share a line.
std::string with_first_element(const std::string& line, std::string_view element) {
  wire::ElementScanner scanner(line);
  const auto first = scanner.next();
  if (!first) return std::string(element);
  const auto end = static_cast<std::size_t>(first->data() - line.data()) + first->size();
  return std::string(element) + line.substr(end);
}

std::string tag_in(const wire::ResponseDraft& draft) {
  const std::string* to = wire::find_header(draft.headers, wire::HeaderId::To);
  if (to == nullptr) return {};
  const auto parsed = wire::NameAddr::parse(*to);
  return parsed ? std::string(parsed->tag().value_or("")) : std::string();
}

}  // namespace

std::optional<ServerTransactionId> ServerTransactions::match(const wire::Message& request) const {
  const auto via = wire::top_via_of(request);
  if (!via) return std::nullopt;
  const ServerTransactionId id{
      index_.find(server_key(context_.hash_key, request, *via, transaction_method(request)))};
  if (!id) return std::nullopt;
  return id;
}

void ServerTransactions::on_request(const Flow& flow, const MessagePtr& request, TimePoint now) {
  const auto via = wire::top_via_of(*request);
  if (!via) return;  // validate() has seen to it.
  const Hash128 key = server_key(context_.hash_key, *request, *via, transaction_method(*request));
  Transaction* transaction = transactions_.find(ServerTransactionId{index_.find(key)});

  if (request->method() == wire::Method::Cancel) return on_cancel(flow, request, transaction);
  if (request->method() == wire::Method::Ack) {
    if (transaction != nullptr && transaction->state != ServerState::Accepted) {
      if (transaction->state == ServerState::Proceeding) ++context_.counters.stray_acks;
      return feed(*transaction, ServerInput::Ack, now);
    }
    // An ACK to a 2xx is a transaction of its own (RFC 3261 §13.2.2.4), or, from an RFC 2543 peer,
    // matches its INVITE. Without a To tag it belongs to no dialog of ours.
    if (wire::to_tag_of(*request).empty()) {
      ++context_.counters.stray_acks;
      return;
    }
    return context_.output.report(AckArrived{flow, request});
  }
  if (transaction != nullptr) {
    ++context_.counters.retransmissions_absorbed;
    return feed(*transaction, ServerInput::Request, now);
  }
  // RFC 3261 §8.2.7.
  if (is_stateless_ && is_stateless_(flow, *request)) {
    return context_.output.report(RequestArrived{ServerTransactionId{}, flow, request});
  }
  if (transactions_.size() >= context_.limits.max_server ||
      bytes_ >= context_.limits.max_server_bytes) {
    ++context_.counters.refused_busy;
    respond_statelessly(flow, *request, 503, "Too Many Transactions");
    return;
  }
  create(flow, request, *via, key, now);
}

void ServerTransactions::create(const Flow& flow, const MessagePtr& request,
                                const wire::Via& top_via, const Hash128& key, TimePoint now) {
  auto owned = std::make_unique<Transaction>();
  Transaction& transaction = *owned;
  transaction.key = key;
  transaction.flow = reply_flow(flow, top_via);
  transaction.source = flow.remote;
  // RFC 3261 §18.2.2: the address in `received`, the port in sent-by.
  transaction.sent_by =
      Endpoint{flow.remote.address, top_via.port.value_or(default_port(flow.transport))};
  transaction.invite = request->method() == wire::Method::Invite;
  transaction.state = transaction.invite ? ServerState::Proceeding : ServerState::Trying;
  // RFC 6223 §4.4: we answer pings on connections, so a caller may keep its one alive with them.
  const unsigned keep = transaction.invite && is_stream(flow.transport) ? kKeepSeconds : 0;
  transaction.top_via = wire::via_with_source(top_via.text, flow.remote, keep);
  transaction.id = transactions_.insert(std::move(owned));
  index_.insert(key, transaction.id.value());

  bytes_ += transaction.top_via.size();
  if (transaction.invite) {
    // RFC 3261 §17.2.1 allows to wait 200 ms for the user's own response. On UDP an unanswered
    // INVITE is sent again after 500 ms, of which the way back takes its part: so at once.
    transaction.response = wire::serialise(
        wire::make_response(*request, 100, {.to_tag = {}, .reason = {}, .source = flow.remote}),
        std::string());
    bytes_ += transaction.response.size();
    send(transaction);
  } else {
    arm(transaction, Kind::Timeout, now + 64 * timers_.t1);
  }
  context_.output.report(RequestArrived{transaction.id, flow, request});
}

void ServerTransactions::on_cancel(const Flow& flow, const MessagePtr& cancel,
                                   Transaction* invite) {
  const auto via = wire::top_via_of(*cancel);
  if (!via) return;
  // RFC 3261 §9.2. The answer needs no state: a retransmitted CANCEL gets the same again.
  const int status = invite == nullptr ? 481 : 200;
  const std::string tag =
      invite == nullptr || invite->to_tag.empty() ? stateless_tag(*cancel) : invite->to_tag;
  context_.output.send(
      reply_flow(flow, *via),
      wire::serialise(wire::make_response(*cancel, status,
                                          {.to_tag = tag, .reason = {}, .source = flow.remote}),
                      std::string()));
  if (invite == nullptr || invite->state != ServerState::Proceeding || invite->cancelled) return;
  invite->cancelled = true;
  context_.output.report(CancelArrived{invite->id, cancel});
}

bool ServerTransactions::respond_statelessly(const Flow& flow, const wire::Message& request,
                                             int status, std::string_view reason,
                                             wire::DraftHeaders headers) {
  if (request.method() == wire::Method::Ack) return false;
  const auto via = wire::top_via_of(request);
  if (!via) return false;
  const std::string tag = stateless_tag(request);
  wire::ResponseDraft draft = wire::make_response(
      request, status, {.to_tag = tag, .reason = reason, .source = flow.remote});
  draft.headers.insert(draft.headers.end(), std::make_move_iterator(headers.begin()),
                       std::make_move_iterator(headers.end()));
  // One with a phrase of the layer's own answers what no user has seen.
  if (shape_ && reason.empty()) shape_(ServerTransactionId{}, draft);
  std::string bytes = wire::serialise(draft, std::string());
  if (bytes.size() > max_message(flow.transport)) return false;
  context_.output.send(reply_flow(flow, *via), std::move(bytes));
  return true;
}

std::string ServerTransactions::stateless_tag(const wire::Message& request) const {
  // RFC 3261 §8.2.7: the same tag for the same request, although nothing is remembered.
  KeyedHasher hasher(context_.hash_key);
  hasher.add("tag");
  hasher.add(wire::call_id_of(request));
  hasher.add(wire::from_tag_of(request));
  hasher.add(wire::top_via_text(request));
  const Hash128 hash = hasher.finish();
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string tag;
  for (std::uint64_t rest = hash.low; tag.size() < 16; rest >>= 4U) tag += kDigits[rest & 0xfU];
  return tag;
}

Result<void> ServerTransactions::respond(ServerTransactionId id, wire::ResponseDraft draft,
                                         const std::string& contact_value, TimePoint now) {
  Transaction* transaction = transactions_.find(id);
  if (transaction == nullptr) return fail(ErrorCode::NotFound, "no such transaction");
  if (draft.status < 100 || draft.status > 699) {
    return fail(ErrorCode::InvalidArgument, "no SIP status code");
  }
  const ServerInput input = input_of(draft.status);
  const ServerStep next = step(*transaction, input);
  if (next.refuse) {
    return fail(ErrorCode::WrongState,
                std::string("the transaction is in state ") + to_string(transaction->state));
  }
  for (wire::DraftHeader& header : draft.headers) {
    if (header.id != wire::HeaderId::Via) continue;
    header.value = with_first_element(header.value, transaction->top_via);
    break;
  }
  if (shape_ && draft.status > 100) shape_(id, draft);
  std::string bytes = wire::serialise(draft, contact_value);
  if (bytes.size() > max_message(transaction->flow.transport)) {
    return fail(ErrorCode::TooLarge, "the response is too large to be sent");
  }
  if (std::string tag = tag_in(draft); !tag.empty()) transaction->to_tag = std::move(tag);
  bytes_ += bytes.size() - transaction->response.size();
  transaction->response = std::move(bytes);
  apply(*transaction, next, input, now);
  return {};
}

Result<void> ServerTransactions::retransmit(ServerTransactionId id) {
  Transaction* transaction = transactions_.find(id);
  if (transaction == nullptr) return fail(ErrorCode::NotFound, "no such transaction");
  if (transaction->response.empty()) return fail(ErrorCode::WrongState, "nothing was sent yet");
  send(*transaction);
  return {};
}

void ServerTransactions::move(ServerTransactionId id, const Flow& flow) {
  Transaction* transaction = transactions_.find(id);
  if (transaction == nullptr) return;
  transaction->flow = flow;
  transaction->flow_dead = false;
  if (std::exchange(transaction->withheld, false)) send(*transaction);
}

std::optional<Transmit> ServerTransactions::last_response(ServerTransactionId id) const {
  const Transaction* transaction = transactions_.find(id);
  if (transaction == nullptr || transaction->response.empty()) return std::nullopt;
  return Transmit{transaction->flow, transaction->response};
}

std::optional<Flow> ServerTransactions::flow_of(ServerTransactionId id) const {
  const Transaction* transaction = transactions_.find(id);
  if (transaction == nullptr) return std::nullopt;
  return transaction->flow;
}

void ServerTransactions::on_timer(const TransactionTimer& timer, TimePoint now) {
  Transaction* transaction = transactions_.find(ServerTransactionId{timer.transaction});
  if (transaction == nullptr) return;
  switch (timer.kind) {
    case Kind::Retransmit:
      transaction->retransmit_timer = {};
      // After a long sleep both timers are due: then it is over, and nothing needs to leave.
      if (transaction->end_timer && transaction->end_at <= now) return;
      ++context_.counters.retransmissions_sent;
      feed(*transaction, ServerInput::RetransmitTimer, now);
      // RFC 3261 §17.2.1: timer G doubles up to T2.
      transaction->interval = std::min(2 * transaction->interval, timers_.t2);
      return arm(*transaction, Kind::Retransmit, now + transaction->interval);
    case Kind::Timeout:
      transaction->end_timer = {};
      return feed(*transaction, ServerInput::TimeoutTimer, now);
    case Kind::Linger:
      transaction->end_timer = {};
      return feed(*transaction, ServerInput::LingerTimer, now);
  }
}

void ServerTransactions::on_flow_failed(ListenerId listener, TimePoint now) {
  for (const ServerTransactionId id : transactions_.ids()) {
    Transaction* transaction = transactions_.find(id);
    if (transaction == nullptr || transaction->flow.listener != listener) continue;
    if (std::exchange(transaction->flow_dead, true)) continue;
    feed(*transaction, ServerInput::TransportFailure, now);
  }
}

void ServerTransactions::on_connection_lost(ListenerId connection) {
  for (const ServerTransactionId id : transactions_.ids()) {
    Transaction* transaction = transactions_.find(id);
    if (transaction == nullptr || transaction->flow.listener != connection) continue;
    transaction->flow.listener = {};
    transaction->flow.remote = transaction->sent_by;
  }
}

ServerStep ServerTransactions::step(const Transaction& transaction, ServerInput input) const {
  return transaction.invite ? step_invite_server(transaction.state, input)
                            : step_non_invite_server(transaction.state, input);
}

void ServerTransactions::feed(Transaction& transaction, ServerInput input, TimePoint now) {
  apply(transaction, step(transaction, input), input, now);
}

void ServerTransactions::apply(Transaction& transaction, const ServerStep& step, ServerInput cause,
                               TimePoint now) {
  if (step.send) send(transaction);
  if (step.report_timeout) {
    ++context_.counters.server_timeouts;
    context_.output.report(ServerFailed{transaction.id, TransactionFailure::Timeout});
  }
  if (step.report_transport) {
    context_.output.report(ServerFailed{transaction.id, TransactionFailure::Transport});
  }
  enter(transaction, step.next, cause, now);
}

void ServerTransactions::enter(Transaction& transaction, ServerState next, ServerInput cause,
                               TimePoint now) {
  if (next == transaction.state) return;
  if (context_.log.enabled(Log::Level::Debug)) {
    context_.log.debug("sip", std::string("server ") + (transaction.invite ? "INVITE " : "") +
                                  std::to_string(transaction.id.value()) + ": " +
                                  to_string(transaction.state) + " -> " + to_string(next) + " on " +
                                  to_string(cause));
  }
  transaction.state = next;
  switch (next) {
    case ServerState::Trying:
    case ServerState::Proceeding: return;
    case ServerState::Accepted: return arm(transaction, Kind::Linger, now + 64 * timers_.t1);  // L
    case ServerState::Completed:
      if (!transaction.invite) {
        // RFC 3261 §17.2.2: zero on a reliable transport.
        if (is_stream(transaction.flow.transport)) return erase(transaction);
        return arm(transaction, Kind::Linger, now + 64 * timers_.t1);  // J
      }
      // RFC 3261 §17.2.1: no timer G on a reliable transport.
      transaction.interval = timers_.t1;
      if (!is_stream(transaction.flow.transport)) {
        arm(transaction, Kind::Retransmit, now + transaction.interval);
      }
      return arm(transaction, Kind::Timeout, now + 64 * timers_.t1);  // H
    case ServerState::Confirmed:
      disarm(transaction.retransmit_timer);
      // RFC 3261 §17.2.1: zero on a reliable transport.
      if (is_stream(transaction.flow.transport)) return erase(transaction);
      return arm(transaction, Kind::Linger, now + timers_.t4);  // I
    case ServerState::Terminated: return erase(transaction);
  }
}

void ServerTransactions::send(Transaction& transaction) {
  if (transaction.flow_dead) {
    transaction.withheld = true;
    return;
  }
  context_.output.send(transaction.flow, transaction.response);
}

void ServerTransactions::arm(Transaction& transaction, TransactionTimer::Kind kind, TimePoint at) {
  TimerId& timer = kind == Kind::Retransmit ? transaction.retransmit_timer : transaction.end_timer;
  disarm(timer);
  timer = context_.timers.schedule(
      at, TransactionTimer{.server = true, .transaction = transaction.id.value(), .kind = kind});
  if (kind != Kind::Retransmit) transaction.end_at = at;
}

void ServerTransactions::disarm(TimerId& timer) {
  if (timer) context_.timers.cancel(std::exchange(timer, TimerId{}));
}

void ServerTransactions::erase(Transaction& transaction) {
  disarm(transaction.retransmit_timer);
  disarm(transaction.end_timer);
  bytes_ -= transaction.top_via.size() + transaction.response.size();
  index_.erase(transaction.key);
  transactions_.erase(transaction.id);
}

}  // namespace godwit::sip
