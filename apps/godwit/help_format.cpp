// SPDX-License-Identifier: Apache-2.0
#include "help_format.hpp"

#include <fmt/core.h>

#include <string>
#include <string_view>

namespace godwit::app {
namespace {

constexpr std::size_t kWidth = 80;
constexpr std::size_t kColumn = 28;

/// `name` and, from kColumn on, `text` broken at blanks.
std::string paragraph(const std::string& name, std::string_view text) {
  std::string out = "  " + name;
  std::size_t column = out.size();
  if (column + 1 > kColumn) {
    out += '\n';
    column = 0;
  }
  out.append(kColumn - column, ' ');
  column = kColumn;
  while (!text.empty()) {
    const auto end = text.find(' ');
    const std::string_view word = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    if (column > kColumn && column + 1 + word.size() > kWidth) {
      out += '\n' + std::string(kColumn, ' ');
      column = kColumn;
    }
    if (column > kColumn) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
  }
  return out + '\n';
}

}  // namespace

HelpFormatter::HelpFormatter() { label("SUBCOMMAND", "COMMAND"); }

std::string HelpFormatter::make_option_name(const CLI::Option* option, bool) const {
  std::string text;
  for (const auto& name : option->get_snames()) text += "-" + name + ", ";
  for (const auto& name : option->get_lnames()) text += "--" + name + ", ";
  return text.substr(0, text.size() - 2);
}

std::string HelpFormatter::make_option_opts(const CLI::Option* option) const {
  if (!option->get_option_text().empty()) return " " + option->get_option_text();
  std::string text;
  if (const auto type = option->get_type_name(); !type.empty()) text += " " + type;
  if (!option->get_default_str().empty()) text += " [" + option->get_default_str() + "]";
  return text;
}

std::string HelpFormatter::make_option(const CLI::Option* option, bool is_positional) const {
  return paragraph(make_option_name(option, is_positional) + make_option_opts(option),
                   option->get_description());
}

std::string HelpFormatter::make_subcommand(const CLI::App* command) const {
  return paragraph(command->get_name(), command->get_description());
}

}  // namespace godwit::app
