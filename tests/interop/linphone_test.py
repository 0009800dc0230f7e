# SPDX-License-Identifier: Apache-2.0
"""A godwit phone and linphone, face to face and through Kamailio, over UDP and TLS: calls both ways,
hold, an address change, transfer, hang up."""

import unittest

from harness import enter_namespace, main
from strangers import Course, Linphone, route_by_default


class LinphoneTest(Course, unittest.TestCase):
    PEER = Linphone

    def test_we_send_them_on_into_another_call(self):
        """They take our place in our call with Carol, which she answers by herself (RFC 3891). Baresip
        1.0 cannot: it leaves Replaces in the Request-URI."""
        peer = self.PEER(self)
        phone, carol = self.phone("--source", "tone"), self.third_phone()
        self.we_call(phone, peer, peer.uri)
        one = phone.events("call_state", state="confirmed")[0]["call"]
        phone.mark()
        phone.command(f"call {carol.uri}")
        two = phone.wait_for_event("call_state", state="confirmed")["call"]
        phone.command(f"use {one}")
        phone.command(f"transfer {two}")
        phone.wait_for_event("transfer_progress", finished=True, status=200)
        phone.wait_for_event("call_state", state="ended", call=one)
        phone.wait_for_event("call_state", state="ended", call=two)
        taken = carol.wait_for_event("incoming_call", replaces=lambda n: n is not None)
        carol.hears(call=taken["call"])


if __name__ == "__main__":
    enter_namespace()
    route_by_default()
    main()
