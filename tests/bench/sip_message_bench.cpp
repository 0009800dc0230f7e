// SPDX-License-Identifier: Apache-2.0
//
// What one received INVITE costs. Each iteration begins with the copy of the datagram into a fresh
// buffer (the one allocation of parsing), as on the receive path.
#include <benchmark/benchmark.h>

#include "allocations.hpp"
#include "wire/sip/builder.hpp"
#include "wire/sip/headers.hpp"
#include "wire/sip/validate.hpp"

namespace godwit::wire {
namespace {

// 1.1 kB as a phone behind one proxy sends it.
const std::string& invite() {
  static const std::string text = [] {
    const std::string sdp =
        "v=0\r\n"
        "o=- 3890123456 3890123456 IN IP4 192.168.1.20\r\n"
        "s=-\r\n"
        "c=IN IP4 192.168.1.20\r\n"
        "t=0 0\r\n"
        "m=audio 16384 RTP/AVP 9 0 8 101\r\n"
        "a=rtcp:16385 IN IP4 192.168.1.20\r\n"
        "a=rtpmap:9 G722/8000\r\n"
        "a=rtpmap:0 PCMU/8000\r\n"
        "a=rtpmap:8 PCMA/8000\r\n"
        "a=rtpmap:101 telephone-event/8000\r\n"
        "a=fmtp:101 0-16\r\n"
        "a=ptime:20\r\n"
        "a=sendrecv\r\n";
    return "INVITE sip:bob@192.168.1.30:5062;ob SIP/2.0\r\n"
           "Via: SIP/2.0/UDP 203.0.113.5:5060;branch=z9hG4bK5d1f.8c3a9f4e2b7d6105.0;rport\r\n"
           "Via: SIP/2.0/UDP 192.168.1.20:5061;branch=z9hG4bKPj2f81c6a0d94e;rport=5061"
           ";received=198.51.100.7\r\n"
           "Record-Route: <sip:203.0.113.5;lr;ftag=9fxced76sl>\r\n"
           "Max-Forwards: 69\r\n"
           "From: \"Alice Liddell\" <sip:alice@example.com>;tag=9fxced76sl\r\n"
           "To: <sip:bob@example.com>\r\n"
           "Contact: <sip:alice@198.51.100.7:5061;ob>\r\n"
           "Call-ID: 3848276298220188511@atlanta.example.com\r\n"
           "CSeq: 31862 INVITE\r\n"
           "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, PRACK, REFER, NOTIFY\r\n"
           "Supported: replaces, 100rel, timer, norefersub\r\n"
           "Session-Expires: 1800\r\n"
           "Min-SE: 90\r\n"
           "Allow-Events: presence, message-summary, refer\r\n"
           "User-Agent: Godwit/0.1\r\n"
           "Content-Type: application/sdp\r\n"
           "Content-Length: " +
           std::to_string(sdp.size()) + "\r\n\r\n" + sdp;
  }();
  return text;
}

void report(benchmark::State& state, const bench::AllocationCounter& allocations) {
  allocations.report(state);
  state.counters["message_bytes"] = static_cast<double>(invite().size());
}

void sip_parse_invite(benchmark::State& state) {
  const std::string& text = invite();
  const bench::AllocationCounter allocations;
  for (auto _ : state) {
    auto message = Message::parse(text);
    benchmark::DoNotOptimize(message);
  }
  report(state, allocations);
}
BENCHMARK(sip_parse_invite);

/// Parsed and every mandatory header's value checked: what a transaction layer does at least.
void sip_parse_validate_invite(benchmark::State& state) {
  const std::string& text = invite();
  const bench::AllocationCounter allocations;
  for (auto _ : state) {
    auto message = Message::parse(text);
    benchmark::DoNotOptimize(validate(*message));
  }
  report(state, allocations);
}
BENCHMARK(sip_parse_validate_invite);

/// Parsed and sent on with another Via on top, as a proxy would.
void sip_parse_serialise_invite(benchmark::State& state) {
  const std::string& text = invite();
  const bench::AllocationCounter allocations;
  for (auto _ : state) {
    auto message = Message::parse(text);
    std::string out =
        serialise(draft_from(*message), "SIP/2.0/UDP 203.0.113.9;branch=z9hG4bK77ef4c2312983", {});
    benchmark::DoNotOptimize(out);
  }
  report(state, allocations);
}
BENCHMARK(sip_parse_serialise_invite);

/// Parsed, and a 180 made and written.
void sip_parse_respond_invite(benchmark::State& state) {
  const std::string& text = invite();
  const bench::AllocationCounter allocations;
  for (auto _ : state) {
    auto message = Message::parse(text);
    ResponseDraft draft = make_response(*message, 180, {.to_tag = "8321234356"});
    draft.contact.wanted = true;
    std::string out = serialise(draft, "<sip:bob@192.168.1.30:5062>");
    benchmark::DoNotOptimize(out);
  }
  report(state, allocations);
}
BENCHMARK(sip_parse_respond_invite);

}  // namespace
}  // namespace godwit::wire
