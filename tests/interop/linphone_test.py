# SPDX-License-Identifier: Apache-2.0
"""A godwit phone and linphone, face to face and through Kamailio: calls both ways, hold, an address
change, hang up.

Runs in a network namespace of its own, as linphone binds to every address of its machine.
"""

import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest

from harness import (LIMIT, Kamailio, Phone, Process, address, enter_namespace, main, note, version_of,
                     write_tone)


class Linphone(Process):
    """linphonec with a file instead of a microphone, driven by its standard input."""

    PORT = 5070  # It listens at every address, where Kamailio and our phones have 5060.

    def __init__(self, test, server=None):
        self.host = address()
        folder = pathlib.Path(tempfile.mkdtemp(prefix="godwit-linphone-"))
        test.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        (folder / ".local/share/linphone").mkdir(parents=True)
        write_tone(folder / "tone.wav")
        account = f"""
[proxy_0]
reg_proxy=<sip:{server.host}>
reg_identity=sip:linphone@{server.host}
reg_expires=300
reg_sendregister=1
[auth_info_0]
username=linphone
passwd={Kamailio.USERS["linphone"]}
realm={server.host}
""" if server else ""
        (folder / "rc").write_text(f"""
[sip]
default_proxy={0 if server else -1}
sip_port={self.PORT}
sip_tcp_port=0
sip_tls_port=0
use_ipv6=0
media_encryption=none
[rtp]
audio_rtp_port=17076
[sound]
echocancellation=0
{account}""", encoding="utf-8")
        # Line by line, or its words would wait in a buffer until it ends.
        super().__init__(test, ["stdbuf", "-oL", "linphonec", "-c", folder / "rc"],
                         env=dict(os.environ, HOME=str(folder)))
        self.uri = f"sip:linphone@{self.host}:{self.PORT}"
        self.order("soundcard use files")
        self.wait_for_line("Using wav files instead of soundcard")
        self.order(f"play {folder}/tone.wav")
        if server:
            self.wait_until_registered()

    def order(self, command):
        self.write(command)

    def wait_until_registered(self):
        """It tells only those who ask."""
        deadline = time.monotonic() + LIMIT
        while not any("registered, identity" in line for line in self.lines):
            if time.monotonic() > deadline:
                raise AssertionError("linphone does not register: " + "\n".join(self.lines[-5:]))
            self.order("status register")
            time.sleep(0.2)


class LinphoneTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        note(version_of("linphonec", "-v"))

    def phone(self, *flags):
        return Phone(self, "alice", address(), "--no-register", *flags)

    def answer(self, peer):
        peer.wait_for_line("Receiving new incoming call")
        peer.order("answer")

    def test_we_call_hold_resume_and_hang_up(self):
        peer = Linphone(self)
        phone = self.phone("--source", "tone:700")
        phone.command(f"call {peer.uri}")
        phone.wait_for_event("call_state", state="ringing")
        self.answer(peer)
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
        peer.wait_for_line("ended")
        phone.quit()

    def test_linphone_calls_holds_resumes_and_hangs_up(self):
        peer = Linphone(self)
        phone = self.phone("--auto-answer", "--source", "tone")
        peer.order(f"call {phone.uri}")
        phone.wait_for_event("call_state", state="confirmed")
        peer.wait_for_line("Media streams established")
        phone.hears()
        peer.order("pause")
        phone.wait_for_event("call_media", held_by_peer=True)
        peer.wait_for_line("is now paused")
        phone.mark()
        peer.order("resume")
        phone.wait_for_event("call_media", held_by_peer=False)
        phone.hears()
        peer.order("terminate")
        phone.wait_for_event("call_state", state="ended")

    def test_our_ip_change_is_followed(self):
        peer = Linphone(self)
        phone = self.phone("--source", "tone")
        phone.command(f"call {peer.uri}")
        self.answer(peer)
        phone.wait_for_event("call_state", state="confirmed")
        phone.hears()
        phone.command("ip-change")
        report = phone.wait_for_event("ip_change_completed")["report"]
        self.assertEqual([c["survived"] for c in report["calls"]], [True])
        phone.hears()
        phone.command("hangup")
        phone.wait_for_event("call_state", state="ended")

    def test_both_ways_through_kamailio(self):
        server = Kamailio(self)
        peer = Linphone(self, server)
        phone = Phone(self, "alice", address(), "--auto-answer", "--source", "tone", "--proxy",
                      f"sip:{server.host}", host=server.host, password=Kamailio.USERS["alice"])
        phone.wait_for_event("registration", state="registered")
        phone.command("call linphone")
        self.answer(peer)
        phone.wait_for_event("call_state", state="confirmed")
        phone.hears()
        phone.command("hangup")
        phone.wait_for_event("call_state", state="ended")
        peer.wait_for_line("ended")
        phone.mark()
        peer.order(f"call sip:alice@{server.host}")
        phone.wait_for_event("call_state", state="confirmed")
        phone.hears()
        peer.order("terminate")
        phone.wait_for_event("call_state", state="ended")
        phone.quit()


if __name__ == "__main__":
    enter_namespace()
    # linphone takes the source address of its default route for its own.
    subprocess.run(["ip", "route", "add", "default", "dev", "lo", "src", address()], check=True)
    main()
