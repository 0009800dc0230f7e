// SPDX-License-Identifier: Apache-2.0
//
// The media engine driven by any sequence of commands, packets, socket answers and timeouts. What
// must hold: outputs name open paths only, time asked for is not in the past for ever, a stopped
// engine is silent.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <set>

#include "base/log.hpp"
#include "base/random.hpp"
#include "media/engine.hpp"
#include "wire/rtp/rtp.hpp"

namespace {

using namespace godwit;
using namespace godwit::media;

void check(bool holds) {
  if (!holds) std::abort();
}

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}
  bool empty() const { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const std::uint8_t value = rest_[0];
    rest_ = rest_.subspan(1);
    return value;
  }
  Bytes bytes(std::size_t size) {
    const Bytes taken = rest_.first(std::min(size, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }

 private:
  Bytes rest_;
};

class Driver {
 public:
  explicit Driver(Input input) : input_(input), engine_(CallId(1), {}, random_, log_, files_) {}

  void run() {
    while (!input_.empty()) {
      step();
      drain();
    }
    settle();
    engine_.command(StopMedia{}, now_);
    drain();
    check(open_.empty() && !engine_.next_timeout());
  }

 private:
  PathId path() { return PathId(input_.byte() % 12U); }
  Endpoint endpoint() {
    const std::uint8_t b = input_.byte();
    const IpAddress address =
        (b & 8U) != 0 ? *IpAddress::parse("2001:db8::1") : IpAddress::v4(192, 0, 2, b & 3U);
    return {address, static_cast<std::uint16_t>((b & 4U) != 0 ? 0 : 4000 + 2 * (b >> 4U))};
  }
  Generation generation() { return Generation(input_.byte() % 3U); }

  void step() {
    switch (input_.byte() % 14U) {
      case 0:
        engine_.command(OpenPath{path(), endpoint().address, 0, "", generation()}, now_);
        break;
      case 1:
        engine_.command(ClosePath{path(), std::chrono::milliseconds(input_.byte() * 10)}, now_);
        break;
      case 2: {
        SetParameters p;
        const std::uint8_t b = input_.byte();
        p.payload_type = (b & 1U) != 0 ? 8 : 0;
        p.codec = (b & 1U) != 0 ? Codec::Pcma : Codec::Pcmu;
        p.receive.assign(b & 15U, {static_cast<std::uint8_t>(b & 8U), Codec::Pcma});
        p.direction = static_cast<MediaDirection>(b >> 4U & 3U);
        p.latch = (b & 64U) != 0;
        p.packet_time = std::chrono::milliseconds(input_.byte());
        engine_.command(p, now_);
        break;
      }
      case 3: {
        SetRemote r{path(), endpoint(), endpoint(), {}, generation()};
        if (const std::uint8_t b = input_.byte(); (b & 1U) != 0) {
          r.old_path_dead_since = now_ - std::chrono::milliseconds(b) * 20;
        }
        engine_.command(r, now_);
        break;
      }
      case 4: {
        godwit::AudioSource source;
        source.kind = static_cast<godwit::AudioSource::Kind>(input_.byte() % 4U);
        engine_.command(SetSource{source}, now_);
        break;
      }
      case 5: engine_.command(SetMuted{(input_.byte() & 1U) != 0}, now_); break;
      case 6: now_ += std::chrono::milliseconds(input_.byte()) * 16; break;
      case 7: engine_.on_timeout(now_); break;
      case 8: settle(); break;
      case 9: engine_.on_error(path(), Error{ErrorCode::Network, "x"}, now_); break;
      case 10: answer_ = !answer_; break;
      case 11: {
        const std::uint8_t b = input_.byte();
        engine_.on_packet(path(), (b & 1U) != 0 ? Channel::Rtcp : Channel::Rtp, endpoint(),
                          input_.bytes(b), now_);
        break;
      }
      default: rtp(); break;
    }
  }
  void rtp() {
    const Buffer payload(input_.byte() * 2U, 0x55);
    wire::RtpPacket packet;
    packet.payload_type = static_cast<std::uint8_t>(input_.byte() & 8U);
    packet.ssrc = input_.byte() % 3U;
    const std::uint8_t jump = input_.byte();
    sequence_ = static_cast<std::uint16_t>(sequence_ + (jump < 200 ? 1 : jump * jump));
    timestamp_ += jump < 220 ? 160U : jump * 0x1000003U;
    packet.sequence = sequence_;
    packet.timestamp = timestamp_;
    packet.payload = payload;
    engine_.on_packet(path(), Channel::Rtp, endpoint(), *wire::build_rtp(packet), now_);
  }
  /// Timeouts as a well-behaved driver calls them, for a second.
  void settle() {
    const TimePoint end = now_ + std::chrono::seconds(1);
    for (int calls = 0;; ++calls) {
      check(calls < 1000);
      const auto next = engine_.next_timeout();
      if (!next || *next > end) break;
      now_ = std::max(now_, *next);
      engine_.on_timeout(now_);
      drain();
    }
    now_ = end;
  }
  void drain() {
    while (auto output = engine_.poll_output()) {
      if (const auto* open = std::get_if<OpenSockets>(&*output)) {
        check(open_.insert(open->path).second);
        if (answer_) {
          engine_.on_sockets(open->path, Endpoint{open->local, 20000}, now_);
        } else {
          engine_.on_sockets(open->path, fail(ErrorCode::Network, "no"), now_);
          open_.erase(open->path);
        }
      } else if (const auto* close = std::get_if<CloseSockets>(&*output)) {
        check(open_.erase(close->path) == 1);
      } else if (const auto* send = std::get_if<SendPacket>(&*output)) {
        check(open_.contains(send->path) && send->remote.port != 0 && !send->bytes.empty());
      }
    }
  }

  Input input_;
  SeededRandom random_{1};
  NullLog log_;
  NoAudioFiles files_;
  MediaEngine engine_;
  TimePoint now_{std::chrono::seconds(1000)};
  bool answer_ = true;
  std::set<PathId> open_;
  std::uint16_t sequence_ = 0;
  std::uint32_t timestamp_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Driver(Input(data, size)).run();
  return 0;
}
