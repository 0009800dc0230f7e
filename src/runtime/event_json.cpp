// SPDX-License-Identifier: Apache-2.0
#include "base/json_writer.hpp"
#include "godwit/event.hpp"

namespace godwit {
namespace {

/// Each event's own members; what is empty or zero because it does not apply is left out.
struct Members {
  JsonWriter& json;
  TimePoint at;

  void begin(std::string_view name) {
    json.begin_object().member("event", name).member("t_ms", at.time_since_epoch());
  }
  void status(int code, const std::string& reason) {
    if (code != 0) json.member("status", code);
    if (!reason.empty()) json.member("reason", reason);
  }
  template <typename Enum>
  void name(std::string_view key, Enum value) {
    json.member(key, snake_case(to_string(value)));
  }

  void diversions(std::string_view key, const std::vector<Diversion>& all,
                  std::string_view detail) {
    if (all.empty()) return;
    json.key(key).begin_array();
    for (const Diversion& each : all) {
      json.begin_object().member("uri", each.uri).member(detail, each.detail).end_object();
    }
    json.end_array();
  }

  void operator()(const RegistrationChanged& event) {
    begin("registration");
    json.member("account", event.account.value());
    name("state", event.state);
    status(event.status, event.reason);
    if (!event.contact.empty()) json.member("contact", event.contact);
    if (event.expires.count() != 0) json.member("expires_s", event.expires.count());
    if (event.outbound) json.member("outbound", true);
    if (!event.gruu.empty()) json.member("gruu", event.gruu);
    if (event.push) json.member("push", true);
  }
  void operator()(const IncomingCall& event) {
    begin("incoming_call");
    json.member("call", event.call.value()).member("account", event.account.value());
    json.member("from", event.from);
    if (!event.from_display_name.empty()) {
      json.member("from_display_name", event.from_display_name);
    }
    json.member("to", event.to);
    if (!event.asserted_identity.empty()) {
      json.member("asserted_identity", event.asserted_identity);
      json.member("asserted_display_name", event.asserted_display_name);
    }
    diversions("diversions", event.diversions, "reason");
    diversions("history", event.history, "index");
    if (event.replaces) json.member("replaces", event.replaces.value());
    if (event.headers.empty()) return;
    json.key("headers").begin_array();
    for (const Header& header : event.headers) {
      json.begin_object().member("name", header.name).member("value", header.value).end_object();
    }
    json.end_array();
  }
  void operator()(const CallStateChanged& event) {
    begin("call_state");
    json.member("call", event.call.value());
    name("state", event.state);
    status(event.status, event.reason);
    if (!event.cause) return;
    json.key("cause").begin_object().member("protocol", event.cause->protocol);
    json.member("cause", event.cause->cause).member("text", event.cause->text).end_object();
  }
  void operator()(const CallRedirected& event) {
    begin("call_redirected");
    json.member("call", event.call.value()).member("status", event.status);
    json.key("targets").begin_array();
    for (const std::string& target : event.targets) json.value(target);
    json.end_array().member("followed", event.followed);
    json.member("choice_wanted", event.choice_wanted);
  }
  void operator()(const CallMediaChanged& event) {
    begin("call_media");
    json.member("call", event.call.value()).member("local", event.local.to_string());
    json.member("remote", event.remote.to_string());
    if (event.told) json.member("told", event.told->to_string());
    name("codec", event.codec);
    name("direction", event.direction);
    json.member("held_by_us", event.held_by_us).member("held_by_peer", event.held_by_peer);
  }
  void operator()(const CallStatistics& event) {
    begin("call_statistics");
    json.member("call", event.call.value()).member("packets_sent", event.packets_sent);
    json.member("packets_received", event.packets_received);
    json.member("packets_lost", event.packets_lost).member("jitter_ms", event.jitter_ms);
  }
  void operator()(const NetworkAvailability& event) {
    begin("network");
    json.member("available", event.available);
  }
  void operator()(const IpChangeDetected& event) {
    begin("ip_change_detected");
    json.member("generation", event.generation.value());
    json.key("causes").begin_array();
    for (const ChangeCause cause : event.causes) json.value(snake_case(to_string(cause)));
    json.end_array().member("decision", event.decision);
  }
  void operator()(const IpChangeProgress& event) {
    begin("ip_change_progress");
    json.member("generation", event.generation.value());
    name("kind", event.step.kind);
    if (event.step.account) json.member("account", event.step.account.value());
    if (event.step.reg_id > 1) json.member("reg_id", event.step.reg_id);
    if (event.step.call) json.member("call", event.step.call.value());
    if (event.step.subscription) json.member("subscription", event.step.subscription.value());
    if (event.step.publication) json.member("publication", event.step.publication.value());
    json.member("started_ms", event.step.started);
    if (event.step.ended) json.member("ended_ms", *event.step.ended);
    json.member("ok", event.step.ok);
    if (event.step.status != 0) json.member("status", event.step.status);
    if (!event.step.detail.empty()) json.member("detail", event.step.detail);
  }
  void operator()(const IpChangeCompleted& event) {
    begin("ip_change_completed");
    json.key("report").raw(event.report.to_json());
  }
  void operator()(const Warning& event) {
    begin("warning");
    json.member("text", event.text);
  }
  void operator()(const MessageResult& event) {
    begin("message_result");
    json.member("request", event.request.value()).member("account", event.account.value());
    if (event.call) json.member("call", event.call.value());
    status(event.status, event.reason);
    json.member("in_doubt", event.in_doubt);
  }
  void operator()(const MessageReceived& event) {
    begin("message");
    json.member("account", event.account.value());
    if (event.call) json.member("call", event.call.value());
    json.member("from", event.from);
    if (!event.from_display_name.empty()) {
      json.member("from_display_name", event.from_display_name);
    }
    json.member("content_type", event.content_type).member("body", event.body);
  }
  void operator()(const OptionsResult& event) {
    begin("options_result");
    json.member("request", event.request.value()).member("account", event.account.value());
    if (event.call) json.member("call", event.call.value());
    status(event.status, event.reason);
    if (!event.allow.empty()) json.member("allow", event.allow);
    if (!event.supported.empty()) json.member("supported", event.supported);
  }
  void operator()(const SubscriptionChanged& event) {
    begin("subscription");
    json.member("subscription", event.subscription.value());
    json.member("account", event.account.value());
    name("state", event.state);
    status(event.status, event.reason);
    if (event.expires.count() != 0) json.member("expires_s", event.expires.count());
  }
  void operator()(const Notified& event) {
    begin("notified");
    json.member("subscription", event.subscription.value());
    json.member("account", event.account.value()).member("package", event.event);
    json.member("content_type", event.content_type).member("body", event.body);
  }
  void operator()(const MessagesWaiting& event) {
    begin("messages_waiting");
    json.member("subscription", event.subscription.value());
    json.member("account", event.account.value()).member("waiting", event.waiting);
    if (!event.mailbox.empty()) json.member("mailbox", event.mailbox);
    json.member("new_voice", event.fresh_voice).member("old_voice", event.old_voice);
  }
  void operator()(const PresenceChanged& event) {
    begin("presence");
    json.member("subscription", event.subscription.value());
    json.member("account", event.account.value()).member("entity", event.entity);
    json.member("open", event.open);
    if (!event.note.empty()) json.member("note", event.note);
  }
  void operator()(const RemoteCallsChanged& event) {
    begin("remote_calls");
    json.member("subscription", event.subscription.value());
    json.member("account", event.account.value()).member("entity", event.entity);
    json.key("calls").begin_array();
    for (const RemoteCall& call : event.calls) {
      json.begin_object().member("id", call.id);
      name("state", call.state);
      json.member("outgoing", call.outgoing);
      if (!call.local.empty()) json.member("local", call.local);
      if (!call.remote.empty()) json.member("remote", call.remote);
      json.end_object();
    }
    json.end_array();
  }
  void operator()(const PublicationChanged& event) {
    begin("publication");
    json.member("publication", event.publication.value());
    json.member("account", event.account.value());
    name("state", event.state);
    status(event.status, event.reason);
    if (event.expires.count() != 0) json.member("expires_s", event.expires.count());
  }
  void operator()(const TransferProgress& event) {
    begin("transfer_progress");
    json.member("call", event.call.value());
    status(event.status, event.reason);
    json.member("finished", event.finished);
  }
  void operator()(const TransferRequested& event) {
    begin("transfer_requested");
    json.member("call", event.call.value()).member("target", event.target);
    if (!event.referred_by.empty()) json.member("referred_by", event.referred_by);
    json.member("replaces_a_call", event.replaces_a_call);
  }
  void operator()(const DtmfResult& event) {
    begin("dtmf_result");
    json.member("request", event.request.value()).member("call", event.call.value());
    status(event.status, event.reason);
    json.member("ok", event.ok);
  }
  void operator()(const DtmfReceived& event) {
    begin("dtmf");
    json.member("call", event.call.value()).member("digit", std::string(1, event.digit));
    json.member("duration_ms", event.duration.count());
    name("method", event.method);
  }
  void operator()(const FlowChanged& event) {
    begin("flow");
    json.member("account", event.account.value()).member("reg_id", event.reg_id);
    json.member("alive", event.alive);
    if (event.server.address.family() != Family::None) {
      json.member("server", event.server.to_string());
    }
    if (!event.reason.empty()) json.member("reason", event.reason);
  }
  void operator()(const ListenerChanged& event) {
    begin("listener");
    name("transport", event.transport);
    json.member("local", event.local.to_string()).member("open", event.open);
    if (!event.reason.empty()) json.member("reason", event.reason);
  }
  void operator()(const CallRefreshed& event) {
    begin("call_refreshed");
    json.member("request", event.request.value()).member("call", event.call.value());
    name("method", event.method);
    status(event.status, event.reason);
    json.member("ok", event.ok);
  }
};

}  // namespace

std::string to_json(const Event& event, TimePoint at) {
  JsonWriter json;
  std::visit(Members{json, at}, event);
  json.end_object();
  return json.take();
}

}  // namespace godwit
