// SPDX-License-Identifier: Apache-2.0
#include "lab/kamailio.hpp"

#include <fmt/core.h>
#include <glob.h>

#include <filesystem>

namespace godwit::lab {
namespace {

constexpr const char* kSettings = R"cfg(#!KAMAILIO
debug=1
log_stderror=yes
fork=yes
children=2
auto_aliases=no
dns=no
rev_dns=no
)cfg";

constexpr const char* kModules = R"cfg(
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"

modparam("usrloc", "db_mode", 0)
modparam("registrar", "max_expires", 3600)
modparam("auth", "qop", "auth")
modparam("auth", "nonce_expire", 300)
)cfg";

constexpr const char* kRoutes = R"cfg(
request_route {
  if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
  if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }

  if (has_totag()) {
    if (loose_route()) { t_relay(); exit; }
    if (is_method("ACK")) { if (t_check_trans()) t_relay(); exit; }
    sl_send_reply("404", "Not Here");
    exit;
  }
  if (!is_method("ACK") && t_check_trans()) exit;
  if (is_method("OPTIONS") && uri == myself) { sl_send_reply("200", "OK"); exit; }

  route(AUTHENTICATE);
  remove_hf("Route");
  if (is_method("REGISTER")) { save("location"); exit; }
  if (uri != myself) { sl_send_reply("403", "No Relaying"); exit; }
  if (is_method("INVITE|SUBSCRIBE")) record_route();
  if (!lookup("location")) { sl_send_reply("404", "Not Found"); exit; }
  t_relay();
}

route[AUTHENTICATE] {
  $var(password) = "";
  route(PASSWORD);
  if ($var(password) == "" || !pv_auth_check("lab.test", "$var(password)", "0", "1")) {
    auth_challenge("lab.test", "1");
    exit;
  }
  consume_credentials();
}
)cfg";

}  // namespace

std::string kamailio_tls_config(const Certificate& certificate) {
  return fmt::format(
      "[server:default]\nmethod = TLSv1.2+\nverify_certificate = no\nrequire_certificate = no\n"
      "certificate = {}\nprivate_key = {}\n",
      certificate.file, certificate.key_file);
}

std::string kamailio_config(const KamailioOptions& options) {
  std::string text = kSettings;
  text += options.streams ? "tcp_children=2\nenable_tls=yes\n" : "disable_tcp=yes\n";
  for (const auto& address : options.listen) {
    const std::string host = address.to_uri_host();
    text += fmt::format("listen=udp:{}:5060\n", host);
    if (options.streams) text += fmt::format("listen=tcp:{0}:5060\nlisten=tls:{0}:5061\n", host);
  }
  if (!options.name.empty()) text += fmt::format("alias=\"{}\"\n", options.name);
  if (options.streams) {
    text += fmt::format("loadmodule \"tls.so\"\nmodparam(\"tls\", \"config\", \"{}\")\n",
                        options.tls_config_file);
  }
  text += kModules;
  text += kRoutes;
  text += "\nroute[PASSWORD] {\n";
  for (const auto& [name, password] : options.users) {
    text += fmt::format("  if ($au == \"{}\") $var(password) = \"{}\";\n", name, password);
  }
  return text + "}\n";
}

Result<std::vector<std::string>> kamailio_command(const std::string& config_file,
                                                  const std::string& runtime_directory) {
  glob_t found{};
  std::string modules;
  if (::glob("/usr/lib/*/kamailio/modules/tm.so", 0, nullptr, &found) == 0) {
    modules = std::filesystem::path(found.gl_pathv[0]).parent_path();
  }
  ::globfree(&found);
  constexpr const char* kProgram = "/usr/sbin/kamailio";
  if (modules.empty() || !std::filesystem::exists(kProgram)) {
    return fail(ErrorCode::NotFound, "Kamailio is not installed (Debian package kamailio)");
  }
  // -DD: in the foreground, children and all. -w and -Y keep its files out of /run.
  return std::vector<std::string>{
      kProgram, "-DD", "-E", "-f", config_file,       "-L", modules,          "-m",
      "32",     "-M",  "8",  "-Y", runtime_directory, "-w", runtime_directory};
}

}  // namespace godwit::lab
