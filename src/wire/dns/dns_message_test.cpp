// SPDX-License-Identifier: Apache-2.0
#include "wire/dns/dns_message.hpp"

#include <gtest/gtest.h>

#include "wire/endian.hpp"

namespace godwit::wire {
namespace {

using std::chrono::seconds;

void put_name(Buffer& out, const std::string& name) {
  std::size_t from = 0;
  while (from < name.size()) {
    const std::size_t dot = std::min(name.find('.', from), name.size());
    out.push_back(static_cast<std::uint8_t>(dot - from));
    for (; from < dot; ++from) out.push_back(static_cast<std::uint8_t>(name[from]));
    ++from;
  }
  out.push_back(0);
}

/// A reply with one question, whose sections a test fills by hand.
struct Reply {
  explicit Reply(const std::string& name = "example.org", DnsType type = DnsType::A,
                 unsigned code = 0) {
    put16(bytes, 7);
    put16(bytes, static_cast<std::uint16_t>(0x8180U | code));
    put16(bytes, 1);
    for (int i = 0; i < 3; ++i) put16(bytes, 0);
    put_name(bytes, name);
    put16(bytes, dns_type_number(type));
    put16(bytes, 1);
  }
  Reply& count(std::size_t section, std::uint16_t records) {
    bytes[4 + 2 * section] = static_cast<std::uint8_t>(records >> 8U);
    bytes[5 + 2 * section] = static_cast<std::uint8_t>(records);
    return *this;
  }
  Reply& record(const std::string& owner, std::uint16_t type, std::uint32_t ttl,
                const Buffer& data) {
    put_name(bytes, owner);
    put16(bytes, type);
    put16(bytes, 1);
    put32(bytes, ttl);
    put16(bytes, static_cast<std::uint16_t>(data.size()));
    bytes.insert(bytes.end(), data.begin(), data.end());
    return *this;
  }
  Buffer bytes;
};

Buffer name_data(const std::string& name) {
  Buffer data;
  put_name(data, name);
  return data;
}

Buffer soa(std::uint32_t minimum) {
  Buffer data = name_data("ns");
  put_name(data, "hostmaster");
  for (int i = 0; i < 4; ++i) put32(data, 9999);
  put32(data, minimum);
  return data;
}

TEST(DnsMessage, FollowsAliasesInAnyOrderWithTheShortestTime) {
  Reply reply;
  reply.record("c.example", 1, 900, {192, 0, 2, 3})
      .record("other.example", 1, 900, {192, 0, 2, 66})
      .record("b.example", 5, 40, name_data("c.example"))
      .record("EXAMPLE.org", 5, 600, name_data("B.example"))
      .count(1, 4);
  const auto answer = parse_dns_reply(reply.bytes, DnsType::A);
  ASSERT_TRUE(answer);
  ASSERT_EQ(answer->records.size(), 1U);
  EXPECT_EQ(std::get<IpAddress>(answer->records[0].data), IpAddress::v4(192, 0, 2, 3));
  EXPECT_EQ(answer->records[0].ttl, seconds(40));
}

TEST(DnsMessage, AliasesThatGoRoundEnd) {
  Reply reply;
  reply.record("example.org", 5, 600, name_data("b.example"))
      .record("b.example", 5, 600, name_data("example.org"))
      .count(1, 2);
  const auto answer = parse_dns_reply(reply.bytes, DnsType::A);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->failure, DnsFailure::NoData);
}

TEST(DnsMessage, NegativeAnswersSayForHowLong) {
  Reply missing("example.org", DnsType::Srv, 3);
  missing.record("org", 6, 120, soa(50)).count(2, 1);
  EXPECT_EQ(*parse_dns_reply(missing.bytes, DnsType::Srv),
            (DnsAnswer{DnsFailure::NoSuchName, {}, seconds(50), {}}));
  Reply empty("example.org", DnsType::Srv, 0);
  empty.record("org", 6, 20, soa(50)).count(2, 1);
  EXPECT_EQ(*parse_dns_reply(empty.bytes, DnsType::Srv),
            (DnsAnswer{DnsFailure::NoData, {}, seconds(20), {}}));
  const auto refused = parse_dns_reply(Reply("example.org", DnsType::Srv, 5).bytes, DnsType::Srv);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->failure, DnsFailure::Other);
  EXPECT_NE(refused->detail.find('5'), std::string::npos);
}

TEST(DnsMessage, ATimeToLiveWithItsSignBitIsNone) {  // RFC 2181 §8.
  Reply reply;
  reply.record("example.org", 1, 0x8000'0001U, {192, 0, 2, 1}).count(1, 1);
  EXPECT_EQ(parse_dns_reply(reply.bytes, DnsType::A)->records[0].ttl, seconds(0));
}

TEST(DnsMessage, RefusesWhatIsNoReplyToTheQuestion) {
  Buffer question = Reply().bytes;
  question[2] = 1;
  Buffer two = Reply().bytes;
  two[5] = 2;
  EXPECT_FALSE(parse_dns_reply({}, DnsType::A));
  EXPECT_FALSE(parse_dns_reply(question, DnsType::A));
  EXPECT_FALSE(parse_dns_reply(two, DnsType::A));
  EXPECT_FALSE(parse_dns_reply(Reply().bytes, DnsType::Srv)) << "another type was asked for";
  const Buffer whole = Reply().bytes;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(parse_dns_reply(Bytes(whole).first(size), DnsType::A)) << size;
  }
}

TEST(DnsMessage, ReadsWhatIsWholeOfACutReply) {
  Reply reply;
  reply.record("example.org", 1, 60, {192, 0, 2, 1})
      .record("example.org", 1, 60, {192, 0, 2, 2})
      .count(1, 2);
  for (std::size_t cut = 1; cut < 10; ++cut) {
    const auto answer =
        parse_dns_reply(Bytes(reply.bytes).first(reply.bytes.size() - cut), DnsType::A);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->records.size(), 1U);
  }
}

TEST(DnsMessage, SurvivesHostileRecords) {
  // A pointer to itself, one forwards, a chain of pointers, a record of the wrong size, a count
  // that lies, a text longer than its record.
  Reply loop;
  const auto at = static_cast<std::uint8_t>(loop.bytes.size());
  for (const std::uint8_t byte : {std::uint8_t{0xc0}, at}) loop.bytes.push_back(byte);
  loop.count(1, 1);
  EXPECT_EQ(parse_dns_reply(loop.bytes, DnsType::A)->failure, DnsFailure::NoData);

  Reply forward;
  const Buffer tail = {0xc0, 0xff, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1};
  forward.bytes.insert(forward.bytes.end(), tail.begin(), tail.end());
  forward.count(1, 1);
  EXPECT_EQ(parse_dns_reply(forward.bytes, DnsType::A)->failure, DnsFailure::NoData);

  Reply sizes;
  sizes.record("example.org", 1, 60, {192, 0, 2})
      .record("example.org", 1, 60, {192, 0, 2, 1, 1})
      .record("example.org", 1, 60, {192, 0, 2, 9})
      .count(1, 60'000);
  EXPECT_EQ(parse_dns_reply(sizes.bytes, DnsType::A)->records.size(), 1U);

  Reply text("example.org", DnsType::Naptr);
  text.record("example.org", 35, 60, {0, 1, 0, 1, 200, 's'}).count(1, 1);
  EXPECT_EQ(parse_dns_reply(text.bytes, DnsType::Naptr)->failure, DnsFailure::NoData);

  Reply many;
  for (int i = 0; i < 300; ++i) many.record("example.org", 1, 60, {10, 0, 0, 1});
  many.count(1, 300);
  EXPECT_EQ(parse_dns_reply(many.bytes, DnsType::A)->records.size(), kMaxDnsRecords);
}

TEST(DnsMessage, ALabelCannotForgeADotOrALine) {
  Reply reply("example.org", DnsType::Srv);
  Buffer data = {0, 1, 0, 1, 0x13, 0xc4, 5, 'a', '.', 'b', '\n', '\\', 0};
  reply.record("example.org", 33, 60, data).count(1, 1);
  const auto answer = parse_dns_reply(reply.bytes, DnsType::Srv);
  EXPECT_EQ(std::get<SrvRecord>(answer->records.at(0).data).target, "a?b??");
}

}  // namespace
}  // namespace godwit::wire
