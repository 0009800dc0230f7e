# SPDX-License-Identifier: Apache-2.0
"""A godwit phone and SIPp face to face: both call, hold with re-INVITE, hang up, cancel, decline.

The scenarios check our SDP and the order of messages; SIPp's exit status is their verdict.
"""

import csv
import pathlib
import shutil
import tempfile
import unittest

from harness import HERE, Phone, Process, address, main, note, version_of


class SippTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        note(version_of("sipp", "-v"))

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="godwit-sipp-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def sipp(self, scenario, host, *arguments, calls=1):
        # The screen goes to a file: SIPp draws it even without a terminal.
        return Process(self, ["sipp", *arguments, "-sf", HERE / "sipp" / scenario, "-i", host, "-p", "5060",
                              "-mi", host, "-m", str(calls), "-nostdin", "-timeout", "30s", "-timeout_error",
                              "-trace_err", "-error_file", self.folder / "errors.log"],
                       cwd=self.folder)

    def assert_passed(self, sipp):
        status = sipp.wait(40)
        errors = self.folder / "errors.log"
        self.assertEqual(status, 0, errors.read_text(errors="replace") if errors.exists() else "")

    def called_by(self, scenario, *flags):
        """SIPp calls a phone."""
        phone = Phone(self, "alice", address(), "--no-register", *flags)
        sipp = self.sipp(scenario, address(), "-s", "alice", phone.uri.split("@")[1])
        return phone, sipp

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

    def calling(self, scenario, *flags):
        """A phone calls SIPp."""
        host = address()
        sipp = self.sipp(scenario, host)
        phone = Phone(self, "alice", address(), "--no-register", *flags)
        # SIPp needs a moment to open its socket; until then INVITE is repeated.
        phone.command(f"call sip:sipp@{host}")
        return phone, sipp

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
