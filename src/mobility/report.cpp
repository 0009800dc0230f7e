// SPDX-License-Identifier: Apache-2.0
#include "godwit/report.hpp"

#include "base/json_writer.hpp"

namespace godwit {
namespace {

void write(JsonWriter& json, const IpChangeStep& step) {
  json.begin_object().member("kind", snake_case(to_string(step.kind)));
  if (step.account) json.member("account", step.account.value());
  if (step.reg_id != 0) json.member("reg_id", step.reg_id);
  if (step.call) json.member("call", step.call.value());
  if (step.subscription) json.member("subscription", step.subscription.value());
  if (step.publication) json.member("publication", step.publication.value());
  json.member("started_ms", step.started);
  if (step.ended) json.member("ended_ms", *step.ended);
  json.member("ok", step.ok);
  if (step.status != 0) json.member("status", step.status);
  if (!step.detail.empty()) json.member("detail", step.detail);
  json.end_object();
}

void write(JsonWriter& json, const CallImpact& impact) {
  json.begin_object().member("call", impact.call.value());
  json.member("old_local", impact.old_local.to_string());
  json.member("new_local", impact.new_local.to_string());
  json.member("survived", impact.survived);
  if (impact.silence_down) json.member("silence_down_ms", *impact.silence_down);
  if (impact.silence_up) json.member("silence_up_ms", *impact.silence_up);
  json.member("lost_down", impact.lost_down).end_object();
}

}  // namespace

const char* to_string(ChangeCause cause) {
  switch (cause) {
    case ChangeCause::AddressLost: return "AddressLost";
    case ChangeCause::AddressGained: return "AddressGained";
    case ChangeCause::DefaultRouteMoved: return "DefaultRouteMoved";
    case ChangeCause::RouteToRemoteMoved: return "RouteToRemoteMoved";
    case ChangeCause::LinkDown: return "LinkDown";
    case ChangeCause::FamilyLost: return "FamilyLost";
    case ChangeCause::FamilyGained: return "FamilyGained";
    case ChangeCause::NetworkLost: return "NetworkLost";
    case ChangeCause::NetworkReturned: return "NetworkReturned";
    case ChangeCause::SameAddressNewNetwork: return "SameAddressNewNetwork";
    case ChangeCause::Resumed: return "Resumed";
    case ChangeCause::Forced: return "Forced";
    case ChangeCause::MediaSilent: return "MediaSilent";
    case ChangeCause::KeepAliveUnanswered: return "KeepAliveUnanswered";
    case ChangeCause::RegisterUnanswered: return "RegisterUnanswered";
    case ChangeCause::PathUnreachable: return "PathUnreachable";
    case ChangeCause::NothingCarried: return "NothingCarried";
    case ChangeCause::PathReturned: return "PathReturned";
  }
  return "?";
}

const char* to_string(StepKind kind) {
  switch (kind) {
    case StepKind::ListenerOpened: return "ListenerOpened";
    case StepKind::MediaMoved: return "MediaMoved";
    case StepKind::ContactUpdated: return "ContactUpdated";
    case StepKind::CallRefreshed: return "CallRefreshed";
    case StepKind::CallAudible: return "CallAudible";
    case StepKind::CallHungUp: return "CallHungUp";
    case StepKind::CallSuspended: return "CallSuspended";
    case StepKind::CallResumed: return "CallResumed";
    case StepKind::StreamShutDown: return "StreamShutDown";
    case StepKind::SubscriptionMoved: return "SubscriptionMoved";
    case StepKind::PublicationMoved: return "PublicationMoved";
  }
  return "?";
}

std::string IpChangeReport::to_json() const {
  JsonWriter json;
  json.begin_object().member("generation", generation.value());
  json.member("detected_at_ms", detected_at.time_since_epoch());
  json.key("causes").begin_array();
  for (const ChangeCause cause : causes) json.value(snake_case(to_string(cause)));
  json.end_array().member("decision", decision);
  json.key("steps").begin_array();
  for (const IpChangeStep& step : steps) write(json, step);
  json.end_array().key("calls").begin_array();
  for (const CallImpact& impact : calls) write(json, impact);
  json.end_array();
  if (completed) json.member("completed_ms", *completed);
  json.member("superseded", superseded).end_object();
  return json.take();
}

}  // namespace godwit
