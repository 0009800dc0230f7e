// SPDX-License-Identifier: Apache-2.0
//
// UserAgentConfig::socket_created as io wants it: what the socket is for is known where it is
// opened, its descriptor only in io. An exception of the application's counts as its "no".
#pragma once

#include <utility>

#include "godwit/socket.hpp"
#include "io/socket_options.hpp"

namespace godwit::runtime {

inline io::SocketCheck socket_check(const SocketHook& hook, NewSocket about) {
  if (!hook) return {};
  return [hook, about = std::move(about)](int descriptor) {
    NewSocket made = about;
    made.descriptor = descriptor;
    try {
      return hook(made);
    } catch (...) {
      return false;
    }
  };
}

}  // namespace godwit::runtime
