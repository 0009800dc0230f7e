// SPDX-License-Identifier: Apache-2.0
//
// Text from strangers: what of it is UTF-8, and what of it a terminal may be shown.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace godwit {

/// The length of the well-formed UTF-8 sequence at the start of `text`, 0 if there is none
/// (Unicode 15, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF).
std::size_t utf8_length(std::string_view text);

/// `text` with a dot for everything that a terminal would obey or that would reorder what is read:
/// control characters of both sets (an 8-bit one is as good as an escape sequence), line and
/// paragraph separators, bidirectional controls, and bytes that are no UTF-8.
std::string visible(std::string_view text, bool keep_line_ends = false);

}  // namespace godwit
