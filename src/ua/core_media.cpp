// SPDX-License-Identifier: Apache-2.0
//
// The core's side of each call's media engine: opens paths, aims the audio, reads the reports.
#include <algorithm>

#include "ua/core_impl.hpp"

namespace godwit::ua {

void Core::Impl::instruct(const Call& call, media::MediaCommand command) {
  outputs_.push_back(MediaInstruction{call.id, std::move(command)});
}

MediaPath Core::Impl::open_media_path(Call& call, const mobility::Path& path) {
  MediaPath media;
  media.id = media::PathId{++call.last_media_path};
  media.path = path;
  media.generation = call.generation;
  instruct(call, media::OpenPath{media.id, path.local, path.interface_index, path.interface_name,
                                 call.generation});
  ask_mapping(call, media);
  return media;
}

std::optional<mobility::Path> Core::Impl::media_path_to(const Account& account,
                                                        const IpAddress& remote) const {
  auto way = path_to(remote, media_policy(account));
  if (way && !allows(account.config.media_family, way->local.family())) way.reset();
  return way;
}

std::optional<mobility::Path> Core::Impl::first_media_path(const Account& account,
                                                           const mobility::Path& sip,
                                                           const IpAddress& towards,
                                                           bool ours) const {
  if (const auto path = ours ? media_way(account, towards) : media_path_to(account, towards)) {
    return path;
  }
  const bool pinned = account.config.media_pin != PathPin{};
  if (ours && (pinned || !allows(account.config.media_family, sip.local.family()))) {
    return std::nullopt;
  }
  if (!pinned) return sip;
  // Pinned, and the offer's own address is out of reach: where it answers the server, if anywhere.
  return account.server ? media_path_to(account, account.server->address) : std::nullopt;
}

MediaPath* Core::Impl::find_media_path(Call& call, media::PathId id) {
  if (call.next_media && call.next_media->id == id) return &*call.next_media;
  if (call.media && call.media->id == id) return &*call.media;
  return nullptr;
}

void Core::Impl::aim_media(Call& call, const MediaPath& from,
                           std::optional<TimePoint> old_dead_since) {
  if (!call.agreed) return;
  const IpAddress& local = from.path.local;
  instruct(call, media::SetRemote{from.id, as_sent_from(local, call.agreed->remote_rtp),
                                  as_sent_from(local, call.agreed->remote_rtcp), old_dead_since,
                                  call.generation});
}

void Core::Impl::apply_agreed(Call& call, const AgreedAudio& agreed, media::PathId from) {
  const bool same_remote = call.agreed && call.agreed->remote_rtp == agreed.remote_rtp &&
                           call.agreed->remote_rtcp == agreed.remote_rtcp;
  call.agreed = agreed;
  set_parameters(call);
  const MediaPath* path = find_media_path(call, from);
  // Aiming again at the same place from the same path would undo a latched source.
  const bool same_path = call.aimed_from == from;
  if (path != nullptr && !(same_remote && same_path)) {
    const bool gap = is_gap(agreed, path->path.local);
    const auto dead_since = call.media_dead_since;
    if (!gap) call.media_dead_since.reset();
    aim_media(call, *path, gap ? std::nullopt : dead_since);
    call.aimed_from = from;
  }
  remotes_changed_ = true;
  announce_media(call, path);
}

void Core::Impl::set_parameters(const Call& call) {
  const AgreedAudio& agreed = *call.agreed;
  media::SetParameters parameters;
  parameters.codec = agreed.codec;
  parameters.payload_type = agreed.payload_type;
  parameters.receive = agreed.receive;
  parameters.telephone_event = agreed.telephone_event;
  parameters.receive_event = agreed.receive_event;
  parameters.direction =
      call.quiet ? make_direction(false, receives(agreed.direction)) : agreed.direction;
  parameters.packet_time = config_.media.packet_time;
  parameters.latch = config_.media.latch;
  instruct(call, std::move(parameters));
}

void Core::Impl::on_unproven_timer(Call& call) {
  if (call.peer_proven || !call.agreed || call.state == CallState::Ended) return;
  log_.info("ua", "call " + std::to_string(call.id.value()) +
                      ": no audio is sent until the caller acknowledges the answer");
  call.quiet = true;
  set_parameters(call);
}

void Core::Impl::on_peer_proven(Call& call) {
  call.peer_proven = true;
  if (std::exchange(call.quiet, false) && call.agreed && call.state != CallState::Ended) {
    set_parameters(call);
  }
}

void Core::Impl::announce_media(const Call& call, const MediaPath* path) {
  CallMediaChanged changed;
  changed.call = call.id;
  changed.local = path != nullptr && path->rtp ? *path->rtp : Endpoint{};
  changed.remote = call.agreed->remote_rtp;
  if (path != nullptr && path->rtp && path->told_rtp() != *path->rtp) {
    changed.told = path->told_rtp();
  }
  changed.codec = call.agreed->codec;
  changed.direction = call.agreed->direction;
  changed.held_by_us = call.hold_wanted;
  changed.held_by_peer = call.agreed->held_by_peer;
  emit(changed);
}

void Core::Impl::commit_offered_path(Call& call) {
  if (!call.next_media || call.offered_path != call.next_media->id) return;
  // The old socket keeps receiving for a while: what is still on its way is heard (RFC 3264
  // §8.3.1).
  constexpr Duration kLinger = std::chrono::seconds(2);
  instruct(call, media::ClosePath{call.media->id, kLinger});
  call.media = std::exchange(call.next_media, std::nullopt);
}

void Core::Impl::end_if_vanished(Call& call, std::optional<TimePoint> last_heard, TimePoint now) {
  constexpr std::chrono::seconds kShortest{5};
  if (config_.media.timeout.count() <= 0) return;
  const bool moving = call.suspended || call.move_pending || call.refresh_in_flight ||
                      call.substitute || recovery_ || !online_;
  const bool expected = call.state == CallState::Confirmed && !call.ending &&
                        call.expects_audio() && !call.hold_wanted;
  if (moving || !expected || !call.silent_from) {
    call.silent_from = now;
    return;
  }
  const TimePoint since = std::max(*call.silent_from, last_heard.value_or(*call.silent_from));
  const auto limit = std::max(config_.media.timeout, kShortest);
  if (now - since < limit) return;
  call.reason_to_give = ReasonHeader{"SIP", 0, "media timeout"};
  const std::string why =
      "no audio has come from the other side for " + std::to_string(limit.count()) + " s";
  end_call(call, why, now);
  // Whoever is gone answers no BYE either, which goes on behind.
  if (call.state != CallState::Ended) tell_end(call, 0, why);
}

void Core::Impl::on_media(CallId id, const media::MediaReport& report, TimePoint now) {
  Call* call = find_call(id);
  if (call == nullptr) {
    ++counters_.stale_inputs;
    return;
  }
  if (const auto* opened = std::get_if<media::PathOpened>(&report)) {
    if (MediaPath* path = find_media_path(*call, opened->path)) {
      path->rtp = opened->rtp;
      path->rtcp_port = opened->rtcp.port;
      begin_mapping_wait(*call, *path, now);
    } else {
      ++counters_.stale_inputs;
    }
  } else if (const auto* failed = std::get_if<media::PathFailed>(&report)) {
    if (MediaPath* path = find_media_path(*call, failed->path)) {
      path->failed = true;
      warn("call " + std::to_string(id.value()) + ": no RTP port of " + path->path.to_string() +
           " could be opened: " + failed->error.detail);
      if (call->next_media && call->next_media->id == failed->path) {
        // Better the old media than none: the refresh keeps it, and moves only the signalling.
        call->next_media.reset();
      }
    }
  } else if (const auto* sent = std::get_if<media::FirstSent>(&report)) {
    const MediaPath* path = find_media_path(*call, sent->path);
    if (recovery_ && path != nullptr && sent->generation == recovery_->generation()) {
      progress(recovery_->media_moved(id, path->rtp.value_or(Endpoint{path->path.local, 0}),
                                      sent->at, sent->pause_before));
    }
  } else if (const auto* heard = std::get_if<media::FirstReceived>(&report)) {
    call->heard = true;
    on_peer_proven(*call);
    if (recovery_ && heard->generation == recovery_->generation()) {
      progress(recovery_->audio_heard(id, heard->at, heard->pause_before, heard->lost));
    }
  } else if (const auto* statistics = std::get_if<media::MediaStatistics>(&report)) {
    emit(CallStatistics{id, statistics->packets_sent, statistics->packets_received,
                        statistics->packets_lost, to_ms(statistics->jitter)});
    end_if_vanished(*call, statistics->last_heard, now);
  } else if (const auto* digit = std::get_if<media::DigitReceived>(&report)) {
    emit(DtmfReceived{id, digit->digit, digit->duration, DtmfMethod::Rtp});
  } else if (const auto* row = std::get_if<media::DigitsSent>(&report)) {
    on_digits_sent(*call, *row, now);
  } else if (const auto* audio = std::get_if<media::AudioFailed>(&report)) {
    warn("call " + std::to_string(id.value()) + ": " + audio->error.detail);
  } else if (const auto* trouble = std::get_if<media::PathTrouble>(&report)) {
    log_.info("ua", "call " + std::to_string(id.value()) + ": RTP: " + trouble->error.detail);
  } else if (const auto* silent = std::get_if<media::MediaSilent>(&report)) {
    on_media_silent(*call, silent->since, now);
  } else if (const auto* sound = std::get_if<media::MediaHeard>(&report)) {
    on_media_heard(*call, sound->pause, now);
  } else if (const auto* learned = std::get_if<media::MappingLearned>(&report)) {
    on_mapping(*call, *learned, now);
  } else if (const auto* unknown = std::get_if<media::MappingUnknown>(&report)) {
    on_mapping_unknown(*call, *unknown);
  }
  touch(id);
  settle(now);
}

}  // namespace godwit::ua
