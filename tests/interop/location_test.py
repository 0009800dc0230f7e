# SPDX-License-Identifier: Apache-2.0
"""A domain with NAPTR and SRV records and two real Kamailios, one of which dies."""

import socket
import struct
import unittest

from harness import Kamailio, Phone, address, main, note, version_of
from nameserver import A, NAPTR, SRV, DnsServer, text, wire_name

DOMAIN = "location.test"


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
