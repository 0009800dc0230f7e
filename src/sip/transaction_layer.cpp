// SPDX-License-Identifier: Apache-2.0
#include "sip/transaction_layer.hpp"

#include <utility>

#include "base/log_limiter.hpp"
#include "sip/client_transactions.hpp"
#include "sip/server_transactions.hpp"
#include "sip/transaction_common.hpp"
#include "wire/sip/builder.hpp"
#include "wire/sip/message.hpp"
#include "wire/sip/validate.hpp"

namespace godwit::sip {

class TransactionLayer::Impl {
 public:
  Impl(Random& random, Log& log, TransactionLimits limits)
      : output(limits.max_pending),
        context{random, log, limits, HashKey::random(random), counters, output, timers},
        clients(context),
        servers(context) {}

  TransactionCounters counters;
  LogLimiter defect_log;
  TransactionOutput output;
  TransactionTimerQueue timers;
  TransactionContext context;
  ClientTransactions clients;
  ServerTransactions servers;
};

TransactionLayer::TransactionLayer(Random& random, Log& log, TransactionLimits limits)
    : impl_(std::make_unique<Impl>(random, log, limits)) {}

TransactionLayer::~TransactionLayer() = default;

Result<ClientTransactionId> TransactionLayer::send_request(const wire::RequestDraft& draft,
                                                           const std::string& contact_value,
                                                           const Flow& flow, Owner owner,
                                                           const TransactionTimers& timers,
                                                           TimePoint now) {
  return impl_->clients.send_request(draft, contact_value, flow, owner, timers, now);
}

Result<ClientTransactionId> TransactionLayer::send_cancel(ClientTransactionId invite, TimePoint now,
                                                          bool even_without_provisional,
                                                          const std::optional<Flow>& other_flow) {
  return impl_->clients.send_cancel(invite, now, even_without_provisional, other_flow);
}

void TransactionLayer::detach(ClientTransactionId transaction, TimePoint now) {
  impl_->clients.detach(transaction, now);
}

std::optional<Flow> TransactionLayer::client_flow(ClientTransactionId transaction) const {
  return impl_->clients.flow_of(transaction);
}

Result<void> TransactionLayer::respond(ServerTransactionId transaction,
                                       const wire::ResponseDraft& draft,
                                       const std::string& contact_value, TimePoint now) {
  return impl_->servers.respond(transaction, draft, contact_value, now);
}

Result<void> TransactionLayer::retransmit(ServerTransactionId transaction) {
  return impl_->servers.retransmit(transaction);
}

void TransactionLayer::move_server(ServerTransactionId transaction, const Flow& flow) {
  impl_->servers.move(transaction, flow);
}

std::optional<Transmit> TransactionLayer::last_response(ServerTransactionId transaction) const {
  return impl_->servers.last_response(transaction);
}

std::optional<Flow> TransactionLayer::server_flow(ServerTransactionId transaction) const {
  return impl_->servers.flow_of(transaction);
}

void TransactionLayer::answer_statelessly(
    std::function<bool(const Flow&, const wire::Message&)> decide) {
  impl_->servers.answer_statelessly(std::move(decide));
}

Result<void> TransactionLayer::respond_statelessly(const RequestArrived& event, int status,
                                                   std::vector<wire::DraftHeader> headers) {
  if (status < 200 || status > 699) {
    return fail(ErrorCode::InvalidArgument, "only final responses go without a transaction");
  }
  if (!impl_->servers.respond_statelessly(event.flow, *event.request, status, {},
                                          std::move(headers))) {
    return fail(ErrorCode::TooLarge, "the response does not fit into a datagram");
  }
  return {};
}

void TransactionLayer::shape_drafts(DraftShapers shapers) {
  impl_->clients.shape_requests(std::move(shapers.request));
  impl_->servers.shape_responses(std::move(shapers.response));
}

Result<void> TransactionLayer::transmit(const Flow& flow, std::string bytes) {
  if (bytes.size() > max_message(flow.transport)) {
    return fail(ErrorCode::TooLarge, "the message is too large to be sent");
  }
  if (impl_->output.full()) return fail(ErrorCode::Busy, "the output is not being fetched");
  impl_->output.send(flow, std::move(bytes));
  return {};
}

std::string TransactionLayer::make_via(const Flow& flow) {
  return wire::make_via(to_string(flow.transport), flow.local, impl_->clients.new_branch());
}

void TransactionLayer::on_message(const Flow& flow, wire::Message message, TimePoint now) {
  Impl& impl = *impl_;
  if (impl.output.full()) {
    ++impl.counters.dropped_busy;
    return;
  }
  ++(message.is_request() ? impl.counters.requests_received : impl.counters.responses_received);
  if (const auto defect = wire::validate(message)) {
    // RFC 3261 §8.2 and §18.1.2: a broken request is answered where that is possible, a broken
    // response dropped.
    const bool answered = message.is_request() && impl.servers.respond_statelessly(
                                                      flow, message, defect->status, defect->what);
    ++(answered ? impl.counters.bad_requests_answered : impl.counters.bad_messages_dropped);
    if (const auto more = impl.defect_log.admit(now)) {
      impl.context.log.info("sip", std::string(answered ? "refused" : "dropped") +
                                       " a malformed message from " + flow.remote.to_string() +
                                       ": " + std::string(defect->what) + *more);
    }
    return;
  }
  const auto shared = std::make_shared<const wire::Message>(std::move(message));
  if (shared->is_request()) {
    impl.servers.on_request(flow, shared, now);
  } else {
    impl.clients.on_response(flow, shared, now);
  }
}

void TransactionLayer::on_flow_failed(ListenerId listener, TimePoint now) {
  impl_->clients.on_flow_failed(listener, now);
  impl_->servers.on_flow_failed(listener, now);
}

void TransactionLayer::on_connection_lost(ListenerId connection, TimePoint now) {
  impl_->clients.on_flow_failed(connection, now);
  impl_->servers.on_connection_lost(connection);
}

void TransactionLayer::move_client(ClientTransactionId transaction, ListenerId connection) {
  impl_->clients.move(transaction, connection);
}

void TransactionLayer::on_request_failed(ClientTransactionId transaction, TimePoint now) {
  impl_->clients.on_request_failed(transaction, now);
}

void TransactionLayer::on_timeout(TimePoint now) {
  while (const auto timer = impl_->timers.pop_due(now)) {
    if (timer->server) {
      impl_->servers.on_timer(*timer, now);
    } else {
      impl_->clients.on_timer(*timer, now);
    }
  }
}

std::optional<TimePoint> TransactionLayer::next_timeout() { return impl_->timers.next(); }

std::optional<TransactionEvent> TransactionLayer::poll_event() {
  return impl_->output.poll_event();
}

std::optional<Transmit> TransactionLayer::poll_transmit() { return impl_->output.poll_transmit(); }

std::optional<ClientTransactionId> TransactionLayer::match_response(
    const wire::Message& response) const {
  return impl_->clients.match(response);
}

std::optional<ServerTransactionId> TransactionLayer::match_request(
    const wire::Message& request) const {
  return impl_->servers.match(request);
}

std::size_t TransactionLayer::live_client() const { return impl_->clients.size(); }
std::size_t TransactionLayer::live_server() const { return impl_->servers.size(); }
const TransactionCounters& TransactionLayer::counters() const { return impl_->counters; }

}  // namespace godwit::sip
