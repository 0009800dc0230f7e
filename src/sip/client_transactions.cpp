// SPDX-License-Identifier: Apache-2.0
#include "sip/client_transactions.hpp"

#include <algorithm>
#include <utility>

#include "wire/sip/headers.hpp"
#include "wire/sip/method.hpp"

namespace godwit::sip {

namespace {

using Kind = TransactionTimer::Kind;

/// 24 characters of 5 bits: nobody guesses a live branch, and so nobody off the path can answer.
constexpr std::size_t kBranchLength = 24;

std::string_view method_text(const wire::RequestDraft& draft) {
  return draft.method == wire::Method::Unknown ? std::string_view(draft.method_text)
                                               : wire::to_string(draft.method);
}

ClientInput input_of(int status) {
  if (status < 200) return ClientInput::Provisional;
  return status < 300 ? ClientInput::Success : ClientInput::Failure;
}

bool is_waiting(ClientState state) {
  return state == ClientState::Calling || state == ClientState::Trying ||
         state == ClientState::Proceeding;
}

/// Timers B and F.
Duration timeout_of(const TransactionTimers& timers) {
  return timers.timeout.value_or(64 * timers.t1);
}

/// Timers D and M, and what a detached transaction waits: for the peer's retransmissions, whose
/// pace is not ours. RFC 3261 §17.1.1.2 wants at least 32 s for D.
Duration linger_of(const TransactionTimers& timers) {
  return std::max(kPeerPersistence, 64 * timers.t1);
}

}  // namespace

std::string ClientTransactions::new_branch() {
  return std::string(wire::kMagicCookie) + context_.random.token(kBranchLength);
}

Result<ClientTransactions::Transaction*> ClientTransactions::add(
    std::unique_ptr<Transaction> transaction, std::string_view via, std::string_view method) {
  if (transactions_.size() >= context_.limits.max_client) {
    return fail(ErrorCode::Busy, "too many requests are in progress");
  }
  const auto parsed = wire::Via::parse(via);
  if (!parsed) return fail(ErrorCode::InvalidArgument, "the flow has no local address");
  transaction->key = client_key(context_.hash_key, *parsed, method);
  Transaction* raw = transaction.get();
  raw->id = transactions_.insert(std::move(transaction));
  return raw;
}

Result<ClientTransactionId> ClientTransactions::send_request(const wire::RequestDraft& draft,
                                                             const std::string& contact_value,
                                                             const Flow& flow, Owner owner,
                                                             const TransactionTimers& timers,
                                                             TimePoint now) {
  if (draft.method == wire::Method::Ack || draft.method == wire::Method::Cancel) {
    return fail(ErrorCode::InvalidArgument, "ACK and CANCEL have no transaction of this kind");
  }
  // RFC 6223 §4.2.
  const auto make_via = [&](Transport transport) {
    std::string via = wire::make_via(to_string(transport), flow.local, new_branch());
    if (draft.ask_keep) via += ";keep";
    return via;
  };
  std::string via = make_via(flow.transport);
  auto transaction = std::make_unique<Transaction>();
  transaction->owner = owner;
  transaction->flow = flow;
  transaction->invite = draft.method == wire::Method::Invite;
  transaction->timers = sane(timers);
  std::optional<wire::RequestDraft> shaped;
  if (shape_) shape_(owner, shaped.emplace(draft));
  const wire::RequestDraft& wanted = shaped ? *shaped : draft;
  transaction->bytes = wire::serialise(wanted, via, contact_value);
  const std::size_t limit = context_.limits.max_datagram_request;
  if (!is_stream(flow.transport) && limit != 0 && transaction->bytes.size() > limit) {
    // RFC 3261 §18.1.1: fragments are lost too easily, and whoever sends them may not be heard.
    if (transaction->bytes.size() <= kMaxDatagram) {
      transaction->datagram = std::make_unique<Transaction::Datagram>(
          Transaction::Datagram{wanted, contact_value, flow});
    }
    transaction->flow.transport = Transport::Tcp;
    via = make_via(Transport::Tcp);
    transaction->bytes = wire::serialise(wanted, via, contact_value);
  }
  if (transaction->bytes.size() > max_message(transaction->flow.transport)) {
    return fail(ErrorCode::TooLarge, "the request is too large to be sent");
  }
  const auto added = add(std::move(transaction), via, method_text(draft));
  if (!added) return tl::make_unexpected(added.error());
  begin(**added, now);
  return (*added)->id;
}

Result<ClientTransactionId> ClientTransactions::send_cancel(ClientTransactionId invite_id,
                                                            TimePoint now,
                                                            bool even_without_provisional,
                                                            const std::optional<Flow>& other_flow) {
  Transaction* invite = transactions_.find(invite_id);
  if (invite == nullptr) return fail(ErrorCode::NotFound, "no such transaction");
  if (!invite->invite) return fail(ErrorCode::InvalidArgument, "only an INVITE can be cancelled");
  if (!is_waiting(invite->state)) {
    return fail(ErrorCode::WrongState, "the INVITE has a final response");
  }
  if (Transaction* earlier = transactions_.find(invite->cancel)) {
    if (!earlier->held) return fail(ErrorCode::WrongState, "the INVITE is being cancelled");
    erase(*earlier);  // Never sent; this call replaces it.
  }

  const auto request = wire::Message::parse(invite->bytes);
  if (!request) return fail(ErrorCode::InvalidArgument, "the INVITE was no valid message");

  auto cancel = std::make_unique<Transaction>();
  cancel->owner = invite->owner;
  cancel->flow = other_flow.value_or(invite->flow);
  cancel->timers = invite->timers;
  cancel->timers.timeout.reset();
  wire::RequestDraft draft = wire::cancel_for(*request);
  if (shape_) shape_(cancel->owner, draft);
  cancel->bytes = wire::serialise(draft, wire::top_via_text(*request), std::string());
  cancel->held = invite->state == ClientState::Calling && !even_without_provisional;
  const auto added =
      add(std::move(cancel), wire::top_via_text(*request), wire::to_string(wire::Method::Cancel));
  if (!added) return tl::make_unexpected(added.error());
  invite->cancel = (*added)->id;
  if (!(*added)->held) release_cancel(*invite, now);
  return invite->cancel;
}

void ClientTransactions::release_cancel(Transaction& invite, TimePoint now) {
  Transaction* cancel = transactions_.find(invite.cancel);
  if (cancel == nullptr) return;
  cancel->held = false;
  begin(*cancel, now);
  // RFC 3261 §9.1: no final response for 64*T1 after the CANCEL means that the INVITE is over; an
  // RFC 2543 server never sends the 487.
  invite.cancelled_until = now + 64 * invite.timers.t1;
  if (invite.state == ClientState::Proceeding && !invite.detached) {
    arm(invite, Kind::Timeout, *invite.cancelled_until);
  }
}

void ClientTransactions::begin(Transaction& transaction, TimePoint now) {
  transaction.state = transaction.invite ? ClientState::Calling : ClientState::Trying;
  transaction.interval = transaction.timers.t1;
  index_.insert(transaction.key, transaction.id.value());
  context_.output.send(transaction.flow, transaction.bytes, transaction.id);
  transaction.sent_at = now;
  // RFC 3261 §17.1.1.2, §17.1.2.2: no timer A or E on a reliable transport.
  if (!is_stream(transaction.flow.transport)) {
    arm(transaction, Kind::Retransmit, now + transaction.interval);
  }
  arm(transaction, Kind::Timeout, now + timeout_of(transaction.timers));
}

void ClientTransactions::detach(ClientTransactionId id, TimePoint now) {
  Transaction* transaction = transactions_.find(id);
  if (transaction == nullptr || transaction->detached) return;
  transaction->detached = true;
  if (transaction->held) return;  // It leaves all the same, if a provisional response comes.
  disarm(transaction->retransmit_timer);
  if (is_waiting(transaction->state)) {
    arm(*transaction, Kind::Linger, now + linger_of(transaction->timers));
  }
}

std::optional<Flow> ClientTransactions::flow_of(ClientTransactionId id) const {
  const Transaction* transaction = transactions_.find(id);
  if (transaction == nullptr) return std::nullopt;
  return transaction->flow;
}

std::optional<ClientTransactionId> ClientTransactions::match(const wire::Message& response) const {
  // RFC 3261 §8.1.3.3: a response with more than one Via is not for a user agent.
  const auto line = response.first(wire::HeaderId::Via);
  if (!line || response.line_count(wire::HeaderId::Via) != 1) return std::nullopt;
  const auto via = wire::top_via_of(response);
  if (!via || via->text.size() != line->size()) return std::nullopt;
  const auto cseq = wire::cseq_of(response);
  if (!cseq) return std::nullopt;
  const ClientTransactionId id{index_.find(client_key(context_.hash_key, *via, cseq->method_text))};
  if (!id) return std::nullopt;
  return id;
}

void ClientTransactions::on_response(const Flow& flow, const MessagePtr& response, TimePoint now) {
  const auto id = match(*response);
  Transaction* transaction = id ? transactions_.find(*id) : nullptr;
  if (transaction == nullptr) {
    ++context_.counters.stray_responses;
    context_.log.debug("sip", "response for no transaction dropped");
    return;
  }
  feed(*transaction, input_of(response->status()), &flow, response, now);
}

void ClientTransactions::on_timer(const TransactionTimer& timer, TimePoint now) {
  Transaction* transaction = transactions_.find(ClientTransactionId{timer.transaction});
  if (transaction == nullptr) return;
  switch (timer.kind) {
    case Kind::Retransmit:
      transaction->retransmit_timer = {};
      return on_retransmit(*transaction, now);
    case Kind::Timeout:
      transaction->end_timer = {};
      return feed(*transaction, ClientInput::TimeoutTimer, nullptr, nullptr, now);
    case Kind::Linger:
      transaction->end_timer = {};
      return feed(*transaction, ClientInput::LingerTimer, nullptr, nullptr, now);
  }
}

void ClientTransactions::on_retransmit(Transaction& transaction, TimePoint now) {
  // After a long sleep both timers are due: then it is over, and nothing needs to leave.
  if (transaction.end_timer && transaction.end_at <= now) return;
  feed(transaction, ClientInput::RetransmitTimer, nullptr, nullptr, now);
}

void ClientTransactions::on_flow_failed(ListenerId listener, TimePoint now) {
  for (const ClientTransactionId id : transactions_.ids()) {
    const Transaction* transaction = transactions_.find(id);
    if (transaction != nullptr && transaction->flow.listener == listener) {
      on_request_failed(id, now);
    }
  }
}

void ClientTransactions::on_request_failed(ClientTransactionId id, TimePoint now) {
  Transaction* transaction = transactions_.find(id);
  if (transaction == nullptr || transaction->held || transaction->detached) return;
  if (transaction->datagram) return fall_back(*transaction, now);
  feed(*transaction, ClientInput::TransportFailure, nullptr, nullptr, now);
}

void ClientTransactions::fall_back(Transaction& transaction, TimePoint now) {
  const auto datagram = std::move(transaction.datagram);
  std::string via =
      wire::make_via(to_string(datagram->flow.transport), datagram->flow.local, new_branch());
  if (datagram->draft.ask_keep) via += ";keep";
  const auto parsed = wire::Via::parse(via);
  if (!parsed) return;  // It was parsed when the transaction began.
  index_.erase(transaction.key);
  disarm(transaction.end_timer);
  transaction.flow = datagram->flow;
  transaction.key = client_key(context_.hash_key, *parsed, method_text(datagram->draft));
  transaction.bytes = wire::serialise(datagram->draft, via, datagram->contact_value);
  begin(transaction, now);
}

void ClientTransactions::move(ClientTransactionId id, ListenerId connection) {
  if (Transaction* transaction = transactions_.find(id)) transaction->flow.listener = connection;
}

void ClientTransactions::feed(Transaction& transaction, ClientInput input, const Flow* flow,
                              const MessagePtr& response, TimePoint now) {
  const ClientStep step = transaction.invite ? step_invite_client(transaction.state, input)
                                             : step_non_invite_client(transaction.state, input);
  if (step.acknowledge) send_ack(transaction, *flow, *response);
  if (step.pass_up) pass_up(transaction, *flow, response, now);
  if (step.resend) {
    context_.output.send(transaction.flow, transaction.bytes);
    ++context_.counters.retransmissions_sent;
    transaction.sent_at.reset();
    // RFC 3261 §17.1.1.2: timer A doubles without limit; §17.1.2.2: timer E up to T2, and is T2
    // once a provisional response has come.
    transaction.interval *= 2;
    if (!transaction.invite) {
      transaction.interval = transaction.state == ClientState::Proceeding
                                 ? transaction.timers.t2
                                 : std::min(transaction.interval, transaction.timers.t2);
    }
    arm(transaction, Kind::Retransmit, now + transaction.interval);
  }
  if (step.report_timeout) {
    ++context_.counters.client_timeouts;
    if (!transaction.detached) {
      context_.output.report(
          ClientFailed{transaction.id, transaction.owner, TransactionFailure::Timeout});
      // A 2xx that comes later still is due an ACK (RFC 3261 §13.2.2.4), and not a new call.
      if (transaction.invite) return detach(transaction.id, now);
    }
  }
  if (step.report_transport) {
    context_.output.report(
        ClientFailed{transaction.id, transaction.owner, TransactionFailure::Transport});
    if (step.next != ClientState::Terminated) detach(transaction.id, now);
  }
  enter(transaction, step.next, input, now);
}

void ClientTransactions::enter(Transaction& transaction, ClientState next, ClientInput cause,
                               TimePoint now) {
  if (next == transaction.state) return;
  if (context_.log.enabled(Log::Level::Debug)) {
    context_.log.debug("sip", std::string("client ") + (transaction.invite ? "INVITE " : "") +
                                  std::to_string(transaction.id.value()) + ": " +
                                  to_string(transaction.state) + " -> " + to_string(next) + " on " +
                                  to_string(cause));
  }
  const ClientState previous = std::exchange(transaction.state, next);
  if (transaction.invite && previous == ClientState::Calling && next == ClientState::Proceeding) {
    const Transaction* cancel = transactions_.find(transaction.cancel);
    if (cancel != nullptr && cancel->held) release_cancel(transaction, now);
  }
  switch (next) {
    case ClientState::Calling:
    case ClientState::Trying: return;  // begin() has set the timers.
    case ClientState::Proceeding:
      if (!transaction.invite || transaction.detached) return;  // Those running go on.
      disarm(transaction.retransmit_timer);
      if (transaction.cancelled_until) {
        arm(transaction, Kind::Timeout, *transaction.cancelled_until);
      } else {
        disarm(transaction.end_timer);
      }
      return;
    case ClientState::Accepted:
      disarm(transaction.retransmit_timer);
      arm(transaction, Kind::Linger, now + linger_of(transaction.timers));  // M
      break;
    case ClientState::Completed:
      disarm(transaction.retransmit_timer);
      // RFC 3261 §17.1.1.2, §17.1.2.2: timers D and K are zero on a reliable transport.
      if (is_stream(transaction.flow.transport)) return erase(transaction);
      arm(transaction, Kind::Linger,
          now + (transaction.invite ? linger_of(transaction.timers) : transaction.timers.t4));
      break;
    case ClientState::Terminated: return erase(transaction);
  }
  // A final response: a CANCEL that has not left is not needed any more.
  Transaction* cancel = transactions_.find(transaction.cancel);
  if (cancel != nullptr && cancel->held) erase(*cancel);
}

void ClientTransactions::pass_up(Transaction& transaction, const Flow& flow,
                                 const MessagePtr& response, TimePoint now) {
  transaction.datagram.reset();
  if (!transaction.detached) {
    const auto sent_at = std::exchange(transaction.sent_at, std::nullopt);
    context_.output.report(
        ResponseArrived{transaction.id, transaction.owner, flow, response,
                        sent_at ? std::optional<Duration>(now - *sent_at) : std::nullopt});
  } else if (transaction.invite && response->status() >= 200 && response->status() < 300) {
    context_.output.report(
        DetachedAnswerArrived{transaction.id, transaction.owner, flow, response});
  }
}

void ClientTransactions::send_ack(Transaction& transaction, const Flow& arrived,
                                  const wire::Message& response) {
  if (transaction.ack.empty()) {
    const auto request = wire::Message::parse(transaction.bytes);
    if (!request) return;
    transaction.ack = wire::serialise(wire::ack_for_failure(*request, response),
                                      wire::top_via_text(*request), std::string());
  }
  // RFC 3261 §17.1.1.3: to the same address, port and transport as the INVITE. From which of our
  // sockets is free; that which the response reached is the one that works.
  Flow flow = transaction.flow;
  if (arrived.listener != flow.listener) {
    flow = arrived;
    if (arrived.remote.address.family() == transaction.flow.remote.address.family()) {
      flow.remote = transaction.flow.remote;
    }
  }
  context_.output.send(flow, transaction.ack);
}

void ClientTransactions::arm(Transaction& transaction, TransactionTimer::Kind kind, TimePoint at) {
  TimerId& timer = kind == Kind::Retransmit ? transaction.retransmit_timer : transaction.end_timer;
  disarm(timer);
  timer = context_.timers.schedule(
      at, TransactionTimer{.server = false, .transaction = transaction.id.value(), .kind = kind});
  if (kind != Kind::Retransmit) transaction.end_at = at;
}

void ClientTransactions::disarm(TimerId& timer) {
  if (timer) context_.timers.cancel(std::exchange(timer, TimerId{}));
}

void ClientTransactions::erase(Transaction& transaction) {
  disarm(transaction.retransmit_timer);
  disarm(transaction.end_timer);
  Transaction* cancel = transactions_.find(transaction.cancel);
  if (cancel != nullptr && cancel->held) erase(*cancel);
  index_.erase(transaction.key);
  transactions_.erase(transaction.id);
}

}  // namespace godwit::sip
