# SPDX-License-Identifier: Apache-2.0
"""The commands `godwit phone` and `godwit serve` as a user, a script and an attacker meet them."""

import math
import os
import pathlib
import random
import shutil
import signal
import socket
import stat
import struct
import subprocess
import tempfile
import time
import unittest
import wave

from harness import GODWIT, LIMIT, Certificates, Phone, Process, address, main

ACCOUNT = ["--account", "sip:alice@192.0.2.1"]


def run(*arguments, stdin="", environment=None):
    return subprocess.run([GODWIT, *map(str, arguments)], input=stdin, capture_output=True, text=True,
                          timeout=LIMIT, check=False, env={**os.environ, **(environment or {})})


class Serve(Process):
    def __init__(self, test, *flags):
        self.host = address()
        super().__init__(test, [GODWIT, "serve", "--listen", self.host, "--events", "json", *flags])
        self.wait_for_line('"ready"')


class TraceTest(unittest.TestCase):
    """What --sip-trace shows, and what it does not."""

    def test_phone_and_serve_write_what_they_send_and_receive(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="godwit-cli-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        server = Serve(self, "--user", "alice:s3cret", f"--sip-trace={folder}/serve")
        result = run("phone", "--account", f"sip:alice@{server.host}", "--bind", server.host,
                     "--password", "s3cret", "--state-dir", "", f"--sip-trace={folder}/phone",
                     "--sip-trace-hide", "identities", stdin="wait 1\nquit\n")
        self.assertEqual(result.returncode, 0, result.stderr)
        phone = (folder / "phone").read_text(encoding="utf-8")
        self.assertIn(" -> ", phone)
        self.assertIn(" <- ", phone)
        self.assertIn("REGISTER sip:", phone)
        self.assertIn("SIP/2.0 200 OK", phone)
        self.assertIn("Authorization: (redacted)", phone)
        self.assertNotIn("response=", phone)
        self.assertNotIn("alice", phone)
        served = (folder / "serve").read_text(encoding="utf-8")
        self.assertIn("<sip:alice@", served)
        self.assertNotIn("response=", served)
        self.assertEqual(stat.S_IMODE((folder / "phone").stat().st_mode), 0o600)
        shown = run("phone", "--account", f"sip:alice@{server.host}", "--bind", server.host,
                    "--password", "s3cret", "--state-dir", "", "--sip-trace",
                    stdin="wait 1\nquit\n")
        self.assertIn("REGISTER sip:", shown.stderr)
        off = run("phone", "--account", f"sip:alice@{server.host}", "--bind", server.host,
                  "--password", "s3cret", "--state-dir", "", "--sip-trace",
                  "--sip-trace-level", "off", stdin="wait 1\nquit\n")
        self.assertNotIn("REGISTER", off.stderr)


class UsageTest(unittest.TestCase):
    """What is wrong gets one line that names it, and exit status 2."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="godwit-cli-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def assert_refused(self, result, *names, status=2):
        self.assertEqual(result.returncode, status, result.stderr)
        lines = result.stderr.splitlines()
        self.assertEqual(len(lines), 1, result.stderr)
        for name in names:
            self.assertIn(name, lines[0])
        self.assertEqual(result.stdout, "")

    def test_flags_of_phone(self):
        for flags, name in [
                ([], "--account"), (["--account", "alice"], "--account"),
                (["--account", "sip:alice@"], "--account"), (["--bogus"], "--bogus"),
                ([*ACCOUNT, "--sip-port", "65536"], "--sip-port"),
                ([*ACCOUNT, "--sip-port", "x"], "--sip-port"),
                ([*ACCOUNT, "--expires", "9"], "--expires"),
                ([*ACCOUNT, "--bind", "localhost"], "--bind"),
                ([*ACCOUNT, "--bind", "0.0.0.0"], "--bind"),
                ([*ACCOUNT, "--interface", "a/b"], "--interface"),
                ([*ACCOUNT, "--registrar", "192.0.2.1"], "--registrar"),
                ([*ACCOUNT, "--proxy", "sip:a b"], "--proxy"),
                ([*ACCOUNT, "--source", "tone:19"], "--source"),
                ([*ACCOUNT, "--source", "tone:nan"], "--source"),
                ([*ACCOUNT, "--source", "file:/no/such.wav"], "/no/such.wav"),
                ([*ACCOUNT, "--source", "noise"], "--source"),
                ([*ACCOUNT, "--record", "/no/such/x.wav"], "/no/such/x.wav"),
                ([*ACCOUNT, "--record", "/tmp"], "--record"),
                ([*ACCOUNT, "--events", "xml"], "--events"),
                ([*ACCOUNT, "--log-level", "loud"], "--log-level"),
                ([*ACCOUNT, "--sip-trace", "--sip-trace-level", "some"], "--sip-trace-level"),
                ([*ACCOUNT, "--sip-trace-hide", "me"], "--sip-trace-hide"),
                ([*ACCOUNT, "--sip-trace=/no/such/x"], "/no/such/x"),
                ([*ACCOUNT, "--media-timeout", "4"], "--media-timeout"),
                ([*ACCOUNT, "--media-timeout", "3601"], "--media-timeout"),
                ([*ACCOUNT, "--password", "a", "--password-file", "b"], "--password-file"),
                ([*ACCOUNT, "--password-file", "/no/such"], "/no/such"),
                ([*ACCOUNT, "--config", "/no/such.toml"], "/no/such.toml"),
                ([*ACCOUNT, "--media-timeout", "4"], "--media-timeout"),
                ([*ACCOUNT, "--session-expires", "89"], "--session-expires"),
                ([*ACCOUNT, "--further-proxy", "junk"], "--further-proxy"),
                ([*ACCOUNT, "--further-proxy", "sip:192.0.2.1"], "--proxy"),
                ([*ACCOUNT, "--tls-ca", "/dev/null"], "/dev/null"),
                ([*ACCOUNT, "--tls-certificate", "/dev/null", "--tls-key", "/dev/null"], "/dev/null"),
                ([*ACCOUNT, "--sip-port"], "--sip-port"),
                ([*ACCOUNT, "stray"], "stray")]:
            with self.subTest(flags=flags):
                self.assert_refused(run("phone", *flags), name)

    def test_flags_of_serve(self):
        for flags, name in [
                (["--listen", "0.0.0.0"], "--listen"), (["--listen", "127.0.0.1:x"], "--listen"),
                (["--listen", "here"], "--listen"), (["--domain", "a b"], "--domain"),
                (["--user", "bob"], "--user"), (["--user", ":x"], "--user"),
                (["--echo", "a@b"], "--echo"), (["--echo", "e", "--tone", "e"], '"e"'),
                (["--challenge-calls"], "--challenge-calls"), (["--bogus"], "--bogus")]:
            with self.subTest(flags=flags):
                self.assert_refused(run("serve", *flags), name)
        # A wrong --user may hold a password.
        self.assertNotIn("s3cret", run("serve", "--user", "a b:s3cret").stderr)

    def test_settings_file(self):
        file = self.folder / "phone.toml"
        for text, line, key in [
                ('acount = "x"', 1, "acount"), ('\nsip-port = "5060"', 2, "sip-port"),
                ("sip-port = 5060.5", 1, "sip-port"), ("sip-port = 70000", 1, "sip-port"),
                ("latch = 1", 1, "latch"), ("media-timeout = 4", 1, "media-timeout"), ("account = [1]", 1, "account"),
                ('bind = ["127.0.0.1", 5]', 1, "bind"), ('bind = ["nowhere"]', 1, "bind"),
                ('[phone]\nlatch = true', 1, "phone"), ('events = "xml"', 1, "events"),
                ('account = "sip:a@b"\naccount = "sip:a@b"', 2, "account"), ("account =", 1, "")]:
            with self.subTest(text=text):
                file.write_text(text + "\n", encoding="utf-8")
                self.assert_refused(run("phone", "--config", file), f"{file}:{line}", key)

    def test_flags_win_over_the_file(self):
        file = self.folder / "phone.toml"
        local = address()
        file.write_text(f'account = "sip:alice@{local}"\nbind = "192.0.2.77"\nevents = "json"\n'
                        'register = false\nlatch = false\nmedia-timeout = 5\nsession-expires = 90\n',
                        encoding="utf-8")
        result = run("phone", "--config", file, "--bind", local, stdin="quit\n")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn(f"sip:alice@{local}", result.stdout)

    def test_what_the_system_refuses_is_a_failed_start(self):
        self.assert_refused(run("phone", *ACCOUNT, "--bind", "192.0.2.77"), "192.0.2.77", status=1)
        self.assert_refused(run("serve", "--listen", "192.0.2.77"), "192.0.2.77", status=1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            local = address()
            taken.bind((local, 5060))
            self.assert_refused(run("phone", *ACCOUNT, "--bind", local, "--sip-port", "5060"),
                                f"{local}:5060", status=1)
            self.assert_refused(run("serve", "--listen", local), f"{local}:5060", status=1)
        certificate, key = Certificates(self).issue("alice")
        for flag, more in (("--listen-tcp", []), ("--listen-tls", [
                "--tls-certificate", certificate, "--tls-key", key])):
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
                local = address()
                taken.bind((local, 5070))
                taken.listen()
                self.assert_refused(run("phone", *ACCOUNT, "--bind", local, flag, "5070", *more),
                                    flag, f"{local}:5070", status=1)

    def test_an_interface_that_is_not_there_is_named(self):
        flags = ["phone", "--account", "sip:a@127.0.0.1", "--no-register"]
        result = run(*flags, "--interface", "nope0", stdin="quit\n")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("there is no interface nope0", result.stderr)
        result = run(*flags, "--interface", "lo", stdin="quit\n")
        self.assertNotIn("there is no interface", result.stderr)

    def test_a_password_file_that_others_can_read_is_mentioned(self):
        file = self.folder / "password"
        file.write_text("s3cret\n", encoding="utf-8")
        local = address()
        flags = ["phone", "--account", f"sip:a@{local}", "--bind", local, "--no-register",
                 "--password-file", file]
        file.chmod(stat.S_IRUSR | stat.S_IRGRP)
        self.assertIn(str(file), run(*flags, stdin="quit\n").stderr)
        file.chmod(stat.S_IRUSR)
        self.assertEqual(run(*flags, stdin="quit\n").stderr, "")

    def test_help_names_every_flag_and_warns_of_the_password(self):
        text = run("phone", "--help").stdout
        for flag in ("--account", "--bind", "--auto-answer", "--config", "--record", "GODWIT_PASSWORD"):
            self.assertIn(flag, text)
        self.assertEqual(run("phone", "--version").returncode, 0)

    def test_a_command_that_does_not_exist_is_named(self):
        self.assert_refused(run("dance"), '"dance"', "phone")
        self.assert_refused(run(), "phone")
        self.assert_refused(run("phone\nserve"), "phone")
        self.assertEqual(run("help").stdout, run("--help").stdout)

    def test_help_fits_a_terminal(self):
        for words in ([], ["phone"], ["serve"], ["demo"], ["lab"]):
            with self.subTest(words=words):
                result = run(*words, "--help")
                self.assertEqual(result.returncode, 0)
                self.assertEqual([l for l in result.stdout.splitlines() if len(l) > 80], [])
                for left_over in ("{false}", "INT:", "FLOAT:", "DIR:"):
                    self.assertNotIn(left_over, result.stdout)

    def test_the_demo_fits_a_terminal(self):
        """At 80 columns: the live line stays one line, and the table is not broken."""
        if shutil.which("script") is None:
            self.skipTest("no script(1) to make a terminal")
        result = subprocess.run(
            ["script", "-qec", f"{GODWIT} demo --moves 2", "/dev/null"], capture_output=True,
            text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
        if result.returncode == 3:
            self.skipTest("no network namespaces here")
        # A failed run's logs follow; they are as long as they are.
        shown = result.stdout.split("\n--- ")[0].replace("\x1b[K", "\r").replace("\n", "\r").split("\r")
        self.assertTrue(any("audio from peer" in line for line in shown), result.stdout)
        self.assertIn("call survived", result.stdout)
        self.assertEqual([line for line in shown if len(line.rstrip()) > 80], [])

    def test_a_warning_is_told_once(self):
        result = run("phone", "--account", "sip:alice@no.such.invalid", "--no-register",
                     "--bind", address(), stdin="wait 1\n")
        self.assertEqual((result.stdout + result.stderr).count("could not be resolved"), 1,
                         result.stderr)


class CommandsTest(unittest.TestCase):
    def test_wrong_commands_get_one_line_each_and_the_end_of_input_is_quit(self):
        local = address()
        lines = ["dance", "call", "hangup", "hangup 7", "tone 5", "mute x", "wait -1", "quit now",
                 "x" * 5000, "# a comment", ""]
        result = run("phone", "--account", f"sip:alice@{local}", "--bind", local, "--no-register",
                     stdin="\n".join(lines))
        self.assertEqual(result.returncode, 0)
        complaints = result.stderr.splitlines()
        self.assertEqual(len(complaints), 9, result.stderr)
        for word in ("dance", "TARGET", "no call", "no call 7", "tone", "mute", "wait",
                     "quit", "4096"):
            self.assertTrue(any(word in line for line in complaints), (word, complaints))
        self.assertEqual(result.stdout, "")

    def test_the_end_of_input_ends_calls(self):
        bob = Phone(self, "bob", address(), "--no-register", "--auto-answer")
        alice = Phone(self, "alice", address(), "--no-register")
        alice.command(f"call {bob.uri}")
        bob.wait_for_event("call_state", state="confirmed")
        alice.child.stdin.close()
        self.assertEqual(alice.wait(), 0)
        bob.wait_for_event("call_state", state="ended")

    def test_a_signal_ends_calls(self):
        bob = Phone(self, "bob", address(), "--no-register", "--auto-answer")
        alice = Phone(self, "alice", address(), "--no-register")
        alice.command(f"call {bob.uri}")
        bob.wait_for_event("call_state", state="confirmed")
        alice.child.send_signal(signal.SIGTERM)
        self.assertEqual(alice.wait(), 0)
        bob.wait_for_event("call_state", state="ended")

    def test_several_calls_by_number(self):
        first = Phone(self, "bob", address(), "--no-register", "--auto-answer")
        second = Phone(self, "carol", address(), "--no-register", "--auto-answer")
        alice = Phone(self, "alice", address(), "--no-register")
        one = alice.command(f"call {first.uri}")["call"]
        two = alice.command(f"call {second.uri}")["call"]
        self.assertNotEqual(one, two)
        for call in (one, two):
            alice.wait_for_event("call_state", state="confirmed", call=call)
        alice.command(f"hangup {one}")
        first.wait_for_event("call_state", state="ended")
        alice.wait_for_event("call_state", state="ended", call=one)
        alice.command("hold")
        second.wait_for_event("call_media", held_by_peer=True)
        alice.command("status")
        calls = alice.wait_for_event("status")["calls"]
        self.assertEqual([(c["call"], c["current"]) for c in calls], [(two, True)])


def tone_share(file, hertz):
    """The part of the power at that frequency in the loudest half second of a recording."""
    with wave.open(str(file)) as sound:
        samples = struct.unpack(f"<{sound.getnframes()}h", sound.readframes(sound.getnframes()))
    best = 0.0
    for start in range(0, len(samples) - 4000, 2000):
        part = samples[start:start + 4000]
        power = sum(s * s for s in part) or 1
        re = sum(s * math.cos(2 * math.pi * hertz * i / 8000) for i, s in enumerate(part))
        im = sum(s * math.sin(2 * math.pi * hertz * i / 8000) for i, s in enumerate(part))
        best = max(best, 2 * (re * re + im * im) / (power * len(part)))
    return best


class ServeTest(unittest.TestCase):
    def test_echo_and_tone_parties_with_digest(self):
        server = Serve(self, "--user", "alice:secret", "--echo", "echo", "--tone", "tone", "--domain",
                       "example.test", "--challenge-calls")
        folder = pathlib.Path(tempfile.mkdtemp(prefix="godwit-cli-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        alice = Phone(self, "alice", address(), "--proxy", f"sip:{server.host}", "--source", "tone:1234",
                      "--record", str(folder / "heard.wav"), host="example.test", password="secret")
        alice.wait_for_event("registration", state="registered")
        alice.command("call echo")
        alice.wait_for_event("call_state", state="confirmed")
        alice.hears(60)
        alice.command("hangup")
        alice.wait_for_event("call_state", state="ended")
        alice.mark()
        alice.command("call tone")
        alice.wait_for_event("call_state", state="confirmed")
        alice.hears(60)
        alice.command("hangup")
        alice.wait_for_event("call_state", state="ended")
        alice.quit()
        self.assertGreater(tone_share(folder / "heard.wav", 1234), 0.9)
        self.assertGreater(tone_share(folder / "heard-2.wav", 440), 0.9)
        server.child.send_signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)
        server.wait_for_line('"stopped"')
        self.assertFalse([l for l in server.lines + server.errors if "secret" in l])


class HostileTest(unittest.TestCase):
    """No input ends the process; what can be answered gets 400."""

    def setUp(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address(), 0))
        self.socket.settimeout(0.5)
        self.addCleanup(self.socket.close)
        self.local = "%s:%d" % self.socket.getsockname()

    def request(self, target, method="OPTIONS", call_id="a", extra=""):
        return (f"{method} sip:{target} SIP/2.0\r\nVia: SIP/2.0/UDP {self.local};branch=z9hG4bK{call_id}\r\n"
                f"From: <sip:x@{self.local}>;tag=1\r\nTo: <sip:{target}>\r\nCall-ID: {call_id}\r\n"
                f"CSeq: 1 {method}\r\nMax-Forwards: 70\r\n{extra}Content-Length: 0\r\n\r\n")

    def answer_to(self, host, call_id, message):
        """The status of the first response with that Call-ID; the request is repeated as UDP needs."""
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            self.socket.sendto(message.encode("utf-8", "surrogateescape"), (host, 5060))
            try:
                while True:
                    response = self.socket.recv(65536).decode("utf-8", "replace")
                    if f"Call-ID: {call_id}\r" in response and response.startswith("SIP/2.0 "):
                        return int(response.split()[1])
            except (TimeoutError, ConnectionRefusedError):
                pass
        raise AssertionError(f"no answer to {message.splitlines()[0]!r}")

    def torment(self, host):
        seed = int(os.environ.get("GODWIT_SEED", "1"))
        print(f"  GODWIT_SEED={seed}", flush=True)
        dice = random.Random(seed)
        whole = self.request(host, "INVITE", "b").encode()
        for i in range(600):
            if i % 3 == 0:
                garbage = dice.randbytes(dice.randrange(0, 1500))
            elif i % 3 == 1:
                garbage = whole[:dice.randrange(len(whole))]
            else:
                damaged = bytearray(whole)
                for _ in range(dice.randrange(1, 20)):
                    damaged[dice.randrange(len(damaged))] = dice.randrange(256)
                garbage = bytes(damaged)
            self.socket.sendto(garbage, (host, 5060))
        for garbage in (b"", b"\r\n\r\n", b"\0" * 65507, b"INVITE " + b"a" * 65000,
                        b"SIP/2.0 200 OK\r\n\r\n", b"A: b\r\n" * 9000):
            self.socket.sendto(garbage, (host, 5060))

    def check(self, process, host):
        self.assertEqual(self.answer_to(host, "first", self.request(host, call_id="first")), 200)
        bad = self.request(host, "OPTIONS", "bad").replace("CSeq: 1 OPTIONS", "CSeq: x OPTIONS")
        self.assertEqual(self.answer_to(host, "bad", bad), 400)
        bad = self.request(host, "OPTIONS", "bad2").replace("Max-Forwards: 70", "Max-Forwards: many")
        self.assertEqual(self.answer_to(host, "bad2", bad), 400)
        self.torment(host)
        self.assertEqual(self.answer_to(host, "last", self.request(host, call_id="last")), 200)
        self.assertIsNone(process.child.poll())
        self.assertTrue([l for l in process.errors if "dropped" in l or "malformed" in l],
                        process.errors[-5:])

    def test_phone(self):
        phone = Phone(self, "alice", address(), "--no-register", "--log-level", "info")
        self.check(phone, phone.uri.split("@")[1].split(":")[0])
        phone.command("status")
        counters = phone.wait_for_event("status")["counters"]
        self.assertGreaterEqual(counters["malformed_answered"], 2)
        self.assertGreaterEqual(counters["unparseable"], 3)
        phone.quit()

    def test_serve(self):
        server = Serve(self)
        self.check(server, server.host)
        server.child.send_signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)


if __name__ == "__main__":
    main()
