# SPDX-License-Identifier: Apache-2.0
"""What a godwit phone finds out by itself about real networks (Linux, in a namespace): another network
behind the same address, a policy rule, a network that fades with its address kept. Nobody calls
handle_ip_change; Kamailio is the server."""

import subprocess
import time
import unittest

from harness import (Kamailio, Phone, address, call_each_other, enter_namespace, main, note,
                     version_of)
from mobile import Mobile, MobilePhone, ip


class DetectionTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        note(version_of("/usr/sbin/kamailio", "-v"))

    def setUp(self):
        self.mobile = Mobile(self)
        self.mobile.have_both()
        self.server = Kamailio(self, hosts=[address()], received=True)
        proxy = f"sip:{self.server.host}"
        self.bob = Phone(self, "bob", address(), "--registrar", proxy, "--proxy", proxy, "--auto-answer",
                         "--source", "tone:500", host=self.server.host, password=Kamailio.USERS["bob"])
        self.alice = MobilePhone(self, self.mobile, "alice", "--proxy", proxy, "--auto-answer",
                                 "--source", "tone:440", host=self.server.host,
                                 password=Kamailio.USERS["alice"])
        for phone in (self.alice, self.bob):
            phone.wait_for_event("registration", state="registered")

    def await_change(self, cause, network):
        """The one change with that cause, after which the call is at that network's address."""
        started = time.monotonic()
        self.alice.wait_for_event("ip_change_detected", causes=lambda causes: cause in causes)
        note(f"{self.id().rpartition('.')[2]}: detected {1000 * (time.monotonic() - started):.0f} ms after "
             "the command")
        report = self.alice.wait_for_event("ip_change_completed")["report"]
        self.assertEqual([call["survived"] for call in report["calls"]], [True], report)
        self.assertTrue(report["calls"][0]["new_local"].startswith(self.mobile.address(network)), report)
        steps = {step["kind"]: step["ok"] for step in report["steps"]}
        self.assertEqual((steps["contact_updated"], steps["call_refreshed"]), (True, True), report)
        for phone in (self.alice, self.bob):
            phone.hears()
        return report

    def test_another_network_behind_the_same_address(self):
        call_each_other(self.alice, self.bob, "bob")
        self.alice.mark()
        # Another router has the gateway's address, as in every second home.
        ip("link", "set", "wifi-far", "address", "02:00:00:00:00:99")
        ip("neighbour", "flush", "dev", "wifi", inside=self.mobile.holder.pid)
        self.await_change("same_address_new_network", "wifi")

    def test_a_policy_rule_moves_what_it_concerns(self):
        call_each_other(self.alice, self.bob, "bob")
        self.alice.mark()
        self.mobile.batch(f"route add default via {self.mobile.gateway('lte')} table 77",
                          "rule add to 192.0.2.0/24 lookup 77")
        self.await_change("route_to_remote_moved", "lte")
        # And back, when the tunnel is taken down.
        self.alice.mark()
        self.mobile.batch("rule del to 192.0.2.0/24 lookup 77")
        self.await_change("route_to_remote_moved", "wifi")

    def test_a_network_that_fades_with_its_address_kept(self):
        call_each_other(self.alice, self.bob, "bob")
        self.alice.mark()
        rules = "table inet fade {\n" + "".join(
            f"chain {hook} {{ type filter hook {hook} priority -300; {side} \"wifi-far\" drop; }}\n"
            for hook, side in (("prerouting", "iifname"), ("output", "oifname"))) + "}\n"
        subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
        self.addCleanup(subprocess.run, ["nft", "delete", "table", "inet", "fade"], check=False)
        report = self.await_change("media_silent", "lte")
        note(f"silence down {report['calls'][0]['silence_down_ms']:.0f} ms, "
             f"up {report['calls'][0]['silence_up_ms']:.0f} ms")


if __name__ == "__main__":
    enter_namespace()
    main()
