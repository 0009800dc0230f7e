// SPDX-License-Identifier: Apache-2.0
//
// For the engine's unit tests only: drives one MediaEngine in simulated time, opens its sockets at
// once, and collects what it puts out. PeerStream makes the RTP of the other side.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "base/random.hpp"
#include "media/engine.hpp"
#include "wire/rtp/rtp.hpp"

namespace godwit::media {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Recordings are kept by name; no file can be read.
class MemoryFiles final : public AudioFiles {
 public:
  Result<std::unique_ptr<AudioSource>> open_source(const std::string& file, bool) override {
    return fail(ErrorCode::Io, file + ": no such file");
  }
  Result<std::unique_ptr<AudioSink>> open_sink(const std::string& file) override {
    if (file.starts_with('/')) return fail(ErrorCode::Io, file + ": not allowed");
    return std::make_unique<Sink>(recordings[file]);
  }
  std::map<std::string, std::vector<std::int16_t>> recordings;

 private:
  class Sink final : public AudioSink {
   public:
    explicit Sink(std::vector<std::int16_t>& kept) : kept_(kept) {}
    void write(std::span<const std::int16_t> samples) override {
      kept_.insert(kept_.end(), samples.begin(), samples.end());
    }

   private:
    std::vector<std::int16_t>& kept_;
  };
};

class EngineHarness {
 public:
  static constexpr TimePoint kStart{seconds(1000)};

  struct Sent {
    TimePoint at;
    PathId path;
    Channel channel;
    Endpoint remote;
    Buffer bytes;
    wire::RtpPacket rtp() const { return *wire::parse_rtp(bytes); }
  };

  explicit EngineHarness(std::uint64_t seed = 1, MediaConfig config = {})
      : random(seed), engine(CallId(1), config, random, log, files) {}

  static Endpoint local_of(PathId path) {
    return {IpAddress::v4(10, static_cast<std::uint8_t>(path.value()), 0, 2), 20000};
  }

  void command(const MediaCommand& c) {
    engine.command(c, now);
    drain();
  }
  void open(unsigned path, unsigned generation = 0) {
    const PathId id(path);
    command(OpenPath{id, local_of(id).address, path, "if" + std::to_string(path),
                     Generation(generation)});
  }
  void remote(unsigned path, const Endpoint& rtp, unsigned generation = 0,
              std::optional<TimePoint> dead_since = {}) {
    const Endpoint rtcp{rtp.address, static_cast<std::uint16_t>(rtp.port + 1)};
    command(SetRemote{PathId(path), rtp, rtcp, dead_since, Generation(generation)});
  }
  void packet(unsigned path, const Endpoint& from, const Buffer& bytes,
              Channel channel = Channel::Rtp) {
    engine.on_packet(PathId(path), channel, from, bytes, now);
    drain();
  }
  /// Lets time pass, timeouts called when they are wanted.
  void run_until(TimePoint end) {
    while (true) {
      const auto next = engine.next_timeout();
      if (!next || *next > end) break;
      now = std::max(now, *next);
      engine.on_timeout(now);
      drain();
    }
    now = end;
  }
  void run_for(Duration d) { run_until(now + d); }
  /// Lets time pass with the process asleep: no timeout is called before the end.
  void stall_for(Duration d) {
    now += d;
    engine.on_timeout(now);
    drain();
  }

  template <typename T>
  std::vector<T> reported() const {
    std::vector<T> found;
    for (const MediaReport& r : reports) {
      if (const T* t = std::get_if<T>(&r)) found.push_back(*t);
    }
    return found;
  }
  std::vector<Sent> sent_rtp() const {
    std::vector<Sent> found;
    for (const Sent& s : sent) {
      if (s.channel == Channel::Rtp) found.push_back(s);
    }
    return found;
  }
  void forget() {
    sent.clear();
    reports.clear();
  }

  SeededRandom random;
  NullLog log;
  MemoryFiles files;
  MediaEngine engine;
  TimePoint now = kStart;
  bool answer_sockets = true;
  std::vector<Sent> sent;
  std::vector<MediaReport> reports;
  std::vector<OpenSockets> opened;
  std::vector<PathId> closed;

 private:
  void drain() {
    while (auto output = engine.poll_output()) {
      if (auto* send = std::get_if<SendPacket>(&*output)) {
        sent.push_back({now, send->path, send->channel, send->remote, std::move(send->bytes)});
      } else if (auto* r = std::get_if<MediaReport>(&*output)) {
        reports.push_back(std::move(*r));
      } else if (auto* close = std::get_if<CloseSockets>(&*output)) {
        closed.push_back(close->path);
      } else {
        opened.push_back(std::get<OpenSockets>(*output));
        if (answer_sockets) {
          const PathId path = opened.back().path;
          engine.on_sockets(path, local_of(path), now);
        }
      }
    }
  }
};

/// RTP as a peer sends it: PCMU, 20 ms, the payload's bytes all alike.
class PeerStream {
 public:
  explicit PeerStream(std::uint32_t ssrc = 0xabcd, std::uint16_t sequence = 65530)
      : ssrc_(ssrc), sequence_(sequence) {}

  Buffer next(std::uint8_t code = 0x80, std::uint8_t payload_type = 0) {
    const Buffer payload(160, code);
    wire::RtpPacket packet;
    packet.payload_type = payload_type;
    packet.sequence = sequence_;
    packet.timestamp = timestamp_;
    packet.ssrc = ssrc_;
    packet.payload = payload;
    skip();
    return *wire::build_rtp(packet);
  }
  /// The peer sends packets that nobody gets.
  void skip(unsigned packets = 1) {
    sequence_ = static_cast<std::uint16_t>(sequence_ + packets);
    timestamp_ += 160 * packets;
  }

 private:
  std::uint32_t ssrc_;
  std::uint16_t sequence_;
  std::uint32_t timestamp_ = 0xfffff000;
};

}  // namespace godwit::media
