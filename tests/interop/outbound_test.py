# SPDX-License-Identifier: Apache-2.0
"""SIP Outbound through an edge proxy: two Kamailios, one with the modules outbound and path in front
of a registrar with GRUU and SHA-256 digest, and a phone on a network of its own that changes. Calls
through the edge in both directions; the address changes during them, also where the call's route
names the flow that dies with it."""

import os
import pathlib
import subprocess
import time
import unittest

from harness import (GODWIT, Kamailio, Phone, Process, address, enter_namespace, main, note, version_of)
from strangers import Linphone, route_by_default


def ip(*arguments, inside=None):
    prefix = ["nsenter", "-t", str(inside), "-n"] if inside else []
    subprocess.run(prefix + ["ip", *arguments], check=True)


class Mobile:
    """A network namespace with two links, wifi and lte, of which one has its address at a time."""

    NETWORKS = {"wifi": "10.1.0", "lte": "10.2.0"}

    def __init__(self, test):
        self.holder = subprocess.Popen(["unshare", "-n", "sleep", "600"])
        test.addCleanup(self.holder.wait)
        test.addCleanup(self.holder.terminate)
        own = pathlib.Path("/proc/self/ns/net").stat().st_ino
        while pathlib.Path(f"/proc/{self.holder.pid}/ns/net").stat().st_ino == own:
            time.sleep(0.01)
        for name, prefix in self.NETWORKS.items():
            ip("link", "add", f"{name}-far", "type", "veth", "peer", "name", name)
            test.addCleanup(ip, "link", "del", f"{name}-far")
            ip("link", "set", name, "netns", str(self.holder.pid))
            ip("address", "add", f"{prefix}.1/24", "dev", f"{name}-far")
            ip("link", "set", f"{name}-far", "up")
            ip("link", "set", name, "up", inside=self.holder.pid)
        ip("link", "set", "lo", "up", inside=self.holder.pid)
        self.come("wifi")

    def come(self, name):
        prefix = self.NETWORKS[name]
        ip("address", "add", f"{prefix}.2/24", "dev", name, inside=self.holder.pid)
        ip("route", "replace", "default", "via", f"{prefix}.1", inside=self.holder.pid)

    def move(self, old, new):
        """At once, as a device that leaves one network for another."""
        subprocess.run(["nsenter", "-t", str(self.holder.pid), "-n", "ip", "-batch", "-"], text=True,
                       input=f"address add {self.NETWORKS[new]}.2/24 dev {new}\n"
                             f"address del {self.NETWORKS[old]}.2/24 dev {old}\n"
                             f"route replace default via {self.NETWORKS[new]}.1\n", check=True)


class MobilePhone(Phone):
    """A godwit phone in that namespace, which follows the routes."""

    def __init__(self, test, mobile, user, *flags, host, password):
        environment = dict(os.environ, GODWIT_PASSWORD=password)
        Process.__init__(
            self, test, ["nsenter", "-t", mobile.holder.pid, "-n", GODWIT, "phone", "--account",
                         f"sip:{user}@{host}", "--sip-port", "5060", "--events", "json",
                         "--state-dir", "", *flags], env=environment)
        self._seen = 0
        self.wait_for_event("ready")


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

    def connect(self, caller, callee, name):
        for phone in (caller, callee):
            phone.mark()
        caller.command(f"call {name}")
        for phone in (caller, callee):
            phone.wait_for_event("call_state", state="confirmed")
            phone.hears()

    def move(self, old="wifi", new="lte"):
        """Alice's report of it."""
        self.alice.mark()
        self.mobile.move(old, new)
        report = self.alice.wait_for_event("ip_change_completed")["report"]
        self.assertEqual([call["survived"] for call in report["calls"]], [True], report)
        self.assertEqual(report["calls"][0]["new_local"].split(":")[0],
                         f"{Mobile.NETWORKS[new]}.2")
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
        self.connect(self.alice, bob, "bob")
        self.hang_up(bob, self.alice, bob)
        self.connect(bob, self.alice, "alice")
        self.hang_up(bob, self.alice, bob)

    def test_an_outgoing_call_moves_and_is_hung_up_by_the_peer(self):
        bob = self.bob()
        self.connect(self.alice, bob, "bob")
        report = self.move()
        self.assertNotIn("Replaces", self.refreshed(report).get("detail", ""))
        self.alice.hears()
        bob.hears()
        # Once more, back, and then what the peer says must find the way too.
        self.move("lte", "wifi")
        self.alice.hears()
        bob.hears()
        self.hang_up(bob, self.alice, bob)
        self.connect(bob, self.alice, "alice")
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


if __name__ == "__main__":
    enter_namespace()
    route_by_default()
    main()
