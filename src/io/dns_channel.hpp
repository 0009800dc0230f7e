// SPDX-License-Identifier: Apache-2.0
//
// DNS questions asked by c-ares on the event loop: NAPTR, SRV, A and AAAA, the hosts file before
// the DNS for addresses, answers with their times to live. Owned by the driver. It asks what it is
// told to, with c-ares' repetitions; what an answer means, how long it is remembered and what to
// ask instead is decided elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/dns.hpp"
#include "godwit/address.hpp"
#include "godwit/result.hpp"
#include "io/event_loop.hpp"
#include "io/socket_options.hpp"

namespace godwit::io {

class DnsChannel {
 public:
  using Answer = std::function<void(DnsAnswer)>;

  /// Questions at the same time; one more is answered with DnsFailure::Other.
  static constexpr std::size_t kMaxConcurrent = 256;
  /// To each server: the first try waits so long, the second twice as long (c-ares), then it is a
  /// timeout. Short, because a phone that has just changed its network waits for it.
  static constexpr int kTimeoutMs = 1500;
  static constexpr int kTries = 2;
  /// Of what the hosts file says: it may be edited at any time.
  static constexpr std::chrono::seconds kHostsTtl{60};

  /// `servers`: asked instead of the system's (resolv.conf). `loop` must outlive the channel.
  /// Everything here on the loop's thread.
  /// `check`: asked about each socket before it is used; empty: none.
  DnsChannel(EventLoop& loop, std::vector<Endpoint> servers, SocketCheck check = {});
  /// Outstanding answers are never called.
  ~DnsChannel();
  DnsChannel(const DnsChannel&) = delete;
  DnsChannel& operator=(const DnsChannel&) = delete;

  /// `answer` runs on the loop, never inside this call.
  void ask(const DnsQuestion& question, Answer answer);
  /// The network is another one: the servers are read anew and what is outstanding is forgotten
  /// without an answer. (c-ares 1.18 cannot re-read its configuration, so the channel is made
  /// anew.)
  void renew();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace godwit::io
