// SPDX-License-Identifier: Apache-2.0
// Accounts whose signalling or media is pinned to an interface or an address.
#include "world.hpp"

namespace godwit::scenario {
namespace {

PathPin interface_pin(const std::string& name) { return {name, std::nullopt}; }
PathPin address_pin(const IpAddress& address) { return {"", address}; }

Stage both_networks() {
  Stage stage;
  stage.both_networks = true;
  stage.recovery_deadline = seconds(10);
  return stage;
}

bool has_warning(const World& world, const std::string& text) {
  for (const Warning& warning : world.phone.all<Warning>()) {
    if (warning.text.find(text) != std::string::npos) return true;
  }
  return false;
}

void start(World& world, const AccountConfig& config) {
  world.phone.play_to_all(440);
  world.account = *world.phone.add_account(config);
  ASSERT_TRUE(world.run_until(
      [&] { return world.phone.registration(world.account) == RegistrationState::Registered; },
      seconds(5)));
}

void call(World& world) {
  ASSERT_TRUE(world.phone.call(world.account, "sip:bob@example.org"));
  ASSERT_TRUE(world.run_until(
      [&] { return world.confirmed() && world.peer.state() == MockPeer::CallState::Confirmed; },
      seconds(5)));
  world.run_for(milliseconds(500));
}

void expect_sip_only_from(World& world, const IpAddress& local, TimePoint since = TimePoint()) {
  for (const auto& sent : world.sent_sip("", since)) {
    EXPECT_EQ(sent.source.address, local) << sent.message.start_line();
  }
}

TEST(PinnedInterface, IsUsedAgainstTheRoutesAndKeptThroughItsAddresses) {
  World world(both_networks());
  AccountConfig config = world.account_config();
  config.signalling_pin = interface_pin("wwan0");
  config.media_pin = interface_pin("wwan0");
  start(world, config);
  call(world);
  world.expect_audio(world.lte_address());
  expect_sip_only_from(world, world.lte_address());

  // The interface gets another address; wifi would be there, and better.
  const IpAddress next = world.address(2, 3);
  const TimePoint changed = world.now();
  world.phone_host.add_address(world.lte, next);
  world.phone_host.remove_address(world.lte, world.lte_address());
  ASSERT_TRUE(world.run_until([&] { return world.phone.reports().size() >= 1 && world.settled(); },
                              seconds(10)));
  EXPECT_TRUE(world.confirmed());
  world.expect_audio(next);
  expect_sip_only_from(world, next, changed);
  ASSERT_EQ(world.server.contacts("alice").size(), 1U);
  EXPECT_NE(world.server.contacts("alice")[0].find(next.to_string()), std::string::npos);
}

TEST(PinnedInterface, WithoutAnAddressTheUseWaitsAndNoOtherIsTaken) {
  World world(both_networks());
  AccountConfig config = world.account_config();
  config.signalling_pin = interface_pin("wlan0");
  config.media_pin = interface_pin("wlan0");
  start(world, config);
  call(world);
  const TimePoint gone = world.now();
  world.wifi_goes();
  world.run_for(seconds(5));
  EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Suspended);
  const std::string reason = world.phone.last<RegistrationChanged>()->reason;
  EXPECT_NE(reason.find("pinned to the interface wlan0, which has no address"), std::string::npos)
      << reason;
  EXPECT_TRUE(has_warning(world, "waits: its signalling is pinned to the interface wlan0"));
  EXPECT_TRUE(world.sent_sip("", gone).empty()) << "not a message over the other network";
  EXPECT_TRUE(world.confirmed());
  world.wifi_comes();
  ASSERT_TRUE(world.run_until([&] { return world.settled(); }, seconds(10)));
  world.run_for(seconds(1));
  EXPECT_TRUE(world.confirmed());
  world.expect_audio(world.wifi_address());
  EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Registered);
  expect_sip_only_from(world, world.wifi_address());
}

TEST(PinnedInterface, ItsCallEndsNamingItWhenItDoesNotComeBack) {
  World world(both_networks());
  AccountConfig config = world.account_config();
  config.signalling_pin = interface_pin("wlan0");
  start(world, config);
  call(world);
  world.wifi_goes();
  world.run_for(seconds(15));
  const auto ended = world.phone.ended(world.call_id());
  ASSERT_TRUE(ended);
  EXPECT_NE(ended->reason.find("signalling is pinned to the interface wlan0"), std::string::npos)
      << ended->reason;
}

TEST(PinnedInterface, TheUnpinnedAccountBesideItMoves) {
  World world(both_networks());
  AccountConfig config = world.account_config();
  config.signalling_pin = interface_pin("wlan0");
  start(world, config);
  AccountConfig second = world.account_config();
  second.aor = "sip:bob@example.org";
  second.password = "builder";
  const AccountId free = *world.phone.add_account(second);
  world.run_for(seconds(2));
  world.wifi_goes();
  world.run_for(seconds(3));
  EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Suspended);
  EXPECT_EQ(world.phone.registration(free), RegistrationState::Registered);
}

TEST(PinnedAddress, IsUsedAgainstTheRoutes) {
  World world(both_networks());
  AccountConfig config = world.account_config();
  config.signalling_pin = address_pin(world.lte_address());
  config.media_pin = address_pin(world.lte_address());
  start(world, config);
  call(world);
  world.expect_audio(world.lte_address());
  expect_sip_only_from(world, world.lte_address());
  // What happens to the other network is no business of this account's.
  world.wifi_goes();
  world.run_for(seconds(2));
  EXPECT_TRUE(world.confirmed());
  world.expect_audio(world.lte_address());
}

TEST(PinnedAddress, GoneIsAnErrorThatNamesItAndNeverAnotherAddress) {
  World world(both_networks());
  AccountConfig config = world.account_config();
  config.signalling_pin = address_pin(world.lte_address());
  start(world, config);
  // The same interface with another address is not good enough.
  const TimePoint gone = world.now();
  world.phone_host.add_address(world.lte, world.address(2, 3));
  world.phone_host.remove_address(world.lte, world.lte_address());
  world.run_for(seconds(5));
  EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Suspended);
  const std::string sentence =
      "pinned to the address " + world.lte_address().to_string() + ", which no interface has";
  EXPECT_NE(world.phone.last<RegistrationChanged>()->reason.find(sentence), std::string::npos)
      << world.phone.last<RegistrationChanged>()->reason;
  EXPECT_TRUE(has_warning(world, sentence));
  EXPECT_TRUE(world.sent_sip("", gone).empty());
  // A call that is placed meanwhile says the same.
  const auto placed = world.phone.call(world.account, "sip:bob@example.org");
  ASSERT_TRUE(placed);
  world.run_for(seconds(1));
  ASSERT_TRUE(world.phone.ended(*placed));
  EXPECT_NE(world.phone.ended(*placed)->reason.find(sentence), std::string::npos)
      << world.phone.ended(*placed)->reason;
  EXPECT_TRUE(world.sent_sip("", gone).empty());

  world.phone_host.add_address(world.lte, world.lte_address());
  ASSERT_TRUE(world.run_until(
      [&] { return world.phone.registration(world.account) == RegistrationState::Registered; },
      seconds(5)));
  expect_sip_only_from(world, world.lte_address());
}

TEST(PinnedAddress, ThatIsNotThereFromTheStartIsSaid) {
  World world;
  AccountConfig config = world.account_config();
  config.signalling_pin = address_pin(world.lte_address());
  world.account = *world.phone.add_account(config);
  world.run_for(seconds(3));
  EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Suspended);
  EXPECT_TRUE(has_warning(world, world.lte_address().to_string()));
  EXPECT_TRUE(world.sent_sip("").empty());
  world.lte_comes();
  ASSERT_TRUE(world.run_until(
      [&] { return world.phone.registration(world.account) == RegistrationState::Registered; },
      seconds(5)));
}

TEST(PinnedMedia, TakesItsOwnPathBesideTheSignalling) {
  World world(both_networks());
  AccountConfig config = world.account_config();
  config.media_pin = interface_pin("wwan0");
  start(world, config);
  call(world);
  world.expect_audio(world.lte_address());
  expect_sip_only_from(world, world.wifi_address());
  ASSERT_TRUE(world.phone.hang_up(world.call_id()));
  world.run_for(seconds(1));
  world.phone.answer_calls(milliseconds(50));
  world.peer.call("sip:alice@example.org");
  ASSERT_TRUE(world.run_until([&] { return world.confirmed(); }, seconds(5)));
  world.run_for(milliseconds(500));
  world.expect_audio(world.lte_address());
}

TEST(PinnedMedia, ThatLosesItsPathHoldsTheCallUntilItIsBack) {
  World world(both_networks());
  AccountConfig config = world.account_config();
  config.media_pin = address_pin(world.lte_address());
  start(world, config);
  call(world);
  world.lte_goes();
  world.run_for(seconds(3));
  EXPECT_TRUE(world.confirmed());
  EXPECT_TRUE(has_warning(
      world, "waits: its media is pinned to the address " + world.lte_address().to_string()));
  EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Registered);
  world.lte_comes();
  ASSERT_TRUE(world.run_until([&] { return world.settled(); }, seconds(10)));
  world.run_for(seconds(1));
  EXPECT_TRUE(world.confirmed());
  world.expect_audio(world.lte_address());
}

TEST(PinnedMedia, ThatStaysAwayEndsTheCallAndThePeerIsTold) {
  World world(both_networks());
  AccountConfig config = world.account_config();
  config.media_pin = interface_pin("wwan0");
  start(world, config);
  call(world);
  world.lte_goes();
  world.run_for(seconds(15));
  const auto ended = world.phone.ended(world.call_id());
  ASSERT_TRUE(ended);
  EXPECT_NE(ended->reason.find("media is pinned to the interface wwan0, which has no address"),
            std::string::npos)
      << ended->reason;
  EXPECT_TRUE(world.peer.state() == MockPeer::CallState::Ended) << "signalling was there";
}

TEST(PinnedMedia, WithoutItsPathNoCallBeginsEitherWay) {
  World world;
  AccountConfig config = world.account_config();
  config.media_pin = interface_pin("wwan0");
  start(world, config);
  const auto placed = world.phone.call(world.account, "sip:bob@example.org");
  ASSERT_TRUE(placed);
  world.run_for(seconds(1));
  ASSERT_TRUE(world.phone.ended(*placed));
  EXPECT_NE(world.phone.ended(*placed)->reason.find("media is pinned to the interface wwan0"),
            std::string::npos)
      << world.phone.ended(*placed)->reason;
  EXPECT_TRUE(world.sent_sip("INVITE").empty());

  world.phone.answer_calls(milliseconds(50));
  world.peer.call("sip:alice@example.org");
  world.run_for(seconds(2));
  EXPECT_EQ(world.peer.last_status("INVITE"), 480);
  EXPECT_TRUE(has_warning(world, "a call to sip:alice@example.org was refused"));
  EXPECT_TRUE(world.phone.all<IncomingCall>().empty());
}

TEST(Pins, ThatCannotBeAreNamed) {
  Stage stage;
  stage.ua.interfaces = {"wlan0"};
  World world(stage);
  const auto refused = [&](auto change) {
    AccountConfig config = world.account_config();
    change(config);
    const auto added = world.phone.add_account(config);
    if (added) return std::string("taken");
    EXPECT_EQ(added.error().code, ErrorCode::InvalidArgument);
    return added.error().detail;
  };
  const auto names = [](const std::string& text, const char* name) {
    return text.find(name) != std::string::npos;
  };
  EXPECT_TRUE(names(refused([&](AccountConfig& c) {
                      c.signalling_pin = {"wlan0", world.wifi_address()};
                    }),
                    "signalling_pin: an interface or an address"));
  EXPECT_TRUE(names(refused([&](AccountConfig& c) { c.media_pin = interface_pin("wwan0"); }),
                    "media_pin: the user agent may not use the interface wwan0"));
  EXPECT_TRUE(names(refused([&](AccountConfig& c) { c.media_pin = interface_pin("a/b"); }),
                    "media_pin: this is no interface's name"));
  EXPECT_TRUE(
      names(refused([&](AccountConfig& c) { c.media_pin = interface_pin("averyverylongname"); }),
            "media_pin"));
  EXPECT_TRUE(names(
      refused([&](AccountConfig& c) { c.signalling_pin = address_pin(IpAddress::v4(0, 0, 0, 0)); }),
      "signalling_pin: this is no address of a machine"));
  EXPECT_EQ(refused([&](AccountConfig& c) { c.signalling_pin = interface_pin("wlan0"); }), "taken");
}

}  // namespace
}  // namespace godwit::scenario
