// SPDX-License-Identifier: Apache-2.0
#include "godwit/result.hpp"

namespace godwit {

const char* to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::InvalidArgument: return "InvalidArgument";
    case ErrorCode::Malformed: return "Malformed";
    case ErrorCode::TooLarge: return "TooLarge";
    case ErrorCode::Unsupported: return "Unsupported";
    case ErrorCode::NotFound: return "NotFound";
    case ErrorCode::WrongState: return "WrongState";
    case ErrorCode::Busy: return "Busy";
    case ErrorCode::Network: return "Network";
    case ErrorCode::Timeout: return "Timeout";
    case ErrorCode::Rejected: return "Rejected";
    case ErrorCode::Io: return "Io";
  }
  return "?";
}

}  // namespace godwit
