// SPDX-License-Identifier: Apache-2.0
//
// A dialog-info document (RFC 4235, application/dialog-info+xml): which calls somebody has, and
// how far they are; what lights the lamps of a switchboard. DialogInfoState puts full and partial
// documents together in order of their versions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/result.hpp"

namespace godwit::wire {

struct DialogInfo {
  std::uint32_t version = 0;
  bool full = true;    ///< Or partial: only what changed.
  std::string entity;  ///< A URI: whose calls.
  enum class State : std::uint8_t { Trying, Proceeding, Early, Confirmed, Terminated };
  struct Entry {
    std::string id;
    State state = State::Trying;
    bool outgoing = false;  ///< direction="initiator"; not said: false.
    std::string local;      ///< URIs, as identity or else target say; may be empty.
    std::string remote;
  };
  std::vector<Entry> dialogs;
};
const char* to_string(DialogInfo::State state);

/// Calls kept of one document; more are left out. Texts are cut at 256 bytes.
inline constexpr std::size_t kMaxDialogs = 64;

/// Malformed, Unsupported or TooLarge as parse_xml says, and Malformed without a <dialog-info> of
/// the right namespace with version, state and entity, or with a dialog that has no id or state.
Result<DialogInfo> parse_dialog_info(std::string_view document);

class DialogInfoState {
 public:
  /// RFC 4235 §4.3. False: the document is older than what is known, and ignored. Terminated calls
  /// are in `current` until the next document, so that their end is seen.
  bool apply(const DialogInfo& document);
  const DialogInfo& current() const { return current_; }
  /// A version was missed: a partial document stood on what we have not seen.
  bool has_gap() const { return gap_; }

 private:
  DialogInfo current_;
  bool known_ = false;
  bool gap_ = false;
};

}  // namespace godwit::wire
