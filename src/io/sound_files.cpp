// SPDX-License-Identifier: Apache-2.0
#include "io/sound_files.hpp"

#include <signal.h>
#include <sndfile.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "io/resampler.hpp"
#include "io/thread.hpp"

namespace godwit::io {
namespace {

struct CloseSound {
  void operator()(SNDFILE* file) const { ::sf_close(file); }
};
using Sound = std::unique_ptr<SNDFILE, CloseSound>;

/// Samples from one thread to one other. Never blocks.
class Ring {
 public:
  std::size_t held() const {
    return written_.load(std::memory_order_acquire) - read_.load(std::memory_order_acquire);
  }
  std::size_t room() const { return kCapacity - held(); }
  std::size_t put(std::span<const std::int16_t> samples) {
    const std::size_t count = std::min(samples.size(), room());
    const std::size_t at = written_.load(std::memory_order_relaxed);
    for (std::size_t i = 0; i < count; ++i) samples_[(at + i) % kCapacity] = samples[i];
    written_.store(at + count, std::memory_order_release);
    return count;
  }
  std::size_t take(std::span<std::int16_t> samples) {
    const std::size_t count = std::min(samples.size(), held());
    const std::size_t at = read_.load(std::memory_order_relaxed);
    for (std::size_t i = 0; i < count; ++i) samples[i] = samples_[(at + i) % kCapacity];
    read_.store(at + count, std::memory_order_release);
    return count;
  }

 private:
  static constexpr std::size_t kCapacity = 4 * media::kSampleRate;
  std::vector<std::int16_t> samples_ = std::vector<std::int16_t>(kCapacity);
  std::atomic<std::size_t> written_{0};
  std::atomic<std::size_t> read_{0};
};

// Read ahead this far at opening, and again whenever less is held.
constexpr std::size_t kFirst = media::kSampleRate / 2;
constexpr std::size_t kAhead = 2 * media::kSampleRate;
// How often the worker looks after open files; far below what the rings bridge.
constexpr auto kInterval = std::chrono::milliseconds(50);

/// What the worker does for one file until `serve` says that it is done. `closed` is set by the
/// media thread's end of it.
class Stream {
 public:
  virtual ~Stream() = default;
  /// False: nothing more to do, ever.
  virtual bool serve(Log& log) = 0;
  std::atomic<bool> closed{false};
  Ring ring;
};

class Reader final : public Stream {
 public:
  Reader(Sound sound, const SF_INFO& info, bool loop)
      : sound_(std::move(sound)),
        channels_(static_cast<std::size_t>(info.channels)),
        loop_(loop && info.seekable != 0),
        resampler_(static_cast<unsigned>(info.samplerate), media::kSampleRate),
        resamples_(info.samplerate != static_cast<int>(media::kSampleRate)),
        frames_(kBlock * channels_) {}

  bool serve(Log&) override {
    if (closed.load(std::memory_order_acquire)) return false;
    fill(kAhead);
    return !ended_;
  }

  void fill(std::size_t target) {
    while (!ended_ && ring.held() < target) {
      if (pending_.empty()) read_block();
      const std::size_t taken = ring.put(pending_);
      pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(taken));
    }
  }

 private:
  static constexpr std::size_t kBlock = 1024;

  void read_block() {
    const sf_count_t got = ::sf_readf_float(sound_.get(), frames_.data(), kBlock);
    if (got > 0) {
      since_start_ += got;
      take(static_cast<std::size_t>(got));
      return;
    }
    // A file without any audio would be read from its start for ever.
    if (loop_ && since_start_ > 0 && ::sf_seek(sound_.get(), 0, SEEK_SET) == 0) {
      since_start_ = 0;
      return;
    }
    ended_ = true;
    if (resamples_) resampler_.finish(pending_);
    ring.put(pending_);
    pending_.clear();
  }

  void take(std::size_t frames) {
    first_channel_.resize(frames);
    for (std::size_t i = 0; i < frames; ++i) first_channel_[i] = frames_[i * channels_];
    if (resamples_) {
      resampler_.push(first_channel_, pending_);
      return;
    }
    for (const float value : first_channel_) {
      const float scaled = std::clamp(value * 32768.0F, -32768.0F, 32767.0F);
      pending_.push_back(static_cast<std::int16_t>(std::lrintf(scaled)));
    }
  }

  Sound sound_;
  std::size_t channels_;
  bool loop_;
  Resampler resampler_;
  bool resamples_;
  bool ended_ = false;
  sf_count_t since_start_ = 0;
  std::vector<float> frames_;
  std::vector<float> first_channel_;
  std::vector<std::int16_t> pending_;
};

class Writer final : public Stream {
 public:
  Writer(Sound sound, std::string name) : sound_(std::move(sound)), name_(std::move(name)) {}

  bool serve(Log& log) override {
    const bool last = closed.load(std::memory_order_acquire);
    std::array<std::int16_t, 1024> block;
    while (sound_) {
      const std::size_t count = ring.take(block);
      if (count == 0) break;
      const auto want = static_cast<sf_count_t>(count);
      if (::sf_write_short(sound_.get(), block.data(), want) != want) {
        log.warn("io", "recording to " + name_ + " ends: " + ::sf_strerror(sound_.get()));
        sound_.reset();
      }
    }
    const std::uint64_t dropped_so_far = dropped.exchange(0, std::memory_order_relaxed);
    if (sound_ && dropped_so_far > 0) {
      log.warn("io", "recording to " + name_ + " lacks " + std::to_string(dropped_so_far) +
                         " samples: the disk was too slow");
    }
    if (last) sound_.reset();
    return sound_ != nullptr;
  }

  std::atomic<std::uint64_t> dropped{0};

 private:
  Sound sound_;
  std::string name_;
};

class FileSource final : public media::AudioSource {
 public:
  explicit FileSource(std::shared_ptr<Reader> reader) : reader_(std::move(reader)) {}
  ~FileSource() override { reader_->closed.store(true, std::memory_order_release); }
  std::size_t read(std::span<std::int16_t> samples) override { return reader_->ring.take(samples); }

 private:
  std::shared_ptr<Reader> reader_;
};

class FileSink final : public media::AudioSink {
 public:
  explicit FileSink(std::shared_ptr<Writer> writer) : writer_(std::move(writer)) {}
  ~FileSink() override { writer_->closed.store(true, std::memory_order_release); }
  void write(std::span<const std::int16_t> samples) override {
    const std::size_t put = writer_->ring.put(samples);
    if (put < samples.size()) {
      writer_->dropped.fetch_add(samples.size() - put, std::memory_order_relaxed);
    }
  }

 private:
  std::shared_ptr<Writer> writer_;
};

std::string quoted(const std::string& file) { return "\"" + file + "\""; }

/// Opening a FIFO or a device would wait for somebody at its other end.
Result<void> require_regular(const std::string& file, bool may_be_absent) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) {
    if (errno == ENOENT && may_be_absent) return {};
    return fail(ErrorCode::Io, "cannot open " + quoted(file) + ": " + std::strerror(errno));
  }
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::Io, quoted(file) + " is not a plain file");
  return {};
}

Result<Sound> open_for_reading(const std::string& file, SF_INFO& info) {
  if (auto regular = require_regular(file, false); !regular) {
    return tl::unexpected(regular.error());
  }
  info = {};
  Sound sound(::sf_open(file.c_str(), SFM_READ, &info));
  if (!sound) {
    return fail(ErrorCode::Io, "cannot read " + quoted(file) + ": " + ::sf_strerror(nullptr));
  }
  if (info.channels < 1 || info.samplerate < static_cast<int>(SoundFiles::kLowestRate) ||
      info.samplerate > static_cast<int>(SoundFiles::kHighestRate)) {
    return fail(ErrorCode::Unsupported, quoted(file) + " has " + std::to_string(info.channels) +
                                            " channels at " + std::to_string(info.samplerate) +
                                            " Hz; rates from 4000 to 192000 are read");
  }
  return sound;
}

}  // namespace

class SoundFiles::Worker {
 public:
  explicit Worker(Log& log) : log_(log) {
    // The process's signals are not for this thread.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { run(); });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  ~Worker() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_one();
    thread_.join();
    for (const auto& stream : streams_) {
      stream->closed.store(true, std::memory_order_release);
      stream->serve(log_);
    }
  }

  void add(std::shared_ptr<Stream> stream) {
    {
      // Held elsewhere only to move pointers about, never during I/O.
      const std::lock_guard lock(mutex_);
      added_.push_back(std::move(stream));
    }
    wake_.notify_one();
  }

 private:
  void run() {
    name_thread("godwit-files");
    std::unique_lock lock(mutex_);
    while (!stop_) {
      streams_.insert(streams_.end(), added_.begin(), added_.end());
      added_.clear();
      lock.unlock();
      std::erase_if(streams_, [this](const auto& stream) { return !stream->serve(log_); });
      lock.lock();
      if (stop_ || !added_.empty()) continue;
      if (streams_.empty()) {
        wake_.wait(lock, [this] { return stop_ || !added_.empty(); });
      } else {
        wake_.wait_for(lock, kInterval, [this] { return stop_ || !added_.empty(); });
      }
    }
    streams_.insert(streams_.end(), added_.begin(), added_.end());
  }

  Log& log_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;                           // Guarded by mutex_.
  std::vector<std::shared_ptr<Stream>> added_;  // Guarded by mutex_.
  std::vector<std::shared_ptr<Stream>> streams_;
  std::thread thread_;
};

SoundFiles::SoundFiles(Log& log) : worker_(std::make_shared<Worker>(log)) {}
SoundFiles::~SoundFiles() = default;

Result<std::unique_ptr<media::AudioSource>> SoundFiles::open_source(const std::string& file,
                                                                    bool loop) {
  SF_INFO info{};
  auto sound = open_for_reading(file, info);
  if (!sound) return tl::unexpected(sound.error());
  auto reader = std::make_shared<Reader>(std::move(*sound), info, loop);
  reader->fill(kFirst);
  worker_->add(reader);
  return std::make_unique<FileSource>(std::move(reader));
}

Result<std::unique_ptr<media::AudioSink>> SoundFiles::open_sink(const std::string& file) {
  if (auto regular = require_regular(file, true); !regular) {
    return tl::unexpected(regular.error());
  }
  SF_INFO info{};
  info.samplerate = static_cast<int>(media::kSampleRate);
  info.channels = 1;
  info.format = SF_FORMAT_WAV | SF_FORMAT_PCM_16;
  Sound sound(::sf_open(file.c_str(), SFM_WRITE, &info));
  if (!sound) {
    return fail(ErrorCode::Io, "cannot write " + quoted(file) + ": " + ::sf_strerror(nullptr));
  }
  // The header is right after each block: a recording survives the end of the process.
  ::sf_command(sound.get(), SFC_SET_UPDATE_HEADER_AUTO, nullptr, SF_TRUE);
  auto writer = std::make_shared<Writer>(std::move(sound), file);
  worker_->add(writer);
  return std::make_unique<FileSink>(std::move(writer));
}

Result<void> SoundFiles::check_source(const std::string& file) {
  SF_INFO info{};
  auto sound = open_for_reading(file, info);
  if (!sound) return tl::unexpected(sound.error());
  return {};
}

}  // namespace godwit::io
