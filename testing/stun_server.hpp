// SPDX-License-Identifier: Apache-2.0
//
// A STUN server on a simulated host (RFC 8489, binding only), which can be told to be slow, silent
// or wrong. Owned by the test.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "testing/network.hpp"

namespace godwit::testing {

class StunServer {
 public:
  StunServer(Network& network, Host& host, const Endpoint& local);
  ~StunServer();
  StunServer(const StunServer&) = delete;
  StunServer& operator=(const StunServer&) = delete;

  struct Behaviour {
    bool silent = false;
    Duration delay{};                  ///< Before each answer.
    std::optional<Endpoint> lie = {};  ///< Told to everybody.
    bool other_transaction = false;    ///< Answers what nobody has asked.
  };
  void behave(Behaviour behaviour) { behaviour_ = behaviour; }
  std::uint64_t requests() const { return requests_; }
  const Endpoint& local() const { return local_; }

 private:
  void receive(const Endpoint& from, const std::string& bytes);

  Network& network_;
  Host& host_;
  Endpoint local_;
  SocketId socket_;
  Behaviour behaviour_;
  std::uint64_t requests_ = 0;
};

}  // namespace godwit::testing
