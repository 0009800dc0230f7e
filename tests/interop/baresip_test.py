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


if __name__ == "__main__":
    enter_namespace()
    main()
