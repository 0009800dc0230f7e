// SPDX-License-Identifier: Apache-2.0
//
// Decides which RTP packets belong to the call's received stream: the peer may move to another
// address without telling, and anybody may send to our port. Judges by SSRC, source address,
// sequence and time; it keeps no audio of accepted packets and sends nothing. All its tables are
// bounded.
//
// The rules (design §4, "A receiver accepts a new source …"):
//  - The stream's SSRC from where it came last, or from the signalled address: accepted at once,
//    whichever of our paths it arrives on.
//  - The stream's SSRC from elsewhere: held, and accepted, none lost, with the third packet of
//    contiguous sequence. While the stream lives its sequence must be near the stream's.
//  - No stream yet: from the signalled address at once, from elsewhere as above.
//  - Another SSRC, the stream alive: from a stranger ignored. From the stream's own source, held as
//    above, and all forgotten whenever the stream is heard again (so nobody can cut in). From the
//    signalled address while the stream comes from elsewhere: held as above.
//  - Another SSRC when the stream has been silent for kStrangerLimit: held as above.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "godwit/address.hpp"
#include "godwit/time.hpp"
#include "media/contract.hpp"

namespace godwit::media {

class SourceGate {
 public:
  static constexpr unsigned kConfirmations = 3;
  static constexpr std::size_t kMaxCandidates = 4;
  static constexpr int kNear =
      1000;  ///< Sequence distance allowed to a new source of a live stream.

  struct Packet {
    PathId path;
    Endpoint from;
    std::uint32_t ssrc = 0;
    std::uint16_t sequence = 0;
    TimePoint at;
    Buffer bytes;
  };
  enum class Verdict : std::uint8_t { Accepted, Held, Ignored };
  struct Outcome {
    Verdict verdict = Verdict::Ignored;
    /// Held until now, to be taken before the packet asked about; oldest first.
    std::vector<Packet> released;
    /// The stream now comes from this packet's source instead of another.
    bool moved = false;
  };

  /// Where SDP says the peer is.
  void set_signalled(const Endpoint& signalled) { signalled_ = signalled; }
  /// `stranger_limit`: how long the stream must be silent before another SSRC may take over.
  explicit SourceGate(Duration stranger_limit) : stranger_limit_(stranger_limit) {}

  Outcome on_packet(PathId path, const Endpoint& from, std::uint32_t ssrc, std::uint16_t sequence,
                    Bytes bytes, TimePoint now);

  /// Where the stream comes from; absent before the first accepted packet.
  std::optional<Endpoint> source() const;

 private:
  struct Stream {
    std::uint32_t ssrc;
    Endpoint source;
    std::uint16_t highest;
    TimePoint heard;
  };
  struct Candidate {
    Endpoint from;
    std::uint32_t ssrc;
    bool verified = false;  ///< Its packets are accepted; only the move is open.
    bool favoured =
        false;  ///< Has the stream's SSRC or a known address: strangers do not evict it.
    unsigned contiguous = 0;
    unsigned leading = 0;  ///< Newest packets of the stream in a row that came from here.
    std::uint16_t next_sequence = 0;
    TimePoint seen;
    std::vector<Packet> held;
  };

  bool may_try(const Endpoint& from, std::uint32_t ssrc, std::uint16_t sequence,
               TimePoint now) const;
  Candidate* find(const Endpoint& from, std::uint32_t ssrc);
  Candidate* candidate_for(const Endpoint& from, std::uint32_t ssrc);
  Outcome try_candidate(Packet packet);
  /// Takes a packet into the stream and says whether the stream's source changed by it.
  bool accept(const Endpoint& from, std::uint32_t ssrc, std::uint16_t sequence, TimePoint now);

  Duration stranger_limit_;
  std::optional<Endpoint> signalled_;
  std::optional<Stream> stream_;
  std::vector<Candidate> candidates_;
};

}  // namespace godwit::media
