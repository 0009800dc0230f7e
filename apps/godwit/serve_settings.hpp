// SPDX-License-Identifier: Apache-2.0
//
// What `godwit serve` was told, checked. Values only; opens nothing.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "godwit/address.hpp"
#include "godwit/config.hpp"
#include "godwit/result.hpp"
#include "phone_settings.hpp"
#include "settings.hpp"
#include "trace_file.hpp"

namespace godwit::app {

/// A user of the server that lives in the same process and answers every call.
struct PartySettings {
  std::string user;
  AudioSource::Kind sends = AudioSource::Kind::Echo;
};

struct ServeSettings {
  std::vector<Endpoint> listen;
  std::vector<Endpoint> listen_tcp;
  std::vector<Endpoint> listen_tls;
  std::string tls_certificate;  ///< PEM files; with listen_tls.
  std::string tls_key;
  std::vector<std::string> domains;
  std::map<std::string, std::string> users;  ///< Name -> password; empty: anybody may register.
  bool challenge_calls = false;
  std::vector<PartySettings> parties;
  EventFormat events = EventFormat::Text;
  LogLevel log_level = LogLevel::Info;
  TraceSettings sip_trace;
};

class ServeFlags {
 public:
  explicit ServeFlags(CLI::App& command);
  Result<ServeSettings> take();

 private:
  void add_listen(std::string name, std::string help, std::uint16_t port,
                  std::vector<Endpoint>* target);
  void add_party(std::string name, std::string help, AudioSource::Kind sends);

  ServeSettings settings_;
  SettingTable table_;
};

}  // namespace godwit::app
