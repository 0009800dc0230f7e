# SPDX-License-Identifier: Apache-2.0
"""Godwit phones and a real Kamailio over TCP and TLS, IPv4 and IPv6, with a private certificate
authority; and what the phone says of certificates that it must not accept.

Runs in a network namespace of its own, for the sake of IPv6 addresses and usual ports.
"""

import unittest

from harness import (Certificates, Kamailio, Phone, address, enter_namespace, in_uri, main, note,
                     version_of)


class StreamTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        note(version_of("/usr/sbin/kamailio", "-v"))
        note(version_of("openssl", "version"))

    def setUp(self):
        self.authority = Certificates(self)
        self.v4 = address()
        self.v6 = address(6)

    def server(self, certificate=None, **options):
        certificate = certificate or self.authority.issue("kamailio.test", f"IP:{self.v4}",
                                                          f"IP:{self.v6}")
        return Kamailio(self, hosts=[self.v4, in_uri(self.v6)], certificate=certificate, **options)

    def phone(self, user, transport, *flags, family=4):
        host = in_uri(self.v6 if family == 6 else self.v4)
        return Phone(self, user, address(family), "--registrar", f"sip:{host}", "--proxy", f"sip:{host}",
                     "--transport", transport, "--tls-ca", self.authority.ca, *flags, host=host,
                     password=Kamailio.USERS[user])

    def call_and_hang_up(self, caller, callee, name):
        for phone in (caller, callee):
            phone.mark()
        caller.command(f"call {name}")
        for phone in (caller, callee):
            phone.wait_for_event("call_state", state="confirmed")
        caller.hears()
        callee.hears()
        caller.mark()
        callee.mark()
        callee.command("hangup")
        for phone in (caller, callee):
            phone.wait_for_event("call_state", state="ended")

    def exercise(self, of_alice, of_bob, family=4):
        """Digest registration, calls both ways, and a registration renewed."""
        alice = self.phone("alice", of_alice, "--source", "tone:1000", "--auto-answer", family=family)
        bob = self.phone("bob", of_bob, "--source", "tone:500", "--auto-answer", family=family)
        for phone in (alice, bob):
            phone.wait_for_event("registration", state="registered")
        self.call_and_hang_up(alice, bob, "bob")
        self.call_and_hang_up(bob, alice, "alice")
        alice.mark()
        alice.command("unregister")
        alice.wait_for_event("registration", state="unregistered")
        alice.command("register")
        alice.wait_for_event("registration", state="registered")
        for phone in (alice, bob):
            phone.quit()

    def test_tcp(self):
        self.server()
        self.exercise("tcp", "tcp")

    def test_tcp_over_ipv6(self):
        self.server()
        self.exercise("tcp", "tcp", family=6)

    def test_tls(self):
        self.server()
        self.exercise("tls", "tls")

    def test_tls_over_ipv6(self):
        self.server()
        self.exercise("tls", "tls", family=6)

    def test_tls_on_one_side_and_udp_on_the_other(self):
        self.server()
        self.exercise("tls", "udp")

    def test_a_server_that_wants_a_client_certificate_gets_it(self):
        self.server(client_ca=self.authority.ca)
        certificate, key = self.authority.issue("Alice's phone")
        alice = self.phone("alice", "tls", "--tls-certificate", certificate, "--tls-key", key)
        alice.wait_for_event("registration", state="registered")
        alice.quit()

    def refused(self, *reasons, **options):
        """What the phone says when it cannot register."""
        alice = self.phone("alice", "tls", **options)
        failed = alice.wait_for_event(
            "registration", state=lambda state: state in ("failed", "retrying"))
        for reason in reasons:
            self.assertIn(reason, failed["reason"])
        self.assertEqual(alice.events("registration", state="registered"), [])

    def test_an_unknown_authority_is_refused_by_name(self):
        self.server()
        self.authority = Certificates(self, "Another CA")
        self.refused("CN=kamailio.test", "CN=Interop CA", "not among the trusted")

    def test_an_expired_certificate_is_refused_by_name(self):
        self.server(self.authority.issue("old.test", f"IP:{self.v4}", days=-1))
        self.refused("CN=old.test", "expired")

    def test_a_self_signed_certificate_is_refused_by_name(self):
        self.server(self.authority.issue("own.test", f"IP:{self.v4}", self_signed=True))
        self.refused("CN=own.test", "self-signed")

    def test_a_wrong_name_is_refused_with_the_names_there_are(self):
        self.server(self.authority.issue("other", "DNS:other.test", "URI:sip:sip.other.test"))
        self.refused("CN=other", f"not for {self.v4}", "sip.other.test")


if __name__ == "__main__":
    enter_namespace()
    main()
