// SPDX-License-Identifier: Apache-2.0
//
// The Store of a real user agent: one file for each key in a folder of its own, readable by its
// user only and replaced as a whole. Owned by the driver; its calls block on the disk for a moment.
#pragma once

#include <optional>
#include <string>

#include "base/store.hpp"

namespace godwit::runtime {

class FileStore final : public Store {
 public:
  /// The folder is made, with its parents, when something is saved.
  explicit FileStore(std::string folder) : folder_(std::move(folder)) {}

  std::optional<std::string> load(const std::string& key) override;
  Result<void> save(const std::string& key, const std::string& value) override;

  /// A longer file is none of ours.
  static constexpr std::size_t kMaxBytes = 4'096;

 private:
  std::string folder_;
};

}  // namespace godwit::runtime
