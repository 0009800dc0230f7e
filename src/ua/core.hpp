// SPDX-License-Identifier: Apache-2.0
//
// The whole user agent without any I/O: accounts, calls and their recovery, composed of sip,
// mobility and media. One thread. Every member is an input with its time; after each one the caller
// drains poll_output(). Holds no socket, no clock and no randomness of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "base/random.hpp"
#include "base/store.hpp"
#include "godwit/config.hpp"
#include "godwit/counters.hpp"
#include "godwit/network.hpp"
#include "godwit/result.hpp"
#include "godwit/usages.hpp"
#include "ua/driver.hpp"

namespace godwit::ua {

class Core {
 public:
  /// `random`, `log` and `store` must outlive the core. Without a store nothing outlives it.
  Core(UserAgentConfig config, Random& random, Log& log, Store* store = nullptr);
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  // Commands of the application; see UserAgent for what each does.
  Result<AccountId> add_account(AccountConfig config, TimePoint now);
  Result<void> remove_account(AccountId account, TimePoint now);
  Result<void> register_account(AccountId account, TimePoint now);
  Result<void> unregister_account(AccountId account, TimePoint now);
  Result<void> push_wake(AccountId account, TimePoint now);
  Result<CallId> call(AccountId account, const std::string& target, TimePoint now);
  Result<void> ring(CallId call, TimePoint now);
  Result<void> answer(CallId call, TimePoint now);
  Result<void> reject(CallId call, int status, TimePoint now);
  Result<void> progress(CallId call, int status, TimePoint now);
  Result<void> follow_redirect(CallId call, TimePoint now);
  Result<void> hang_up(CallId call, TimePoint now);
  Result<void> hold(CallId call, TimePoint now);
  Result<void> resume(CallId call, TimePoint now);
  Result<void> set_source(CallId call, AudioSource source, TimePoint now);
  Result<void> record(CallId call, const std::string& file, TimePoint now);
  Result<void> mute(CallId call, bool muted, TimePoint now);
  Result<RequestId> send_message(AccountId account, const std::string& target,
                                 const MessageContent& content, TimePoint now);
  Result<RequestId> send_message(CallId call, const MessageContent& content, TimePoint now);
  Result<RequestId> ask_options(AccountId account, const std::string& target, TimePoint now);
  Result<RequestId> ask_options(CallId call, TimePoint now);
  Result<RequestId> transfer(CallId call, const std::string& target, TimePoint now);
  Result<RequestId> transfer(CallId call, CallId to, TimePoint now);
  Result<void> accept_transfer(CallId call, TimePoint now);
  Result<void> reject_transfer(CallId call, TimePoint now);
  Result<SubscriptionId> subscribe(AccountId account, const SubscribeRequest& request,
                                   TimePoint now);
  Result<void> unsubscribe(SubscriptionId subscription, TimePoint now);
  Result<PublicationId> publish(AccountId account, const PublishRequest& request, TimePoint now);
  Result<void> publish(PublicationId publication, const MessageContent& content, TimePoint now);
  Result<void> unpublish(PublicationId publication, TimePoint now);
  Result<RequestId> send_dtmf(CallId call, const std::string& digits, DtmfMethod method,
                              TimePoint now);
  Result<CallId> call(AccountId account, const std::string& target, CallOptions options,
                      TimePoint now);
  Result<void> hang_up(CallId call, ReasonHeader reason, TimePoint now);
  Result<Generation> handle_ip_change(const IpChangeOptions& options, TimePoint now);
  Result<void> restart_listener(TransportChoice transport, TimePoint now);
  Result<void> open_listener(TransportChoice transport, const IpAddress& local, std::uint16_t port,
                             TimePoint now);
  Result<void> close_listener(TransportChoice transport, const IpAddress& local, TimePoint now);
  Result<void> modify_account(AccountId account, AccountConfig config, ModifyAccount how,
                              TimePoint now);
  Result<RequestId> refresh_call(CallId call, const CallRefresh& refresh, TimePoint now);
  /// Ends all calls and registrations; `idle()` tells when nothing waits for an answer any more.
  void shut_down(TimePoint now);
  bool idle() const;

  // Answers and observations of the driver.
  void on_datagram(ListenerId listener, Endpoint remote, std::string bytes, TimePoint now);
  void on_listen(ListenerId listener, Result<Endpoint> bound, TimePoint now);
  /// The system refused to send; `fatal` says that the socket itself is of no more use.
  void on_send_error(ListenerId listener, Endpoint remote, bool fatal, const std::string& reason,
                     TimePoint now);
  void on_network(NetworkSnapshot snapshot, TimePoint now);
  /// The clock jumped: the machine was asleep for `asleep`.
  void on_resumed(Duration asleep, TimePoint now);
  void on_resolved(QueryId query, DnsAnswer answer, TimePoint now);
  void on_media(CallId call, const media::MediaReport& report, TimePoint now);
  void on_timeout(TimePoint now);

  // Connections (see OpenStream). Inputs for unknown or closed ones are counted and ignored.
  void on_stream_opened(ListenerId stream, StreamInfo info, TimePoint now);
  /// A peer has connected to `listener`. Its number from now on; nullopt: close it, for there are
  /// too many of all or from this address.
  std::optional<ListenerId> accept_stream(ListenerId listener, StreamInfo info, Endpoint remote,
                                          TimePoint now);
  /// Bytes in order, in pieces of any size.
  void on_stream_data(ListenerId stream, std::string bytes, TimePoint now);
  /// It is closed, or was not opened. `reason` is a sentence for people; empty: the peer closed it.
  void on_stream_closed(ListenerId stream, std::string reason, TimePoint now);
  /// Whether an open multipath connection has a path besides the one that it began on; to be told
  /// before a snapshot, for one that has none dies with its address.
  void on_stream_paths(ListenerId stream, bool others);

  std::optional<TimePoint> next_timeout();
  std::optional<Output> poll_output();
  Counters counters() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace godwit::ua
