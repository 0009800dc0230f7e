// SPDX-License-Identifier: Apache-2.0
#include "sip/redirection.hpp"

#include <gtest/gtest.h>

#include <string>

namespace godwit::sip {
namespace {

std::vector<RedirectTarget> targets_of(const std::string& contacts) {
  const auto response = wire::Message::parse(
      "SIP/2.0 302 Moved\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
      "To: <sip:a@b>;tag=2\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n" +
      contacts + "Content-Length: 0\r\n\r\n");
  EXPECT_TRUE(response);
  return response ? redirect_targets(*response) : std::vector<RedirectTarget>{};
}

TEST(Redirection, OrdersByQAndKeepsOnlySipUris) {
  EXPECT_EQ(targets_of("Contact: <sip:low@x>;q=0.2, <mailto:a@b>, <sip:one@x>, "
                       "<sip:no@x;method=SUBSCRIBE>, <tel:+123>;q=0.9\r\n"
                       "Contact: <sips:half@x>;q=0.5, <sip:two@x;transport=tcp?Subject=evil>\r\n"),
            (std::vector<RedirectTarget>{{"sip:one@x", 1000},
                                         {"sip:two@x;transport=tcp", 1000},
                                         {"sips:half@x", 500},
                                         {"sip:low@x", 200}}));
  EXPECT_TRUE(targets_of("").empty());
  std::string many;
  for (int i = 0; i < 50; ++i) many += "Contact: <sip:" + std::to_string(i) + "@x>\r\n";
  EXPECT_EQ(targets_of(many).size(), Redirection::kMaxTargets);
}

TEST(Redirection, TriesEachTargetOnceBestFirst) {
  Redirection redirection("sip:bob@x");
  EXPECT_TRUE(redirection.add({{"sip:a@x", 500}, {"sip:bob@x", 1000}, {"sip:b@x", 200}}));
  EXPECT_EQ(redirection.next(), "sip:a@x");
  // A loop back, and a better one than what is left.
  EXPECT_TRUE(redirection.add({{"sip:c@x", 900}, {"sip:a@x", 900}, {"sip:bob@x", 900}}));
  EXPECT_EQ(redirection.next(), "sip:c@x");
  EXPECT_EQ(redirection.next(), "sip:b@x");
  EXPECT_EQ(redirection.next(), std::nullopt);
}

TEST(Redirection, AChainAndAFanAreBounded) {
  Redirection chain("sip:0@x");
  for (std::size_t i = 1; i <= Redirection::kMaxHops; ++i) {
    EXPECT_TRUE(chain.add({{"sip:" + std::to_string(i) + "@x", 1000}}));
    EXPECT_TRUE(chain.next());
  }
  EXPECT_FALSE(chain.add({{"sip:more@x", 1000}}));
  EXPECT_FALSE(chain.next());

  Redirection fan("sip:0@x");
  std::vector<RedirectTarget> many;
  for (int i = 1; i < 100; ++i) many.push_back({"sip:" + std::to_string(i) + "@x", 1000});
  EXPECT_TRUE(fan.add(many));
  std::size_t tried = 0;
  while (fan.next()) ++tried;
  EXPECT_EQ(tried, Redirection::kMaxTargets);
}

}  // namespace
}  // namespace godwit::sip
