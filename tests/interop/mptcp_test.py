# SPDX-License-Identifier: Apache-2.0
"""Multipath TCP (RFC 8684) between a godwit phone and Kamailio under mptcpize: the phone leaves one
network for another, its signalling connection stays, and Contact and media move as ever.

Skipped, saying so, where the kernel has no Multipath TCP or mptcpize is not installed.
"""

import shutil
import socket
import subprocess
import sys
import time
import unittest

from harness import (LIMIT, Certificates, Kamailio, Phone, address, call_each_other, enter_namespace,
                     main, note, version_of)
from mobile import Mobile, MobilePhone, ip

IPPROTO_MPTCP = 262


def missing():
    """Why there can be no such test here; empty if there can."""
    if not shutil.which("mptcpize"):
        return "mptcpize is not installed"
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP).close()
    except OSError as error:
        return f"the kernel has no Multipath TCP: {error}"
    if subprocess.run(["ip", "mptcp", "limits"], capture_output=True, check=False).returncode != 0:
        return "iproute2 cannot set up Multipath TCP"
    return ""


class MptcpTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        note(version_of("/usr/sbin/kamailio", "-v"))
        note(version_of("mptcpize", "--version"))

    def setUp(self):
        self.mobile = Mobile(self)
        # The second one is allowed to carry more of a connection.
        inside = self.mobile.holder.pid
        self.mobile.have_both()
        ip("mptcp", "limits", "set", "subflow", "4", "add_addr_accepted", "4", inside=inside)
        ip("mptcp", "endpoint", "add", self.mobile.address("lte"), "dev", "lte", "subflow", inside=inside)
        ip("mptcp", "limits", "set", "subflow", "4", "add_addr_accepted", "4")
        authority = Certificates(self)
        host = address()
        self.server = Kamailio(self, hosts=[host], launcher=("mptcpize", "run"), received=True,
                               certificate=authority.issue("kamailio.test", f"IP:{host}"))
        self.ca = authority.ca

    def phones(self, transport, *flags):
        proxy = f"sip:{self.server.host}"
        self.bob = Phone(self, "bob", address(), "--registrar", proxy, "--proxy", proxy, "--auto-answer",
                         "--source", "tone:500", host=self.server.host, password=Kamailio.USERS["bob"])
        self.alice = MobilePhone(self, self.mobile, "alice", "--proxy", proxy, "--transport", transport,
                                 "--tls-ca", self.ca, "--auto-answer", "--source", "tone:440", *flags,
                                 host=self.server.host, password=Kamailio.USERS["alice"])
        for phone in (self.alice, self.bob):
            phone.wait_for_event("registration", state="registered")

    def connections(self, *kind):
        """The phone's ends of the server's connections with it."""
        listed = subprocess.run(["ss", "-Hn", *kind, "state", "established"], capture_output=True,
                                text=True, check=True).stdout
        ends = (line.split()[-1] for line in listed.splitlines())
        return sorted(end for end in ends if end.startswith("10."))

    def multipath(self):
        return self.connections("--mptcp")

    def await_subflow(self, network):
        """Until the connection has a leg there; on an idle machine it has at once."""
        start = self.mobile.address(network) + ":"
        deadline = time.monotonic() + LIMIT
        while not any(end.startswith(start) for end in self.connections("--tcp")):
            self.assertLess(time.monotonic(), deadline, f"no subflow over {network}")
            time.sleep(0.05)

    def hang_up(self, phone, other):
        other.mark()
        phone.command("hangup")
        other.wait_for_event("call_state", state="ended")

    def leave_wifi(self):
        """With the address its routes go."""
        self.alice.mark()
        self.mobile.batch(f"address del {self.mobile.address('wifi')}/24 dev wifi")
        report = self.alice.wait_for_change()
        self.assertEqual([call["survived"] for call in report["calls"]], [True], report)
        self.assertTrue(report["calls"][0]["new_local"].startswith(self.mobile.address("lte")), report)
        steps = {step["kind"]: step["ok"] for step in report["steps"]}
        self.assertEqual((steps["contact_updated"], steps["call_refreshed"]), (True, True), report)
        for phone in (self.alice, self.bob):
            phone.hears()

    def exercise(self, transport):
        self.phones(transport)
        before = self.multipath()
        self.assertEqual(len(before), 1)
        self.await_subflow("lte")
        call_each_other(self.alice, self.bob, "bob")
        self.leave_wifi()
        # The server sees it still where it began, though that address is nobody's any more.
        self.assertEqual(self.multipath(), before)
        self.hang_up(self.bob, self.alice)
        call_each_other(self.bob, self.alice, "alice")
        self.hang_up(self.alice, self.bob)
        self.alice.mark()
        self.alice.command("register")
        registered = self.alice.wait_for_event("registration", state="registered")
        self.assertIn("@" + self.mobile.address("lte"), registered["contact"])
        self.assertEqual(self.multipath(), before)
        self.alice.quit()

    def test_a_tcp_connection_outlives_its_network(self):
        self.exercise("tcp")

    def test_a_tls_connection_outlives_its_network(self):
        self.exercise("tls")

    def test_a_connection_that_no_other_network_carries_is_replaced_at_once(self):
        """As with most systems: both ends have Multipath TCP, and nobody has set up endpoints."""
        ip("mptcp", "endpoint", "flush", inside=self.mobile.holder.pid)
        self.phones("tcp")
        before = self.multipath()
        self.assertEqual(len(before), 1)
        call_each_other(self.alice, self.bob, "bob")
        self.leave_wifi()
        new = [end for end in self.multipath() if end not in before]
        self.assertEqual([end.rpartition(":")[0] for end in new], [self.mobile.address("lte")])
        carried_through = self.alice.events("ip_change_completed",
                                            report=lambda report: not report["superseded"])
        self.assertEqual(len(carried_through), 1)
        self.hang_up(self.bob, self.alice)

    def test_without_multipath_there_is_a_new_connection(self):
        self.phones("tcp", "--mptcp", "off")
        before = self.connections("--tcp")
        self.assertEqual(len(before), 1)
        self.assertEqual(self.multipath(), [])
        call_each_other(self.alice, self.bob, "bob")
        self.leave_wifi()
        new = [end for end in self.connections("--tcp") if end not in before]
        self.assertEqual([end.rpartition(":")[0] for end in new], [self.mobile.address("lte")])
        self.hang_up(self.bob, self.alice)


if __name__ == "__main__":
    enter_namespace()
    reason = missing()
    if reason:
        print(f"skipped: {reason}", flush=True)
        sys.exit(77)
    main()
