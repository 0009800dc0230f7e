// SPDX-License-Identifier: Apache-2.0
//
// A small registrar and record-routing proxy without any I/O: in the simulator it is the server of
// every scenario, on real sockets it is `godwit serve`. Owned by whoever drives it; one thread. It
// shares no code with src/sip and parses with its own SipText, so that an error made there is not
// answered by the same error here.
//
// It forwards statelessly (no retransmission of its own, no 100, no forking: the newest binding
// gets the request), but remembers where each INVITE went, so that a CANCEL and the ACK to a
// failure follow it although the binding may have moved. Connections are its driver's: it takes
// their messages one by one and names the way that each of its own goes; who registered over one is
// reached over it. One domain: users are told apart by the user part alone.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.hpp"
#include "base/random.hpp"
#include "godwit/address.hpp"
#include "godwit/time.hpp"

namespace godwit::testing {

class SipText;
class DigestGuard;

enum class ServerDigest : std::uint8_t { Md5, Sha256 };

enum class ServerTransport : std::uint8_t { Udp, Tcp, Tls };

/// Where it accepts connections.
struct ServerListener {
  Endpoint local;
  ServerTransport transport = ServerTransport::Tcp;
};

/// Where a message goes; a stream's remote is the peer's end of the connection, or where to
/// connect.
struct ServerHop {
  Endpoint remote;
  ServerTransport transport = ServerTransport::Udp;
  bool operator==(const ServerHop&) const = default;
};

struct MiniServerConfig {
  /// The sockets it listens on, at least one; the first of a family sends to that family.
  std::vector<Endpoint> locals;
  std::vector<ServerListener> streams;
  /// Names that mean this server, in Request-URIs and Routes, besides its address literals.
  std::vector<std::string> domains;

  /// User name -> password. Empty: nobody is asked for credentials and any name may register.
  std::map<std::string, std::string> users;
  std::string realm = "godwit";
  /// Offered in this order, one challenge header each (RFC 8760 §2.4).
  std::vector<ServerDigest> algorithms{ServerDigest::Sha256, ServerDigest::Md5};
  bool challenge_invites = false;  ///< 407 for an INVITE from one of our users without dialog.
  Duration nonce_lifetime = std::chrono::seconds(300);
  bool bind_nonce_to_source = false;  ///< A nonce is stale from another address or port.
  bool strict_nonce_count = false;    ///< nc must grow; a repeated or older one is stale.

  bool record_route = true;
  std::string record_route_host;           ///< Empty: the address literal of the socket.
  bool send_to_source = false;             ///< Reach bindings where their REGISTER came from (NAT).
  bool tie_calls_to_registration = false;  ///< 403 for an INVITE from where nobody registered.

  std::chrono::seconds min_expires{10};
  std::chrono::seconds default_expires{3600};
  std::chrono::seconds max_expires{86'400};

  // What it grants to a REGISTER that asks for it.
  bool outbound = false;  ///< RFC 5626: says so with Require, sends to where a binding came from.
  bool gruu = false;      ///< RFC 5627: public ones, and routes by them.
  bool push = false;      ///< RFC 8599: says that it would; 555 if false and `refuse_push`.
  bool refuse_push = false;
  std::vector<std::string> service_route;  ///< RFC 3608, each as "<sip:…;lr>".
  std::chrono::seconds flow_timer{0};      ///< RFC 5626 §4.4; 0: none.
  unsigned keep = 0;  ///< RFC 6223: what it answers to `keep` in a REGISTER's Via, in seconds.
  /// Record-routes as an RFC 5626 edge proxy: with a token for the flow to the registered side,
  /// which is where a request with that Route goes unless it came from there.
  bool flow_tokens = false;

  // Limits; a full table is answered with 503, never grown.
  std::size_t max_users = 20'000;
  std::size_t max_bindings_per_user = 10;
  std::size_t max_transactions = 20'000;
  std::size_t max_delayed = 1'024;
};

/// A fault to be played: the next `times` requests of `method` (empty: of any) get it.
struct Misbehaviour {
  enum class Kind : std::uint8_t { Answer, Ignore, Delay } kind = Kind::Answer;
  std::string method;
  int status = 503;                                                ///< Kind::Answer.
  std::optional<std::chrono::seconds> retry_after = std::nullopt;  ///< Kind::Answer: the header.
  Duration delay{};  ///< Kind::Delay: then treated as usual.
  std::uint32_t times = 1;
};

struct ServerDatagram {
  Endpoint local;
  Endpoint remote;
  std::string bytes;
  ServerTransport transport = ServerTransport::Udp;
};

struct ServerBinding {
  std::string contact;   ///< The URI.
  std::string instance;  ///< +sip.instance "#" reg-id; empty if none.
  std::string call_id;
  std::uint32_t cseq = 0;
  Endpoint local;   ///< Where its REGISTER arrived.
  Endpoint source;  ///< Where from.
  ServerTransport transport = ServerTransport::Udp;
  TimePoint registered_at;
  std::optional<TimePoint> expires_at;  ///< Absent: permanent (bind()).
};

struct ServerCounters {
  std::uint64_t datagrams = 0;
  std::uint64_t malformed_answered = 0;
  std::uint64_t malformed_dropped = 0;
  std::uint64_t stray = 0;  ///< Responses with no way back, CANCELs and ACKs without a target.
  std::uint64_t registered = 0;
  std::uint64_t challenged = 0;
  std::uint64_t forwarded_requests = 0;
  std::uint64_t forwarded_responses = 0;
  std::uint64_t refused = 0;  ///< Every other final answer of its own from 300 up.
};

class MiniServer {
 public:
  /// `random` and `log` must outlive the server.
  MiniServer(MiniServerConfig config, Random& random, Log& log);
  ~MiniServer();
  MiniServer(const MiniServer&) = delete;
  MiniServer& operator=(const MiniServer&) = delete;

  /// Give one input, then drain poll_output().
  void on_datagram(Endpoint local, Endpoint remote, std::string bytes, TimePoint now);
  /// One message of a connection that was accepted at `local`.
  void on_stream_message(const ServerListener& at, Endpoint remote, std::string bytes,
                         TimePoint now);
  /// Whoever registered over the connection cannot be reached any more.
  void on_stream_closed(const ServerHop& connection);
  void on_timeout(TimePoint now);
  std::optional<TimePoint> next_timeout() const;
  std::optional<ServerDatagram> poll_output();

  /// A binding that never expires, e.g. for an echo party at a known address.
  void bind(const std::string& user, const std::string& contact_uri);
  /// Forgets every binding of the user, as an operator or a restart would.
  void forget(const std::string& user);
  void misbehave(Misbehaviour fault);
  void set_challenge_invites(bool on) { config_.challenge_invites = on; }
  void set_tie_calls_to_registration(bool on) { config_.tie_calls_to_registration = on; }
  /// All nonces given so far become stale.
  void expire_nonces();

  /// The live bindings of a user, the newest first.
  std::vector<ServerBinding> bindings(const std::string& user, TimePoint now) const;
  const ServerCounters& counters() const { return counters_; }
  const MiniServerConfig& config() const { return config_; }

 private:
  struct Arrival {
    Endpoint local;
    Endpoint remote;
    TimePoint now;
    ServerTransport transport = ServerTransport::Udp;
  };
  struct InviteTarget {
    std::string uri;
    ServerHop hop;
    TimePoint forget_at;
    std::size_t arrived_at = 0;  ///< At which of its ends, see index_of().
  };
  struct User {
    std::vector<ServerBinding> bindings;
  };
  struct Delayed {
    TimePoint at;
    Endpoint local;
    Endpoint remote;
    std::string bytes;
    ServerTransport transport = ServerTransport::Udp;
  };

  void handle(const Arrival& arrival, std::string bytes, bool fresh);
  void handle_malformed(const Arrival& arrival, const std::string& bytes, const std::string& why);
  void handle_response(const Arrival& arrival, SipText message);
  void handle_request(const Arrival& arrival, SipText message);
  void handle_register(const Arrival& arrival, const SipText& request);
  void handle_own_request(const Arrival& arrival, const SipText& request);
  void route_request(const Arrival& arrival, SipText request);
  void forward(const Arrival& arrival, SipText request, const ServerHop& target);

  bool misbehaves(const Arrival& arrival, const SipText& request, const std::string& bytes);
  /// True if the request carried good credentials; otherwise a challenge has been sent.
  bool authenticated(const Arrival& arrival, const SipText& request, const std::string& user);
  void update_bindings(const Arrival& arrival, const SipText& request, const std::string& name);
  // mini_server_outbound.cpp
  void grant_extensions(SipText& answer, const SipText& request) const;
  std::string contact_of(const std::string& name, const ServerBinding& binding,
                         const SipText& request, TimePoint now) const;
  const ServerBinding& binding_for(const std::string& uri,
                                   const std::vector<ServerBinding>& live) const;
  std::string flow_token(const Endpoint& flow);
  std::optional<Endpoint> flow_of(const std::string& route) const;
  bool is_own_host(const std::string& uri) const;
  const Endpoint* local_for(Family family, ServerTransport transport = ServerTransport::Udp) const;
  /// All its ends in one row, as Via's branch counts them: UDP first.
  std::size_t index_of(const Endpoint& local, ServerTransport transport) const;
  std::optional<ServerListener> end_at(std::uint64_t index) const;
  bool is_own_end(const Endpoint& endpoint, ServerTransport transport) const;
  ServerHop hop_to(const ServerBinding& binding, const Endpoint& contact) const;
  std::string record_route_entry(const ServerListener& end, const std::string& token) const;
  bool registered_from(const Endpoint& source, TimePoint now, bool permanent = true) const;
  void expire(TimePoint now);
  /// Makes room among the users: those without a live binding go.
  void forget_idle_users(TimePoint now);

  void reply(const Arrival& arrival, const SipText& request, int status, std::string_view reason);
  void send_response(const Arrival& arrival, const SipText& response);

  MiniServerConfig config_;
  Random& random_;
  Log& log_;
  std::unique_ptr<DigestGuard> digest_;
  std::string tag_;
  std::map<std::string, User> users_;
  std::optional<TimePoint> users_searched_at_;
  std::map<std::string, InviteTarget> invites_;
  std::deque<std::pair<TimePoint, std::string>> invite_age_;
  std::map<std::string, std::string> answers_;  ///< To REGISTERs, by transaction.
  std::deque<std::pair<TimePoint, std::string>> answer_age_;
  std::vector<Misbehaviour> faults_;
  std::vector<Delayed> delayed_;
  std::map<std::string, Endpoint> flows_;  ///< By token.
  std::deque<ServerDatagram> outputs_;
  ServerCounters counters_;
};

}  // namespace godwit::testing
