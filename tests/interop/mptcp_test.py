# SPDX-License-Identifier: Apache-2.0
"""Multipath TCP on both sides: a phone moves from one network to the other, and its signalling
connection with Kamailio (run by mptcpize) stays up; Contact and media move as ever.

Two namespaces: Kamailio and the other phone in one, which routes between two links, the phone that
moves in the other. Skipped where the kernel has no MPTCP.
"""

import pathlib
import re
import subprocess
import sys
import unittest

from harness import (Certificates, Kamailio, Phone, Process, address, enter_namespace, main, note,
                     version_of)

ENABLED = pathlib.Path("/proc/sys/net/mptcp/enabled")


def ip(*arguments, inside=()):
    subprocess.run([*inside, "ip", *arguments], check=True)


class MptcpTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        note(version_of("/usr/sbin/kamailio", "-v"))
        note(version_of("uname", "-sr"))

    def setUp(self):
        # Its namespace lives as long as this process.
        holder = Process(self, ["unshare", "-n", "sh", "-c", "echo ready; exec sleep 300"])
        holder.wait_for_line("ready")
        self.inside = ["nsenter", "-t", str(holder.child.pid), "-n"]
        for number in (1, 2):
            ip("link", "add", "name", f"net{number}", "type", "veth", "peer", "name", f"wlan{number}")
            ip("link", "set", f"wlan{number}", "netns", str(holder.child.pid))
            ip("address", "add", f"198.51.100.{number * 64 + 1}/26", "dev", f"net{number}")
            ip("link", "set", f"net{number}", "up")
        ip("mptcp", "limits", "set", "subflows", "4", "add_addr_accepted", "4")
        ip("mptcp", "limits", "set", "subflows", "4", "add_addr_accepted", "4", inside=self.inside)
        ip("link", "set", "lo", "up", inside=self.inside)
        self.addCleanup(lambda: [ip("link", "del", f"net{number}") for number in (1, 2)])

    def connect(self, number):
        """The phone's side of a link, as a network manager sets it up."""
        local = f"198.51.100.{number * 64 + 2}"
        device = f"wlan{number}"
        ip("address", "add", f"{local}/26", "dev", device, inside=self.inside)
        ip("link", "set", device, "up", inside=self.inside)
        ip("mptcp", "endpoint", "add", local, "dev", device, "subflow", inside=self.inside)
        ip("route", "add", "default", "via", f"198.51.100.{number * 64 + 1}", "dev", device, "metric",
           str(100 * number), inside=self.inside)
        return local

    def connections(self):
        """The phone's multipath connections: local address and port of each."""
        listing = subprocess.run([*self.inside, "ss", "-HMn", "state", "established"],
                                 capture_output=True, text=True, check=True).stdout
        return sorted(re.findall(r"(198\.51\.100\.\d+)(?:%\w+)?:(\d+)\s+192\.0\.2\.", listing))

    def test_the_signalling_connection_outlives_the_move(self):
        server = Kamailio(self, certificate=Certificates(self).issue("unused"),
                          launcher=("mptcpize", "run"))
        first = self.connect(1)
        flags = ["--registrar", f"sip:{server.host}", "--proxy", f"sip:{server.host}", "--transport", "tcp"]
        alice = Phone(self, "alice", None, *flags, "--mptcp", "on", "--source", "tone:1000",
                      host=server.host, password=Kamailio.USERS["alice"], launcher=self.inside)
        bob = Phone(self, "bob", address(), *flags, "--auto-answer", "--source", "echo",
                    host=server.host, password=Kamailio.USERS["bob"])
        for phone in (alice, bob):
            phone.wait_for_event("registration", state="registered")
        before = self.connections()
        self.assertEqual([local for local, _ in before], [first])
        alice.command("call bob")
        for phone in (alice, bob):
            phone.wait_for_event("call_state", state="confirmed")
        alice.hears()

        alice.mark()
        self.connect(2)
        ip("link", "set", "wlan1", "down", inside=self.inside)
        report = alice.wait_for_event("ip_change_completed", limit=60)["report"]
        self.assertEqual([call["survived"] for call in report["calls"]], [True], report)
        self.assertIn(before[0], self.connections(), "the connection was not kept")
        alice.hears()
        bob.hears()
        alice.mark()
        bob.command("hangup")
        alice.wait_for_event("call_state", state="ended")
        self.assertIn(before[0], self.connections(), "the connection was not kept")
        alice.quit()


if __name__ == "__main__":
    if not ENABLED.exists() or ENABLED.read_text(encoding="ascii").strip() != "1":
        print(f"skipped: this kernel has no Multipath TCP ({ENABLED})", flush=True)
        sys.exit(77)
    enter_namespace()
    main()
