// SPDX-License-Identifier: Apache-2.0
//
// The application's look at each socket that the library makes, before it is bound or connected:
// where a system ties sockets to networks by other means than addresses and interface names
// (Android's Network.bindSocket), it does so there. Plain values; the sockets stay the library's.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "godwit/address.hpp"

namespace godwit {

/// What a socket is for.
enum class SocketPurpose : std::uint8_t {
  SipUdp,
  SipTcp,  ///< A connection that we open. Those that we accept are made by the system: not shown.
  SipTls,
  SipTcpListener,
  SipTlsListener,
  Rtp,
  Rtcp,
  Dns,  ///< To a DNS server, by UDP or TCP. Names of the neighbourhood (mDNS) are the system's.
};
const char* to_string(SocketPurpose purpose);

struct NewSocket {
  int descriptor = -1;  ///< The library's: not to be closed, nor kept.
  SocketPurpose purpose = SocketPurpose::SipUdp;
  IpAddress local;                    ///< Will be bound to it; of no family: the system chooses.
  std::uint32_t interface_index = 0;  ///< The way out; 0: the routes decide.
  std::string interface_name;
};

/// True: it may be used. False, or an exception, refuses it: what it was for fails as if the system
/// had refused the socket, and says so. Called on the library's threads, signalling and media, at
/// the same time perhaps; must not block, nor give commands to the UserAgent.
using SocketHook = std::function<bool(const NewSocket&)>;

}  // namespace godwit
