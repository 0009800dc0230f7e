// SPDX-License-Identifier: Apache-2.0
//
// What the core keeps from one run of the program to the next: few short texts by name. The driver
// gives it one (a folder, a map in tests); without one nothing outlives the run. Called on the
// core's thread, seldom, and rather at the start. Knows nothing of what the texts mean.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "godwit/result.hpp"

namespace godwit {

class Store {
 public:
  virtual ~Store() = default;
  /// `key` is of [a-z0-9-]. nullopt if there is none, or it cannot be read.
  virtual std::optional<std::string> load(const std::string& key) = 0;
  /// Replaces what was there, whole or not at all. The error is a sentence for people.
  virtual Result<void> save(const std::string& key, const std::string& value) = 0;
};

class MemoryStore final : public Store {
 public:
  std::optional<std::string> load(const std::string& key) override {
    const auto found = values_.find(key);
    return found == values_.end() ? std::nullopt : std::optional(found->second);
  }
  Result<void> save(const std::string& key, const std::string& value) override {
    values_[key] = value;
    return {};
  }

 private:
  std::map<std::string, std::string> values_;
};

}  // namespace godwit
