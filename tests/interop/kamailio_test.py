# SPDX-License-Identifier: Apache-2.0
"""Two godwit phones and a real Kamailio with digest authentication between them."""

import unittest

from harness import Kamailio, Phone, address, main, note, version_of


class KamailioTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        note(version_of("/usr/sbin/kamailio", "-v"))

    def setUp(self):
        self.server = Kamailio(self)

    def phone(self, user, *flags, password=None):
        return Phone(self, user, address(), "--registrar", f"sip:{self.server.host}", "--proxy",
                     f"sip:{self.server.host}", *flags, host=self.server.host,
                     password=password or Kamailio.USERS[user])

    def pair(self):
        """alice in a call with bob, who echoes."""
        alice = self.phone("alice", "--source", "tone:1000")
        bob = self.phone("bob", "--auto-answer", "--source", "echo")
        for phone in (alice, bob):
            phone.wait_for_event("registration", state="registered")
        call = alice.command("call bob")["call"]
        for phone in (alice, bob):
            phone.wait_for_event("call_state", state="confirmed")
        return alice, bob, call

    def test_registers_with_digest_and_unregisters_at_the_end(self):
        alice = self.phone("alice")
        registered = alice.wait_for_event("registration", state="registered")
        self.assertEqual(registered["expires_s"], 300)
        alice.mark()
        alice.command("unregister")
        alice.wait_for_event("registration", state="unregistered")
        alice.command("register")
        alice.wait_for_event("registration", state="registered")
        alice.quit()
        # Whoever has unregistered cannot be called.
        bob = self.phone("bob")
        bob.wait_for_event("registration", state="registered")
        bob.command("call alice")
        ended = bob.wait_for_event("call_state", state="ended")
        self.assertEqual(ended["status"], 404)

    def test_a_wrong_password_is_refused_once_and_told(self):
        alice = self.phone("alice", password="guess")
        failed = alice.wait_for_event("registration", state="failed")
        self.assertIn(failed["status"], (401, 403))

    def test_call_with_audio_hold_resume_and_bye(self):
        alice, bob, call = self.pair()
        for phone in (alice, bob):
            phone.hears()
        for phone in (alice, bob):
            phone.mark()
        alice.command("hold")
        alice.wait_for_event("call_media", held_by_us=True)
        bob.wait_for_event("call_media", held_by_peer=True)
        for phone in (alice, bob):
            phone.mark()
        alice.command("resume")
        alice.wait_for_event("call_media", held_by_us=False, direction="send_recv")
        bob.wait_for_event("call_media", held_by_peer=False, direction="send_recv")
        alice.hears()
        bob.command("hangup")
        for phone in (alice, bob):
            phone.wait_for_event("call_state", state="ended")
            phone.quit()

    def test_the_callee_holds_and_the_caller_hangs_up(self):
        alice, bob, call = self.pair()
        bob.command("hold")
        alice.wait_for_event("call_media", held_by_peer=True)
        alice.command(f"hangup {call}")
        for phone in (alice, bob):
            phone.wait_for_event("call_state", state="ended")

    def test_ringing_then_cancelled(self):
        alice = self.phone("alice")
        bob = self.phone("bob")
        for phone in (alice, bob):
            phone.wait_for_event("registration", state="registered")
        alice.command("call bob")
        bob.wait_for_event("incoming_call")
        alice.wait_for_event("call_state", state="ringing", status=180)
        alice.command("hangup")
        self.assertEqual(alice.wait_for_event("call_state", state="ended").get("status", 487), 487)
        bob.wait_for_event("call_state", state="ended")

    def test_declined_with_a_code(self):
        alice = self.phone("alice")
        bob = self.phone("bob")
        for phone in (alice, bob):
            phone.wait_for_event("registration", state="registered")
        alice.command("call bob")
        bob.wait_for_event("incoming_call")
        bob.command("reject 486")
        self.assertEqual(alice.wait_for_event("call_state", state="ended")["status"], 486)

    def test_an_asked_for_ip_change_renews_registration_and_call(self):
        alice, bob, call = self.pair()
        alice.hears()
        alice.command("ip-change")
        report = alice.wait_for_change()
        self.assertEqual([c["survived"] for c in report["calls"]], [True])
        done = {step["kind"]: step["ok"] for step in report["steps"]}
        self.assertTrue(done.get("contact_updated"), report)
        self.assertTrue(done.get("call_refreshed"), report)
        alice.hears()
        bob.hears()
        alice.command("hangup")
        bob.wait_for_event("call_state", state="ended")


if __name__ == "__main__":
    main()
