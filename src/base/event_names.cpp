// SPDX-License-Identifier: Apache-2.0
#include "godwit/event.hpp"

namespace godwit {

const char* to_string(Codec codec) {
  switch (codec) {
    case Codec::Pcmu: return "Pcmu";
    case Codec::Pcma: return "Pcma";
  }
  return "?";
}

const char* to_string(TransportChoice choice) {
  switch (choice) {
    case TransportChoice::Auto: return "Auto";
    case TransportChoice::Udp: return "Udp";
    case TransportChoice::Tcp: return "Tcp";
    case TransportChoice::Tls: return "Tls";
  }
  return "?";
}

const char* to_string(StreamShutdown shutdown) {
  switch (shutdown) {
    case StreamShutdown::Dead: return "Dead";
    case StreamShutdown::Registration: return "Registration";
    case StreamShutdown::All: return "All";
  }
  return "?";
}

const char* to_string(SocketPurpose purpose) {
  switch (purpose) {
    case SocketPurpose::SipUdp: return "SipUdp";
    case SocketPurpose::SipTcp: return "SipTcp";
    case SocketPurpose::SipTls: return "SipTls";
    case SocketPurpose::SipTcpListener: return "SipTcpListener";
    case SocketPurpose::SipTlsListener: return "SipTlsListener";
    case SocketPurpose::Rtp: return "Rtp";
    case SocketPurpose::Rtcp: return "Rtcp";
    case SocketPurpose::Dns: return "Dns";
  }
  return "?";
}

const char* to_string(RefreshMethod method) {
  switch (method) {
    case RefreshMethod::Reinvite: return "Reinvite";
    case RefreshMethod::Update: return "Update";
  }
  return "?";
}

const char* to_string(MptcpMode mode) {
  switch (mode) {
    case MptcpMode::Auto: return "Auto";
    case MptcpMode::On: return "On";
    case MptcpMode::Off: return "Off";
  }
  return "?";
}

const char* to_string(RegistrationState state) {
  switch (state) {
    case RegistrationState::Unregistered: return "Unregistered";
    case RegistrationState::Registering: return "Registering";
    case RegistrationState::Registered: return "Registered";
    case RegistrationState::Failed: return "Failed";
    case RegistrationState::Suspended: return "Suspended";
  }
  return "?";
}

const char* to_string(SubscriptionState state) {
  switch (state) {
    case SubscriptionState::Subscribing: return "Subscribing";
    case SubscriptionState::Pending: return "Pending";
    case SubscriptionState::Active: return "Active";
    case SubscriptionState::Waiting: return "Waiting";
    case SubscriptionState::Suspended: return "Suspended";
    case SubscriptionState::Terminated: return "Terminated";
  }
  return "?";
}

const char* to_string(RemoteCall::State state) {
  switch (state) {
    case RemoteCall::State::Trying: return "Trying";
    case RemoteCall::State::Ringing: return "Ringing";
    case RemoteCall::State::Confirmed: return "Confirmed";
    case RemoteCall::State::Ended: return "Ended";
  }
  return "?";
}

const char* to_string(PublicationState state) {
  switch (state) {
    case PublicationState::Publishing: return "Publishing";
    case PublicationState::Published: return "Published";
    case PublicationState::Failed: return "Failed";
    case PublicationState::Suspended: return "Suspended";
    case PublicationState::Ended: return "Ended";
  }
  return "?";
}

const char* to_string(DtmfMethod method) {
  switch (method) {
    case DtmfMethod::Auto: return "Auto";
    case DtmfMethod::Rtp: return "Rtp";
    case DtmfMethod::Info: return "Info";
  }
  return "?";
}

const char* to_string(CallState state) {
  switch (state) {
    case CallState::Calling: return "Calling";
    case CallState::Incoming: return "Incoming";
    case CallState::Ringing: return "Ringing";
    case CallState::EarlyMedia: return "EarlyMedia";
    case CallState::Confirmed: return "Confirmed";
    case CallState::Ended: return "Ended";
  }
  return "?";
}

const char* to_string(MediaDirection direction) {
  switch (direction) {
    case MediaDirection::SendRecv: return "SendRecv";
    case MediaDirection::SendOnly: return "SendOnly";
    case MediaDirection::RecvOnly: return "RecvOnly";
    case MediaDirection::Inactive: return "Inactive";
  }
  return "?";
}

}  // namespace godwit
