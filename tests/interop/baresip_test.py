# SPDX-License-Identifier: Apache-2.0
"""A godwit phone and baresip, face to face and through Kamailio, over UDP and TLS: calls both ways,
hold, an address change, transfer, hang up."""

import unittest

from harness import Certificates, Phone, address, enter_namespace, main
from strangers import Baresip, Course


class BaresipTest(Course, unittest.TestCase):
    PEER = Baresip

    def test_we_call_over_tls(self):
        authority = Certificates(self)
        peer = Baresip(self, authority=authority)
        phone = Phone(self, "alice", address(), "--no-register", "--transport", "tls", "--tls-ca",
                      authority.ca, "--source", "tone")
        self.we_call(phone, peer, peer.uri)
        self.we_hold_and_resume(phone)
        self.we_hang_up(phone, peer)
        phone.quit()

    def test_digits_both_ways(self):
        peer = Baresip(self)
        phone = self.phone("--source", "tone")
        self.we_call(phone, peer, peer.uri)
        phone.command("dtmf 15#0")
        self.assertTrue(phone.wait_for_event("dtmf_result")["ok"])
        pressed = peer.wait_until(
            lambda: (keys := peer.keys()) and len(keys) >= 4 and keys, "four digits at baresip")
        self.assertEqual("".join(pressed), "15#0")
        phone.command("ip-change")
        phone.wait_for_change()
        for digit in "42":
            phone.mark()
            peer.order("sndcode", digit)
            self.assertEqual(phone.wait_for_event("dtmf", digit=digit)["method"], "rtp")
        self.we_hang_up(phone, peer)


if __name__ == "__main__":
    enter_namespace()
    main()
