// SPDX-License-Identifier: Apache-2.0
//
// A presence document (RFC 3863, application/pidf+xml): whose presence, and for each of its ways
// to be reached whether it is open. Extensions (RPID and others) are gone past, notes are kept.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/result.hpp"

namespace godwit::wire {

struct Presence {
  std::string entity;  ///< A URI: "pres:bob@example.org", "sip:bob@example.org".
  struct Tuple {
    std::string id;
    std::optional<bool> open;  ///< Empty: the tuple does not say (RFC 3863 §4.1.4).
    std::string contact;       ///< A URI; may be empty.
    std::string note;          ///< The first one; may be empty.
  };
  std::vector<Tuple> tuples;
  std::string note;  ///< Of the whole; the first one.
};

/// Tuples kept of one document; more are left out. Texts are cut at 256 bytes.
inline constexpr std::size_t kMaxTuples = 64;

/// Malformed, Unsupported or TooLarge as parse_xml says, and Malformed without a <presence> of the
/// right namespace and an entity.
Result<Presence> parse_pidf(std::string_view document);

}  // namespace godwit::wire
