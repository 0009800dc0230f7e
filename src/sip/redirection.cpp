// SPDX-License-Identifier: Apache-2.0
#include "sip/redirection.hpp"

#include <algorithm>
#include <utility>

#include "wire/sip/headers.hpp"
#include "wire/sip/lex.hpp"
#include "wire/sip/uri.hpp"

namespace godwit::sip {

std::vector<RedirectTarget> redirect_targets(const wire::Message& response) {
  std::vector<RedirectTarget> targets;
  for (const std::string_view value : response.values(wire::HeaderId::Contact)) {
    if (targets.size() == Redirection::kMaxTargets) break;
    const auto contact = wire::NameAddr::parse(value);
    if (!contact || !contact->uri.is_sip() || contact->uri.host.empty()) continue;
    // RFC 3261 §19.1.5: what is meant for another kind of request is no place to call.
    const auto method = contact->uri.params.get("method");
    if (method && !wire::lex::iequals(*method, "INVITE")) continue;
    std::string uri(contact->uri.text.substr(0, contact->uri.text.find('?')));
    targets.push_back(RedirectTarget{std::move(uri), contact->q().value_or(1000)});
  }
  std::stable_sort(targets.begin(), targets.end(),
                   [](const RedirectTarget& a, const RedirectTarget& b) { return a.q > b.q; });
  return targets;
}

Redirection::Redirection(std::string first) { known_.push_back(std::move(first)); }

bool Redirection::add(const std::vector<RedirectTarget>& targets) {
  if (hops_ == kMaxHops) return false;
  ++hops_;
  for (const RedirectTarget& target : targets) {
    // RFC 3261 §8.1.3.4: no URI more than once.
    if (std::find(known_.begin(), known_.end(), target.uri) != known_.end()) continue;
    if (known_.size() > kMaxTargets) break;
    known_.push_back(target.uri);
    const auto behind = std::find_if(open_.begin(), open_.end(), [&](const RedirectTarget& other) {
      return other.q < target.q;
    });
    open_.insert(behind, target);
  }
  return true;
}

std::optional<std::string> Redirection::next() {
  if (open_.empty()) return std::nullopt;
  std::string uri = std::move(open_.front().uri);
  open_.erase(open_.begin());
  return uri;
}

}  // namespace godwit::sip
