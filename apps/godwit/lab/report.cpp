// SPDX-License-Identifier: Apache-2.0
#include "lab/report.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

namespace godwit::lab {
namespace {

using Json = nlohmann::ordered_json;

/// Milliseconds with two decimals: finer than anything that is measured here.
double rounded_ms(Duration d) { return std::round(to_ms(d) * 100) / 100; }

Json ms_or_null(const std::optional<Duration>& d) { return d ? Json(rounded_ms(*d)) : Json(); }

void put_figures(const MoveFigures& f, Json* out) {
  (*out)["detect_ms"] = ms_or_null(f.detect);
  (*out)["first_tx_ms"] = ms_or_null(f.first_tx_after_notice);
  (*out)["first_rtp_tx_ms"] = ms_or_null(f.first_rtp_tx);
  (*out)["registered_ms"] = ms_or_null(f.registered_after_notice);
  (*out)["answered_ms"] = ms_or_null(f.answered);
  (*out)["audible_ms"] = ms_or_null(f.audible);
  (*out)["silence_down_ms"] = rounded_ms(f.silence_down);
  (*out)["silence_up_ms"] = rounded_ms(f.silence_up);
  (*out)["lost_down"] = f.lost_down;
  (*out)["lost_up"] = f.lost_up;
}

struct Row {
  const char* name;
  std::string (*cell)(const MoveFigures&);
  std::string (*limit)(const Limits&);
};

std::string cell_ms(const std::optional<Duration>& d) {
  return d ? fmt::format("{:.1f}", to_ms(*d)) : "never";
}

std::string limit_ms(const std::optional<Duration>& d) { return d ? "<= " + cell_ms(d) : ""; }
/// With losses only the 95th percentile is held to something.
std::string silence_limit(const Limits& limits, Duration median) {
  return limits.silence_p95 ? "p95 <= " + cell_ms(limits.silence_p95)
                            : limit_ms(median + limits.each_move.value_or(Duration{}));
}

const Row kRows[] = {
    {"detected", [](const MoveFigures& f) { return cell_ms(f.detect); }, nullptr},
    {"first packet out on the new path", [](const MoveFigures& f) { return cell_ms(f.first_tx); },
     nullptr},
    {"  after the kernel told of it",
     [](const MoveFigures& f) { return cell_ms(f.first_tx_after_notice); },
     [](const Limits& l) { return limit_ms(l.first_tx); }},
    {"first audio out on the new path",
     [](const MoveFigures& f) { return cell_ms(f.first_rtp_tx); }, nullptr},
    {"re-registered", [](const MoveFigures& f) { return cell_ms(f.registered); }, nullptr},
    {"  after the kernel told of it",
     [](const MoveFigures& f) { return cell_ms(f.registered_after_notice); },
     [](const Limits& l) { return limit_ms(l.registered); }},
    {"call refresh answered", [](const MoveFigures& f) { return cell_ms(f.answered); }, nullptr},
    {"audible again", [](const MoveFigures& f) { return cell_ms(f.audible); }, nullptr},
    {"silence from the peer", [](const MoveFigures& f) { return cell_ms(f.silence_down); },
     [](const Limits& l) { return silence_limit(l, l.silence_down); }},
    {"silence towards the peer", [](const MoveFigures& f) { return cell_ms(f.silence_up); },
     [](const Limits& l) { return silence_limit(l, l.silence_up); }},
    {"packets lost from the peer", [](const MoveFigures& f) { return std::to_string(f.lost_down); },
     nullptr},
    {"packets lost towards the peer",
     [](const MoveFigures& f) { return std::to_string(f.lost_up); }, nullptr},
    {"call survived", [](const MoveFigures& f) { return std::string(f.survived ? "yes" : "NO"); },
     [](const Limits&) { return std::string("yes"); }},
};

}  // namespace

std::string table(const Outcome& outcome) {
  // Many moves do not fit on a line; then the medians stand for them.
  constexpr std::size_t kMostColumns = 6;
  const bool all = outcome.moves.size() <= kMostColumns;
  std::string text = fmt::format("{:<34}", "ms after the address went");
  if (all) {
    for (const auto& m : outcome.moves) {
      text += fmt::format("{:>11}", fmt::format("{}->{}", m.move.from, m.move.to));
    }
  }
  std::vector<std::pair<const char*, const MoveFigures*>> sums;
  if (outcome.moves.size() > 1) sums.emplace_back("median", &outcome.summary.median);
  if (!all) {
    sums.emplace_back("p95", &outcome.summary.p95);
    sums.emplace_back("maximum", &outcome.summary.maximum);
  }
  for (const auto& [name, figures] : sums) text += fmt::format("{:>11}", name);
  text += fmt::format("{:>13}\n", "limit");
  for (const Row& row : kRows) {
    text += fmt::format("{:<34}", row.name);
    if (all) {
      for (const auto& m : outcome.moves) text += fmt::format("{:>11}", row.cell(m.figures));
    }
    for (const auto& [name, figures] : sums) text += fmt::format("{:>11}", row.cell(*figures));
    text += fmt::format("{:>13}\n", row.limit != nullptr ? row.limit(outcome.limits) : "");
  }
  return text;
}

std::vector<std::string> complaints(const Outcome& outcome) {
  std::vector<std::string> lines = outcome.failures;
  for (const auto& move : outcome.moves) {
    for (const auto& failure : move.failures) {
      lines.push_back(fmt::format("move {}: {}", move.move.number, failure));
    }
  }
  return lines;
}

Json to_json(const Outcome& outcome) {
  const auto& [options, limits] = std::tie(outcome.options, outcome.limits);
  const MoveFigures& median = outcome.summary.median;
  const bool any = !outcome.moves.empty();
  const auto figure = [any](const std::optional<Duration>& d) {
    return any ? ms_or_null(d) : Json();
  };
  Json out;
  out["scenario"] =
      fmt::format("{} {} {}{}", to_string(options.server), to_string(options.signalling),
                  to_string(options.families), options.loss > 0 ? " loss" : "");
  out["transport"] = to_string(options.signalling);
  out["family"] = to_string(options.families);
  out["trigger"] = to_string(options.trigger);
  out["moves"] = outcome.moves.size();
  out["survived"] = std::count_if(outcome.moves.begin(), outcome.moves.end(),
                                  [](const auto& m) { return m.figures.survived; });
  out["first_tx_ms"] = figure(median.first_tx_after_notice);
  out["registered_ms"] = figure(median.registered_after_notice);
  out["silence_down_ms"] = figure(median.silence_down);
  out["silence_up_ms"] = figure(median.silence_up);
  if (limits.silence_p95) {
    out["limit_ms"] = {{"p95_silence_down_ms", rounded_ms(*limits.silence_p95)},
                       {"p95_silence_up_ms", rounded_ms(*limits.silence_p95)}};
  } else {
    out["limit_ms"] = {{"first_tx_ms", ms_or_null(limits.first_tx)},
                       {"registered_ms", ms_or_null(limits.registered)},
                       {"silence_down_ms", rounded_ms(limits.silence_down)},
                       {"silence_up_ms", rounded_ms(limits.silence_up)}};
  }
  out["result"] = outcome.passed() ? "PASS" : "FAIL";
  out["server"] = to_string(options.server);
  out["rtt_ms"] = rounded_ms(options.rtt);
  out["rtt_measured_ms"] = rounded_ms(outcome.measured_rtt);
  out["loss"] = options.loss;
  out["seed"] = options.seed;
  out["link"] = outcome.link;
  out["t0"] = fmt::format(
      "right before {}; first_tx_ms and registered_ms count from when the kernel told of it; all "
      "figures but detect_ms{} from packet arrivals in the namespaces",
      options.trigger == Trigger::Fading ? "the link falls silent"
                                         : "the kernel is told to delete the address",
      options.signalling == Signalling::Tls ? ", registered_ms and answered_ms" : "");
  out["each_move"] = Json::array();
  for (const auto& m : outcome.moves) {
    Json move;
    move["move"] = m.move.number;
    move["from"] = m.move.from;
    move["to"] = m.move.to;
    put_figures(m.figures, &move);
    move["survived"] = m.figures.survived;
    move["kernel_notice_ms"] = rounded_ms(m.kernel_notice);
    move["link_lateness_ms"] = rounded_ms(m.link_lateness);
    move["failures"] = m.failures;
    out["each_move"].push_back(std::move(move));
  }
  for (const auto& [name, figures] :
       {std::pair{"median", &outcome.summary.median}, std::pair{"p95", &outcome.summary.p95},
        std::pair{"maximum", &outcome.summary.maximum}}) {
    out[name] = Json::object();
    if (any) put_figures(*figures, &out[name]);
  }
  out["failures"] = outcome.failures;
  if (!outcome.log_directory.empty()) out["logs"] = outcome.log_directory;
  return out;
}

}  // namespace godwit::lab
