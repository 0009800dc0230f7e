// SPDX-License-Identifier: Apache-2.0
//
// Addresses of host names by the system's resolver (files, DNS, whatever nsswitch says), answered
// on the event loop. Each look-up runs on a thread of its own that nobody waits for: getaddrinfo
// cannot be cancelled, and a dead DNS server must not hold up the end of the program. SRV and NAPTR
// are not its business.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "godwit/address.hpp"
#include "godwit/result.hpp"
#include "io/event_loop.hpp"

namespace godwit::io {

class Resolver {
 public:
  using Answer = std::function<void(Result<std::vector<IpAddress>>)>;
  /// Look-ups at the same time; one more is refused with Busy. A hanging one counts until the
  /// system gives it up (30 s with glibc's defaults and two dead servers).
  static constexpr int kMaxConcurrent = 32;
  /// More addresses of one name are cut off.
  static constexpr std::size_t kMaxAddresses = 32;

  /// `loop` must outlive the resolver. Use and destroy on the loop's thread.
  explicit Resolver(EventLoop& loop);
  /// Outstanding answers are never called.
  ~Resolver();

  /// `answer` runs on the loop, never inside this call; in the system's order (RFC 6724), at least
  /// one address or an error.
  void resolve(const std::string& host, Answer answer);

 private:
  struct Shared;
  EventLoop& loop_;
  std::shared_ptr<Shared> shared_;
};

}  // namespace godwit::io
