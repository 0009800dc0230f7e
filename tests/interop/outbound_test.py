# SPDX-License-Identifier: Apache-2.0
"""SIP Outbound through an edge proxy: two Kamailios, one with the modules outbound and path in front
of a registrar with GRUU and SHA-256 digest, and a phone that moves between two networks."""

import pathlib
import subprocess
import sys
import time
import unittest

from harness import (HERE, GODWIT, Kamailio, Phone, Process, address, enter_namespace, main, note,
                     version_of)


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

    def move(self, source, target):
        self.come(target)
        ip("address", "del", f"{self.NETWORKS[source]}.2/24", "dev", source, inside=self.holder.pid)


class MobilePhone(Phone):
    """A godwit phone in that namespace, which follows the routes."""

    def __init__(self, test, mobile, user, *flags, host, password):
        import os
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
        self.registrar = Kamailio(self, "outbound_registrar.cfg")
        self.edge = Kamailio(self, "edge.cfg", REGISTRAR=self.registrar.host)
        self.alice = MobilePhone(self, self.mobile, "alice", "--proxy", f"sip:{self.edge.host}",
                                 "--auto-answer", "--source", "tone:440", host=self.registrar.host,
                                 password=Kamailio.USERS["alice"])
        self.bob = Phone(self, "bob", address(), "--registrar", f"sip:{self.registrar.host}",
                         "--proxy", f"sip:{self.registrar.host}", "--auto-answer", "--source", "echo",
                         host=self.registrar.host, password=Kamailio.USERS["bob"])
        self.registered = self.alice.wait_for_event("registration", state="registered")
        self.bob.wait_for_event("registration", state="registered")

    def call(self, caller, callee):
        caller.command(f"call {callee}")
        for phone in (self.alice, self.bob):
            phone.wait_for_event("call_state", state="confirmed")
            phone.hears()
            phone.mark()

    def survives_the_move(self):
        self.mobile.move("wifi", "lte")
        self.alice.wait_for_event("registration", state="registered",
                                  contact=lambda contact: contact and "10.2.0.2" in contact)
        report = self.alice.wait_for_event("ip_change_completed")
        for phone in (self.alice, self.bob):
            phone.hears()
        return report

    def test_registers_a_flow_with_outbound_gruu_and_sha256(self):
        self.assertTrue(self.registered.get("outbound"), self.registered)
        self.assertIn(";gr=urn:uuid:", self.registered.get("gruu", ""))

    def test_an_outgoing_call_moves_and_the_peers_bye_follows_the_gruu(self):
        self.call(self.alice, "bob")
        self.survives_the_move()
        self.bob.command("hangup")
        self.alice.wait_for_event("call_state", state="ended")

    def test_an_incoming_call_whose_route_names_the_dead_flow_is_replaced(self):
        self.call(self.bob, "alice")
        self.survives_the_move()
        self.assertEqual(self.alice.events("call_state", state="ended"), [])
        self.alice.command("hangup")
        self.bob.wait_for_event("call_state", state="ended")


if __name__ == "__main__":
    enter_namespace()
    main()
