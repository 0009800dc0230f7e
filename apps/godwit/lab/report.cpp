// SPDX-License-Identifier: Apache-2.0
#include "lab/report.hpp"

#include <fmt/core.h>

#include <cmath>

#include <nlohmann/json.hpp>

namespace godwit::lab {
namespace {

using Json = nlohmann::ordered_json;

/// Milliseconds with two decimals: finer than anything that is measured here.
double rounded_ms(Duration d) { return std::round(to_ms(d) * 100) / 100; }

Json ms_or_null(const std::optional<Duration>& d) { return d ? Json(rounded_ms(*d)) : Json(); }

void put_figures(const MoveFigures& f, Json* out) {
  (*out)["detect_ms"] = ms_or_null(f.detect);
  (*out)["first_rtp_tx_ms"] = ms_or_null(f.first_rtp_tx);
  (*out)["registered_ms"] = ms_or_null(f.registered);
  (*out)["registered_after_notice_ms"] = ms_or_null(f.registered_after_notice);
  (*out)["answered_ms"] = ms_or_null(f.answered);
  (*out)["audible_ms"] = ms_or_null(f.audible);
  (*out)["silence_down_ms"] = rounded_ms(f.silence_down);
  (*out)["silence_up_ms"] = rounded_ms(f.silence_up);
  (*out)["lost_down"] = f.lost_down;
  (*out)["lost_up"] = f.lost_up;
  (*out)["survived"] = f.survived;
}

struct Row {
  const char* name;
  std::string (*cell)(const MoveFigures&);
  std::string (*limit)(const Limits&);
};

std::string cell_ms(const std::optional<Duration>& d) {
  return d ? fmt::format("{:.1f}", to_ms(*d)) : "never";
}

const Row kRows[] = {
    {"detected", [](const MoveFigures& f) { return cell_ms(f.detect); }, nullptr},
    {"first packet out on the new path",
     [](const MoveFigures& f) { return cell_ms(f.first_rtp_tx); }, nullptr},
    {"re-registered", [](const MoveFigures& f) { return cell_ms(f.registered); }, nullptr},
    {"  after the kernel told of it",
     [](const MoveFigures& f) { return cell_ms(f.registered_after_notice); },
     [](const Limits& l) { return "<= " + cell_ms(l.registered); }},
    {"call refresh answered", [](const MoveFigures& f) { return cell_ms(f.answered); }, nullptr},
    {"audible again", [](const MoveFigures& f) { return cell_ms(f.audible); }, nullptr},
    {"silence from the peer", [](const MoveFigures& f) { return cell_ms(f.silence_down); },
     [](const Limits& l) { return "<= " + cell_ms(l.silence_down); }},
    {"silence towards the peer", [](const MoveFigures& f) { return cell_ms(f.silence_up); },
     [](const Limits& l) { return "<= " + cell_ms(l.silence_up); }},
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
  if (outcome.moves.size() > 1) text += fmt::format("{:>11}", "median");
  text += fmt::format("{:>11}\n", "limit");
  for (const Row& row : kRows) {
    text += fmt::format("{:<34}", row.name);
    if (all) {
      for (const auto& m : outcome.moves) text += fmt::format("{:>11}", row.cell(m.figures));
    }
    if (outcome.moves.size() > 1) text += fmt::format("{:>11}", row.cell(outcome.median));
    text += fmt::format("{:>11}\n", row.limit != nullptr ? row.limit(outcome.limits) : "");
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
  Json out;
  out["result"] = outcome.passed() ? "PASS" : "FAIL";
  out["server"] = to_string(outcome.options.server);
  out["transport"] = to_string(outcome.options.signalling);
  out["family"] = outcome.options.family == Family::V6 ? 6 : 4;
  out["rtt_ms"] = rounded_ms(outcome.options.rtt);
  out["rtt_measured_ms"] = rounded_ms(outcome.measured_rtt);
  out["seed"] = outcome.options.seed;
  out["link"] = outcome.link;
  out["t0"] = fmt::format(
      "right before the kernel is told to delete the address; all figures but detect_ms{} from "
      "packet arrivals in the namespaces",
      outcome.options.signalling == Signalling::Tls ? ", registered_ms and answered_ms" : "");
  out["limits"] = {{"silence_down_ms", rounded_ms(outcome.limits.silence_down)},
                   {"silence_up_ms", rounded_ms(outcome.limits.silence_up)},
                   {"registered_after_notice_ms", rounded_ms(outcome.limits.registered)}};
  out["moves"] = Json::array();
  for (const auto& m : outcome.moves) {
    Json move;
    move["move"] = m.move.number;
    move["from"] = m.move.from;
    move["to"] = m.move.to;
    move["rtt_ms"] = rounded_ms(outcome.options.rtt);
    put_figures(m.figures, &move);
    move["kernel_notice_ms"] = rounded_ms(m.kernel_notice);
    move["link_lateness_ms"] = rounded_ms(m.link_lateness);
    move["failures"] = m.failures;
    out["moves"].push_back(std::move(move));
  }
  out["median"] = Json::object();
  if (!outcome.moves.empty()) put_figures(outcome.median, &out["median"]);
  out["failures"] = outcome.failures;
  if (!outcome.log_directory.empty()) out["logs"] = outcome.log_directory;
  return out;
}

}  // namespace godwit::lab
