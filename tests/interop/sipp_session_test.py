# SPDX-License-Identifier: Apache-2.0
"""A godwit phone and SIPp face to face, beyond plain calls: reliable provisional responses, UPDATE, late
offers, glare, session timers in both roles, forks, redirection, two realms at once, transfers."""

import unittest

from harness import Phone, address, main
from sipp_peer import SippCase


class SippSession(SippCase):
    def goes_well(self, phone, *peers, limit=40):
        """The call is established, hung up by whoever does so, and SIPp is content."""
        phone.wait_for_event("call_state", state="confirmed")
        phone.wait_for_event("call_state", state="ended", limit=limit)
        self.assert_passed(*peers, limit=limit)

    def we_hang_up(self, phone, *peers):
        phone.wait_for_event("call_state", state="confirmed")
        phone.command("hangup")
        phone.wait_for_event("call_state", state="ended")
        self.assert_passed(*peers)

    # SIPp calls.

    def test_its_offer_comes_late(self):
        phone, sipp = self.called_by("uac_late_offer.xml", "--auto-answer", "--source", "tone")
        self.goes_well(phone, sipp)
        self.assertEqual(phone.events("call_media")[0]["direction"], "send_recv")

    def test_it_insists_on_reliable_responses(self):
        phone, sipp = self.called_by("uac_prack.xml", "--source", "tone")
        phone.wait_for_event("call_state", state="ringing")
        phone.command("progress")
        phone.wait_for_event("call_media")
        phone.command("answer")
        self.goes_well(phone, sipp)

    def test_it_holds_by_update(self):
        phone, sipp = self.called_by("uac_update.xml", "--auto-answer", "--source", "tone")
        self.goes_well(phone, sipp)
        directions = [e["direction"] for e in phone.events("call_media")]
        self.assertIn("recv_only", directions)
        self.assertEqual(directions[-1], "send_recv")

    def test_it_asks_for_too_short_a_session_and_then_refreshes(self):
        phone, sipp = self.called_by("uac_session_timer.xml", "--auto-answer", "--source", "tone")
        self.goes_well(phone, sipp)

    def test_it_sends_us_on_to_somebody_else(self):
        third = address()
        referred = self.sipp("uas_referred.xml", third)
        phone = Phone(self, "alice", address(), "--no-register", "--auto-answer")
        sipp = self.sipp("uac_transfers.xml", address(), "-s", "alice", "-key", "target", third,
                         phone.uri.split("@")[1])
        asked = phone.wait_for_event("transfer_requested")
        self.assertEqual(asked["target"], f"sip:sipp@{third}")
        phone.command("accept-transfer")
        new = phone.wait_for_event("call_state", state="confirmed", call=lambda n: n != asked["call"])
        phone.wait_for_event("call_state", state="ended", call=asked["call"])
        phone.command(f"hangup {new['call']}")
        self.assert_passed(sipp, referred)

    # SIPp is called.

    def test_it_answers_in_a_reliable_response(self):
        self.we_hang_up(*self.calling("uas_prack.xml", "--source", "tone"))

    def test_it_asks_us_to_wait_when_we_hold(self):
        phone, sipp = self.calling("uas_glare.xml", "--source", "tone")
        phone.wait_for_event("call_state", state="confirmed")
        phone.command("hold")
        phone.wait_for_event("call_media", held_by_us=True)
        phone.command("hangup")
        self.assert_passed(sipp)

    def test_it_makes_us_refresh_the_session(self):
        """Half of the shortest interval that there is: this takes 45 s."""
        host = address()
        sipp = self.sipp("uas_session_timer.xml", host, limit=90)
        phone = Phone(self, "alice", address(), "--no-register", "--source", "tone")
        phone.command(f"call sip:sipp@{host}")
        phone.wait_for_event("call_state", state="confirmed")
        # It ends the call as soon as it has been refreshed.
        self.goes_well(phone, sipp, limit=90)

    def test_it_is_two_phones_and_both_answer(self):
        phone, sipp = self.calling("uas_forked.xml", "--source", "tone")
        phone.wait_for_event("call_state", state="early_media")
        self.goes_well(phone, sipp)

    def test_it_has_moved(self):
        third = address()
        answers = self.sipp("uas_answers.xml", third)
        host = address()
        moved = self.sipp("uas_moved.xml", host, "-key", "target", third)
        phone = Phone(self, "alice", address(), "--no-register")
        phone.command(f"call sip:sipp@{host}")
        redirected = phone.wait_for_event("call_redirected")
        self.assertEqual(redirected["targets"], [f"sip:sipp@{third}"])
        self.we_hang_up(phone, moved, answers)

    def test_two_realms_ask_at_once(self):
        host = address()
        sipp = self.sipp("uas_two_realms.xml", host)
        # As the account's own proxy: strangers get no answer to a challenge.
        phone = Phone(self, "alice", address(), "--no-register", "--proxy", f"sip:{host}",
                      host="example.org", password="secret")
        phone.command("call sipp")
        self.we_hang_up(phone, sipp)

    def test_we_send_it_on_to_another_call(self):
        first, second = address(), address()
        transferred = self.sipp("uas_transferred.xml", first)
        target = self.sipp("uas_answers.xml", second)
        phone = Phone(self, "alice", address(), "--no-register", "--source", "tone")
        phone.command(f"call sip:sipp@{first}")
        one = phone.wait_for_event("call_state", state="confirmed")["call"]
        phone.command(f"call sip:sipp@{second}")
        two = phone.wait_for_event("call_state", state="confirmed", call=lambda n: n != one)["call"]
        phone.command(f"use {one}")
        phone.command(f"transfer {two}")
        phone.wait_for_event("transfer_progress", finished=True, status=200)
        phone.wait_for_event("call_state", state="ended", call=one)
        phone.command(f"hangup {two}")
        self.assert_passed(transferred, target)


if __name__ == "__main__":
    main()
