# SPDX-License-Identifier: Apache-2.0
"""The phones of others that the tests talk to, baresip and linphone, with the same few words for
both; and the course of calls that each of them must take with a godwit phone.

Both need a network namespace, as baresip does not use loopback addresses and linphone binds to every
address of its machine.
"""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import time

from harness import (LIMIT, Certificates, Kamailio, Phone, Process, address, note, version_of,
                     wait_for_port, write_tone)

MODULES = "/usr/lib/baresip/modules"


class Baresip(Process):
    """baresip with a tone instead of a microphone, driven over its TCP control port."""

    PROGRAM = ("baresip", "-h")

    def __init__(self, test, server=None, authority=None):
        """With `authority` (Certificates) it speaks TLS: to the server if there is one, and to others
        on port 5061."""
        user = "baresip"
        self.host = address()
        folder = pathlib.Path(tempfile.mkdtemp(prefix="godwit-baresip-"))
        test.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        write_tone(folder / "tone.wav")
        secure = ""
        if authority:
            certificate, key = certificate_for(authority, self.host)
            both = folder / "both.pem"
            both.write_text(certificate.read_text("utf-8") + key.read_text("utf-8"), encoding="utf-8")
            secure = f"sip_certificate {both}\nsip_cafile {authority.ca}"
        (folder / "config").write_text(f"""
poll_method epoll
sip_listen {self.host}:5060
{secure}
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
        transport = ";transport=tls" if authority else ""
        account = f"<sip:{user}@{server.host if server else self.host}{transport}>;answermode=auto;" \
                  "audio_codecs=PCMA,PCMU"
        account += f";auth_pass={Kamailio.USERS[user]};outbound=\"sip:{server.host}{transport}\";regint=300" \
            if server else ";regint=0"
        (folder / "accounts").write_text(account + "\n", encoding="utf-8")
        (folder / "contacts").write_text("\n", encoding="utf-8")
        super().__init__(test, ["baresip", "-f", folder, "-v"])
        self.user = user
        self.uri = f"sip:{user}@{self.host}" + (":5061;transport=tls" if authority else "")
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

    def wait_until_registered(self):
        self.wait_for_line("200 OK")

    def call(self, uri):
        self.order("dial", uri)

    def answer(self):
        """It does by itself."""

    def wait_until_established(self):
        self.wait_for_control("CALL_ESTABLISHED")

    def wait_until_ended(self):
        self.wait_for_control("CALL_CLOSED")

    def hold(self):
        self.order("hold")

    def resume(self):
        self.order("resume")

    def transfer(self, uri):
        self.order("transfer", uri)

    def hang_up(self):
        self.order("hangup")


class Linphone(Process):
    """linphonec with a file instead of a microphone, driven by its standard input."""

    PORT = 5070  # It listens at every address, where Kamailio and our phones have 5060.

    PROGRAM = ("linphonec", "-v")

    def __init__(self, test, server=None, authority=None):
        """With `authority` (Certificates) it speaks TLS where it connects."""
        self.host = address()
        folder = pathlib.Path(tempfile.mkdtemp(prefix="godwit-linphone-"))
        test.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        (folder / ".local/share/linphone").mkdir(parents=True)
        write_tone(folder / "tone.wav")
        transport = ";transport=tls" if authority else ""
        account = f"""
[proxy_0]
reg_proxy=<sip:{server.host}{transport}>
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
sip_tls_port={-1 if authority else 0}
{f"root_ca={authority.ca}" if authority else ""}
reject_duplicated_calls=0
verify_server_certs=1
verify_server_cn=1
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
        self.user = "linphone"
        self.uri = f"sip:linphone@{self.host}:{self.PORT}"
        self.order("soundcard use files")
        self.wait_for_line("Using wav files instead of soundcard")
        self.order(f"play {folder}/tone.wav")

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

    def call(self, uri):
        self.order(f"call {uri}")

    def answer(self):
        self.wait_for_line("Receiving new incoming call")
        self.order("answer")

    def wait_until_established(self):
        self.wait_for_line("Media streams established")

    def wait_until_ended(self):
        self.wait_for_line("ended")

    def hold(self):
        self.order("pause")

    def resume(self):
        self.wait_for_line("is now paused")
        self.order("resume")

    def transfer(self, uri):
        self.order(f"transfer {uri}")

    def hang_up(self):
        self.order("terminate")


def route_by_default():
    """linphone takes the source address of its default route for its own."""
    subprocess.run(["ip", "route", "add", "default", "dev", "lo", "src", address()], check=True)


def certificate_for(authority, host):
    """Linphone's Mbed TLS knows no addresses in certificates: there it must stand as a name too."""
    return authority.issue("interop.test", f"IP:{host}", f"DNS:{host}")


class Course:
    """What a stranger and a godwit phone must be able to do together. For a unittest.TestCase that
    sets PEER."""

    PEER = None

    @classmethod
    def setUpClass(cls):
        note(version_of(*cls.PEER.PROGRAM))
        note(version_of("/usr/sbin/kamailio", "-v"))

    def phone(self, *flags):
        return Phone(self, "alice", address(), "--no-register", *flags)

    def registered_phone(self, server, *flags):
        phone = Phone(self, "alice", address(), "--auto-answer", "--source", "tone", "--registrar",
                      f"sip:{server.host}", "--proxy", f"sip:{server.host}", *flags, host=server.host,
                      password=Kamailio.USERS["alice"])
        phone.wait_for_event("registration", state="registered")
        return phone

    def we_call(self, phone, peer, target):
        phone.mark()
        phone.command(f"call {target}")
        peer.answer()
        phone.wait_for_event("call_state", state="confirmed")
        phone.hears()

    def we_hold_and_resume(self, phone):
        phone.mark()
        phone.command("hold")
        phone.wait_for_event("call_media", held_by_us=True)
        phone.mark()
        phone.command("resume")
        phone.wait_for_event("call_media", held_by_us=False)
        phone.hears()

    def we_hang_up(self, phone, peer):
        phone.mark()
        phone.command("hangup")
        phone.wait_for_event("call_state", state="ended")
        peer.wait_until_ended()

    def they_call(self, phone, peer, target):
        phone.mark()
        peer.call(target)
        phone.wait_for_event("call_state", state="confirmed")
        peer.wait_until_established()
        phone.hears()

    def they_hold_and_resume(self, phone, peer):
        phone.mark()
        peer.hold()
        phone.wait_for_event("call_media", held_by_peer=True)
        phone.mark()
        peer.resume()
        phone.wait_for_event("call_media", held_by_peer=False)
        phone.hears()

    def they_hang_up(self, phone, peer):
        phone.mark()
        peer.hang_up()
        phone.wait_for_event("call_state", state="ended")

    def test_we_call_hold_resume_and_hang_up(self):
        peer = self.PEER(self)
        phone = self.phone("--source", "tone:700")
        self.we_call(phone, peer, peer.uri)
        self.we_hold_and_resume(phone)
        self.we_hang_up(phone, peer)
        phone.quit()

    def test_they_call_hold_resume_and_hang_up(self):
        peer = self.PEER(self)
        phone = self.phone("--auto-answer", "--source", "echo")
        self.they_call(phone, peer, phone.uri)
        self.they_hold_and_resume(phone, peer)
        self.they_hang_up(phone, peer)

    def test_our_ip_change_is_followed(self):
        peer = self.PEER(self)
        phone = self.phone("--source", "tone")
        self.we_call(phone, peer, peer.uri)
        phone.command("ip-change")
        report = phone.wait_for_change()
        self.assertEqual([c["survived"] for c in report["calls"]], [True])
        phone.hears()
        phone.command("hangup")
        phone.wait_for_event("call_state", state="ended")

    def both_ways(self, phone, peer, server):
        peer.wait_until_registered()
        self.we_call(phone, peer, peer.user)
        self.we_hold_and_resume(phone)
        self.we_hang_up(phone, peer)
        self.they_call(phone, peer, f"sip:alice@{server.host}")
        self.they_hold_and_resume(phone, peer)
        self.they_hang_up(phone, peer)
        phone.quit()

    def test_both_ways_through_kamailio(self):
        server = Kamailio(self)
        peer = self.PEER(self, server)
        self.both_ways(self.registered_phone(server), peer, server)

    def secured_server(self, authority):
        host = address()
        return Kamailio(self, hosts=[host], certificate=certificate_for(authority, host))

    def test_both_ways_through_kamailio_over_tls(self):
        authority = Certificates(self)
        server = self.secured_server(authority)
        peer = self.PEER(self, server, authority)
        phone = self.registered_phone(server, "--transport", "tls", "--tls-ca", authority.ca)
        self.both_ways(phone, peer, server)

    def test_they_call_over_tls(self):
        authority = Certificates(self)
        peer = self.PEER(self, authority=authority)
        host = address()
        certificate, key = certificate_for(authority, host)
        phone = Phone(self, "alice", host, "--no-register", "--listen-tls", "5061", "--tls-ca",
                      authority.ca, "--tls-certificate", certificate, "--tls-key", key,
                      "--auto-answer", "--source", "echo")
        wait_for_port(host, 5061)
        self.they_call(phone, peer, f"sip:alice@{host}:5061;transport=tls")
        self.they_hold_and_resume(phone, peer)
        self.we_hang_up(phone, peer)
        phone.quit()

    def third_phone(self):
        return Phone(self, "carol", address(), "--no-register", "--auto-answer", "--source", "tone")

    def test_we_send_them_on(self):
        peer = self.PEER(self)
        phone, carol = self.phone("--source", "tone"), self.third_phone()
        self.we_call(phone, peer, peer.uri)
        phone.command(f"transfer {carol.uri}")
        phone.wait_for_event("transfer_progress", finished=True, status=200)
        phone.wait_for_event("call_state", state="ended")
        carol.wait_for_event("call_state", state="confirmed")
        carol.hears()

    def test_they_send_us_on(self):
        peer = self.PEER(self)
        phone, carol = self.phone("--source", "tone", "--transfers", "accept"), self.third_phone()
        self.we_call(phone, peer, peer.uri)
        peer.transfer(carol.uri)
        asked = phone.wait_for_event("transfer_requested")
        new = phone.wait_for_event("call_state", state="confirmed", call=lambda n: n != asked["call"])
        phone.wait_for_event("call_state", state="ended", call=asked["call"])
        carol.wait_for_event("call_state", state="confirmed")
        phone.hears(call=new["call"])
        carol.hears()
