// SPDX-License-Identifier: Apache-2.0
//
// Events in plain words for a person at a terminal. What came from peers is made harmless first.
#pragma once

#include <string>

#include "godwit/event.hpp"

namespace godwit::app {

/// One line without its end; empty for what nobody wants to read (statistics).
std::string in_words(const Event& event);

}  // namespace godwit::app
