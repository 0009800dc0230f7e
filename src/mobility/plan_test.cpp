// SPDX-License-Identifier: Apache-2.0
#include "mobility/plan.hpp"

#include <gtest/gtest.h>

#include "mobility/snapshot_builder_test.hpp"

namespace godwit::mobility {
namespace {

using test::endpoint;
using test::ip;
using test::Net;

// Written as [use:]mode from->to (cause), one per row.
std::string show(const RecoveryPlan& plan) {
  std::string out;
  for (const PlanRow& row : plan.rows) {
    if (!out.empty()) out += "; ";
    out += std::to_string(row.use.value()) + ' ' + to_string(row.mode) + ' ';
    out += row.from.local.to_string() + "->" + (row.to ? row.to->to_string() : "none");
    out += std::string(" ") + godwit::to_string(row.cause);
  }
  return out;
}

Use call_on(Path path, std::string_view remote) {
  Use use;
  use.id = UseId(1);
  use.kind = UseKind::Call;
  use.name = "call 1";
  use.path = std::move(path);
  use.remote = endpoint(remote);
  return use;
}

TEST(Plan, breaks_to_the_other_interface_when_the_address_is_gone) {
  const NetworkSnapshot before = Net()
                                     .link(2, "wlan0")
                                     .address("10.1.0.2/24")
                                     .gateway("10.1.0.1", 100)
                                     .link(3, "wwan0")
                                     .address("10.2.0.2/24")
                                     .gateway("10.2.0.1", 200);
  const NetworkSnapshot after =
      Net().link(2, "wlan0").link(3, "wwan0").address("10.2.0.2/24").gateway("10.2.0.1", 200);
  const Use use = call_on(*choose_path(before, ip("192.0.2.1")), "192.0.2.1:5060");
  EXPECT_EQ(use.path, (Path{2, "wlan0", ip("10.1.0.2")}));

  const Delta delta = compute_delta(before, after);
  const RecoveryPlan result = plan(after, delta, {use});
  EXPECT_EQ(show(result), "1 break 10.1.0.2->wwan0 10.2.0.2 AddressLost");
  EXPECT_EQ(result.decision, "call 1: wlan0 10.1.0.2 -> wwan0 10.2.0.2, break (AddressLost)");
  EXPECT_EQ(delta.describe(), "AddressLost DefaultRouteMoved: -wlan0 10.1.0.2");
}

}  // namespace
}  // namespace godwit::mobility
