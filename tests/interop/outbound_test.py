# SPDX-License-Identifier: Apache-2.0
"""SIP Outbound through an edge proxy: two Kamailios, one with the modules outbound and path in front
of a registrar with GRUU and SHA-256 digest, and a phone on a network of its own."""

import os
import pathlib
import subprocess
import time
import unittest

from harness import GODWIT, Kamailio, Phone, Process, enter_namespace, main, note, version_of


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

    def test_registers_a_flow_with_outbound_gruu_and_sha256(self):
        self.assertTrue(self.registered.get("outbound"), self.registered)
        self.assertIn(";gr=urn:uuid:", self.registered.get("gruu", ""))


if __name__ == "__main__":
    enter_namespace()
    main()
