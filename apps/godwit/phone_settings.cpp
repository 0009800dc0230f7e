// SPDX-License-Identifier: Apache-2.0
#include "phone_settings.hpp"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>

#include "base/host_port.hpp"
#include "io/sound_files.hpp"
#include "io/tls.hpp"

namespace godwit::app {
namespace {

constexpr double kToneLowest = 20;
constexpr double kToneHighest = 3'900;

/// Puts the parsed value into `target`.
template <typename T, typename Parse>
SettingTable::TakeText into(T& target, Parse parse) {
  return [&target, parse](const std::string& given) -> Result<void> {
    auto value = parse(given);
    if (!value) return tl::unexpected(value.error());
    target = std::move(*value);
    return {};
  };
}

SettingTable::TakeText into_uri(std::string& target, bool with_user) {
  return [&target, with_user](const std::string& given) -> Result<void> {
    if (auto good = check_sip_uri(given, with_user); !good) return good;
    target = given;
    return {};
  };
}

SettingTable::TakeText into_text(std::string& target) {
  return [&target](const std::string& given) -> Result<void> {
    target = given;
    return {};
  };
}

/// Said at the start rather than at the first call, which may come much later.
Result<void> check_writable(const std::string& file) {
  if (file.empty()) return fail(ErrorCode::InvalidArgument, "must not be empty");
  const auto slash = file.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : file.substr(0, slash + 1);
  struct stat status {};
  const bool exists = ::stat(file.c_str(), &status) == 0;
  if (exists && S_ISDIR(status.st_mode)) {
    return fail(ErrorCode::Io, "must name a file, not the folder " + quoted(file));
  }
  if (::access(exists ? file.c_str() : folder.c_str(), W_OK) != 0) {
    return fail(ErrorCode::Io, fmt::format("must name a file that can be written: {}: {}",
                                           quoted(file), std::strerror(errno)));
  }
  return {};
}

Result<std::string> read_password(const std::string& file) {
  std::ifstream stream(file);
  std::string line;
  if (!std::getline(stream, line)) {
    return fail(ErrorCode::Io, "cannot read a password from " + quoted(file));
  }
  if (!line.empty() && line.back() == '\r') line.pop_back();
  struct stat status {};
  if (::stat(file.c_str(), &status) == 0 && (status.st_mode & 077) != 0) {
    fmt::print(stderr, "godwit phone: others on this machine can read {}; chmod 600 helps\n",
               quoted(file));
  }
  return line;
}

/// ~/.local/state/godwit, as the XDG base directories have it; empty without a home.
std::string default_state_dir() {
  // NOLINTBEGIN(concurrency-mt-unsafe): nothing else runs yet.
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state == '/') {
    return std::string(state) + "/godwit";
  }
  const char* home = std::getenv("HOME");
  // NOLINTEND(concurrency-mt-unsafe)
  if (home == nullptr || *home != '/') return {};
  return std::string(home) + "/.local/state/godwit";
}

/// "REALM:USER:FILE"; the file's first line is the password.
Result<AccountCredentials> read_credentials(const std::string& text) {
  const auto first = text.find(':');
  const auto second = first == std::string::npos ? first : text.find(':', first + 1);
  if (second == std::string::npos || first == 0 || second + 1 == text.size()) {
    return must_be("REALM:USER:FILE", text);
  }
  AccountCredentials credentials;
  credentials.realm = text.substr(0, first);
  credentials.username = text.substr(first + 1, second - first - 1);
  auto password = read_password(text.substr(second + 1));
  if (!password) return fail(ErrorCode::Io, "has no password: " + password.error().detail);
  credentials.password = std::move(*password);
  return credentials;
}

Result<OutboundMode> parse_outbound(const std::string& text) {
  if (text == "off") return OutboundMode::Off;
  if (text == "auto") return OutboundMode::Auto;
  if (text == "required") return OutboundMode::Required;
  return must_be("off, auto or required", text);
}

Result<RedirectPolicy> parse_redirects(const std::string& text) {
  if (text == "follow") return RedirectPolicy::Follow;
  if (text == "ask") return RedirectPolicy::Ask;
  if (text == "refuse") return RedirectPolicy::Refuse;
  return must_be("follow, ask or refuse", text);
}

Result<TransferPolicy> parse_transfers(const std::string& text) {
  if (text == "ask") return TransferPolicy::Ask;
  if (text == "accept") return TransferPolicy::Accept;
  if (text == "refuse") return TransferPolicy::Refuse;
  return must_be("ask, accept or refuse", text);
}

Result<GruuMode> parse_gruu(const std::string& text) {
  if (text == "off") return GruuMode::Off;
  if (text == "auto") return GruuMode::Auto;
  if (text == "always") return GruuMode::Always;
  return must_be("off, auto or always", text);
}

Result<ContactRewrite> parse_contact_rewrite(const std::string& text) {
  if (text == "off") return ContactRewrite::Off;
  if (text == "auto") return ContactRewrite::Auto;
  if (text == "always") return ContactRewrite::Always;
  return must_be("off, auto or always", text);
}

Result<FamilyPolicy> parse_family(const std::string& text) {
  if (text == "any") return FamilyPolicy::NoPreference;
  if (text == "prefer-4") return FamilyPolicy::Prefer4;
  if (text == "prefer-6") return FamilyPolicy::Prefer6;
  if (text == "only-4") return FamilyPolicy::Only4;
  if (text == "only-6") return FamilyPolicy::Only6;
  return must_be("any, prefer-4, prefer-6, only-4 or only-6", text);
}

/// "PROVIDER PRID [PARAM]", separated by spaces.
Result<PushConfig> parse_push(const std::string& text) {
  std::istringstream words(text);
  PushConfig push;
  std::string more;
  if (!(words >> push.provider >> push.prid) || ((words >> push.param) && (words >> more))) {
    return must_be("PROVIDER PRID [PARAM]", text);
  }
  return push;
}

}  // namespace

Result<double> parse_tone(const std::string& text) {
  double hz = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), hz);
  // The comparison also refuses "nan".
  if (error != std::errc{} || end != text.data() + text.size() ||
      !(hz >= kToneLowest && hz <= kToneHighest)) {
    return must_be(fmt::format("a tone from {} to {} Hz", kToneLowest, kToneHighest), text);
  }
  return hz;
}

Result<AudioSource> parse_source(const std::string& text) {
  AudioSource source;
  if (text == "silence") return source;
  if (text == "echo") {
    source.kind = AudioSource::Kind::Echo;
    return source;
  }
  if (text == "tone" || text.rfind("tone:", 0) == 0) {
    source.kind = AudioSource::Kind::Tone;
    if (text != "tone") {
      const auto hz = parse_tone(text.substr(5));
      if (!hz) return tl::unexpected(hz.error());
      source.tone_hz = *hz;
    }
    return source;
  }
  if (text.rfind("file:", 0) == 0) {
    source.kind = AudioSource::Kind::File;
    source.file = text.substr(5);
    source.loop = true;
    if (auto readable = io::SoundFiles::check_source(source.file); !readable) {
      return fail(ErrorCode::Io, "must name a sound file: " + readable.error().detail);
    }
    return source;
  }
  return must_be("silence, tone, tone:HZ, file:PATH or echo", text);
}

Result<EventFormat> parse_event_format(const std::string& text) {
  if (text == "text") return EventFormat::Text;
  if (text == "json") return EventFormat::Json;
  return must_be("text or json", text);
}

Result<LogLevel> parse_log_level(const std::string& text) {
  if (text == "trace") return LogLevel::Trace;
  if (text == "debug") return LogLevel::Debug;
  if (text == "info") return LogLevel::Info;
  if (text == "warn") return LogLevel::Warn;
  if (text == "error") return LogLevel::Error;
  return must_be("trace, debug, info, warn or error", text);
}

Result<TransportChoice> parse_transport(const std::string& text) {
  if (text == "auto") return TransportChoice::Auto;
  if (text == "udp") return TransportChoice::Udp;
  if (text == "tcp") return TransportChoice::Tcp;
  if (text == "tls") return TransportChoice::Tls;
  return must_be("auto, udp, tcp or tls", text);
}

Result<MptcpMode> parse_mptcp(const std::string& text) {
  if (text == "auto") return MptcpMode::Auto;
  if (text == "on") return MptcpMode::On;
  if (text == "off") return MptcpMode::Off;
  return must_be("auto, on or off", text);
}

void PhoneFlags::add_transport_flags() {
  AccountConfig& account = settings_.account;
  UserAgentConfig& agent = settings_.agent;
  table_.text(
      "transport", "NAME",
      "To the first hop: udp, tcp, tls, or auto: as the URI says, else udp, and tcp for what "
      "is too large for it [auto]",
      into(account.transport, parse_transport));
  table_.path("tls-ca", "PATH",
              "Trusted certificates in PEM: a file, or a folder of hashed names [the system's]",
              &agent.tls.ca_file);
  table_.path("tls-certificate", "FILE",
              "Our own certificate chain in PEM: to accept TLS, and for servers that ask for one",
              &agent.tls.certificate);
  table_.path("tls-key", "FILE", "The private key of --tls-certificate in PEM, without a password",
              &agent.tls.private_key);
  table_.choice("tls-verify",
                "Verify the server's certificate and name (--no-tls-verify: for experiments only)",
                &agent.tls.verify_server);
  const auto port = [](std::optional<std::uint16_t>& target) {
    return [&target](std::int64_t value) { target = static_cast<std::uint16_t>(value); };
  };
  table_.number("listen-tcp", "N", "Accept TCP connections on this port; 0: any [none]", 0, 65'535,
                port(agent.listen_tcp));
  table_.number("listen-tls", "N", "Accept TLS connections on this port; 0: any [none]", 0, 65'535,
                port(agent.listen_tls));
  table_.text(
      "mptcp", "MODE",
      "Multipath TCP for the connections we open: auto (where the kernel has it), on or off "
      "[auto]",
      into(agent.mptcp, parse_mptcp));
}

PhoneFlags::PhoneFlags(CLI::App& command) {
  AccountConfig& account = settings_.account;
  UserAgentConfig& agent = settings_.agent;
  command
      .add_option("--config", config_file_,
                  "A TOML file with the same names as keys, e.g. sip-port = 5062")
      ->type_name("FILE");
  table_.text("account", "URI", "Who you are, e.g. sip:alice@example.org; needed",
              into_uri(account.aor, true));
  table_.text("display-name", "NAME", "Shown to those you call", into_text(account.display_name));
  table_.text("registrar", "URI", "Where to register; default: the account's host",
              into_uri(account.registrar, false));
  table_.text("proxy", "URI", "First hop of everything sent, e.g. sip:192.0.2.1:5060",
              into_uri(account.outbound_proxy, false));
  table_.list("further-proxy", "URI",
              "One more proxy, with a registration of its own (SIP Outbound); at most three",
              [&account](const std::string& given) -> Result<void> {
                if (auto good = check_sip_uri(given, false); !good) return good;
                account.further_outbound_proxies.push_back(given);
                return {};
              });
  table_.text("user", "NAME", "For authentication; default: the account's user",
              into_text(account.username));
  table_.text("password", "TEXT",
              "For authentication. Others on this machine can see it among the processes: "
              "better --password-file or the environment variable GODWIT_PASSWORD",
              [this](const std::string& given) -> Result<void> {
                settings_.account.password = given;
                password_given_ = true;
                return {};
              });
  table_.path("password-file", "FILE", "The password is this file's first line", &password_file_);
  table_.list("credentials", "REALM:USER:FILE",
              "For a server or proxy that asks in a realm of its own; the password is FILE's first "
              "line; may be given several times",
              [&account](const std::string& given) -> Result<void> {
                auto one = read_credentials(given);
                if (!one) return tl::unexpected(one.error());
                account.credentials.push_back(std::move(*one));
                return {};
              });
  table_.text("outbound", "WHETHER", "SIP Outbound (RFC 5626): off, auto or required [auto]",
              into(account.outbound, parse_outbound));
  table_.text("gruu", "WHETHER",
              "Use the GRUU (RFC 5627) that the server grants: off, auto (with Outbound) or always "
              "[auto]",
              into(account.gruu, parse_gruu));
  table_.text("contact-rewrite", "WHETHER",
              "Register the address that the server sees: off, auto (unless a private one would "
              "replace a public one) or always "
              "[auto]",
              into(account.contact_rewrite, parse_contact_rewrite));
  table_.text("sip-family", "WHICH",
              "Address family of the way to the servers: any, prefer-4, prefer-6, only-4 or only-6 "
              "[any]",
              into(account.sip_family, parse_family));
  table_.text(
      "media-family", "WHICH",
      "Address family of the audio in our offers: any, prefer-4, prefer-6, only-4 or only-6 "
      "[any]",
      into(account.media_family, parse_family));
  table_.text("push", "\"PROVIDER PRID [PARAM]\"",
              "Where to send push notifications (RFC 8599); the command push-wake is for when one "
              "comes",
              into(account.push, parse_push));
  agent.state_dir = default_state_dir();
  table_.text("state-dir", "FOLDER",
              "Keeps what names this phone to servers [~/.local/state/godwit]; \"\": keep nothing",
              into_text(agent.state_dir));
  table_.choice("register", "Register at the start (--no-register: only call and be called)",
                &account.register_on_add);
  table_.number("expires", "SECONDS", "Lifetime to ask for when registering, 10 to 86400 [300]", 10,
                86'400,
                [&account](std::int64_t value) { account.expires = std::chrono::seconds(value); });
  table_.list("bind", "ADDRESS", "Use exactly this local address; may be given several times",
              [&agent](const std::string& given) -> Result<void> {
                const auto address = IpAddress::parse(given);
                if (!address || address->is_unspecified() || address->is_multicast()) {
                  return must_be("an address of this machine, e.g. 192.0.2.7", given);
                }
                agent.bind_addresses.push_back(*address);
                return {};
              });
  table_.list("interface", "NAME", "Use only this interface; may be given several times",
              [&agent](const std::string& given) -> Result<void> {
                if (given.empty() || given.size() > 15 || given.find('/') != std::string::npos) {
                  return must_be("an interface's name, e.g. wlan0", given);
                }
                agent.interfaces.push_back(given);
                return {};
              });
  table_.list("dns-server", "ADDRESS[:PORT]",
              "Ask this DNS server, not the system's; may be given several times",
              [&agent](const std::string& given) -> Result<void> {
                const auto server = Endpoint::parse(given, 53);
                if (!server || server->address.is_unspecified() || server->port == 0) {
                  return must_be("the address of a DNS server, e.g. 192.0.2.53", given);
                }
                agent.dns_servers.push_back(*server);
                return {};
              });
  table_.number(
      "sip-port", "N", "UDP port for SIP, 0 to 65535; 0: any [0]", 0, 65'535,
      [&agent](std::int64_t value) { agent.sip_port = static_cast<std::uint16_t>(value); });
  add_transport_flags();
  add_call_flags();
  add_socket_flags();
  table_.choice("auto-answer", "Answer every call at once", &settings_.auto_answer);
  table_.choice("latch", "Send audio to where the other side's audio comes from",
                &agent.media.latch);
  table_.choice("rtcp-mux", "Share one port between RTP and RTCP where the other side can",
                &agent.media.rtcp_mux);
  table_.list("stun-server", "HOST[:PORT]",
              "Ask this STUN server how the world sees us behind a NAT; up to four times",
              [&agent](const std::string& given) -> Result<void> {
                if (auto server = parse_host_port(given); !server) {
                  return must_be("a host or address without \"stun:\", e.g. stun.example.org:3478",
                                 given);
                }
                agent.stun_servers.push_back(given);
                return {};
              });
  table_.choice("nat64", "On a network with IPv6 only, reach IPv4 through its NAT64", &agent.nat64);
  table_.number(
      "media-timeout", "SECONDS",
      "Hang up when nothing has come from the other side for so long, 5 to 3600; 0: never "
      "[0]",
      [&agent](const std::string& given) -> Result<void> {
        const auto seconds = parse_number(given, 0, 3'600);
        if (!seconds || (*seconds != 0 && *seconds < 5))
          return must_be("0 or a number from 5 to 3600", given);
        agent.media.timeout = std::chrono::seconds(*seconds);
        return {};
      });
  table_.text("source", "SOURCE",
              "What calls send: silence, tone, tone:HZ, file:PATH or echo [silence]",
              into(settings_.source, parse_source));
  table_.text("record", "FILE", "Write what is heard to this WAV file; later calls add -NUMBER",
              [this](const std::string& given) -> Result<void> {
                if (auto good = check_writable(given); !good) return good;
                settings_.record = given;
                return {};
              });
  table_.text("events", "FORMAT", "text (for people) or json (one object per line) [text]",
              into(settings_.events, parse_event_format));
  table_.text(
      "log-level", "LEVEL",
      "What goes to standard error: trace, debug (with all SIP messages), info, warn or error "
      "[warn]",
      into(settings_.log_level, parse_log_level));
  add_trace_flags(table_, settings_.sip_trace);
  table_.add_flags_to(command);
}

void PhoneFlags::add_call_flags() {
  CallPolicy& calls = settings_.account.calls;
  table_.text("redirects", "WHAT",
              "When a call is sent on (3xx): follow, ask (the command follow says yes) or refuse "
              "[follow]",
              into(calls.redirect, parse_redirects));
  table_.text(
      "transfers", "WHAT",
      "When the other side asks us to call somebody else (REFER): ask (accept-transfer says "
      "yes), accept or refuse [ask]",
      into(settings_.agent.transfers, parse_transfers));
  table_.number("session-expires", "SECONDS",
                "Session timer (RFC 4028): the interval to ask for, 90 to 86400; 0: none [1800]",
                [&calls](const std::string& given) -> Result<void> {
                  const auto seconds = parse_number(given, 0, 86'400);
                  if (!seconds || (*seconds != 0 && *seconds < 90))
                    return must_be("0 or a number from 90 to 86400", given);
                  calls.session_timer = *seconds == 0 ? ExtensionUse::Off : ExtensionUse::Supported;
                  if (*seconds != 0) calls.session_expires = std::chrono::seconds(*seconds);
                  return {};
                });
}

Result<PhoneSettings> PhoneFlags::take() {
  if (!config_file_.empty()) {
    if (auto taken = table_.take_file(config_file_); !taken) {
      return fail(taken.error().code, "--config: " + taken.error().detail);
    }
  }
  if (auto taken = table_.take_flags(); !taken) return tl::unexpected(taken.error());
  if (auto taken = take_password(); !taken) return tl::unexpected(taken.error());
  if (auto good = check_transport(); !good) return tl::unexpected(good.error());
  if (const auto limit = settings_.agent.media.timeout.count(); limit > 0 && limit < 5) {
    return fail(ErrorCode::InvalidArgument,
                fmt::format("--media-timeout must be 0 or from 5 to 3600, not {}", limit));
  }
  if (settings_.account.aor.empty()) {
    return fail(ErrorCode::InvalidArgument,
                "--account is needed, e.g. --account sip:alice@192.0.2.1");
  }
  if (!settings_.account.further_outbound_proxies.empty() &&
      settings_.account.outbound_proxy.empty()) {
    return fail(ErrorCode::InvalidArgument,
                "--further-proxy needs --proxy, the first of the account's proxies");
  }
  return settings_;
}

Result<void> PhoneFlags::check_transport() {
  TlsConfig& tls = settings_.agent.tls;
  struct stat status {};
  if (::stat(tls.ca_file.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
    tls.ca_path = std::exchange(tls.ca_file, {});
  }
  for (const auto& [flag, file] :
       {std::pair<const char*, const std::string&>{"tls-ca", tls.ca_file},
        {"tls-certificate", tls.certificate},
        {"tls-key", tls.private_key}}) {
    if (!file.empty() && ::access(file.c_str(), R_OK) != 0) {
      return fail(ErrorCode::Io, fmt::format("--{} must name a file that can be read: {}: {}", flag,
                                             quoted(file), std::strerror(errno)));
    }
  }
  if (tls.certificate.empty() != tls.private_key.empty()) {
    return fail(ErrorCode::InvalidArgument,
                "--tls-certificate and --tls-key: give both or neither");
  }
  if (settings_.agent.listen_tls && tls.certificate.empty()) {
    return fail(ErrorCode::InvalidArgument, "--listen-tls needs --tls-certificate and --tls-key");
  }
  // Read once already now: else the first TLS connection would find what is wrong with them.
  if (!tls.ca_file.empty() || !tls.certificate.empty()) {
    if (const auto context = io::TlsContext::create(tls); !context) {
      return fail(ErrorCode::Io, "TLS: " + context.error().detail);
    }
  }
  return {};
}

Result<void> PhoneFlags::take_password() {
  if (password_given_ && !password_file_.empty()) {
    return fail(ErrorCode::InvalidArgument, "--password and --password-file: give only one");
  }
  if (!password_file_.empty()) {
    auto password = read_password(password_file_);
    if (!password) return fail(ErrorCode::Io, "--password-file: " + password.error().detail);
    settings_.account.password = *password;
  } else if (!password_given_) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing else runs yet.
    const char* password = std::getenv("GODWIT_PASSWORD");
    if (password != nullptr) settings_.account.password = password;
  }
  return {};
}

}  // namespace godwit::app
