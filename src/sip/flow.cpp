// SPDX-License-Identifier: Apache-2.0
#include "sip/flow.hpp"

namespace godwit::sip {

const char* to_string(Transport transport) {
  switch (transport) {
    case Transport::Udp: return "UDP";
    case Transport::Tcp: return "TCP";
    case Transport::Tls: return "TLS";
  }
  return "?";
}

std::string to_string(const Flow& flow) {
  return std::string(to_string(flow.transport)) + ' ' + flow.local.to_string() + " -> " +
         flow.remote.to_string() + " (listener " + std::to_string(flow.listener.value()) +
         ", generation " + std::to_string(flow.generation.value()) + ')';
}

}  // namespace godwit::sip
