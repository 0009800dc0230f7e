// SPDX-License-Identifier: Apache-2.0
//
// Synthetic captures with known gaps, against the figures that must come of them.
#include "lab/analysis.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

namespace godwit::lab {
namespace {

using namespace std::chrono_literals;

const IpAddress kWifi = IpAddress::v4(10, 1, 0, 2);
const IpAddress kLte = IpAddress::v4(10, 2, 0, 2);
const IpAddress kServer = IpAddress::v4(10, 9, 0, 1);
const IpAddress kCallee = IpAddress::v4(10, 9, 0, 2);
constexpr TimePoint kT0{1000s};
constexpr Duration kHalf = 25ms;  ///< One way.

Move move_at_t0() {
  Move m;
  m.number = 1;
  m.from = "wifi";
  m.to = "lte";
  m.old_address = kWifi;
  m.new_address = kLte;
  m.peers = {kCallee};
  m.t0 = kT0;
  m.end = kT0 + 4s;
  m.detected = kT0 + 2ms;
  m.call_up = true;
  return m;
}

/// As the demo holds its moves to them.
Limits each_held(Signalling signalling = Signalling::Udp) {
  Limits limits = limits_for(50ms, signalling);
  limits.each_move = 10ms;
  return limits;
}

/// A capture under construction.
class Tape {
 public:
  /// Leaves `from`'s namespace at `at` and arrives in the other one kHalf later, unless lost.
  void rtp(bool down, Duration at, std::uint16_t sequence, const IpAddress& phone_address,
           bool lost = false) {
    CapturedPacket p;
    p.at = kT0 + at;
    p.outgoing = true;
    p.place = down ? Place::Far : Place::Phone;
    const Endpoint phone{phone_address, 16384};
    const Endpoint peer{kCallee, 20000};
    p.source = down ? peer : phone;
    p.destination = down ? phone : peer;
    p.content = RtpInfo{down ? 2U : 1U, sequence, 0};
    packets_.push_back(p);
    if (lost) return;
    p.outgoing = false;
    p.place = down ? Place::Phone : Place::Far;
    p.at += kHalf;
    packets_.push_back(p);
  }

  void sip(Duration at, bool request, const char* method, int status, std::uint32_t cseq,
           const std::string& contact = {}, const IpAddress& phone_address = kLte) {
    CapturedPacket p;
    p.at = kT0 + at;
    p.outgoing = request;
    p.place = Place::Phone;
    const Endpoint phone{phone_address, 5060};
    const Endpoint server{kServer, 5060};
    p.source = request ? phone : server;
    p.destination = request ? server : phone;
    SipInfo sip;
    sip.request = request;
    sip.method = method;
    sip.status = status;
    sip.cseq = cseq;
    sip.call_id = method == std::string("REGISTER") ? "reg" : "call";
    sip.contact = contact;
    p.content = sip;
    packets_.push_back(p);
  }

  std::vector<CapturedPacket> sorted() {
    std::stable_sort(packets_.begin(), packets_.end(),
                     [](const auto& a, const auto& b) { return a.at < b.at; });
    return packets_;
  }

 private:
  std::vector<CapturedPacket> packets_;
};

/// Both streams at 20 ms from -1 s to +5 s; the move does to them what a good phone and a peer that
/// does not latch make of it: the phone sends from the new address at once, the peer sends to it
/// from `retargeted` on.
void good_streams(Tape* tape, Duration retargeted, std::uint16_t first_sequence = 100) {
  auto sequence = first_sequence;
  for (Duration at = -1s; at < 5s; at += 20ms, ++sequence) {
    tape->rtp(false, at + 7ms, sequence, at + 7ms < Duration::zero() ? kWifi : kLte);
    tape->rtp(true, at + 3ms, sequence, at + 3ms < retargeted ? kWifi : kLte);
  }
}

TEST(Analysis, WhatTlsHidesIsToldByThePhone) {
  Tape tape;
  good_streams(&tape, 130ms);
  Move move = move_at_t0();
  move.kernel_notice = kT0 + 3ms;
  move.told_registered = kT0 + 155ms;
  move.told_answered = kT0 + 157ms;
  EXPECT_FALSE(analyse(tape.sorted(), move).registered) << "of UDP and TCP only packets are proof";
  move.signalling = Signalling::Tls;
  const MoveFigures f = analyse(tape.sorted(), move);
  EXPECT_EQ(f.registered, 155ms);
  EXPECT_EQ(f.registered_after_notice, 152ms);
  EXPECT_EQ(f.answered, 157ms);
  EXPECT_TRUE(failures(f, each_held(Signalling::Tls)).empty());
  EXPECT_TRUE(failures(summary({f}), each_held(Signalling::Tls)).empty());
  EXPECT_EQ(failures(f, each_held(Signalling::Tcp)).size(), 1U);
  EXPECT_EQ(failures(summary({f}), each_held(Signalling::Tcp)).at(0),
            "median: registered anew after 152.0 ms, limit 110.0 ms");
  // What it told of the move before is not this move's.
  move.told_registered = kT0 - 1s;
  EXPECT_FALSE(analyse(tape.sorted(), move).registered);
}

TEST(Analysis, EveryHandshakeMayCostOneRoundTrip) {
  EXPECT_EQ(limits_for(50ms).registered, 60ms);
  EXPECT_EQ(limits_for(50ms, Signalling::Tcp).registered, 110ms);
  EXPECT_EQ(limits_for(50ms, Signalling::Tls).registered, 160ms);
  EXPECT_EQ(limits_for(50ms).first_tx, 5ms);
  EXPECT_EQ(limits_for(50ms).silence_down, 80ms);
  EXPECT_EQ(limits_for(50ms, Signalling::Tls).silence_down, 180ms);
  EXPECT_EQ(limits_for(50ms, Signalling::Tls).silence_up, 30ms);
}

TEST(Analysis, AGoodMove) {
  Tape tape;
  good_streams(&tape, 30ms);
  tape.sip(3ms, true, "REGISTER", 0, 8, "<sip:alice@10.2.0.2:5060>");
  tape.sip(3ms, true, "INVITE", 0, 9, "<sip:alice@10.2.0.2:5060;ob>");
  tape.sip(54ms, false, "INVITE", 100, 9);
  tape.sip(55ms, false, "INVITE", 200, 9);
  tape.sip(53ms, false, "REGISTER", 200, 8);
  const MoveFigures f = analyse(tape.sorted(), move_at_t0());

  EXPECT_EQ(f.detect, 2ms);
  EXPECT_EQ(f.first_rtp_tx, 7ms);
  EXPECT_EQ(f.registered, 53ms);
  EXPECT_EQ(f.answered, 55ms);
  // The peer sends at …, -17, 3, 23 to the old address and from 43 on to the new one. The phone
  // heard what left at -37 (at -12); what left at -17 came to an address that was gone.
  EXPECT_EQ(f.audible, 43ms + kHalf);
  EXPECT_EQ(f.silence_down, 80ms);
  EXPECT_EQ(f.lost_down, 3U);
  EXPECT_EQ(f.silence_up, 20ms);
  EXPECT_EQ(f.lost_up, 0U);
  EXPECT_TRUE(f.survived);
  EXPECT_TRUE(failures(f, each_held()).empty());
}

TEST(Analysis, SequenceNumbersThatWrapAreNotLost) {
  for (const int first : {65480, 65500, 65530}) {
    Tape tape;
    good_streams(&tape, 30ms, static_cast<std::uint16_t>(first));
    const MoveFigures f = analyse(tape.sorted(), move_at_t0());
    EXPECT_EQ(f.lost_down, 3U) << first;
    EXPECT_EQ(f.lost_up, 0U) << first;
  }
}

TEST(Analysis, DuplicatesAreNeitherNewAudioNorExtraPackets) {
  Tape tape;
  good_streams(&tape, 30ms);
  // The peer repeats a packet that was heard long ago to the new address, before new audio.
  tape.rtp(true, 1ms, 100, kLte);
  tape.rtp(true, 15ms, 147, kLte);
  for (int i = 0; i < 50; ++i) {
    tape.rtp(false, i * 20ms + 8ms, static_cast<std::uint16_t>(150 + i), kLte);
  }
  const MoveFigures f = analyse(tape.sorted(), move_at_t0());
  EXPECT_EQ(f.audible, 43ms + kHalf);
  EXPECT_EQ(f.silence_down, 80ms);
  EXPECT_EQ(f.lost_down, 3U);
  EXPECT_EQ(f.lost_up, 0U);
}

TEST(Analysis, CallsThatDoNotComeBack) {
  struct Case {
    const char* name;
    bool up_returns;
    bool down_returns;
    bool call_up;
  };
  for (const Case& c : {Case{"no audio from the peer", true, false, true},
                        Case{"no audio towards the peer", false, true, true},
                        Case{"a party ended the call", true, true, false}}) {
    Tape tape;
    std::uint16_t sequence = 0;
    for (Duration at = -1s; at < 4s; at += 20ms, ++sequence) {
      const bool before = at < Duration::zero();
      tape.rtp(false, at, sequence, before ? kWifi : kLte, !before && !c.up_returns);
      // Delivered to the phone's namespace all the same, where nobody has this address any more.
      tape.rtp(true, at, sequence, before || !c.down_returns ? kWifi : kLte);
    }
    Move move = move_at_t0();
    move.call_up = c.call_up;
    const MoveFigures f = analyse(tape.sorted(), move);
    EXPECT_FALSE(f.survived) << c.name;
    EXPECT_FALSE(failures(f, each_held()).empty()) << c.name;
    if (!c.down_returns) {
      EXPECT_FALSE(f.audible) << c.name;
      EXPECT_EQ(f.silence_down, 4s + 20ms - 5ms) << c.name;  // last heard: left at -40
      // All that was sent up to a second before the end: 2 on the way at T0 and 150 after it.
      EXPECT_EQ(f.lost_down, 151U) << c.name;
    }
    if (!c.up_returns) {
      EXPECT_EQ(f.silence_up, 4s + 20ms - kHalf) << c.name;
      EXPECT_EQ(f.lost_up, 150U) << c.name;
    }
  }
}

TEST(Analysis, LossFarFromTheMoveIsCountedButIsNoSilenceOfIt) {
  Tape tape;
  std::uint16_t sequence = 0;
  for (Duration at = -1s; at < 4s; at += 20ms, ++sequence) {
    const bool before = at < Duration::zero();
    const bool late_hole = at >= 2500ms && at < 2700ms;
    tape.rtp(false, at, sequence, before ? kWifi : kLte, late_hole);
    tape.rtp(true, at, sequence, at < 30ms ? kWifi : kLte);
  }
  const MoveFigures f = analyse(tape.sorted(), move_at_t0());
  EXPECT_EQ(f.silence_up, 20ms);
  EXPECT_EQ(f.lost_up, 10U);
}

TEST(Analysis, AnswersCountOnlyForTheNewContact) {
  struct Case {
    const char* name;
    std::function<void(Tape*)> sip;
    std::optional<Duration> registered;
    std::optional<Duration> answered;
  };
  const std::string old_contact = "<sip:a@10.1.0.2:5060>";
  const std::string new_contact = "<sip:a@10.2.0.2:5060>";
  const Case cases[] = {
      {"nothing", [](Tape*) {}, {}, {}},
      {"old contact",
       [&](Tape* t) {
         t->sip(3ms, true, "REGISTER", 0, 1, old_contact);
         t->sip(53ms, false, "REGISTER", 200, 1);
       },
       {},
       {}},
      {"a contact that only begins alike",
       [&](Tape* t) {
         t->sip(3ms, true, "REGISTER", 0, 1, "<sip:a@10.2.0.25:5060>");
         t->sip(53ms, false, "REGISTER", 200, 1);
       },
       {},
       {}},
      {"challenged, then accepted",
       [&](Tape* t) {
         t->sip(3ms, true, "REGISTER", 0, 1, new_contact);
         t->sip(53ms, false, "REGISTER", 401, 1);
         t->sip(54ms, true, "REGISTER", 0, 2, new_contact);
         t->sip(104ms, false, "REGISTER", 200, 2);
       },
       104ms,
       {}},
      {"sent before the move, answered after it",
       [&](Tape* t) {
         t->sip(-3ms, true, "INVITE", 0, 1, new_contact);
         t->sip(53ms, false, "INVITE", 200, 1);
       },
       {},
       {}},
      {"an UPDATE serves as well",
       [&](Tape* t) {
         t->sip(3ms, true, "UPDATE", 0, 5, new_contact);
         t->sip(53ms, false, "UPDATE", 200, 5);
       },
       {},
       53ms},
      {"the answer went to the old address",
       [&](Tape* t) {
         t->sip(3ms, true, "INVITE", 0, 5, new_contact);
         t->sip(53ms, false, "INVITE", 200, 5, {}, kWifi);
       },
       {},
       {}},
  };
  for (const Case& c : cases) {
    Tape tape;
    good_streams(&tape, 30ms);
    c.sip(&tape);
    const MoveFigures f = analyse(tape.sorted(), move_at_t0());
    EXPECT_EQ(f.registered, c.registered) << c.name;
    EXPECT_EQ(f.answered, c.answered) << c.name;
  }
}

TEST(Analysis, LimitsAreInclusiveAndNamed) {
  MoveFigures f;
  f.detect = f.registered = f.answered = 1ms;
  f.survived = true;
  f.silence_down = 90ms;
  f.silence_up = 40ms;
  EXPECT_TRUE(failures(f, each_held()).empty());
  f.silence_up = 41ms;
  ASSERT_EQ(failures(f, each_held()).size(), 1U);
  EXPECT_EQ(failures(f, each_held())[0], "silence towards the peer for 41.0 ms, limit 40.0 ms");
}

TEST(Analysis, MedianOfMoves) {
  std::vector<MoveFigures> moves(4);
  for (std::size_t i = 0; i < 4; ++i) {
    moves[i].silence_down = std::chrono::milliseconds(60 + 20 * i);
    moves[i].detect = 1ms;
    moves[i].survived = true;
    moves[i].lost_down = static_cast<std::uint32_t>(i);
  }
  moves[3].detect.reset();
  const MoveFigures m = summary(moves).median;
  EXPECT_EQ(m.silence_down, 90ms);
  EXPECT_EQ(m.lost_down, 1U);
  EXPECT_FALSE(m.detect);
  EXPECT_TRUE(m.survived);
}

}  // namespace
}  // namespace godwit::lab
