// SPDX-License-Identifier: Apache-2.0
#include "testing/dns_zone.hpp"

#include <gtest/gtest.h>

#include "wire/dns/dns_message.hpp"

namespace godwit::testing {
namespace {

TEST(DnsZone, RepliesAreReadAsWhatItKnows) {
  DnsZone zone;
  zone.add_address("a.example.org", IpAddress::v4(192, 0, 2, 1));
  zone.add_address("a.example.org", *IpAddress::parse("2001:db8::1"), std::chrono::seconds(5));
  zone.add_srv("_sip._udp.example.org", {10, 20, 5060, "a.example.org"});
  zone.add_srv("_sip._udp.example.org", {20, 0, 5070, ""});
  zone.add_naptr("example.org", {1, 2, "s", "SIP+D2U", "", "_sip._udp.example.org"});
  const std::vector<DnsQuestion> questions = {{"a.example.org", DnsType::A},
                                              {"a.example.org", DnsType::Aaaa},
                                              {"_sip._udp.example.org", DnsType::Srv},
                                              {"example.org", DnsType::Naptr},
                                              {"example.org", DnsType::A},
                                              {"nowhere.example.org", DnsType::A}};
  for (const DnsQuestion& question : questions) {
    SCOPED_TRACE(question.name);
    const auto reply = zone.reply(make_dns_query(9, question));
    ASSERT_TRUE(reply);
    const auto answer = wire::parse_dns_reply(*reply, question.type);
    ASSERT_TRUE(answer) << answer.error().detail;
    EXPECT_EQ(*answer, zone.answer(question));
  }
  EXPECT_EQ(zone.answer(questions[4]).failure, DnsFailure::NoData);
  EXPECT_EQ(zone.answer(questions[5]).failure, DnsFailure::NoSuchName);
}

TEST(DnsZone, FailsAsTold) {
  DnsZone zone;
  zone.add_address("a.example.org", IpAddress::v4(192, 0, 2, 1));
  const DnsQuestion question{"a.example.org", DnsType::A};
  zone.set_failure("a.example.org", DnsFailure::Timeout);
  EXPECT_FALSE(zone.reply(make_dns_query(9, question)));
  zone.set_failure("a.example.org", DnsFailure::Other);
  EXPECT_EQ(zone.answer(question).failure, DnsFailure::Other);
  zone.set_failure("a.example.org", DnsFailure::None);
  EXPECT_EQ(zone.answer(question).records.size(), 1U);
  EXPECT_FALSE(zone.reply({}));
}

}  // namespace
}  // namespace godwit::testing
