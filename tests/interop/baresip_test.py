# SPDX-License-Identifier: Apache-2.0
"""A godwit phone and baresip, face to face and through Kamailio: calls both ways, hold, hang up.

Runs in a network namespace of its own, as baresip does not use loopback addresses.
"""

import json
import pathlib
import shutil
import socket
import tempfile
import threading
import unittest

from harness import (LIMIT, Kamailio, Phone, Process, address, enter_namespace, main, note,
                     version_of, write_tone)

MODULES = "/usr/lib/baresip/modules"


class Baresip(Process):
    """baresip with a tone instead of a microphone, driven over its TCP control port."""

    def __init__(self, test, user, server=None):
        self.host = address()
        folder = pathlib.Path(tempfile.mkdtemp(prefix="godwit-baresip-"))
        test.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        write_tone(folder / "tone.wav")
        (folder / "config").write_text(f"""
poll_method epoll
sip_listen {self.host}:5060
audio_source aufile,{folder}/tone.wav
audio_alert aufile,{folder}/tone.wav
ausrc_srate 8000
auplay_srate 8000
module_path {MODULES}
module g711.so
module aufile.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {self.host}:4444
""", encoding="utf-8")
        account = f"<sip:{user}@{server.host if server else self.host}>;answermode=auto;" \
                  "audio_codecs=PCMA,PCMU"
        account += f";auth_pass={Kamailio.USERS[user]};outbound=\"sip:{server.host}\";regint=300" \
            if server else ";regint=0"
        (folder / "accounts").write_text(account + "\n", encoding="utf-8")
        (folder / "contacts").write_text("\n", encoding="utf-8")
        super().__init__(test, ["baresip", "-f", folder, "-v"])
        self.uri = f"sip:{user}@{self.host}"
        self.control_events = []
        self.wait_for_line("baresip is ready")
        self.control = socket.create_connection((self.host, 4444), LIMIT)
        test.addCleanup(self.control.close)
        threading.Thread(target=self._read_control, daemon=True).start()

    def _read_control(self):
        pending = b""
        while True:
            try:
                block = self.control.recv(4096)
            except OSError:
                return
            if not block:
                return
            pending += block
            # Netstrings: length, colon, JSON, comma.
            while b":" in pending:
                length, rest = pending.split(b":", 1)
                if len(rest) < int(length) + 1:
                    break
                message, pending = rest[:int(length)], rest[int(length) + 1:]
                with self._arrived:
                    self.control_events.append(json.loads(message))
                    self._arrived.notify_all()

    def order(self, command, parameters=""):
        text = json.dumps({"command": command, "params": parameters, "token": command}).encode()
        self.control.sendall(b"%d:%s," % (len(text), text))

    def keys(self):
        """Pressed by the other side; baresip tells the release too."""
        return [event["param"] for event in self.control_events
                if event.get("type") == "CALL_DTMF_START"]

    def wait_for_control(self, kind):
        return self.wait_until(
            lambda: next((e for e in self.control_events if e.get("type") == kind), None), kind)


class BaresipTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        note(version_of("baresip", "-h"))

    def phone(self, *flags):
        return Phone(self, "alice", address(), "--no-register", *flags)

    def test_we_call_hold_resume_and_hang_up(self):
        peer = Baresip(self, "baresip")
        phone = self.phone("--source", "tone:700")
        phone.command(f"call {peer.uri}")
        phone.wait_for_event("call_state", state="confirmed")
        phone.hears()
        phone.command("hold")
        phone.wait_for_event("call_media", held_by_us=True)
        phone.mark()
        phone.command("resume")
        phone.wait_for_event("call_media", held_by_us=False)
        phone.hears()
        phone.command("hangup")
        phone.wait_for_event("call_state", state="ended")
        peer.wait_for_control("CALL_CLOSED")
        phone.quit()

    def test_baresip_calls_holds_resumes_and_hangs_up(self):
        peer = Baresip(self, "baresip")
        phone = self.phone("--auto-answer", "--source", "echo")
        peer.order("dial", phone.uri)
        phone.wait_for_event("call_state", state="confirmed")
        peer.wait_for_control("CALL_ESTABLISHED")
        phone.hears()
        peer.order("hold")
        phone.wait_for_event("call_media", held_by_peer=True)
        phone.mark()
        peer.order("resume")
        phone.wait_for_event("call_media", held_by_peer=False)
        phone.hears()
        peer.order("hangup")
        phone.wait_for_event("call_state", state="ended")

    def test_digits_both_ways(self):
        peer = Baresip(self, "baresip")
        phone = self.phone("--source", "tone")
        phone.command(f"call {peer.uri}")
        phone.wait_for_event("call_state", state="confirmed")
        phone.hears()
        phone.command("dtmf 15#0")
        self.assertTrue(phone.wait_for_event("dtmf_result")["ok"])
        pressed = peer.wait_until(
            lambda: (keys := peer.keys()) and len(keys) >= 4 and keys, "four digits at baresip")
        self.assertEqual("".join(pressed), "15#0")
        phone.command("ip-change")
        phone.wait_for_event("ip_change_completed")
        for digit in "42":
            phone.mark()
            peer.order("sndcode", digit)
            self.assertEqual(phone.wait_for_event("dtmf", digit=digit)["method"], "rtp")
        phone.command("hangup")
        phone.wait_for_event("call_state", state="ended")

    def test_our_ip_change_is_followed(self):
        peer = Baresip(self, "baresip")
        phone = self.phone("--source", "tone")
        phone.command(f"call {peer.uri}")
        phone.wait_for_event("call_state", state="confirmed")
        phone.hears()
        phone.command("ip-change")
        report = phone.wait_for_event("ip_change_completed")["report"]
        self.assertEqual([c["survived"] for c in report["calls"]], [True])
        phone.hears()
        phone.command("hangup")
        phone.wait_for_event("call_state", state="ended")

    def test_both_ways_through_kamailio(self):
        note(version_of("/usr/sbin/kamailio", "-v"))
        server = Kamailio(self)
        peer = Baresip(self, "baresip", server)
        phone = Phone(self, "alice", address(), "--auto-answer", "--source", "echo", "--proxy",
                      f"sip:{server.host}", host=server.host, password=Kamailio.USERS["alice"])
        phone.wait_for_event("registration", state="registered")
        peer.wait_for_line("200 OK")
        phone.command("call baresip")
        phone.wait_for_event("call_state", state="confirmed")
        phone.hears()
        phone.command("hold")
        phone.wait_for_event("call_media", held_by_us=True)
        phone.command("hangup")
        phone.wait_for_event("call_state", state="ended")
        phone.mark()
        peer.order("dial", f"sip:alice@{server.host}")
        phone.wait_for_event("call_state", state="confirmed")
        phone.hears()
        peer.order("hangup")
        phone.wait_for_event("call_state", state="ended")
        phone.quit()


if __name__ == "__main__":
    enter_namespace()
    main()
