# SPDX-License-Identifier: Apache-2.0
"""A godwit phone and SIPp face to face: both call, hold with re-INVITE, hang up, cancel, decline.

The scenarios check our SDP and the order of messages.
"""

import csv

from harness import Phone, address, main
from sipp_peer import SippCase


class SippTest(SippCase):
    def test_sipp_calls_holds_resumes_and_hangs_up(self):
        phone, sipp = self.called_by("uac_hold_bye.xml", "--auto-answer", "--source", "tone")
        phone.wait_for_event("call_state", state="confirmed")
        phone.wait_for_event("call_media", held_by_peer=True)
        phone.wait_for_event("call_state", state="ended")
        self.assert_passed(sipp)
        directions = [e["direction"] for e in phone.events("call_media")]
        self.assertEqual(directions[0], "send_recv")
        self.assertIn("recv_only", directions)
        self.assertEqual(directions[-1], "send_recv")

    def test_sipp_calls_over_tcp(self):
        phone = Phone(self, "alice", address(), "--no-register", "--auto-answer", "--source", "tone",
                      "--listen-tcp", "5060")
        sipp = self.sipp("uac_hold_bye.xml", address(), "-t", "t1", "-s", "alice",
                         phone.uri.split("@")[1])
        phone.wait_for_event("call_state", state="confirmed")
        phone.wait_for_event("call_state", state="ended")
        self.assert_passed(sipp)

    def test_sipp_calls_and_gives_up(self):
        phone, sipp = self.called_by("uac_cancel.xml")
        phone.wait_for_event("incoming_call")
        phone.wait_for_event("call_state", state="ended")
        self.assert_passed(sipp)

    def test_sipp_asks_what_we_can_do(self):
        """Two hundred times, each answered once."""
        phone = Phone(self, "alice", address(), "--no-register")
        sipp = self.sipp("uac_options.xml", address(), "-s", "alice", "-r", "100", "-trace_stat",
                         "-stf", self.folder / "statistics.csv", phone.uri.split("@")[1], calls=200)
        self.assert_passed(sipp)
        with (self.folder / "statistics.csv").open(encoding="utf-8") as file:
            last = list(csv.DictReader(file, delimiter=";"))[-1]
        self.assertEqual(last["SuccessfulCall(C)"], "200")
        self.assertEqual(last["FailedCall(C)"], "0")
        phone.quit()

    def test_sipp_is_called_held_resumed_and_hung_up_on(self):
        phone, sipp = self.calling("uas_hold_bye.xml", "--source", "tone")
        phone.wait_for_event("call_state", state="ringing")
        phone.wait_for_event("call_state", state="confirmed")
        phone.command("hold")
        phone.wait_for_event("call_media", held_by_us=True)
        phone.mark()
        phone.command("resume")
        phone.wait_for_event("call_media", held_by_us=False)
        phone.command("hangup")
        phone.wait_for_event("call_state", state="ended")
        self.assert_passed(sipp)

    def test_sipp_rings_until_we_give_up(self):
        phone, sipp = self.calling("uas_cancelled.xml")
        phone.wait_for_event("call_state", state="ringing")
        phone.command("hangup")
        phone.wait_for_event("call_state", state="ended")
        self.assert_passed(sipp)

    def test_sipp_is_busy(self):
        phone, sipp = self.calling("uas_busy.xml")
        self.assertEqual(phone.wait_for_event("call_state", state="ended")["status"], 486)
        self.assert_passed(sipp)


if __name__ == "__main__":
    main()
