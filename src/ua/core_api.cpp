// SPDX-License-Identifier: Apache-2.0
//
// Core's public members, which hand everything on to the implementation.
#include <utility>

#include "ua/core_impl.hpp"

namespace godwit::ua {

Core::Core(UserAgentConfig config, Random& random, Log& log, Store* store)
    : impl_(std::make_unique<Impl>(std::move(config), random, log, store)) {}
Core::~Core() = default;

Result<AccountId> Core::add_account(AccountConfig config, TimePoint now) {
  return impl_->add_account(std::move(config), now);
}
Result<void> Core::remove_account(AccountId account, TimePoint now) {
  return impl_->remove_account(account, now);
}
Result<void> Core::register_account(AccountId account, TimePoint now) {
  return impl_->register_account(account, now);
}
Result<void> Core::unregister_account(AccountId account, TimePoint now) {
  return impl_->unregister_account(account, now);
}
Result<void> Core::push_wake(AccountId account, TimePoint now) {
  return impl_->push_wake(account, now);
}
Result<CallId> Core::call(AccountId account, const std::string& target, TimePoint now) {
  return impl_->call(account, target, now);
}
Result<void> Core::ring(CallId call, TimePoint now) { return impl_->ring(call, now); }
Result<void> Core::answer(CallId call, TimePoint now) { return impl_->answer(call, now); }
Result<void> Core::reject(CallId call, int status, TimePoint now) {
  return impl_->reject(call, status, now);
}
Result<void> Core::progress(CallId call, int status, TimePoint now) {
  return impl_->progress(call, status, now);
}
Result<void> Core::hang_up(CallId call, TimePoint now) { return impl_->hang_up(call, now); }
Result<void> Core::hold(CallId call, TimePoint now) { return impl_->set_hold(call, true, now); }
Result<void> Core::resume(CallId call, TimePoint now) { return impl_->set_hold(call, false, now); }
Result<void> Core::set_source(CallId call, AudioSource source, TimePoint now) {
  return impl_->media_command(call, media::SetSource{std::move(source)}, now);
}
Result<void> Core::record(CallId call, const std::string& file, TimePoint now) {
  return impl_->media_command(call, media::SetRecording{file}, now);
}
Result<void> Core::mute(CallId call, bool muted, TimePoint now) {
  return impl_->media_command(call, media::SetMuted{muted}, now);
}
Result<RequestId> Core::send_message(AccountId account, const std::string& target,
                                     const MessageContent& content, TimePoint now) {
  return impl_->send_message(account, target, content, now);
}
Result<RequestId> Core::send_message(CallId call, const MessageContent& content, TimePoint now) {
  return impl_->send_message(call, content, now);
}
Result<RequestId> Core::ask_options(AccountId account, const std::string& target, TimePoint now) {
  return impl_->ask_options(account, target, now);
}
Result<RequestId> Core::ask_options(CallId call, TimePoint now) {
  return impl_->ask_options(call, now);
}
Result<void> Core::follow_redirect(CallId call, TimePoint now) {
  return impl_->follow_redirect(call, now);
}
Result<RequestId> Core::transfer(CallId call, const std::string& target, TimePoint now) {
  return impl_->transfer(call, target, now);
}
Result<RequestId> Core::transfer(CallId call, CallId to, TimePoint now) {
  return impl_->transfer(call, to, now);
}
Result<void> Core::accept_transfer(CallId call, TimePoint now) {
  return impl_->accept_transfer(call, now);
}
Result<void> Core::reject_transfer(CallId call, TimePoint now) {
  return impl_->reject_transfer(call, now);
}
Result<SubscriptionId> Core::subscribe(AccountId account, const SubscribeRequest& request,
                                       TimePoint now) {
  return impl_->subscribe(account, request, now);
}
Result<void> Core::unsubscribe(SubscriptionId subscription, TimePoint now) {
  return impl_->unsubscribe(subscription, now);
}
Result<PublicationId> Core::publish(AccountId account, const PublishRequest& request,
                                    TimePoint now) {
  return impl_->publish(account, request, now);
}
Result<void> Core::publish(PublicationId publication, const MessageContent& content,
                           TimePoint now) {
  return impl_->publish(publication, content, now);
}
Result<void> Core::unpublish(PublicationId publication, TimePoint now) {
  return impl_->unpublish(publication, now);
}
Result<RequestId> Core::send_dtmf(CallId call, const std::string& digits, DtmfMethod method,
                                  TimePoint now) {
  return impl_->send_dtmf(call, digits, method, now);
}
Result<CallId> Core::call(AccountId account, const std::string& target, CallOptions options,
                          TimePoint now) {
  return impl_->call(account, target, now, std::move(options));
}
Result<void> Core::hang_up(CallId call, ReasonHeader reason, TimePoint now) {
  return impl_->hang_up(call, now, std::move(reason));
}
Result<Generation> Core::handle_ip_change(const IpChangeOptions& options, TimePoint now) {
  return impl_->handle_ip_change(options, now);
}
Result<void> Core::restart_listener(TransportChoice transport, TimePoint now) {
  return impl_->restart_listener(transport, now);
}
Result<void> Core::open_listener(TransportChoice transport, const IpAddress& local,
                                 std::uint16_t port, TimePoint now) {
  return impl_->open_listener(transport, local, port, now);
}
Result<void> Core::close_listener(TransportChoice transport, const IpAddress& local,
                                  TimePoint now) {
  return impl_->close_listener(transport, local, now);
}
Result<void> Core::modify_account(AccountId account, AccountConfig config, ModifyAccount how,
                                  TimePoint now) {
  return impl_->modify_account(account, std::move(config), how, now);
}
Result<RequestId> Core::refresh_call(CallId call, const CallRefresh& refresh, TimePoint now) {
  return impl_->refresh_call(call, refresh, now);
}
void Core::shut_down(TimePoint now) { impl_->shut_down(now); }
bool Core::idle() const { return impl_->idle(); }
void Core::on_datagram(ListenerId listener, Endpoint remote, std::string bytes, TimePoint now) {
  impl_->on_datagram(listener, remote, std::move(bytes), now);
}
void Core::on_listen(ListenerId listener, Result<Endpoint> bound, TimePoint now) {
  impl_->on_listen(listener, bound, now);
}
void Core::on_send_error(ListenerId listener, Endpoint remote, bool fatal,
                         const std::string& reason, TimePoint now) {
  impl_->on_send_error(listener, remote, fatal, reason, now);
}
void Core::on_network(NetworkSnapshot snapshot, TimePoint now) {
  impl_->on_network(std::move(snapshot), now);
}
void Core::on_resumed(Duration asleep, TimePoint now) { impl_->on_resumed(asleep, now); }
void Core::on_resolved(QueryId query, DnsAnswer answer, TimePoint now) {
  impl_->on_resolved(query, answer, now);
}
void Core::on_media(CallId call, const media::MediaReport& report, TimePoint now) {
  impl_->on_media(call, report, now);
}
void Core::on_timeout(TimePoint now) { impl_->on_timeout(now); }
void Core::on_stream_opened(ListenerId stream, StreamInfo info, TimePoint now) {
  impl_->on_stream_opened(stream, std::move(info), now);
}
std::optional<ListenerId> Core::accept_stream(ListenerId listener, StreamInfo info, Endpoint remote,
                                              TimePoint now) {
  return impl_->accept_stream(listener, std::move(info), remote, now);
}
void Core::on_stream_data(ListenerId stream, std::string bytes, TimePoint now) {
  impl_->on_stream_data(stream, bytes, now);
}
void Core::on_stream_paths(ListenerId stream, bool others) {
  impl_->on_stream_paths(stream, others);
}

void Core::on_stream_closed(ListenerId stream, std::string reason, TimePoint now) {
  impl_->on_stream_closed(stream, reason, now);
}
std::optional<TimePoint> Core::next_timeout() { return impl_->next_timeout(); }
std::optional<Output> Core::poll_output() { return impl_->poll_output(); }
Counters Core::counters() const { return impl_->counters(); }

}  // namespace godwit::ua
