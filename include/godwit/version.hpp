// SPDX-License-Identifier: Apache-2.0
//
// The library's version, for the preprocessor and for people. CMake compares it with the project's
// own version when it configures. What the numbers promise: docs/threads-and-versions.md.
#pragma once

#define GODWIT_VERSION_MAJOR 0
#define GODWIT_VERSION_MINOR 1
#define GODWIT_VERSION_PATCH 0

namespace godwit {

inline constexpr const char* kVersion = "0.1.0";

}  // namespace godwit
