// SPDX-License-Identifier: Apache-2.0
//
// Connections over TCP and TLS to servers with several addresses: they are raced (RFC 8305), so
// that an address or a family that leads nowhere costs a quarter of a second and not the patience
// of TCP. For registrations, their recoveries, and calls straight to a host. Over UDP there is
// nothing to race (docs/adr/0005).
#include <algorithm>

#include "ua/core_impl.hpp"

namespace godwit::ua {
namespace {

Hop hop_of_target(const sip::Target& target) {
  return {target.transport, target.endpoint,
          target.transport == sip::Transport::Tls ? target.server_name : std::string()};
}

bool same_place(const sip::Target& a, const sip::Target& b) {
  return a.transport == b.transport && a.endpoint == b.endpoint;
}

/// All that went wrong, in one sentence.
std::string describe(const Race& race) {
  std::string text;
  for (const Race::Runner& runner : race.runners()) {
    text += text.empty()
                ? "no " + std::string(to_string(runner.target.transport)) + " connection to "
                : ", nor to ";
    text += runner.target.endpoint.to_string() + " (" + runner.failure.value_or("") + ")";
  }
  return text;
}

/// RFC 8305 §4: the families take turns among those that are equally good.
void alternate(std::vector<Race::Runner>& runners) {
  const auto family = [&](std::size_t i) { return runners[i].target.endpoint.address.family(); };
  for (std::size_t i = 1; i + 1 < runners.size(); ++i) {
    if (family(i) != family(i - 1)) continue;
    for (std::size_t j = i + 1; j < runners.size(); ++j) {
      if (runners[j].target.group != runners[i].target.group) break;
      if (family(j) == family(i - 1)) continue;
      std::rotate(runners.begin() + static_cast<std::ptrdiff_t>(i),
                  runners.begin() + static_cast<std::ptrdiff_t>(j),
                  runners.begin() + static_cast<std::ptrdiff_t>(j) + 1);
      break;
    }
  }
}

}  // namespace

std::optional<Race> Core::Impl::make_race(const std::vector<sip::Target>& targets, const Hop& first,
                                          const mobility::Path& path,
                                          const mobility::PathPolicy& policy, TimePoint now) const {
  if (!is_stream(first.transport)) return std::nullopt;
  std::vector<Race::Runner> runners;
  for (const sip::Target& target : targets) {
    if (target.transport != first.transport || target.endpoint != first.remote) continue;
    runners.push_back({target, path});
  }
  if (runners.empty()) return std::nullopt;
  for (const sip::Target& target : targets) {
    const bool secure = target.transport == sip::Transport::Tls;
    // Being slow is no reason to do without TLS; if it cannot be had at all, what the DNS names
    // next is tried.
    if (!is_stream(target.transport) || (first.transport == sip::Transport::Tls && !secure) ||
        same_place(target, runners.front().target) || locator_.is_down(target, now)) {
      continue;
    }
    const auto way = path_to(target.endpoint.address, policy);
    if (way) runners.push_back({target, *way});
  }
  if (runners.size() < 2) return std::nullopt;
  for (Race::Runner& runner : runners) {
    if (!first.tls_name.empty()) runner.target.server_name = first.tls_name;
  }
  alternate(runners);
  return Race(std::move(runners));
}

const Race::Runner* Core::Impl::run(Race& race, TimePoint now) {
  for (const Race::Runner& runner : race.runners()) {
    if (!runner.stream || runner.failure) continue;
    const Stream* stream = streams_.find(runner.stream);
    if (stream != nullptr && stream->open && !stream->dead) return &runner;
    if (stream != nullptr && !stream->failed && !stream->dead) {
      race.fresh = true;
    } else {
      race.failed(runner.stream, stream == nullptr ? "it was closed" : stream->failure, now);
    }
  }
  while (const Race::Runner* next = race.due(now)) {
    const ListenerId id =
        streams_.ensure(next->path, hop_of_target(next->target), judge_.generation(), now);
    const Stream* stream = streams_.find(id);
    if (stream == nullptr) {
      race.refused("there are too many connections", now);
      continue;
    }
    race.started(id, now);
    if (stream->open && !stream->dead) return next;
    if (stream->failed || stream->dead) {
      race.failed(id, stream->failure, now);  // It waits until it may be tried again.
    } else {
      race.fresh = true;
    }
  }
  return nullptr;
}

bool Core::Impl::is_raced(ListenerId stream) const {
  const auto races = [&](const auto& entry) {
    return entry.second->race && entry.second->race->has(stream);
  };
  return std::any_of(accounts_.begin(), accounts_.end(), races) ||
         std::any_of(calls_.begin(), calls_.end(), races);
}

void Core::Impl::touch_racers(ListenerId stream) {
  for (const auto& [id, account] : accounts_) {
    if (account->race && account->race->has(stream)) touch_racer(*account);
  }
  for (const auto& [id, call] : calls_) {
    if (call->race && call->race->has(stream)) touch(id);
  }
}

void Core::Impl::touch_racer(const Account& account) {
  touch(account.id);
  for (const auto& [id, call] : calls_) {
    if (call->way == account.id && call->outgoing && !call->started) touch(id);
  }
}

void Core::Impl::watch_race(Race& race, const Timer& timer) {
  const auto next = race.next();
  if (race.timer_at == next) return;
  timers_.cancel(race.timer);
  race.timer = {};
  race.timer_at = next;
  if (next) race.timer = timers_.schedule(*next, timer);
}

sip::Target Core::Impl::close_race(std::optional<Race>& finished, const Race::Runner& winner,
                                   TimePoint now) {
  const Race::Runner won = winner;
  const Race race = *std::exchange(finished, std::nullopt);
  timers_.cancel(race.timer);
  for (const Race::Runner& runner : race.runners()) {
    if (runner.stream == won.stream) continue;
    // A better server that could not be had is passed over for a while, or it would be returned to
    // at once.
    if (runner.failure || (runner.stream && runner.target.group < won.target.group)) {
      locator_.note_failure(runner.target, std::nullopt, now);
    }
    if (!runner.failure && runner.stream) close_loser(runner.stream);
  }
  return won.target;
}

void Core::Impl::close_loser(ListenerId id) {
  const Stream* stream = streams_.find(id);
  if (stream == nullptr || stream->open || stream->failed || !stream->waiting.empty() ||
      is_raced(id)) {
    return;
  }
  const mobility::Path path = stream->path;
  log_.debug("ua", "the connection to " + stream->hop.remote.to_string() + " is not needed");
  streams_.close(id);
  touch_users(path);  // Who waits for that very one asks anew.
}

std::optional<sip::Flow> Core::Impl::connect(Account& account, TimePoint now) {
  if (!account.race) {
    if (auto flow = flow_to(*account.path, account.hop(), now)) return flow;
    if (listeners_.is_restarting(*account.path)) return std::nullopt;
    account.race =
        make_race(account.targets, account.hop(), *account.path, path_policy(account), now);
    if (!account.race) {
      if (const auto why = flow_failure(*account.path, account.hop())) {
        on_no_connection(account, *why, now);
      }
      return std::nullopt;
    }
  }
  const Race::Runner* winner = run(*account.race, now);
  if (winner == nullptr && account.race->lost()) {
    lose_race(account, now);
    return std::nullopt;
  }
  if (winner == nullptr) {
    watch_race(*account.race, Timer{owner(OwnerKind::KeepAlive, account.id.value()), kRaceTimer});
    return std::nullopt;
  }
  const mobility::Path path = winner->path;
  const auto flow = streams_.flow(winner->stream);
  const sip::Target target = close_race(account.race, *winner, now);
  const bool another = account.server != target.endpoint || account.transport != target.transport;
  if (another) {
    log_.info("ua", "account " + account.config.aor + " takes " + target.endpoint.to_string() +
                        ", which was the first to open");
    account.take_server(target);
    account.path = path;
    open_listeners(path);
    remotes_changed_ = true;
  }
  touch_racer(account);
  return flow;
}

void Core::Impl::lose_race(Account& account, TimePoint now) {
  const Race race = *std::exchange(account.race, std::nullopt);
  timers_.cancel(race.timer);
  const std::string why = describe(race);
  const auto ran = [&](const sip::Target& target) {
    return std::any_of(
        race.runners().begin(), race.runners().end(),
        [&](const Race::Runner& runner) { return same_place(runner.target, target); });
  };
  const bool elsewhere =
      std::any_of(account.targets.begin(), account.targets.end(), [&](const sip::Target& target) {
        return !ran(target) && !locator_.is_down(target, now) &&
               path_to(account, target.endpoint.address);
      });
  if (elsewhere) {
    for (const Race::Runner& runner : race.runners()) {
      locator_.note_failure(runner.target, std::nullopt, now);
    }
    if (leave_server(account, why, std::nullopt, now)) return;
  }
  if (race.fresh) {
    warn(why);
    if (recovery_ && account.generation == recovery_->generation()) {
      progress(recovery_->listener_opened(false, Endpoint{}, why, now));
    }
  }
  do_without_connection(account, why, now);
  // One that was lost before it began is run again when its connections may be, not at once.
  if (race.fresh) touch_racer(account);
  if (!race.fresh || !account.wants_registration ||
      account.registration->state() != RegistrationState::Unregistered) {
    return;
  }
  tell_registration(account,
                    {account.id, RegistrationState::Failed, 503, why, "", std::chrono::seconds(0)});
}

std::optional<sip::Flow> Core::Impl::connect(Call& call, const Hop& way,
                                             std::optional<std::string>& failure, TimePoint now) {
  if (!call.race) {
    if (auto flow = flow_to(*call.path, way, now)) return flow;
    if (listeners_.is_restarting(*call.path)) return std::nullopt;
    call.race = make_race(call.targets, way, *call.path, path_policy(way_of(call)), now);
    if (!call.race) {
      failure = flow_failure(*call.path, way);
      return std::nullopt;
    }
  }
  const Race::Runner* winner = run(*call.race, now);
  if (winner == nullptr && call.race->lost()) {
    failure = describe(*call.race);
    timers_.cancel(call.race->timer);
    call.race.reset();
    return std::nullopt;
  }
  if (winner == nullptr) {
    watch_race(*call.race, Timer{owner(OwnerKind::CallControl, call.id.value()),
                                 static_cast<std::uint32_t>(CallTimer::Refresh)});
    return std::nullopt;
  }
  const mobility::Path path = winner->path;
  const auto flow = streams_.flow(winner->stream);
  take_target(call, close_race(call.race, *winner, now));
  if (!(call.path == path)) {
    leave_start(call);
    call.path = path;
    open_listeners(path);
    const Account& account = *accounts_.at(call.account);
    const auto media = first_media_path(account, path, call.first_hop->address, true);
    if (!media) {
      failure = no_media_path_to(account, call.first_hop->address);
      return std::nullopt;
    }
    call.media = open_media_path(call, *media);
  }
  remotes_changed_ = true;
  return flow;
}

void Core::Impl::restart_races() {
  for (const auto& [id, account] : accounts_) {
    if (!account->race) continue;
    timers_.cancel(account->race->timer);
    account->race.reset();
    touch_racer(*account);
  }
  for (const auto& [id, call] : calls_) {
    if (!call->race) continue;
    timers_.cancel(call->race->timer);
    call->race.reset();
    if (!call->former) leave_start(*call);  // It starts from wherever the way leads now.
    touch(id);
  }
}

}  // namespace godwit::ua
