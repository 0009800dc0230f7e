// SPDX-License-Identifier: Apache-2.0
//
// What an application tells the library: accounts and media. Plain values with the defaults a
// phone's user wants. What is done when the address changes: ip_change.hpp.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "godwit/address.hpp"
#include "godwit/family.hpp"
#include "godwit/header.hpp"
#include "godwit/ip_change.hpp"
#include "godwit/socket.hpp"
#include "godwit/time.hpp"
#include "godwit/trace.hpp"

namespace godwit {

/// How requests travel to an account's first hop.
enum class TransportChoice : std::uint8_t {
  Auto,  ///< As the URI says (`;transport=`, `sips:`); else UDP, and TCP for what is too large.
  Udp,
  Tcp,
  Tls,
};
const char* to_string(TransportChoice choice);

/// Certificates and their verification, for all TLS connections of a user agent.
struct TlsConfig {
  std::string ca_file;      ///< PEM with the trusted authorities; with `ca_path` empty too: …
  std::string ca_path;      ///< … the system's.
  std::string certificate;  ///< PEM chain of our own: as server, and as client if it is asked for.
  std::string private_key;  ///< PEM.
  bool verify_server = true;   ///< Off: any certificate will do. For experiments only.
  bool verify_client = false;  ///< As a server: ask for a certificate and insist on a trusted one.
};

/// Multipath TCP (RFC 8684) for connections that we open.
enum class MptcpMode : std::uint8_t {
  Auto,  ///< If the kernel has it; else plain TCP, silently.
  On,    ///< … with a complaint if it has not.
  Off,
};
const char* to_string(MptcpMode mode);

/// Use of an optional SIP extension.
enum class ExtensionUse : std::uint8_t {
  Off,        ///< Neither offered nor used.
  Supported,  ///< Offered; used where the peer knows it too.
  Required,   ///< Insisted on.
};

/// What becomes of a call of ours that is answered with 3xx (RFC 3261 §8.1.3.4).
enum class RedirectPolicy : std::uint8_t {
  Follow,  ///< Its targets are called one after the other, the best first.
  Ask,     ///< CallRedirected asks the application.
  Refuse,  ///< The call has failed.
};

/// How an account's calls are set up and kept.
struct CallPolicy {
  /// 100rel (RFC 3262): provisional responses that do not get lost. Supported: early media goes out
  /// reliably to a peer that can; Required: all provisional responses do, and a peer without it
  /// gets 421, or refuses our call with 420.
  ExtensionUse reliable_provisional = ExtensionUse::Supported;
  /// Session timers (RFC 4028): the call is refreshed from time to time, and ends on a side whose
  /// peer has vanished. Required: a peer without it refuses our call with 420.
  ExtensionUse session_timer = ExtensionUse::Supported;
  /// The interval that we ask for, at most a day, and the shortest that we accept, at least 90 s.
  std::chrono::seconds session_expires{1800};
  std::chrono::seconds min_session_expires{90};
  RedirectPolicy redirect = RedirectPolicy::Follow;
};

/// SIP Outbound (RFC 5626): the registrar keeps the flow that we registered over as the way to us.
enum class OutboundMode : std::uint8_t {
  Off,       ///< Neither reg-id nor `Supported: outbound`.
  Auto,      ///< Asked for, and done without where the registrar or the first hop cannot.
  Required,  ///< A registrar that cannot is a failed registration.
};
/// Globally routable URIs (RFC 5627): one granted by the registrar is the Contact in dialogs, so
/// that what a peer sends there follows the registration to a new address.
enum class GruuMode : std::uint8_t {
  Off,
  /// Asked for; used where the registrar also does Outbound. Of proxies that grant GRUUs by default
  /// some route only what is not within a dialog by them, and a BYE to one would be lost.
  Auto,
  Always,  ///< Used wherever one is granted.
};
/// Whether the address that the registrar sees (RFC 3581 `received` and `rport`) is our Contact
/// instead of our own, when the two differ.
enum class ContactRewrite : std::uint8_t {
  Off,
  Auto,  ///< Unless it would replace a public address by a private one.
  Always,
};

/// Ties traffic to one interface or to one address; empty: wherever the routes lead.
struct PathPin {
  /// Only this one is used, whatever addresses it has. While it has none, what is pinned waits.
  std::string interface_name;
  /// Exactly this one. While no interface has it, what is pinned waits; a Warning names it.
  std::optional<IpAddress> address;
  friend bool operator==(const PathPin&, const PathPin&) = default;
};

/// Push notifications (RFC 8599 §4.1): where to send what wakes this installation. Each at most 256
/// bytes.
struct PushConfig {
  std::string provider;  ///< pn-provider, e.g. "fcm", "apns", "webpush"; empty: no push.
  std::string prid;      ///< pn-prid: the token or URL that the provider gave us.
  std::string param;     ///< pn-param, as the provider wants it; may be empty.
};

/// The hash function of a stored password hash (RFC 7616, RFC 8760).
enum class DigestHash : std::uint8_t { Md5, Sha256, Sha512_256 };

/// What one realm is answered with when it asks who we are.
struct AccountCredentials {
  std::string realm;     ///< As the server names it, without quotes; empty: any other realm.
  std::string username;  ///< Empty: the AOR's user part.
  std::string password;  ///< Never logged.
  /// Instead of the password, H(username:realm:password) in hex, so that the password itself need
  /// not be kept. It answers challenges of its hash only, and only with `realm` set. Never logged.
  std::string ha1;
  DigestHash ha1_hash = DigestHash::Md5;
};

struct AccountConfig {
  std::string aor;                    ///< "sip:alice@example.org".
  std::string display_name;           ///< Sent in From; may be empty.
  std::string registrar;              ///< "sip:host[:port]"; empty: the AOR's host.
  std::string outbound_proxy;         ///< "sip:host[:port]"; first hop; empty: none.
  std::string username;               ///< For digest; empty: the AOR's user part.
  std::string password;               ///< Never logged.
  bool register_on_add = true;        ///< False: an account that only calls and is called.
  std::chrono::seconds expires{300};  ///< Asked for in REGISTER; 10 s to 1 day.
  IpChangePolicy ip_change;
  TransportChoice transport = TransportChoice::Auto;
  CallPolicy calls;
  /// For servers and proxies that ask in realms of their own, at most 16. `username` and `password`
  /// above answer every realm that is not named here.
  std::vector<AccountCredentials> credentials;
  OutboundMode outbound = OutboundMode::Auto;
  GruuMode gruu = GruuMode::Auto;
  ContactRewrite contact_rewrite = ContactRewrite::Auto;
  PushConfig push;
  std::vector<Header> extra_headers;  ///< Into its REGISTERs and its calls' requests; at most 32.
  /// Believe P-Asserted-Identity (RFC 3325) from the account's own servers; from others never.
  bool trust_asserted_identity = true;
  /// More edge proxies beside `outbound_proxy`, at most 3, written like it: with SIP Outbound the
  /// account keeps a flow and a registration over each (RFC 5626 §4.2), and is registered while one
  /// of them lives. The order is that of preference for calls. A registrar without Outbound gets
  /// one registration, over the first proxy that answers.
  std::vector<std::string> further_outbound_proxies;
  /// Of SIP, and of RTP and RTCP. Each names an interface or an address, not both; within what
  /// UserAgentConfig::interfaces and ::bind_addresses allow. Loopback stays the way to loopback for
  /// one pinned to an interface. A call without its media's path is not begun, and one that loses
  /// it waits for `recovery_deadline`.
  PathPin signalling_pin;
  PathPin media_pin;
  /// Learn the Contact (see `contact_rewrite`) also from a challenge: the REGISTER with credentials
  /// has it already, which saves one.
  bool contact_from_challenge = true;

  /// Of the way to the servers. With a preference the registration goes over to it whenever there
  /// is a way; calls stay where they are. A name that has no address of the only family, or a
  /// network without it, is an error that says so; a server given as a literal of the other one is
  /// InvalidArgument.
  FamilyPolicy sip_family = FamilyPolicy::NoPreference;
  /// Of the audio in our offers; what a peer offers is answered in its own family, or refused with
  /// 488 where that is not allowed.
  FamilyPolicy media_family = FamilyPolicy::NoPreference;
};

/// How modify_account() goes about it.
struct ModifyAccount {
  /// False: no REGISTER leaves for the change. What it says of servers, pins and the binding counts
  /// from the next REGISTER on, which the next change of the address or register_account() sends.
  bool register_now = true;
};

/// G.711 in both laws; the order is the order of preference in offers.
enum class Codec : std::uint8_t { Pcmu, Pcma };
const char* to_string(Codec codec);

struct MediaConfig {
  std::vector<Codec> codecs{Codec::Pcmu, Codec::Pcma};
  std::chrono::milliseconds packet_time{20};  ///< Audio per RTP packet: 10 to 60 ms in tens.
  std::uint16_t rtp_port_min = 16384;         ///< Even ports from here …
  std::uint16_t rtp_port_max = 32767;  ///< … to here are tried for RTP; RTCP is the next odd one.
  /// Follow the peer's RTP to a new source address without signalling ("symmetric RTP"). Off: audio
  /// goes where SDP says and nowhere else.
  bool latch = true;
  std::uint8_t dscp = 46;  ///< Class of RTP and RTCP, 0 to 63 (RFC 4594: Expedited Forwarding).
  /// RTCP on RTP's port where the peer can, too (RFC 5761): one hole in each NAT instead of two.
  bool rtcp_mux = true;
  /// A call ends with BYE if, though audio is expected, no RTP and no RTCP has come for so long:
  /// the peer has vanished. Not while on hold, without a network, or while a change of the address
  /// is being recovered from, after which the time begins anew. At least 5 s; 0: never, for a
  /// person hears the silence, and there are phones that send nothing while they are muted.
  std::chrono::seconds timeout{0};
};

/// What becomes of a peer's wish to transfer us (REFER).
enum class TransferPolicy : std::uint8_t {
  Ask,     ///< TransferRequested asks the application.
  Accept,  ///< The new call is placed at once.
  Refuse,  ///< 603.
};

struct UserAgentConfig {
  std::string user_agent = "Godwit";  ///< User-Agent and Server header.
  std::uint16_t sip_port = 0;         ///< UDP port of each local address; 0: the system chooses.
  /// Only these interfaces are used; empty: all that are up. Loopback is used for loopback remotes.
  std::vector<std::string> interfaces;
  /// Bind to exactly these local addresses instead of following the routes. For servers and tests.
  std::vector<IpAddress> bind_addresses;
  MediaConfig media;
  /// Watch the kernel for changes (Linux). Off: the application calls update_network().
  bool watch_network = true;
  /// Asked instead of the system's DNS servers; empty: those of the system. Port 0 is 53.
  std::vector<Endpoint> dns_servers;
  /// A folder for what must outlive the program (the instance-id of RFC 5626 §4.1): made when
  /// needed, its files mode 0600. Empty: nothing is kept, and each run is a new instance to the
  /// registrars.
  std::string state_dir;
  std::uint32_t max_calls = 64;  ///< More incoming ones get 486.
  /// Incoming calls that ring at once from one address that is no server of their account's; more
  /// get 486. Keeps one stranger from taking all places.
  std::uint32_t max_unanswered_per_source = 8;
  /// Off: while there is a call, further incoming ones get 486.
  bool call_waiting = true;
  std::uint8_t sip_dscp = 24;  ///< Class of SIP, 0 to 63 (RFC 4594: CS3); 0: the system's.
  MessageHook message_hook;    ///< Sees, and may add to, every message; empty: none.
  TransferPolicy transfers = TransferPolicy::Ask;
  std::uint32_t max_accounts = 10'000;
  TlsConfig tls;
  /// Accept TCP and TLS connections on these ports of each local address; 0: the system chooses;
  /// empty: no such listener. Without one the peers use the connections that we open.
  std::optional<std::uint16_t> listen_tcp;
  std::optional<std::uint16_t> listen_tls;
  MptcpMode mptcp = MptcpMode::Auto;
  /// Larger requests go by TCP even where UDP is chosen, and by UDP if the server takes no TCP (RFC
  /// 3261 §18.1.1). 0: never.
  std::uint32_t max_udp_request = 1'300;
  /// STUN to the registrar while registered over UDP through a NAT or with Outbound (RFC 5626
  /// §4.4.2); 80 to 100 % of it at random. 0: only if the registrar asks for it (RFC 6223).
  std::chrono::seconds udp_keep_alive{29};
  /// Pings on connections that we opened (RFC 5626 §4.4.1); 80 to 100 % of it at random. 0: only
  /// if the registrar asks for it (RFC 6223).
  std::chrono::seconds stream_keep_alive{120};
  TraceConfig sip_trace;  ///< For whoever wants to see the messages.
  /// Off: a UDP socket for SIP is opened only where an account, or a message, goes by UDP. With
  /// `listen_tcp` and `listen_tls` empty nothing listens then for accounts over TCP and TLS, which
  /// are reached over the connections that they open.
  bool listen_udp = true;
  SocketHook socket_created;  ///< Sees each new socket before it is used; empty: none.
  /// STUN servers (RFC 8489) that tell how the world sees our SIP and RTP sockets behind a NAT:
  /// "host", "host:port" or literals, at most 4; of a name alone the DNS is asked for `_stun._udp`.
  /// Each socket asks all of them as soon as it is open. Empty: the Contact follows what the
  /// registrar sees, and SDP tells our own addresses.
  std::vector<std::string> stun_servers;
  /// On a network with IPv6 only, reach IPv4 servers and peers through its NAT64 (RFC 6052), whose
  /// prefix the DNS tells (RFC 7050). A peer with IPv4 only hears us and is heard if a STUN server
  /// with IPv4 is configured, too.
  bool nat64 = true;
};

/// What a call sends.
struct AudioSource {
  enum class Kind : std::uint8_t { Silence, Tone, File, Echo } kind = Kind::Silence;
  double tone_hz = 440.0;  ///< Kind::Tone: 20 to 3 900 Hz.
  std::string file =
      {};             ///< Kind::File: anything libsndfile reads, resampled; channels: the first.
  bool loop = false;  ///< Kind::File: start again at the end.
};

}  // namespace godwit
