// SPDX-License-Identifier: Apache-2.0
//
// How --help looks: one flag per paragraph, wrapped for a terminal of 80 columns, "[value]" for a
// default. Knows CLI11's options, not the program's.
#pragma once

#include <CLI/CLI.hpp>

namespace godwit::app {

class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter();
  std::string make_option(const CLI::Option* option, bool is_positional) const override;
  std::string make_option_name(const CLI::Option* option, bool is_positional) const override;
  std::string make_option_opts(const CLI::Option* option) const override;
  std::string make_subcommand(const CLI::App* command) const override;
};

}  // namespace godwit::app
