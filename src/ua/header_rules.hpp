// SPDX-License-Identifier: Apache-2.0
//
// Which headers an application may write into messages, and how they get into a draft. No state;
// used by the core wherever headers come from outside it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "godwit/header.hpp"
#include "godwit/result.hpp"
#include "wire/sip/builder.hpp"

namespace godwit::ua {

inline constexpr std::size_t kMaxExtraHeaders = 32;

/// Whether the library itself depends on the header, so that no one else may write it.
bool is_structural(std::string_view name);
/// InvalidArgument, naming the header and what is wrong, for one that breaks the rules of Header.
Result<void> check_header(const Header& header);
/// The same for each; and TooLarge for more than kMaxExtraHeaders.
Result<void> check_headers(const std::vector<Header>& headers);
/// InvalidArgument if it cannot be written as it is.
Result<void> check_reason(const ReasonHeader& reason);
/// Headers that have been checked.
void append_headers(wire::DraftHeaders& draft, const std::vector<Header>& headers);
/// Carries out what is allowed; returns why the first other one was not, or an empty string.
std::string apply_edits(wire::DraftHeaders& draft, const std::vector<HeaderEdit>& edits);
/// The draft's headers as the application is shown them.
std::vector<Header> shown(const wire::DraftHeaders& draft);
std::vector<Header> shown(const wire::Message& message);

}  // namespace godwit::ua
