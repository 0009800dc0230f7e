// SPDX-License-Identifier: Apache-2.0
#include "ua/ip_change_rules.hpp"

#include <gtest/gtest.h>

#include <functional>

namespace godwit::ua {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(IpChangeRules, DefaultsAreFine) {
  EXPECT_TRUE(check_policy({}));
  EXPECT_TRUE(check_options({}));
  EXPECT_TRUE(check_refresh({}));
}

TEST(IpChangeRules, ImpossiblePoliciesAreRefused) {
  const auto judged = [](const std::function<void(IpChangePolicy&)>& spoil) {
    IpChangePolicy policy;
    spoil(policy);
    return check_policy(policy);
  };
  EXPECT_FALSE(judged([](auto& p) { p.recovery_deadline = {}; }));
  EXPECT_FALSE(judged([](auto& p) { p.recovery_deadline = seconds(-1); }));
  EXPECT_FALSE(judged([](auto& p) { p.recovery_deadline = milliseconds(999); }));
  EXPECT_FALSE(judged([](auto& p) { p.recovery_deadline = hours(1) + milliseconds(1); }));
  EXPECT_TRUE(judged([](auto& p) { p.recovery_deadline = seconds(1); }));
  EXPECT_TRUE(judged([](auto& p) { p.recovery_deadline = hours(1); }));
  EXPECT_FALSE(judged([](auto& p) { p.refresh_offer = p.refresh_contact = false; }));
  EXPECT_TRUE(judged([](auto& p) { p.refresh_offer = false; }));
  EXPECT_TRUE(
      judged([](auto& p) { p.refresh_calls = p.refresh_offer = p.refresh_contact = false; }));
  const auto refused = judged([](auto& p) { p.recovery_deadline = {}; });
  EXPECT_EQ(refused.error().code, ErrorCode::InvalidArgument);
}

TEST(IpChangeRules, AChangeOfNothingIsRefused) {
  IpChangeOptions nothing;
  nothing.calls = nothing.registrations = false;
  ASSERT_FALSE(check_options(nothing));
  EXPECT_EQ(check_options(nothing).error().code, ErrorCode::InvalidArgument);
  IpChangeOptions crowd;
  crowd.accounts.resize(10'001);
  EXPECT_FALSE(check_options(crowd));
}

TEST(IpChangeRules, ARefreshSaysSomething) {
  const auto judged = [](const std::function<void(CallRefresh&)>& spoil) {
    CallRefresh refresh;
    spoil(refresh);
    return check_refresh(refresh);
  };
  EXPECT_FALSE(judged([](auto& r) { r.offer = r.media = r.contact = false; }));
  EXPECT_FALSE(judged([](auto& r) { r.offer = false; })) << "media without an offer";
  EXPECT_TRUE(judged([](auto& r) { r.offer = r.media = false; }));
  EXPECT_TRUE(judged([](auto& r) {
    r.offer = r.media = r.contact = false;
    r.target = "sip:bob@192.0.2.9";
  }));
  for (const char* bad : {"bob", "tel:+441632960083", "<sip:bob@example.org>",
                          "sip:bob@example.org\r\nX: y", "sip:bob@example.org >"}) {
    EXPECT_FALSE(judged([bad](auto& r) { r.target = bad; })) << bad;
  }
  EXPECT_FALSE(judged([](auto& r) { r.target = "sip:" + std::string(2'000, 'a') + "@b"; }));
}

}  // namespace
}  // namespace godwit::ua
