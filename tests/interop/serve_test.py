# SPDX-License-Identifier: Apache-2.0
"""`godwit serve` over TCP and TLS: phones of all three transports call each other through it, SIPp calls
over TCP, an address changes, connections break, and strangers lie, stall and crowd."""

import contextlib
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

from harness import (GODWIT, HERE, LIMIT, Certificates, Phone, Process, address, call_each_other,
                     first_answer, main, note, version_of, wait_for_end, with_tls)

USERS = {"alice": "wonderland", "bob": "builder", "carol": "choir"}


class ServeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        note(version_of("sipp", "-v"))

    def setUp(self):
        self.authority = Certificates(self)
        self.host = address()
        certificate, key = self.authority.issue("serve.test", f"IP:{self.host}")
        users = [word for name, password in USERS.items() for word in ("--user", f"{name}:{password}")]
        self.server = Process(self, [
            GODWIT, "serve", "--listen", self.host, "--listen-tcp", self.host, "--listen-tls", self.host,
            "--tls-certificate", certificate, "--tls-key", key, "--events", "json", "--echo", "echo",
            *users])
        self.server.wait_for_line('"ready"')

    def phone(self, user, transport, *flags):
        proxy = f"sip:{self.host}"
        phone = Phone(self, user, address(), "--registrar", proxy, "--proxy", proxy, "--transport",
                      transport, "--tls-ca", self.authority.ca, "--source", "tone:500", "--auto-answer",
                      *flags, host=self.host, password=USERS[user])
        phone.wait_for_event("registration", state="registered")
        return phone

    def hang_up(self, phone, other):
        for one in (phone, other):
            one.mark()
        phone.command("hangup")
        for one in (phone, other):
            one.wait_for_event("call_state", state="ended")

    def test_phones_of_all_transports_call_each_other(self):
        alice = self.phone("alice", "tls")
        bob = self.phone("bob", "tcp")
        carol = self.phone("carol", "udp")
        for (caller, callee, name) in ((alice, bob, "bob"), (bob, alice, "alice"), (carol, alice, "alice"),
                                       (alice, carol, "carol"), (bob, carol, "carol")):
            call_each_other(caller, callee, name)
            caller.mark()
            caller.command("hold")
            caller.wait_for_event("call_media", held_by_us=True)
            callee.wait_for_event("call_media", held_by_peer=True)
            self.hang_up(callee, caller)
        for phone in (alice, bob, carol):
            phone.quit()
        self.server.child.send_signal(signal.SIGTERM)
        self.assertEqual(self.server.wait(), 0)

    def test_calls_move_with_an_address_change(self):
        alice = self.phone("alice", "tls")
        bob = self.phone("bob", "tcp")
        call_each_other(bob, alice, "alice")
        for phone, other in ((alice, bob), (bob, alice)):
            phone.mark()
            phone.command("ip-change")
            report = phone.wait_for_change()
            self.assertEqual([c["survived"] for c in report["calls"]], [True], report)
            phone.hears()
            other.hears()
        self.hang_up(bob, alice)

    def test_the_echo_party_is_reached_over_tls(self):
        alice = self.phone("alice", "tls")
        alice.command("call echo")
        alice.wait_for_event("call_state", state="confirmed")
        alice.hears()
        alice.command("hangup")
        alice.wait_for_event("call_state", state="ended")

    def test_sipp_calls_over_tcp(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="godwit-sipp-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        alice = self.phone("alice", "tls")
        host = address()
        alice.mark()
        sipp = Process(self, ["sipp", "-t", "t1", "-sf", HERE / "sipp" / "uac_hold_bye.xml", "-i", host, "-p",
                              "5060", "-mi", host, "-m", "1", "-nostdin", "-timeout", "30s", "-timeout_error",
                              "-trace_err", "-error_file", folder / "errors.log", "-s", "alice",
                              f"{self.host}:5060"], cwd=folder)
        alice.wait_for_event("call_state", state="confirmed")
        alice.wait_for_event("call_media", held_by_peer=True)
        alice.wait_for_event("call_state", state="ended")
        errors = folder / "errors.log"
        self.assertEqual(sipp.wait(40), 0, errors.read_text(errors="replace") if errors.exists() else "")

    def test_who_registered_over_a_connection_that_ended_is_not_rung(self):
        stranger = self.connect()
        local = "%s:%d" % stranger.getsockname()
        stranger.sendall(self.request("REGISTER", local))
        self.assertIn("SIP/2.0 401", first_answer(stranger))
        bob = self.phone("bob", "tls")
        bob.child.kill()  # Without a word; the kernel ends its connection.
        bob.child.wait()
        carol = self.phone("carol", "udp")
        carol.command("call bob")
        self.assertEqual(carol.wait_for_event("call_state", state="ended")["status"], 480)

    def connect(self, port=5060):
        stream = socket.create_connection((self.host, port), LIMIT, (address(), 0))
        self.addCleanup(stream.close)
        return stream

    def request(self, method, local, transport="TCP", number=1, uri=None):
        return (f"{method} {uri or 'sip:' + self.host} SIP/2.0\r\nVia: SIP/2.0/{transport} {local};"
                f"branch=z9hG4bKv{number}\r\nFrom: <sip:alice@{self.host}>;tag=v\r\n"
                f"To: <sip:alice@{self.host}>\r\nCall-ID: v{number}@{local}\r\nCSeq: {number} {method}\r\n"
                f"Contact: <sip:alice@{local};transport={transport.lower()}>\r\nMax-Forwards: 70\r\n"
                "Content-Length: 0\r\n\r\n").encode()

    def serves(self):
        secured = with_tls(self, self.connect(5061), self.authority, self.host)
        for stream, transport in ((self.connect(), "TCP"), (secured, "TLS")):
            message = self.request("OPTIONS", "%s:%d" % stream.getsockname(), transport)
            # In two pieces, behind a ping.
            stream.sendall(b"\r\n\r\n" + message[:40])
            self.assertEqual(stream.recv(2), b"\r\n")
            stream.sendall(message[40:])
            self.assertTrue(first_answer(stream).startswith("SIP/2.0 200"))

    def test_strangers_that_lie_or_stall_cost_their_own_connection_only(self):
        stalled = [self.connect(5061) for _ in range(4)]
        stalled[1].sendall(b"\x16\x03\x01\x02\x00\x01")  # The beginning of a handshake.
        half = self.connect()
        half.sendall(self.request("OPTIONS", "%s:%d" % half.getsockname())[:60])
        self.serves()
        plain_on_tls = self.connect(5061)
        plain_on_tls.sendall(self.request("OPTIONS", "192.0.2.1:5060"))
        wait_for_end(plain_on_tls)
        message = self.request("OPTIONS", "192.0.2.1:5060")
        for lie in (b"Content-Length: -5", b"Content-Length: 99999999999999999999", b"Content-Length: x",
                    b"Content-Length: 70000", b"Content-Length: 0\r\nl: 7", b"Nothing: 0"):
            lying = self.connect()
            lying.sendall(message.replace(b"Content-Length: 0", lie))
            wait_for_end(lying)
        endless = self.connect()
        with contextlib.suppress(ConnectionError):
            for _ in range(200):
                endless.sendall(b"X-Filler: " + b"x" * 1000 + b"\r\n")
        wait_for_end(endless)
        # The half message and the stalled handshakes have their time, and no more.
        for stream in (half, *stalled):
            stream.settimeout(LIMIT)
            wait_for_end(stream)
        self.serves()

    def test_one_address_has_so_many_connections(self):
        crowd = address()
        kept, refused = [], 0
        for _ in range(80):
            stream = socket.create_connection((self.host, 5060), LIMIT, (crowd, 0))
            self.addCleanup(stream.close)
            stream.settimeout(LIMIT)
            with contextlib.suppress(ConnectionError):
                stream.sendall(b"\r\n\r\n")
                if stream.recv(2) == b"\r\n":
                    kept.append(stream)
                    continue
            refused += 1
        self.assertEqual((len(kept), refused), (64, 16))
        self.serves()

    def test_wrong_flags_are_named(self):
        for flags, name in ((["--listen-tls", self.host], "--tls-certificate"),
                            (["--tls-key", "x"], "--tls-certificate"),
                            (["--listen-tcp", "0.0.0.0"], "--listen-tcp")):
            result = subprocess.run([GODWIT, "serve", *flags], capture_output=True, text=True,
                                    timeout=LIMIT, check=False)
            self.assertEqual(result.returncode, 2)
            self.assertEqual(len(result.stderr.splitlines()), 1)
            self.assertIn(name, result.stderr)
        result = subprocess.run([GODWIT, "serve", "--listen", address(), "--listen-tls", self.host,
                                 "--tls-certificate", "/nowhere.pem", "--tls-key", "/nowhere.key"],
                                capture_output=True, text=True, timeout=LIMIT, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("/nowhere.pem", result.stderr)


if __name__ == "__main__":
    main()
