// SPDX-License-Identifier: Apache-2.0
#include "event_text.hpp"

#include <fmt/core.h>

#include <variant>

#include "base/json_writer.hpp"
#include "settings.hpp"

namespace godwit::app {
namespace {

std::string cause_in_words(ChangeCause cause) {
  switch (cause) {
    case ChangeCause::AddressLost: return "address lost";
    case ChangeCause::AddressGained: return "new address";
    case ChangeCause::DefaultRouteMoved: return "default route moved";
    case ChangeCause::RouteToRemoteMoved: return "another way to the other side";
    case ChangeCause::LinkDown: return "link down";
    case ChangeCause::FamilyLost: return "IP version lost";
    case ChangeCause::FamilyGained: return "IP version gained";
    case ChangeCause::NetworkLost: return "no network";
    case ChangeCause::NetworkReturned: return "network is back";
    case ChangeCause::SameAddressNewNetwork: return "another network with the same address";
    case ChangeCause::Resumed: return "woken up";
    case ChangeCause::Forced: return "asked for";
    case ChangeCause::MediaSilent: return "no audio, and nothing carried";
    case ChangeCause::KeepAliveUnanswered: return "no answer to keep-alives";
    case ChangeCause::RegisterUnanswered: return "no answer to REGISTER";
    case ChangeCause::PathUnreachable: return "server unreachable this way";
    case ChangeCause::NothingCarried: return "a network that carries nothing";
    case ChangeCause::PathReturned: return "a network carries again";
  }
  return "?";
}

std::string step_in_words(const IpChangeStep& step) {
  const auto call = [&] { return fmt::format("call {}: ", step.call.value()); };
  switch (step.kind) {
    case StepKind::ListenerOpened: return "listening on the new address";
    case StepKind::MediaMoved: return call() + "audio goes out on the new way";
    case StepKind::ContactUpdated: return "registered from the new address";
    case StepKind::CallRefreshed: return call() + "the other side knows the new address";
    case StepKind::CallAudible: return call() + "the other side is heard on the new way";
    case StepKind::CallHungUp:
      return call() + (step.ok ? "hung up, as told for changes" : "ended by the change");
    case StepKind::CallSuspended: return call() + "waits for a network";
    case StepKind::CallResumed: return call() + "goes on";
    case StepKind::StreamShutDown: return "connection closed: " + step.detail;
    case StepKind::SubscriptionMoved:
      return fmt::format("subscription {}: moved to the new address", step.subscription.value());
    case StepKind::PublicationMoved:
      return fmt::format("publication {}: moved to the new address", step.publication.value());
  }
  return "?";
}

std::string with_status(int status, const std::string& reason) {
  if (status == 0) return reason.empty() ? std::string{} : " (" + reason + ")";
  return reason.empty() ? fmt::format(" ({})", status) : fmt::format(" ({} {})", status, reason);
}

struct Words {
  std::string operator()(const RegistrationChanged& event) const {
    switch (event.state) {
      case RegistrationState::Unregistered: return "not registered";
      case RegistrationState::Registering: return "registering";
      case RegistrationState::Registered:
        return fmt::format("registered as {} for {} s", event.contact, event.expires.count());
      case RegistrationState::Failed:
        return "registration failed" + with_status(event.status, event.reason);
      case RegistrationState::Suspended: return "registration waits for a network";
    }
    return "?";
  }
  std::string operator()(const IncomingCall& event) const {
    const std::string who = event.from_display_name.empty()
                                ? event.from
                                : fmt::format("{} ({})", event.from_display_name, event.from);
    std::string text = fmt::format("call {}: {} calls you", event.call.value(), who);
    if (!event.asserted_identity.empty()) text += ", vouched for as " + event.asserted_identity;
    if (!event.diversions.empty()) text += ", diverted by " + event.diversions.front().uri;
    return text;
  }
  std::string operator()(const CallStateChanged& event) const {
    const std::string call = fmt::format("call {}: ", event.call.value());
    switch (event.state) {
      case CallState::Calling: return call + "calling";
      case CallState::Incoming: return call + "incoming";
      case CallState::Ringing: return call + "ringing";
      case CallState::EarlyMedia: return call + "not answered yet, but audio comes";
      case CallState::Confirmed: return call + "connected";
      case CallState::Ended: return call + "ended" + with_status(event.status, event.reason);
    }
    return "?";
  }
  std::string operator()(const CallMediaChanged& event) const {
    std::string text = fmt::format("call {}: audio {} from {} to {}", event.call.value(),
                                   event.codec == Codec::Pcmu ? "G.711 µ-law" : "G.711 A-law",
                                   event.local.to_string(), event.remote.to_string());
    if (event.told) text += ", told as " + event.told->to_string();
    if (event.held_by_us) text += ", on hold";
    if (event.held_by_peer) text += ", put on hold by the other side";
    return text;
  }
  std::string operator()(const CallStatistics&) const { return {}; }
  std::string operator()(const NetworkAvailability& event) const {
    return event.available ? "there is a network again" : "no network: calls wait for one";
  }
  std::string operator()(const IpChangeDetected& event) const {
    std::string causes;
    for (const ChangeCause cause : event.causes) {
      causes += (causes.empty() ? "" : ", ") + cause_in_words(cause);
    }
    return fmt::format("the network has changed ({}): {}", causes, event.decision);
  }
  std::string operator()(const IpChangeProgress& event) const {
    const IpChangeStep& step = event.step;
    std::string text = "  " + step_in_words(step);
    if (!step.ended) return text + " - not finished" + with_status(step.status, step.detail);
    if (!step.ok) return text + " - failed" + with_status(step.status, step.detail);
    return fmt::format("{} after {:.0f} ms", text, to_ms(*step.ended));
  }
  std::string operator()(const IpChangeCompleted& event) const {
    std::string text = event.report.superseded ? "a newer change of the network takes over"
                                               : "change of the network done";
    if (event.report.completed) {
      text += fmt::format(" after {:.0f} ms", to_ms(*event.report.completed));
    }
    for (const CallImpact& impact : event.report.calls) {
      text += fmt::format("; call {} {}", impact.call.value(), impact.survived ? "kept" : "lost");
      if (impact.silence_down) {
        text += fmt::format(", {:.0f} ms without hearing", to_ms(*impact.silence_down));
      }
      if (impact.silence_up) {
        text += fmt::format(", {:.0f} ms without sending", to_ms(*impact.silence_up));
      }
    }
    return text;
  }
  std::string operator()(const Warning& event) const { return "warning: " + event.text; }
  std::string operator()(const MessageResult& event) const {
    std::string text = fmt::format("message {}: ", event.request.value());
    if (event.status / 100 == 2) {
      text += event.status == 202 ? "taken for later delivery" : "delivered";
    } else {
      text += event.in_doubt ? "perhaps not delivered" : "not delivered";
      text += with_status(event.status, event.reason);
    }
    return text;
  }
  std::string operator()(const MessageReceived& event) const {
    const bool readable = event.content_type.starts_with("text/plain");
    return fmt::format("message from {}: {}", event.from,
                       readable
                           ? event.body
                           : fmt::format("{} bytes of {}", event.body.size(), event.content_type));
  }
  std::string operator()(const OptionsResult& event) const {
    std::string text = fmt::format("question {}: answered", event.request.value()) +
                       with_status(event.status, event.reason);
    if (!event.allow.empty()) text += ", takes " + event.allow;
    return text;
  }
  std::string operator()(const SubscriptionChanged& event) const {
    const std::string what = fmt::format("subscription {}: ", event.subscription.value());
    switch (event.state) {
      case SubscriptionState::Subscribing: return what + "asked for";
      case SubscriptionState::Pending: return what + "the other side has not decided";
      case SubscriptionState::Active: return what + "active";
      case SubscriptionState::Waiting:
        return what + "tried again later" + with_status(event.status, event.reason);
      case SubscriptionState::Suspended: return what + "waits for a network";
      case SubscriptionState::Terminated:
        return what + "ended" + with_status(event.status, event.reason);
    }
    return "?";
  }
  std::string operator()(const Notified&) const { return {}; }
  std::string operator()(const MessagesWaiting& event) const {
    return event.waiting ? fmt::format("messages wait for you: {} new, {} old", event.fresh_voice,
                                       event.old_voice)
                         : "no messages wait for you";
  }
  std::string operator()(const PresenceChanged& event) const {
    return fmt::format("{} is {}{}", event.entity, event.open ? "there" : "not there",
                       event.note.empty() ? "" : ": " + event.note);
  }
  std::string operator()(const RemoteCallsChanged& event) const {
    std::string text;
    for (const RemoteCall& call : event.calls) {
      text += (text.empty() ? "" : ", ") + snake_case(to_string(call.state));
      if (!call.remote.empty()) text += " with " + call.remote;
    }
    return fmt::format("calls of {}: {}", event.entity, text.empty() ? "none" : text);
  }
  std::string operator()(const PublicationChanged& event) const {
    return fmt::format("publication {}: {}{}", event.publication.value(),
                       snake_case(to_string(event.state)), with_status(event.status, event.reason));
  }
  std::string operator()(const TransferProgress& event) const {
    const std::string call = fmt::format("call {}: transfer ", event.call.value());
    if (!event.finished) return call + "under way" + with_status(event.status, event.reason);
    return call + (event.status / 100 == 2 ? "done" : "failed") +
           with_status(event.status, event.reason);
  }
  std::string operator()(const TransferRequested& event) const {
    return fmt::format(
        "call {}: the other side wants you to talk to {} instead; accept-transfer or "
        "refuse-transfer",
        event.call.value(), event.target);
  }
  std::string operator()(const DtmfResult& event) const {
    return fmt::format("call {}: digits {}", event.call.value(),
                       event.ok ? "sent" : "not sent" + with_status(event.status, event.reason));
  }
  std::string operator()(const DtmfReceived& event) const {
    return fmt::format("call {}: the other side pressed {}", event.call.value(), event.digit);
  }
  std::string operator()(const CallRedirected& event) const {
    std::string text = fmt::format("call {} is redirected ({})", event.call.value(), event.status);
    if (!event.targets.empty()) text += " to " + event.targets.front();
    if (event.choice_wanted) text += "; \"follow\" or \"hangup\"";
    return text;
  }
  std::string operator()(const FlowChanged& event) const {
    return fmt::format("flow {} of account {} {}{}", event.reg_id, event.account.value(),
                       event.alive ? "is up" : "failed",
                       event.reason.empty() ? "" : ": " + event.reason);
  }
  std::string operator()(const ListenerChanged& event) const {
    return fmt::format("{} {} {}{}", event.open ? "listening on" : "not listening on",
                       snake_case(to_string(event.transport)), event.local.to_string(),
                       event.reason.empty() ? "" : ": " + event.reason);
  }
  std::string operator()(const CallRefreshed& event) const {
    return fmt::format("call {}: refresh {}{}", event.call.value(),
                       event.ok ? "answered" : "failed", with_status(event.status, event.reason));
  }
};

}  // namespace

std::string in_words(const Event& event) { return printable(std::visit(Words{}, event)); }

}  // namespace godwit::app
