# SPDX-License-Identifier: Apache-2.0
"""SIP Outbound through an edge proxy: two Kamailios, one with the modules outbound and path in front
of a registrar with GRUU and SHA-256 digest, and a phone on a network of its own that changes. Calls
through the edge in both directions; the address changes during them, also where the call's route
names the flow that dies with it."""

import unittest

from harness import (Kamailio, Phone, address, call_each_other, enter_namespace, main, note,
                     version_of)
from mobile import Mobile, MobilePhone
from strangers import Linphone, route_by_default


class OutboundTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        note(version_of("/usr/sbin/kamailio", "-v"))

    def setUp(self):
        self.mobile = Mobile(self)
        self.registrar = Kamailio(self, template="outbound_registrar.cfg")
        self.edge = Kamailio(self, template="edge.cfg", REGISTRAR=self.registrar.host)
        self.alice = MobilePhone(self, self.mobile, "alice", "--proxy", f"sip:{self.edge.host}",
                                 "--auto-answer", "--source", "tone:440", host=self.registrar.host,
                                 password=Kamailio.USERS["alice"])
        self.registered = self.alice.wait_for_event("registration", state="registered")

    def bob(self):
        """A phone beside the registrar, without an edge."""
        proxy = f"sip:{self.registrar.host}"
        bob = Phone(self, "bob", address(), "--registrar", proxy, "--proxy", proxy, "--auto-answer",
                    "--source", "tone:500", host=self.registrar.host, password=Kamailio.USERS["bob"])
        bob.wait_for_event("registration", state="registered")
        return bob

    def move(self, old="wifi", new="lte"):
        """Alice's report of it."""
        self.alice.mark()
        self.mobile.move(old, new)
        report = self.alice.wait_for_change()
        self.assertEqual([call["survived"] for call in report["calls"]], [True], report)
        self.assertEqual(report["calls"][0]["new_local"].split(":")[0],
                         self.mobile.address(new))
        return report

    def refreshed(self, report):
        return next(step for step in report["steps"] if step["kind"] == "call_refreshed")

    def hang_up(self, phone, *all_phones):
        for other in all_phones:
            other.mark()
        phone.command("hangup")
        for other in all_phones:
            other.wait_for_event("call_state", state="ended")

    def test_registers_a_flow_with_outbound_gruu_and_sha256(self):
        self.assertTrue(self.registered.get("outbound"), self.registered)
        self.assertIn(";gr=urn:uuid:", self.registered.get("gruu", ""))

    def test_calls_through_the_edge_both_ways(self):
        bob = self.bob()
        call_each_other(self.alice, bob, "bob")
        self.hang_up(bob, self.alice, bob)
        call_each_other(bob, self.alice, "alice")
        self.hang_up(bob, self.alice, bob)

    def test_an_outgoing_call_moves_and_is_hung_up_by_the_peer(self):
        bob = self.bob()
        call_each_other(self.alice, bob, "bob")
        report = self.move()
        self.assertNotIn("Replaces", self.refreshed(report).get("detail", ""))
        self.alice.hears()
        bob.hears()
        # Once more, back, and then what the peer says must find the way too.
        self.move("lte", "wifi")
        self.alice.hears()
        bob.hears()
        self.hang_up(bob, self.alice, bob)
        call_each_other(bob, self.alice, "alice")
        self.hang_up(self.alice, self.alice, bob)

    def test_an_incoming_call_whose_route_names_the_dead_flow_goes_on_in_a_new_dialog(self):
        peer = Linphone(self, self.registrar)
        peer.wait_until_registered()
        self.alice.mark()
        peer.call(f"sip:alice@{self.registrar.host}")
        self.alice.wait_for_event("call_state", state="confirmed")
        self.alice.hears()
        # Only the edge knows where the token leads: it must be one, or this shows nothing.
        report = self.move()
        self.assertEqual(self.refreshed(report).get("detail"), "by a new dialog (Replaces)", report)
        self.alice.hears()
        self.assertEqual(self.alice.events("call_state", state="ended"), [])
        self.alice.mark()
        self.alice.command("hangup")
        self.alice.wait_for_event("call_state", state="ended")
        peer.wait_for_line("ended")


class TwoEdgesTest(unittest.TestCase):
    """One account over two edge proxies, each with a flow of its own (RFC 5626 §4.2)."""

    def test_one_edge_dies_and_the_calls_go_on_over_the_other(self):
        mobile = Mobile(self)
        registrar = Kamailio(self, template="outbound_registrar.cfg")
        edges = [Kamailio(self, template="edge.cfg", REGISTRAR=registrar.host) for _ in range(2)]
        alice = MobilePhone(self, mobile, "alice", "--proxy", f"sip:{edges[0].host}",
                            "--further-proxy", f"sip:{edges[1].host}", "--auto-answer", "--source",
                            "tone:440", host=registrar.host, password=Kamailio.USERS["alice"])
        for reg_id in (1, 2):
            alice.wait_for_event("flow", reg_id=reg_id, alive=True)
        proxy = f"sip:{registrar.host}"
        bob = Phone(self, "bob", address(), "--registrar", proxy, "--proxy", proxy, "--auto-answer",
                    "--source", "tone:500", host=registrar.host, password=Kamailio.USERS["bob"])
        bob.wait_for_event("registration", state="registered")
        call_each_other(alice, bob, "bob")
        alice.mark()
        bob.mark()
        edges[0].stop()
        # The next refresh of its registration shows it; a phone at rest waits for its time.
        alice.command("register")
        alice.wait_for_event("flow", reg_id=1, alive=False)
        # The call's dialog leads through the dead edge: a new one takes its place, unheard.
        bob.wait_for_event("call_state", state="ended", reason=lambda why: "replaced" in (why or ""))
        alice.hears()
        bob.hears()
        self.assertEqual(alice.events("call_state", state="ended"), [])
        self.assertEqual(alice.events("registration", state="failed"), [])
        alice.mark()
        bob.mark()
        alice.command("hangup")  # To her GRUU Kamailio knows one flow only, which may be the dead one.
        for phone in (alice, bob):
            phone.wait_for_event("call_state", state="ended")
        call_each_other(bob, alice, "alice")
        alice.mark()
        bob.mark()
        alice.command("hangup")
        for phone in (alice, bob):
            phone.wait_for_event("call_state", state="ended")
        call_each_other(alice, bob, "bob")


if __name__ == "__main__":
    enter_namespace()
    route_by_default()
    main()
