// SPDX-License-Identifier: Apache-2.0
//
// How a call reports that it could not do what was asked: a value, never an exception. Misbehaviour
// of peers and networks is data; exceptions are left to misuse of a constructor in the runtime.
#pragma once

#include <string>
#include <utility>

#include <tl/expected.hpp>

namespace godwit {

/// What kind of thing went wrong; `Error::detail` says which one, in words a person can act on.
enum class ErrorCode {
  InvalidArgument,  ///< The caller asked for something impossible.
  Malformed,        ///< Bytes that do not follow the grammar they should.
  TooLarge,         ///< A stated limit of size, count or nesting was passed.
  Unsupported,      ///< Well-formed, but nothing we do.
  NotFound,         ///< No such account, call, flow or transaction.
  WrongState,       ///< Not possible in the present state.
  Busy,             ///< A bounded queue or table is full.
  Network,          ///< No path, or the operating system refused a socket operation.
  Timeout,          ///< No answer within the stated time.
  Rejected,         ///< The peer or server said no.
  Io,               ///< A file or device could not be used.
};

/// The enumerator's name, for logs and JSON.
const char* to_string(ErrorCode code);

struct Error {
  ErrorCode code;
  std::string detail;
};

template <typename T>
using Result = tl::expected<T, Error>;

/// `return fail(ErrorCode::Malformed, "…");` from any function that returns a Result.
inline tl::unexpected<Error> fail(ErrorCode code, std::string detail) {
  return tl::unexpected<Error>(Error{code, std::move(detail)});
}

}  // namespace godwit
