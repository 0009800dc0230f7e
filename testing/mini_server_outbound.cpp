// SPDX-License-Identifier: Apache-2.0
//
// MiniServer: SIP Outbound (RFC 5626), GRUU (RFC 5627) and the like, as far as scenarios need them.
#include <algorithm>

#include "testing/mini_server.hpp"
#include "testing/sip_text.hpp"

namespace godwit::testing {
namespace {

bool supports(const SipText& request, std::string_view tag) {
  const auto tags = request.values("Supported");
  return std::find(tags.begin(), tags.end(), tag) != tags.end();
}

/// "<urn:uuid:…>#1" -> "urn:uuid:…"
std::string urn_of(const std::string& instance) {
  const auto end = instance.find('>');
  if (!instance.starts_with('<') || end == std::string::npos) return {};
  return instance.substr(1, end - 1);
}

}  // namespace

std::string MiniServer::contact_of(const std::string& name, const ServerBinding& binding,
                                   const SipText& request, TimePoint now) const {
  std::string value = "<" + binding.contact + ">";
  if (binding.expires_at) {
    const auto left = std::chrono::duration_cast<std::chrono::seconds>(*binding.expires_at - now);
    value += ";expires=" + std::to_string(left.count());
  }
  const std::string urn = urn_of(binding.instance);
  if (urn.empty()) return value;
  value += ";+sip.instance=\"<" + urn + ">\"";
  const std::string reg_id = binding.instance.substr(binding.instance.find('#') + 1);
  if (!reg_id.empty()) value += ";reg-id=" + reg_id;
  if (config_.gruu && supports(request, "gruu")) {
    value += ";pub-gruu=\"sip:" + name + "@" + config_.domains.front() + ";gr=" + urn + "\"";
  }
  return value;
}

void MiniServer::grant_extensions(SipText& answer, const SipText& request) const {
  if (config_.outbound && supports(request, "outbound") &&
      request.first("Contact").find("reg-id") != std::string::npos) {
    answer.append("Require", "outbound");
  }
  for (const std::string& route : config_.service_route) answer.append("Service-Route", route);
  if (config_.flow_timer.count() > 0) {
    answer.append("Flow-Timer", std::to_string(config_.flow_timer.count()));
  }
  if (config_.push && request.first("Contact").find("pn-provider") != std::string::npos) {
    answer.append("Feature-Caps", "*;+sip.pns=\"webpush\"");
  }
}

const ServerBinding& MiniServer::binding_for(const std::string& uri,
                                             const std::vector<ServerBinding>& live) const {
  const auto parts = parse_uri(uri);
  const auto gr = parts ? parameter("x;" + parts->parameters, "gr") : std::nullopt;
  for (const ServerBinding& binding : live) {
    if (gr && !gr->empty() && urn_of(binding.instance) == *gr) return binding;
  }
  return live.front();
}

std::string MiniServer::flow_token(const Endpoint& flow) {
  for (const auto& [token, known] : flows_) {
    if (known == flow) return token + "@";
  }
  if (flows_.size() >= config_.max_transactions) return {};
  const std::string token = random_.token(16);
  flows_[token] = flow;
  return token + "@";
}

std::optional<Endpoint> MiniServer::flow_of(const std::string& route) const {
  const auto parts = parse_uri(uri_of(route));
  if (!parts || parts->user.empty()) return std::nullopt;
  const auto known = flows_.find(parts->user);
  return known == flows_.end() ? std::nullopt : std::optional(known->second);
}

}  // namespace godwit::testing
