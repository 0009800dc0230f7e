// SPDX-License-Identifier: Apache-2.0
#include "godwit/user_agent.hpp"

#include <utility>

#include "io/sound_files.hpp"
#include "runtime/core_driver.hpp"

namespace godwit {

class UserAgent::Impl : public runtime::CoreDriver {
 public:
  using runtime::CoreDriver::CoreDriver;
};

UserAgent::UserAgent(UserAgentConfig config, EventHandler on_event, LogHandler on_log,
                     LogLevel lowest)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(on_event), std::move(on_log),
                                   lowest)) {}

// While it stops, event handlers may still give commands, and need impl_ for it.
UserAgent::~UserAgent() { impl_->stop(); }

void UserAgent::shutdown(Duration limit) { impl_->shut_down(limit); }

Result<AccountId> UserAgent::add_account(AccountConfig config) {
  return impl_->run(
      [&](ua::Core& core, TimePoint now) { return core.add_account(std::move(config), now); });
}

Result<void> UserAgent::remove_account(AccountId account) {
  return impl_->run(
      [&](ua::Core& core, TimePoint now) { return core.remove_account(account, now); });
}

Result<void> UserAgent::register_account(AccountId account) {
  return impl_->run(
      [&](ua::Core& core, TimePoint now) { return core.register_account(account, now); });
}

Result<void> UserAgent::unregister_account(AccountId account) {
  return impl_->run(
      [&](ua::Core& core, TimePoint now) { return core.unregister_account(account, now); });
}

Result<void> UserAgent::push_wake(AccountId account) {
  return impl_->run([&](ua::Core& core, TimePoint now) { return core.push_wake(account, now); });
}

Result<CallId> UserAgent::call(AccountId account, const std::string& target) {
  return impl_->run([&](ua::Core& core, TimePoint now) { return core.call(account, target, now); });
}

Result<CallId> UserAgent::call(AccountId account, const std::string& target, CallOptions options) {
  return impl_->run([&](ua::Core& core, TimePoint now) {
    return core.call(account, target, std::move(options), now);
  });
}

Result<void> UserAgent::hang_up(CallId call, ReasonHeader reason) {
  return impl_->run(
      [&](ua::Core& core, TimePoint now) { return core.hang_up(call, std::move(reason), now); });
}

Result<void> UserAgent::ring(CallId call) {
  return impl_->run([&](ua::Core& core, TimePoint now) { return core.ring(call, now); });
}

Result<void> UserAgent::answer(CallId call) {
  return impl_->run([&](ua::Core& core, TimePoint now) { return core.answer(call, now); });
}

Result<void> UserAgent::progress(CallId call, int status) {
  return impl_->run(
      [&](ua::Core& core, TimePoint now) { return core.progress(call, status, now); });
}
Result<void> UserAgent::follow_redirect(CallId call) {
  return impl_->run([&](ua::Core& core, TimePoint now) { return core.follow_redirect(call, now); });
}
Result<void> UserAgent::reject(CallId call, int status) {
  return impl_->run([&](ua::Core& core, TimePoint now) { return core.reject(call, status, now); });
}

Result<void> UserAgent::hang_up(CallId call) {
  return impl_->run([&](ua::Core& core, TimePoint now) { return core.hang_up(call, now); });
}

Result<void> UserAgent::hold(CallId call) {
  return impl_->run([&](ua::Core& core, TimePoint now) { return core.hold(call, now); });
}

Result<void> UserAgent::resume(CallId call) {
  return impl_->run([&](ua::Core& core, TimePoint now) { return core.resume(call, now); });
}

Result<void> UserAgent::set_source(CallId call, AudioSource source) {
  // Told at once rather than by a later warning; the media thread opens the file again.
  if (source.kind == AudioSource::Kind::File) {
    if (auto readable = io::SoundFiles::check_source(source.file); !readable) return readable;
  }
  return impl_->run(
      [&](ua::Core& core, TimePoint now) { return core.set_source(call, std::move(source), now); });
}

Result<void> UserAgent::record(CallId call, const std::string& file) {
  return impl_->run([&](ua::Core& core, TimePoint now) { return core.record(call, file, now); });
}

Result<void> UserAgent::mute(CallId call, bool muted) {
  return impl_->run([&](ua::Core& core, TimePoint now) { return core.mute(call, muted, now); });
}

Result<RequestId> UserAgent::send_message(AccountId account, const std::string& target,
                                          MessageContent content) {
  return impl_->run([&](ua::Core& core, TimePoint now) {
    return core.send_message(account, target, content, now);
  });
}

Result<RequestId> UserAgent::send_message(CallId call, MessageContent content) {
  return impl_->run(
      [&](ua::Core& core, TimePoint now) { return core.send_message(call, content, now); });
}

Result<RequestId> UserAgent::ask_options(AccountId account, const std::string& target) {
  return impl_->run(
      [&](ua::Core& core, TimePoint now) { return core.ask_options(account, target, now); });
}

Result<RequestId> UserAgent::ask_options(CallId call) {
  return impl_->run([&](ua::Core& core, TimePoint now) { return core.ask_options(call, now); });
}

Result<RequestId> UserAgent::send_dtmf(CallId call, const std::string& digits, DtmfMethod method) {
  return impl_->run(
      [&](ua::Core& core, TimePoint now) { return core.send_dtmf(call, digits, method, now); });
}

Result<RequestId> UserAgent::transfer(CallId call, const std::string& target) {
  return impl_->run(
      [&](ua::Core& core, TimePoint now) { return core.transfer(call, target, now); });
}

Result<RequestId> UserAgent::transfer(CallId call, CallId to) {
  return impl_->run([&](ua::Core& core, TimePoint now) { return core.transfer(call, to, now); });
}

Result<void> UserAgent::accept_transfer(CallId call) {
  return impl_->run([&](ua::Core& core, TimePoint now) { return core.accept_transfer(call, now); });
}

Result<void> UserAgent::reject_transfer(CallId call) {
  return impl_->run([&](ua::Core& core, TimePoint now) { return core.reject_transfer(call, now); });
}

Result<SubscriptionId> UserAgent::subscribe(AccountId account, SubscribeRequest request) {
  return impl_->run(
      [&](ua::Core& core, TimePoint now) { return core.subscribe(account, request, now); });
}

Result<void> UserAgent::unsubscribe(SubscriptionId subscription) {
  return impl_->run(
      [&](ua::Core& core, TimePoint now) { return core.unsubscribe(subscription, now); });
}

Result<PublicationId> UserAgent::publish(AccountId account, PublishRequest request) {
  return impl_->run(
      [&](ua::Core& core, TimePoint now) { return core.publish(account, request, now); });
}

Result<void> UserAgent::publish(PublicationId publication, MessageContent content) {
  return impl_->run(
      [&](ua::Core& core, TimePoint now) { return core.publish(publication, content, now); });
}

Result<void> UserAgent::unpublish(PublicationId publication) {
  return impl_->run(
      [&](ua::Core& core, TimePoint now) { return core.unpublish(publication, now); });
}

Result<Generation> UserAgent::handle_ip_change(IpChangeOptions options) {
  return impl_->run(
      [&](ua::Core& core, TimePoint now) { return core.handle_ip_change(options, now); });
}

Result<void> UserAgent::restart_listener(TransportChoice transport) {
  return impl_->run(
      [transport](ua::Core& core, TimePoint now) { return core.restart_listener(transport, now); });
}

Result<void> UserAgent::open_listener(TransportChoice transport, const IpAddress& local,
                                      std::uint16_t port) {
  return impl_->run([&](ua::Core& core, TimePoint now) {
    return core.open_listener(transport, local, port, now);
  });
}

Result<void> UserAgent::close_listener(TransportChoice transport, const IpAddress& local) {
  return impl_->run(
      [&](ua::Core& core, TimePoint now) { return core.close_listener(transport, local, now); });
}

Result<void> UserAgent::modify_account(AccountId account, AccountConfig config, ModifyAccount how) {
  return impl_->run([&](ua::Core& core, TimePoint now) {
    return core.modify_account(account, std::move(config), how, now);
  });
}

Result<Counters> UserAgent::counters() const {
  return impl_->run([](ua::Core& core, TimePoint) { return Result<Counters>(core.counters()); });
}

Result<void> UserAgent::update_network(NetworkSnapshot snapshot) {
  return impl_->update_network(std::move(snapshot));
}

Result<RequestId> UserAgent::refresh_call(CallId call, CallRefresh refresh) {
  return impl_->run(
      [&](ua::Core& core, TimePoint now) { return core.refresh_call(call, refresh, now); });
}

}  // namespace godwit
