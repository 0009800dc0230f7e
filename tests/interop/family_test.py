# SPDX-License-Identifier: Apache-2.0
"""From one address family to the other in the middle of a call, with a real Kamailio that has both:
a phone in a namespace of its own loses its network of the one and has one of the other, over UDP,
TCP and TLS, with digest; and within a family, for comparison. The far end is a Godwit with both.
"""

import socket
import unittest

from harness import (Certificates, Kamailio, Phone, RtpEngine, address, enter_namespace, in_uri, main,
                     note, version_of)
from mobile import Mobile, MobilePhone
from nameserver import A, AAAA, DnsServer
from strangers import Baresip

NAME = "sip.test"


class FamilyTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        note(version_of("/usr/sbin/kamailio", "-v"))
        note("rtpengine " + version_of("rtpengine", "--version"))

    def setUp(self):
        self.v4 = address()
        self.v6 = address(6)
        self.servers = []
        for family in (4, 6):
            server = DnsServer(self, family)
            server.add(NAME, A, socket.inet_aton(self.v4))
            server.add(NAME, AAAA, socket.inet_pton(socket.AF_INET6, self.v6))
            self.servers += ["--dns-server", server.endpoint]

    def start_server(self, **options):
        self.authority = Certificates(self)
        certificate = self.authority.issue("kamailio.test", f"DNS:{NAME}")
        return Kamailio(self, hosts=[self.v4, in_uri(self.v6)], certificate=certificate, domain=NAME,
                        **options)

    def start_alice(self, old, new, transport):
        self.mobile = Mobile(self, wifi=old, lte=new)
        self.alice = MobilePhone(self, self.mobile, "alice", *self.servers, "--transport", transport,
                                 "--tls-ca", self.authority.ca, "--auto-answer", "--source", "tone:440",
                                 host=NAME, password=Kamailio.USERS["alice"])
        self.alice.wait_for_event("registration", state="registered")

    def start(self, old, new, transport, by_name=False):
        self.start_server(named_routes=by_name)
        self.bob = Phone(self, "bob", address(), "--bind", address(6), *self.servers, "--auto-answer",
                         "--source", "tone:500", host=NAME, password=Kamailio.USERS["bob"])
        self.start_alice(old, new, transport)
        self.bob.wait_for_event("registration", state="registered")

    def cross(self, commanded=False):
        """Calls, moves, and hears; the report says that all went with the move."""
        self.alice.command("call bob")
        for phone in (self.alice, self.bob):
            phone.wait_for_event("call_state", state="confirmed")
        self.alice.hears(10)
        for phone in (self.alice, self.bob):
            phone.mark()
        self.mobile.move("wifi", "lte")
        if commanded:
            self.alice.command("ip-change")
        report = self.alice.wait_for_change()
        self.assertEqual([call["survived"] for call in report["calls"]], [True], report)
        self.assertTrue(report["calls"][0]["new_local"].strip("[").startswith(
            self.mobile.address("lte")), report)
        steps = {step["kind"]: step["ok"] for step in report["steps"]}
        self.assertEqual((steps["contact_updated"], steps["call_refreshed"]), (True, True), report)
        for phone in (self.alice, self.bob):
            phone.hears(10)

    def hang_up(self):
        self.bob.mark()
        self.alice.command("hangup")
        self.bob.wait_for_event("call_state", state="ended")

    def exercise(self, old, new, transport, **options):
        by_name = options.pop("by_name", False)
        self.start(old, new, transport, by_name)
        self.cross(**options)
        self.hang_up()
        self.alice.quit()
        self.bob.quit()

    def test_udp_from_4_to_6(self):
        self.exercise(4, 6, "udp")

    def test_udp_from_6_to_4(self):
        self.exercise(6, 4, "udp")

    def test_udp_from_4_to_4(self):
        self.exercise(4, 4, "udp")

    def test_udp_from_6_to_6(self):
        self.exercise(6, 6, "udp")

    def test_tcp_from_4_to_6(self):
        self.exercise(4, 6, "tcp")

    def test_tcp_from_6_to_4(self):
        self.exercise(6, 4, "tcp")

    def test_tls_from_4_to_6(self):
        self.exercise(4, 6, "tls")

    def test_tls_from_6_to_4(self):
        self.exercise(6, 4, "tls")

    def test_tcp_from_6_to_6(self):
        self.exercise(6, 6, "tcp")

    def test_tls_from_4_to_4(self):
        self.exercise(4, 4, "tls")

    def test_record_route_by_name(self):
        self.exercise(4, 6, "udp", by_name=True)

    def test_commanded_by_the_application(self):
        self.exercise(4, 6, "udp", commanded=True)

    def test_calls_arrive_in_the_new_family_and_end_from_the_far_side(self):
        self.start(6, 4, "udp")
        self.cross()
        self.alice.mark()
        self.bob.command("hangup")
        self.alice.wait_for_event("call_state", state="ended")
        self.alice.mark()
        self.bob.command("call alice")
        self.alice.wait_for_event("call_state", state="confirmed")
        self.alice.hears(10)

    def test_a_callee_that_has_only_ipv4_is_heard_through_a_relay(self):
        RtpEngine(self, address(), address(6))
        Baresip(self, self.start_server(rtpengine=True))
        self.start_alice(4, 6, "udp")
        self.alice.command("call baresip")
        self.alice.wait_for_event("call_state", state="confirmed")
        self.alice.hears(10)
        self.alice.mark()
        self.mobile.move("wifi", "lte")
        report = self.alice.wait_for_change()
        self.assertEqual([call["survived"] for call in report["calls"]], [True], report)
        media = self.alice.wait_for_event("call_media", remote=lambda r: r.startswith("["))
        self.assertTrue(media["local"].startswith(f"[{self.mobile.address('lte')}]"), media)
        self.alice.hears(10)
        self.alice.quit()

    def test_a_callee_that_has_only_ipv4_and_no_relay_ends_the_call_with_a_reason(self):
        Baresip(self, self.start_server())
        self.start_alice(4, 6, "udp")
        self.alice.command("call baresip")
        self.alice.wait_for_event("call_state", state="confirmed")
        self.alice.hears(10)
        self.mobile.move("wifi", "lte")
        ended = self.alice.wait_for_event("call_state", state="ended")
        self.assertIn("only IPv4", ended["reason"])
        self.alice.quit()


if __name__ == "__main__":
    enter_namespace()
    main()
