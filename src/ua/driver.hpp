// SPDX-License-Identifier: Apache-2.0
//
// What passes between the core and whoever drives it (the runtime with real sockets, the simulator
// with virtual ones): the outputs that a driver must carry out. Inputs are Core's on_* members.
// A driver gives one input, then drains Core::poll_output() and carries each output out in order.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/dns.hpp"
#include "godwit/address.hpp"
#include "godwit/config.hpp"
#include "godwit/event.hpp"
#include "godwit/strong_id.hpp"
#include "media/engine.hpp"
#include "sip/flow.hpp"

namespace godwit::ua {

using sip::ListenerId;
using QueryId = StrongId<struct QueryIdTag>;

/// Bind a socket for SIP to exactly this address; answer with Core::on_listen. Port 0 lets the
/// system choose. TCP and TLS: accept connections, ask Core::accept_stream for each one (TLS: once
/// its handshake is done). With an interface name the socket is bound to that device where the
/// system allows it (SO_BINDTODEVICE, else IP_UNICAST_IF): a source address alone does not choose
/// the way out.
struct Listen {
  ListenerId listener;
  Endpoint local;
  std::uint32_t interface_index = 0;
  std::string interface_name;
  Generation generation;
  sip::Transport transport = sip::Transport::Udp;
  std::shared_ptr<const TlsConfig> tls = nullptr;  ///< With Transport::Tls only.
};

/// Close it; nothing may be reported for it afterwards. Connections that it has accepted stay.
struct CloseListener {
  ListenerId listener;
};

/// Send one datagram. A send error is reported with Core::on_send_error.
struct SendDatagram {
  ListenerId listener;
  Endpoint remote;
  std::string bytes;
};

/// Open a connection from exactly this address; answer with Core::on_stream_opened (TLS: once the
/// handshake is done and the certificate verified) or, by `deadline` from now at the latest, with
/// Core::on_stream_closed.
struct OpenStream {
  ListenerId stream;
  sip::Transport transport = sip::Transport::Tcp;
  IpAddress local;
  std::uint32_t interface_index = 0;
  std::string interface_name;
  Endpoint remote;
  std::string server_name;  ///< TLS: for SNI, and the certificate's identity (RFC 5922 §7).
  std::shared_ptr<const TlsConfig> tls;  ///< With Transport::Tls only.
  MptcpMode mptcp = MptcpMode::Auto;
  Generation generation;
  Duration deadline{};
};

/// What the driver knows of a connection that is open.
struct StreamInfo {
  Endpoint local;
  std::string tls_peer = {};  ///< The subject of the peer's certificate, for people.
  bool session_resumed = false;
  /// Multipath TCP with more than one address possible: it outlives the loss of its first address.
  bool multipath = false;
};

/// Send these bytes, after all earlier ones. Valid once the connection was reported open.
struct SendStream {
  ListenerId stream;
  std::string bytes;
};

/// Close it in an orderly way, or give up opening it; nothing may be reported for it afterwards.
struct CloseStream {
  ListenerId stream;
};

/// Ask the DNS (for addresses the hosts file first); answer with Core::on_resolved, also when no
/// server answers. The driver repeats the question as often as it is worth.
struct Query {
  QueryId query;
  DnsQuestion question;
};

/// The network is another one: the DNS servers are read anew. What was asked before is not answered
/// any more.
struct RenewResolver {};

/// Make the media engine of a call (before its first MediaInstruction).
struct CreateMedia {
  CallId call;
};

struct MediaInstruction {
  CallId call;
  media::MediaCommand command;
};

/// Destroy the engine with its sockets.
struct DestroyMedia {
  CallId call;
};

/// Remotes whose route decides a use; the next snapshots shall list the path to each.
struct WatchRemotes {
  std::vector<IpAddress> remotes;
};

struct EmitEvent {
  Event event;
};

using Output = std::variant<Listen, CloseListener, SendDatagram, Query, CreateMedia,
                            MediaInstruction, DestroyMedia, WatchRemotes, EmitEvent, RenewResolver,
                            OpenStream, SendStream, CloseStream>;

}  // namespace godwit::ua
