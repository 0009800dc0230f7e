# SPDX-License-Identifier: Apache-2.0
"""A domain with NAPTR and SRV records and two real Kamailios, one of which dies."""

import socket
import struct
import threading
import unittest

from harness import Kamailio, Phone, address, main, note, version_of

DOMAIN = "location.test"
A, AAAA, SRV, NAPTR = 1, 28, 33, 35


def wire_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def text(value):
    return bytes([len(value)]) + value.encode()


class DnsServer:
    """Answers on a loopback address from a table of (name, type) -> record data."""

    def __init__(self, test):
        self.records = {}
        self.asked = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address(), 0))
        self.endpoint = "%s:%d" % self._socket.getsockname()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        test.addCleanup(self._stop)

    def _stop(self):
        # An empty datagram to itself ends the thread.
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join(5)
        self._socket.close()

    def add(self, name, kind, data):
        self.records.setdefault((name, kind), []).append(data)

    def _serve(self):
        while True:
            query, peer = self._socket.recvfrom(4096)
            if not query:
                return
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
                at += 1 + query[at]
            name, kind = ".".join(labels), struct.unpack(">H", query[at + 1:at + 3])[0]
            self.asked.append((name, kind))
            found = self.records.get((name, kind), [])
            known = any(other == name for other, _ in self.records)
            reply = query[:2] + struct.pack(">HHHHH", 0x8180 | (0 if known else 3), 1, len(found), 0, 0)
            reply += query[12:at + 5]
            for data in found:
                reply += struct.pack(">HHHIH", 0xC00C, kind, 1, 60, len(data)) + data
            self._socket.sendto(reply, peer)


class LocationTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        note(version_of("/usr/sbin/kamailio", "-v"))

    def setUp(self):
        self.dns = DnsServer(self)
        self.first = Kamailio(self, domain=DOMAIN)
        self.second = Kamailio(self, domain=DOMAIN)
        self.dns.add(DOMAIN, NAPTR, struct.pack(">HH", 10, 10) + text("s") + text("SIP+D2U") + text("")
                     + wire_name(f"_sip._udp.{DOMAIN}"))
        for priority, name, server in ((10, "a", self.first), (20, "b", self.second)):
            self.dns.add(f"_sip._udp.{DOMAIN}", SRV,
                         struct.pack(">HHH", priority, 1, 5060) + wire_name(f"{name}.{DOMAIN}"))
            self.dns.add(f"{name}.{DOMAIN}", A, socket.inet_aton(server.host))

    def phone(self, user, *flags):
        phone = Phone(self, user, address(), "--dns-server", self.dns.endpoint, *flags, host=DOMAIN,
                      password=Kamailio.USERS[user])
        phone.wait_for_event("registration", state="registered")
        return phone

    def test_finds_its_server_and_goes_on_with_the_other_when_that_dies(self):
        alice = self.phone("alice", "--source", "tone:1000")
        bob = self.phone("bob", "--auto-answer", "--source", "echo")
        self.assertIn((DOMAIN, NAPTR), self.dns.asked)
        self.assertIn((f"_sip._udp.{DOMAIN}", SRV), self.dns.asked)
        alice.command("call bob")
        for phone in (alice, bob):
            phone.wait_for_event("call_state", state="confirmed")
        bob.command("hangup")
        alice.wait_for_event("call_state", state="ended")

        self.first.stop()
        for phone in (alice, bob):
            phone.mark()
            phone.command("register")
            phone.wait_for_event("registration", state="registered")
            self.assertEqual(phone.events("registration", state="failed"), [])
        alice.command("call bob")
        for phone in (alice, bob):
            phone.wait_for_event("call_state", state="confirmed")
        bob.hears()
        alice.command("hangup")
        for phone in (alice, bob):
            phone.wait_for_event("call_state", state="ended")
            phone.quit()

    def test_starts_with_the_other_when_the_first_is_dead(self):
        self.first.stop()
        self.phone("alice").quit()


if __name__ == "__main__":
    main()
