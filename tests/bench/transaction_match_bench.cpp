// SPDX-License-Identifier: Apache-2.0
//
// How long finding the transaction of an arrived message takes among N live ones: half clients,
// whose responses arrive, half servers, whose requests are retransmitted. Each message is used
// once, for a transaction chosen at random, and has just been parsed, as on the receive path; so
// what is measured is the look-up with cold transactions, not one kept warm by the loop.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "base/log.hpp"
#include "base/random.hpp"
#include "sip/transaction_layer.hpp"
#include "wire/sip/builder.hpp"
#include "wire/sip/message.hpp"

namespace godwit::sip {
namespace {

/// Messages parsed, untimed, before each timed stretch: enough to make stopping the clock
/// negligible, few enough to be in the cache as a message just parsed is.
constexpr int kBatch = 256;

class Population {
 public:
  explicit Population(std::size_t count) : layer_(random_, log_, limits(count)) {
    flow_.listener = ListenerId{1};
    flow_.local = *Endpoint::parse("192.168.1.20:5060");
    flow_.remote = *Endpoint::parse("203.0.113.5:5060");
    for (std::size_t i = 0; i < count; ++i)
      texts_.push_back(i % 2 == 0 ? add_client() : add_server());
  }

  /// The message of one transaction chosen at random, parsed.
  wire::Message next() {
    return *wire::Message::parse(texts_[random_.between(0, texts_.size() - 1)]);
  }
  bool matches(const wire::Message& message) const {
    return message.is_response() ? layer_.match_response(message).has_value()
                                 : layer_.match_request(message).has_value();
  }
  std::size_t live() const { return layer_.live(); }

 private:
  static TransactionLimits limits(std::size_t count) {
    return {.max_client = count, .max_server = count, .max_pending = 16};
  }

  std::string add_client() {
    wire::RequestDraft draft;
    draft.method = wire::Method::Invite;
    draft.request_uri = "sip:bob@example.com";
    draft.headers = {{wire::HeaderId::From, "<sip:alice@example.com>;tag=" + random_.token(10)},
                     {wire::HeaderId::To, "<sip:bob@example.com>"},
                     {wire::HeaderId::CallId, random_.token(22)},
                     {wire::HeaderId::CSeq, "1 INVITE"}};
    const auto id = layer_.send_request(draft, {}, flow_, Owner{1}, {}, now_);
    if (!id) return {};
    const auto request = wire::Message::parse(layer_.poll_transmit()->bytes);
    return wire::serialise(wire::make_response(*request, 180, {.to_tag = "b"}), {});
  }

  std::string add_server() {
    std::string text =
        "INVITE sip:alice@192.168.1.20 SIP/2.0\r\n"
        "Via: SIP/2.0/UDP 203.0.113.5:5060;branch=z9hG4bK" +
        random_.token(24) +
        ";rport\r\n"
        "From: <sip:bob@example.com>;tag=" +
        random_.token(10) +
        "\r\n"
        "To: <sip:alice@example.com>\r\n"
        "Call-ID: " +
        random_.token(22) +
        "\r\n"
        "CSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
    layer_.on_message(flow_, *wire::Message::parse(text), now_);
    while (layer_.poll_transmit()) {
    }
    while (layer_.poll_event()) {
    }
    return text;
  }

  SeededRandom random_{1};
  NullLog log_;
  TransactionLayer layer_;
  Flow flow_;
  TimePoint now_{};
  std::vector<std::string> texts_;
};

void transaction_match(benchmark::State& state) {
  Population population(static_cast<std::size_t>(state.range(0)));
  std::vector<wire::Message> messages;
  messages.reserve(kBatch);
  while (state.KeepRunningBatch(kBatch)) {
    state.PauseTiming();
    messages.clear();
    for (int i = 0; i < kBatch; ++i) messages.push_back(population.next());
    std::size_t found = 0;
    state.ResumeTiming();
    for (const wire::Message& message : messages) found += population.matches(message) ? 1U : 0U;
    if (found != messages.size()) return state.SkipWithError("a message found no transaction");
  }
  state.counters["live"] = static_cast<double>(population.live());
}
BENCHMARK(transaction_match)->Arg(10)->Arg(1'000)->Arg(100'000);

/// A whole client transaction, from the draft to the 200, while N others wait for timer K: what
/// timers and tables cost together. Time advances so that as many end as begin.
void transaction_cycle(benchmark::State& state) {
  const auto live = static_cast<std::size_t>(state.range(0));
  SeededRandom random(2);
  NullLog log;
  TransactionLayer layer(random, log, {.max_client = 2 * live + 16, .max_server = 1});
  Flow flow;
  flow.listener = ListenerId{1};
  flow.local = *Endpoint::parse("192.168.1.20:5060");
  flow.remote = *Endpoint::parse("203.0.113.5:5060");
  wire::RequestDraft draft;
  draft.method = wire::Method::Options;
  draft.request_uri = "sip:bob@example.com";
  draft.headers = {{wire::HeaderId::From, "<sip:alice@example.com>;tag=1"},
                   {wire::HeaderId::To, "<sip:bob@example.com>"},
                   {wire::HeaderId::CallId, "0123456789abcdef"},
                   {wire::HeaderId::CSeq, "1 OPTIONS"}};
  const TransactionTimers timers;
  const Duration pace = timers.t4 / static_cast<std::int64_t>(live);
  TimePoint now{};
  const auto cycle = [&] {
    now += pace;
    layer.on_timeout(now);
    if (!layer.send_request(draft, {}, flow, Owner{1}, timers, now)) return false;
    const auto request = wire::Message::parse(layer.poll_transmit()->bytes);
    std::string response = wire::serialise(wire::make_response(*request, 200, {.to_tag = "b"}), {});
    layer.on_message(flow, *wire::Message::parse(std::move(response)), now);
    return layer.poll_event().has_value();
  };
  for (std::size_t i = 0; i < live; ++i) cycle();
  for (auto _ : state) {
    if (!cycle()) return state.SkipWithError("no response");
  }
  state.counters["live"] = static_cast<double>(layer.live());
}
BENCHMARK(transaction_cycle)->Arg(10)->Arg(1'000)->Arg(100'000);

}  // namespace
}  // namespace godwit::sip
