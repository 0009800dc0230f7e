// SPDX-License-Identifier: Apache-2.0
#include "settings.hpp"

#include <fmt/core.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <utility>

#include "base/utf8.hpp"
#include "godwit/address.hpp"

namespace godwit::app {
namespace {

constexpr std::size_t kMaxFile = 1024 * 1024;

Error named(const std::string& what, const Error& error) {
  return {error.code, what + " " + error.detail};
}

Result<std::string> read_small_file(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  // Not a byte more than needed to say that it is too much: a device never ends.
  std::string content(kMaxFile + 1, '\0');
  stream.read(content.data(), static_cast<std::streamsize>(content.size()));
  if (stream.bad() || (stream.fail() && !stream.eof())) {
    return fail(ErrorCode::Io,
                fmt::format("cannot read {}: {}", quoted(file), std::strerror(errno)));
  }
  content.resize(static_cast<std::size_t>(stream.gcount()));
  if (content.size() > kMaxFile) {
    return fail(ErrorCode::TooLarge, quoted(file) + " is too large for a settings file");
  }
  return content;
}

std::string first_line(std::string_view text) {
  return std::string(text.substr(0, text.find('\n')));
}

const char* kind_of(const toml::node& node) {
  if (node.is_string()) return "text";
  if (node.is_integer()) return "a whole number";
  if (node.is_boolean()) return "true or false";
  if (node.is_array()) return "an array";
  if (node.is_table()) return "a table";
  return "something else";
}

bool is_host(std::string_view host) {
  if (!host.empty() && host.front() == '[') return IpAddress::parse(host).has_value();
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  };
  return !host.empty() && host.size() <= 255 && std::all_of(host.begin(), host.end(), allowed);
}

}  // namespace

Result<std::int64_t> parse_number(const std::string& text, std::int64_t lowest,
                                  std::int64_t highest) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < lowest ||
      value > highest) {
    return fail(
        ErrorCode::InvalidArgument,
        fmt::format("must be a whole number from {} to {}, not {}", lowest, highest, quoted(text)));
  }
  return value;
}

Result<void> check_sip_uri(const std::string& text, bool with_user) {
  const std::string shape = with_user ? "sip:user@host" : "sip:host or sip:host:port";
  const auto wrong = [&] {
    return fail(ErrorCode::InvalidArgument,
                fmt::format("must look like {}, not {}", shape, quoted(text)));
  };
  const bool secure = text.rfind("sips:", 0) == 0;
  if (!secure && text.rfind("sip:", 0) != 0) return wrong();
  std::string_view rest = std::string_view(text).substr(secure ? 5 : 4);
  const auto at = rest.find('@');
  if (with_user != (at != std::string_view::npos)) return wrong();
  if (with_user) {
    const std::string_view user = rest.substr(0, at);
    const auto bad = [](char c) {
      return c <= ' ' || c == '<' || c == '>' || c == '"' || c == 127;
    };
    if (user.empty() || std::any_of(user.begin(), user.end(), bad)) return wrong();
    rest.remove_prefix(at + 1);
  }
  const auto parameters = rest.find(';');
  std::string_view host = rest.substr(0, parameters);
  const auto colon = host.rfind(':');
  if (colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos) {
    if (!parse_number(std::string(host.substr(colon + 1)), 1, 65'535)) return wrong();
    host = host.substr(0, colon);
  }
  if (!is_host(host)) return wrong();
  return {};
}

std::string printable(std::string text) { return visible(text); }

tl::unexpected<Error> must_be(const std::string& what, const std::string& given) {
  return fail(ErrorCode::InvalidArgument, fmt::format("must be {}, not {}", what, quoted(given)));
}

std::string quoted(const std::string& text) {
  constexpr std::size_t kShown = 80;
  return "\"" + printable(text.substr(0, kShown)) + (text.size() > kShown ? "…\"" : "\"");
}

void SettingTable::add(std::string name, std::string metavar, std::string help, Kind kind,
                       TakeText take) {
  settings_.push_back(
      {std::move(name), std::move(metavar), std::move(help), kind, std::move(take)});
}

void SettingTable::text(std::string name, std::string metavar, std::string help, TakeText take) {
  add(std::move(name), std::move(metavar), std::move(help), Kind::Text, std::move(take));
}

void SettingTable::flag_or_text(std::string name, std::string metavar, std::string help,
                                std::string implied, TakeText take) {
  text(std::move(name), std::move(metavar), std::move(help), std::move(take));
  settings_.back().implied = std::move(implied);
}

void SettingTable::number(std::string name, std::string metavar, std::string help,
                          std::int64_t lowest, std::int64_t highest,
                          std::function<void(std::int64_t)> take) {
  add(std::move(name), std::move(metavar), std::move(help), Kind::Number,
      [lowest, highest, take = std::move(take)](const std::string& given) -> Result<void> {
        const auto value = parse_number(given, lowest, highest);
        if (!value) return tl::unexpected(value.error());
        take(*value);
        return {};
      });
}

void SettingTable::number(std::string name, std::string metavar, std::string help, TakeText take) {
  add(std::move(name), std::move(metavar), std::move(help), Kind::Number, std::move(take));
}

void SettingTable::choice(std::string name, std::string help, bool* target) {
  add(std::move(name), "", std::move(help) + (*target ? " [on]" : " [off]"), Kind::Choice,
      [target](const std::string& given) -> Result<void> {
        *target = given == "true";
        return {};
      });
}

void SettingTable::list(std::string name, std::string metavar, std::string help, TakeText take) {
  add(std::move(name), std::move(metavar), std::move(help), Kind::List, std::move(take));
}

void SettingTable::path(std::string name, std::string metavar, std::string help,
                        std::string* target) {
  text(std::move(name), std::move(metavar), std::move(help),
       [target](const std::string& given) -> Result<void> {
         if (given.empty()) return fail(ErrorCode::InvalidArgument, "must not be empty");
         *target = given;
         return {};
       });
}

SettingTable::Setting* SettingTable::find(const std::string& name) {
  const auto found = std::find_if(settings_.begin(), settings_.end(),
                                  [&](const Setting& setting) { return setting.name == name; });
  return found == settings_.end() ? nullptr : &*found;
}

void SettingTable::add_flags_to(CLI::App& command) {
  for (Setting& setting : settings_) {
    const std::string flag = "--" + setting.name;
    if (setting.kind == Kind::Choice) {
      setting.option =
          command.add_flag(flag + ",!--no-" + setting.name, setting.chosen, setting.help);
      continue;
    }
    setting.option = command.add_option(flag, setting.given, setting.help);
    setting.option->type_name(setting.metavar)->allow_extra_args(false)->expected(1);
    if (setting.kind == Kind::List) setting.option->expected(-1);
    if (setting.implied) setting.option->expected(0, 1)->default_str(*setting.implied);
    setting.option->multi_option_policy(setting.kind == Kind::List ? CLI::MultiOptionPolicy::TakeAll
                                                                   : CLI::MultiOptionPolicy::Throw);
  }
}

Result<void> SettingTable::take_file(const std::string& file) {
  const auto content = read_small_file(file);
  if (!content) return tl::unexpected(content.error());
  toml::table table;
  try {
    table = toml::parse(*content, std::string_view(file));
  } catch (const toml::parse_error& error) {
    return fail(ErrorCode::Malformed, fmt::format("{}:{}: {}", file, error.source().begin.line,
                                                  first_line(error.description())));
  }
  for (const auto& [toml_key, node] : table) {
    const std::string key(toml_key.str());
    const std::string where =
        fmt::format("{}:{}: \"{}\"", file, node.source().begin.line, printable(key));
    Setting* setting = find(key);
    if (setting == nullptr) return fail(ErrorCode::NotFound, where + " is no setting");
    std::vector<std::string> values;
    const auto add_text = [&values](const toml::node& text) {
      if (const auto value = text.value_exact<std::string>()) values.push_back(*value);
      return text.is_string();
    };
    bool fits = false;
    const char* needs = "text";
    switch (setting->kind) {
      case Kind::Text: fits = add_text(node); break;
      case Kind::Number:
        needs = "a whole number";
        fits = node.is_integer();
        if (fits) values.push_back(std::to_string(*node.value_exact<std::int64_t>()));
        break;
      case Kind::Choice:
        needs = "true or false";
        fits = node.is_boolean();
        if (fits) values.emplace_back(*node.value_exact<bool>() ? "true" : "false");
        break;
      case Kind::List:
        needs = "text or an array of texts";
        fits = node.is_array()
                   ? std::all_of(node.as_array()->begin(), node.as_array()->end(), add_text)
                   : add_text(node);
        break;
    }
    if (!fits) {
      return fail(ErrorCode::InvalidArgument,
                  fmt::format("{} needs {}, this is {}", where, needs, kind_of(node)));
    }
    // A flag of the same name wins, also over a list as a whole.
    if (setting->option != nullptr && setting->option->count() > 0) continue;
    for (const std::string& value : values) {
      if (auto taken = setting->take(value); !taken) {
        return tl::unexpected(named(where, taken.error()));
      }
    }
  }
  return {};
}

Result<void> SettingTable::take_flags() {
  for (Setting& setting : settings_) {
    if (setting.option == nullptr || setting.option->count() == 0) continue;
    if (setting.kind == Kind::Choice) setting.given = {setting.chosen ? "true" : "false"};
    for (const std::string& value : setting.given) {
      if (auto taken = setting.take(value); !taken) {
        return tl::unexpected(named("--" + setting.name, taken.error()));
      }
    }
  }
  return {};
}

}  // namespace godwit::app
