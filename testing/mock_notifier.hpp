// SPDX-License-Identifier: Apache-2.0
//
// A notifier and event server that shares no code with src/sip: takes SUBSCRIBE and PUBLISH, and
// notifies as the test tells it to. By default willing. Owned by the test. It retransmits nothing,
// so that it belongs behind links that lose nothing.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "testing/network.hpp"
#include "testing/sip_text.hpp"

namespace godwit::testing {

class MockNotifier {
 public:
  MockNotifier(Network& network, Host& host, Endpoint local, std::string user);
  ~MockNotifier();
  MockNotifier(const MockNotifier&) = delete;
  MockNotifier& operator=(const MockNotifier&) = delete;

  /// For the next requests, one each; 0: no answer. Afterwards 200.
  void script(int status) { script_.push_back(status); }
  /// A SUBSCRIBE that is granted is notified with this at once; empty state: not at all.
  void on_subscribe(std::string state, std::string content_type = {}, std::string body = {});
  /// Notifies the newest subscription.
  void notify(const std::string& state, const std::string& content_type = {},
              const std::string& body = {});
  void set_expires(int seconds) { expires_ = seconds; }
  /// Forgets all subscriptions, as a restart would.
  void forget() { subscriptions_.clear(); }

  struct Seen {
    TimePoint at;
    Endpoint from;
    SipText message;
  };
  /// Requests that came, each once.
  std::vector<Seen> requests(const std::string& method) const;
  /// The answers to our NOTIFYs, in order.
  const std::vector<int>& answers() const { return answers_; }
  const std::string& uri() const { return uri_; }

 private:
  struct Dialog {
    std::string call_id;
    std::string local_tag;
    std::string remote;  ///< As From of the subscriber.
    std::string local;
    std::string target;
    std::string event;
    std::vector<std::string> routes;
    std::uint32_t cseq = 0;
  };

  void receive(const Endpoint& from, const std::string& bytes);
  void send_notify(Dialog& dialog, const std::string& state, const std::string& content_type,
                   const std::string& body);

  Network& network_;
  Host& host_;
  Endpoint local_;
  std::string uri_;
  SeededRandom random_;
  SocketId socket_;
  int expires_ = 600;
  std::deque<int> script_;
  std::string first_state_ = "active;expires=600";
  std::string first_type_;
  std::string first_body_;
  std::vector<Dialog> subscriptions_;
  std::vector<Seen> seen_;
  std::map<std::string, std::string> replies_;  ///< By branch; "": none was sent.
  std::vector<int> answers_;
  std::uint32_t tags_ = 0;
};

}  // namespace godwit::testing
