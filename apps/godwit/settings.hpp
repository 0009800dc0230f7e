// SPDX-License-Identifier: Apache-2.0
//
// A subcommand's settings as one table, so that a flag and a key of the TOML file of the same name
// mean the same, are checked by the same code and are refused in the same words. Flags win over the
// file. The values end up wherever the table's owner puts them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "godwit/result.hpp"

namespace godwit::app {

class SettingTable {
 public:
  /// Takes a value that was given, or says what is wrong with it, as the end of a sentence that
  /// begins with the setting's name: "must be …, not …".
  using TakeText = std::function<Result<void>(const std::string&)>;

  /// `metavar` is the word for the value in --help.
  void text(std::string name, std::string metavar, std::string help, TakeText take);
  void number(std::string name, std::string metavar, std::string help, std::int64_t lowest,
              std::int64_t highest, std::function<void(std::int64_t)> take);
  /// A number with rules of its own.
  void number(std::string name, std::string metavar, std::string help, TakeText take);
  /// `--name` and `--no-name`; in a file true or false. *target is the default that --help tells.
  void choice(std::string name, std::string help, bool* target);
  /// May be given several times; in a file one text or an array of them.
  void list(std::string name, std::string metavar, std::string help, TakeText take);
  /// As text(), but the flag may stand without a value, and means `implied` then.
  void flag_or_text(std::string name, std::string metavar, std::string help, std::string implied,
                    TakeText take);
  /// A path, taken as it is.
  void path(std::string name, std::string metavar, std::string help, std::string* target);

  void add_flags_to(CLI::App& command);

  /// Every key of `file` must be in the table; the error names file, line and key.
  Result<void> take_file(const std::string& file);
  /// After parsing. The error names the flag.
  Result<void> take_flags();

 private:
  enum class Kind : std::uint8_t { Text, Number, Choice, List };
  struct Setting {
    std::string name;
    std::string metavar;
    std::string help;
    Kind kind;
    TakeText take;
    std::vector<std::string> given = {};  ///< By flags, as parsed.
    CLI::Option* option = nullptr;
    bool chosen = false;  ///< Kind::Choice.
    std::optional<std::string> implied = std::nullopt;
  };

  void add(std::string name, std::string metavar, std::string help, Kind kind, TakeText take);
  Setting* find(const std::string& name);

  std::vector<Setting> settings_;
};

/// A whole number in [lowest, highest].
Result<std::int64_t> parse_number(const std::string& text, std::int64_t lowest,
                                  std::int64_t highest);
/// "sip:host[:port]", with a user part if `with_user`; nothing but what is checked here is known of
/// it.
Result<void> check_sip_uri(const std::string& text, bool with_user);
/// The value in messages: quoted, control characters made visible, cut at 80 characters.
std::string quoted(const std::string& text);
/// What is wrong with a value, as SettingTable::TakeText wants it: "must be `what`, not `given`".
tl::unexpected<Error> must_be(const std::string& what, const std::string& given);
/// What came from a peer, fit for a terminal: no control characters.
std::string printable(std::string text);

}  // namespace godwit::app
