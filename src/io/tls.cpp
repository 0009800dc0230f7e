// SPDX-License-Identifier: Apache-2.0
#include "io/tls.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <array>
#include <deque>
#include <utility>

#include "godwit/address.hpp"
#include "io/certificate.hpp"

namespace godwit::io {
namespace {

// RFC 9325 §4.2: forward secrecy and authenticated encryption; that RFC 3261 §26.2.1 asks for
// TLS_RSA_WITH_AES_128_CBC_SHA is overtaken by it. TLS 1.3 has only such ones.
constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:!aNULL:!PSK";
constexpr int kMaxChain = 8;
// A chain of 8 with room to spare; OpenSSL's default is as high.
constexpr long kMaxCertificates = 65'536;
// Records are at most 2^14 bytes (RFC 8446 §5.1).
constexpr std::size_t kRecord = 16'384;

struct Free {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
  void operator()(X509* certificate) const { X509_free(certificate); }
};
using ContextHandle = std::unique_ptr<SSL_CTX, Free>;

/// OpenSSL's newest error, and its queue emptied.
std::string openssl_reason() {
  const unsigned long error = ERR_peek_last_error();
  const char* text = error == 0 ? nullptr : ERR_reason_error_string(error);
  std::string reason = text == nullptr ? "unknown reason" : text;
  // What the peer said last, rather than OpenSSL's name for having been told it.
  const int alert = ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET;
  if (ERR_GET_LIB(error) == ERR_LIB_SSL && alert >= 0 && alert < 256) {
    reason = std::string("the peer says: ") + SSL_alert_desc_string_long(alert);
  }
  ERR_clear_error();
  return reason;
}

/// A key with a password would have OpenSSL ask on the terminal.
int no_password(char*, int, int, void*) { return -1; }

Result<void> prepare(SSL_CTX* context, const TlsConfig& options) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(
      context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_verify_depth(context, kMaxChain);
  SSL_CTX_set_max_cert_list(context, kMaxCertificates);
  SSL_CTX_set_default_passwd_cb(context, no_password);
  if (SSL_CTX_set_cipher_list(context, kCiphers) != 1) {
    return fail(ErrorCode::Unsupported,
                "OpenSSL has none of the wanted ciphers: " + openssl_reason());
  }
  if (options.ca_file.empty() && options.ca_path.empty()) {
    SSL_CTX_set_default_verify_paths(context);
  }
  if (!options.ca_file.empty() && SSL_CTX_load_verify_file(context, options.ca_file.c_str()) != 1) {
    return fail(ErrorCode::Io, "cannot read trusted certificates from " + options.ca_file + ": " +
                                   openssl_reason());
  }
  if (!options.ca_path.empty() && SSL_CTX_load_verify_dir(context, options.ca_path.c_str()) != 1) {
    return fail(ErrorCode::Io,
                "cannot read trusted certificates in " + options.ca_path + ": " + openssl_reason());
  }
  if (options.certificate.empty()) return {};
  if (SSL_CTX_use_certificate_chain_file(context, options.certificate.c_str()) != 1) {
    return fail(ErrorCode::Io,
                "cannot read the certificate in " + options.certificate + ": " + openssl_reason());
  }
  if (SSL_CTX_use_PrivateKey_file(context, options.private_key.c_str(), SSL_FILETYPE_PEM) != 1) {
    const unsigned long error = ERR_peek_last_error();
    if (ERR_GET_LIB(error) == ERR_LIB_X509 && ERR_GET_REASON(error) == X509_R_KEY_VALUES_MISMATCH) {
      ERR_clear_error();
      return fail(ErrorCode::Io, "the private key in " + options.private_key +
                                     " is not that of the certificate in " + options.certificate);
    }
    return fail(ErrorCode::Io, "cannot read the private key in " + options.private_key +
                                   " (it may have no password): " + openssl_reason());
  }
  return {};
}

}  // namespace

struct TlsContext::Impl {
  using Session = std::unique_ptr<SSL_SESSION, Free>;

  ContextHandle client;
  ContextHandle server;  ///< Null without a certificate.
  bool verify_server = true;
  /// Newest last.
  std::deque<std::pair<std::string, Session>> sessions;

  void keep(const std::string& key, Session session) {
    std::erase_if(sessions, [&](const auto& entry) { return entry.first == key; });
    if (sessions.size() >= kMaxResumable) sessions.pop_front();
    sessions.emplace_back(key, std::move(session));
  }
  /// RFC 8446 §C.4: "Clients SHOULD NOT reuse a ticket for multiple connections." So it is taken
  /// out; the connection that it makes brings the next one. TLS 1.2 need not bring another.
  Session take(const std::string& key) {
    const auto found = std::find_if(sessions.begin(), sessions.end(),
                                    [&](const auto& entry) { return entry.first == key; });
    if (found == sessions.end()) return nullptr;
    if (SSL_SESSION_get_protocol_version(found->second.get()) < TLS1_3_VERSION) {
      SSL_SESSION_up_ref(found->second.get());
      return Session(found->second.get());
    }
    Session session = std::move(found->second);
    sessions.erase(found);
    return session;
  }
};

struct TlsSession::State {
  ~State() {
    // A connection that is cut off is what a change of network leaves; OpenSSL would take its
    // session for a bad one, and not resume it.
    if (ssl && !failed) SSL_set_shutdown(ssl.get(), SSL_SENT_SHUTDOWN);
  }

  std::shared_ptr<TlsContext> context;
  std::string server_name;  ///< Empty for an accepted session.
  std::string key;          ///< In the context's cache of sessions.
  std::string refusal;      ///< Why the peer's certificate was refused.
  bool ended = false;
  bool failed = false;
  std::unique_ptr<SSL, Free> ssl;

  static int slot() {
    static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
  }
  static State* of(const SSL* ssl) { return static_cast<State*>(SSL_get_ex_data(ssl, slot())); }

  static int verify(X509_STORE_CTX* store, void*);
  static int on_new_session(SSL* ssl, SSL_SESSION* session);

  Result<void> handshake();
  tl::unexpected<Error> failure(const char* when);
};

/// In place of OpenSSL's own verification, to say what was wrong with whose certificate.
int TlsSession::State::verify(X509_STORE_CTX* store, void*) {
  const auto* ssl = static_cast<const SSL*>(
      X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  State* self = of(ssl);
  const X509* leaf = X509_STORE_CTX_get0_cert(store);
  if (self == nullptr || leaf == nullptr) return 0;
  std::string reason;
  if (X509_verify_cert(store) != 1) {
    reason = chain_problem(*store);
  } else if (!self->server_name.empty()) {
    reason = name_mismatch(*leaf, self->server_name);
    if (!reason.empty()) X509_STORE_CTX_set_error(store, X509_V_ERR_HOSTNAME_MISMATCH);
  }
  if (reason.empty()) return 1;
  self->refusal = "the certificate of \"" + subject_of(*leaf) + "\" is not accepted: " + reason;
  return 0;
}

int TlsSession::State::on_new_session(SSL* ssl, SSL_SESSION* session) {
  State* self = of(ssl);
  if (self == nullptr || self->key.empty() || SSL_SESSION_is_resumable(session) == 0) return 0;
  self->context->impl_->keep(self->key, TlsContext::Impl::Session(session));
  return 1;  // The reference is ours.
}

tl::unexpected<Error> TlsSession::State::failure(const char* when) {
  failed = true;
  const std::string reason = openssl_reason();
  if (!refusal.empty()) return fail(ErrorCode::Rejected, refusal);
  return fail(ErrorCode::Network, std::string(when) + reason);
}

Result<void> TlsSession::State::handshake() {
  ERR_clear_error();
  const int done = SSL_do_handshake(ssl.get());
  if (done == 1) return {};
  const int error = SSL_get_error(ssl.get(), done);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return {};
  return failure("the TLS handshake failed: ");
}

TlsContext::TlsContext(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsContext::~TlsContext() = default;

Result<std::shared_ptr<TlsContext>> TlsContext::create(const TlsConfig& options) {
  if (options.certificate.empty() != options.private_key.empty()) {
    return fail(ErrorCode::InvalidArgument,
                "a TLS certificate and its private key are only of use together");
  }
  auto impl = std::make_unique<Impl>();
  impl->verify_server = options.verify_server;
  impl->client = ContextHandle(SSL_CTX_new(TLS_client_method()));
  if (!impl->client) return fail(ErrorCode::Unsupported, "no TLS: " + openssl_reason());
  if (auto ready = prepare(impl->client.get(), options); !ready) {
    return tl::unexpected(ready.error());
  }
  SSL_CTX_set_session_cache_mode(impl->client.get(),
                                 SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(impl->client.get(), TlsSession::State::on_new_session);
  if (options.verify_server) {
    SSL_CTX_set_verify(impl->client.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_cert_verify_callback(impl->client.get(), TlsSession::State::verify, nullptr);
  }
  if (!options.certificate.empty()) {
    impl->server = ContextHandle(SSL_CTX_new(TLS_server_method()));
    if (!impl->server) return fail(ErrorCode::Unsupported, "no TLS: " + openssl_reason());
    if (auto ready = prepare(impl->server.get(), options); !ready) {
      return tl::unexpected(ready.error());
    }
    static constexpr std::array<unsigned char, 6> kId{'g', 'o', 'd', 'w', 'i', 't'};
    SSL_CTX_set_session_id_context(impl->server.get(), kId.data(), kId.size());
    // Tickets carry the state to the client: nothing is stored for it here.
    SSL_CTX_set_session_cache_mode(impl->server.get(), SSL_SESS_CACHE_OFF);
    if (options.verify_client) {
      SSL_CTX_set_verify(impl->server.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                         nullptr);
      SSL_CTX_set_cert_verify_callback(impl->server.get(), TlsSession::State::verify, nullptr);
    }
  }
  return std::shared_ptr<TlsContext>(new TlsContext(std::move(impl)));
}

std::size_t TlsContext::resumable() const { return impl_->sessions.size(); }

Result<TlsSession> TlsContext::client(const std::string& server_name, const std::string& target) {
  if (server_name.empty() && impl_->verify_server) {
    return fail(ErrorCode::InvalidArgument, "TLS needs the name that the server must prove");
  }
  auto state = std::make_unique<TlsSession::State>();
  state->context = shared_from_this();
  state->server_name = server_name;
  state->key = server_name + " " + target;
  state->ssl.reset(SSL_new(impl_->client.get()));
  SSL* ssl = state->ssl.get();
  if (ssl == nullptr) return fail(ErrorCode::Unsupported, "no TLS session: " + openssl_reason());
  SSL_set_ex_data(ssl, TlsSession::State::slot(), state.get());
  SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  // RFC 6066 §3: "Literal IPv4 and IPv6 addresses are not permitted in "HostName"."
  if (!server_name.empty() && !IpAddress::parse(server_name)) {
    SSL_set_tlsext_host_name(ssl, server_name.c_str());
  }
  if (const auto session = impl_->take(state->key)) SSL_set_session(ssl, session.get());
  SSL_set_connect_state(ssl);
  if (auto begun = state->handshake(); !begun) return tl::unexpected(begun.error());
  return TlsSession(std::move(state));
}

Result<TlsSession> TlsContext::server() {
  if (!impl_->server) {
    return fail(ErrorCode::WrongState, "no certificate of our own to accept TLS connections with");
  }
  auto state = std::make_unique<TlsSession::State>();
  state->context = shared_from_this();
  state->ssl.reset(SSL_new(impl_->server.get()));
  SSL* ssl = state->ssl.get();
  if (ssl == nullptr) return fail(ErrorCode::Unsupported, "no TLS session: " + openssl_reason());
  SSL_set_ex_data(ssl, TlsSession::State::slot(), state.get());
  SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_accept_state(ssl);
  return TlsSession(std::move(state));
}

TlsSession::TlsSession(std::unique_ptr<State> state) : state_(std::move(state)) {}
TlsSession::TlsSession(TlsSession&&) noexcept = default;
TlsSession& TlsSession::operator=(TlsSession&&) noexcept = default;
TlsSession::~TlsSession() = default;

Result<void> TlsSession::receive(Bytes wire, std::string& plain) {
  State& s = *state_;
  if (s.ended) return {};
  if (s.failed) return fail(ErrorCode::WrongState, "the TLS session has failed");
  SSL* ssl = s.ssl.get();
  if (!wire.empty() &&
      BIO_write(SSL_get_rbio(ssl), wire.data(), static_cast<int>(wire.size())) <= 0) {
    return s.failure("TLS failed: ");
  }
  if (!established()) {
    if (auto done = s.handshake(); !done) return done;
    if (!established()) return {};
  }
  std::array<char, kRecord> room;
  for (;;) {
    ERR_clear_error();
    const int got = SSL_read(ssl, room.data(), static_cast<int>(room.size()));
    if (got > 0) {
      plain.append(room.data(), static_cast<std::size_t>(got));
      continue;
    }
    switch (SSL_get_error(ssl, got)) {
      case SSL_ERROR_WANT_READ:
      case SSL_ERROR_WANT_WRITE: return {};
      case SSL_ERROR_ZERO_RETURN: s.ended = true; return {};
      default: return s.failure("TLS failed: ");
    }
  }
}

Result<void> TlsSession::send(Bytes plain) {
  State& s = *state_;
  if (!established() || s.failed) {
    return fail(ErrorCode::WrongState, "the TLS session is not established");
  }
  if (plain.empty()) return {};
  ERR_clear_error();
  // A memory BIO takes everything.
  if (SSL_write(s.ssl.get(), plain.data(), static_cast<int>(plain.size())) <= 0) {
    return s.failure("TLS failed: ");
  }
  return {};
}

std::string TlsSession::take_output() {
  BIO* bio = SSL_get_wbio(state_->ssl.get());
  std::string out(BIO_ctrl_pending(bio), '\0');
  if (!out.empty()) {
    const int got = BIO_read(bio, out.data(), static_cast<int>(out.size()));
    out.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  }
  return out;
}

void TlsSession::close() {
  if (!established() || state_->failed) return;
  ERR_clear_error();
  SSL_shutdown(state_->ssl.get());
  ERR_clear_error();
}

bool TlsSession::established() const { return SSL_is_init_finished(state_->ssl.get()) == 1; }
bool TlsSession::ended() const { return state_->ended; }
bool TlsSession::resumed() const { return SSL_session_reused(state_->ssl.get()) == 1; }
std::string TlsSession::version() const { return SSL_get_version(state_->ssl.get()); }

std::string TlsSession::peer() const {
  const std::unique_ptr<X509, Free> certificate(SSL_get1_peer_certificate(state_->ssl.get()));
  return certificate ? subject_of(*certificate) : std::string();
}

}  // namespace godwit::io
