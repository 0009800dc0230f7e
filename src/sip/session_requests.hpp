// SPDX-License-Identifier: Apache-2.0
//
// What an InviteSession is given to send within its dialog beyond its own business: MESSAGE, INFO,
// OPTIONS, REFER, NOTIFY. Values only.
#pragma once

#include <cstdint>
#include <string>

#include "wire/sip/builder.hpp"
#include "wire/sip/method.hpp"

namespace godwit::sip {

struct OwnRequest {
  std::uint32_t token = 0;  ///< Comes back in RequestAnswered; the session reads nothing into it.
  wire::Method method = wire::Method::Info;
  wire::DraftHeaders headers;
  std::string content_type;  ///< Of `body`; empty: none.
  std::string body;
};

}  // namespace godwit::sip
