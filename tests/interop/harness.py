# SPDX-License-Identifier: Apache-2.0
"""What the interop tests share: processes with bounded waits, godwit phones, Kamailio, addresses.

Every test program uses loopback addresses of its own (127.x.y.z, made of its process id), so that
several can run at once with the usual ports. Every process started is ended by its own pid.
"""

import contextlib
import faulthandler
import json
import math
import os
import pathlib
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import wave

GODWIT = os.environ.get("GODWIT", "build/release/apps/godwit/godwit")
HERE = pathlib.Path(__file__).resolve().parent
LIMIT = 20.0  # Seconds for anything that takes milliseconds on an idle machine.

_next_host = 0
_in_namespace = False


def address(family=4):
    """A local address that no other test program uses; IPv6 only in a namespace of our own."""
    global _next_host
    _next_host += 1
    if family == 6:
        local = f"2001:db8::{_next_host:x}"
        subprocess.run(["ip", "address", "add", local + "/64", "dev", "lo", "nodad"], check=True)
        return local
    if _in_namespace:
        local = f"192.0.2.{_next_host}"
        subprocess.run(["ip", "address", "add", local + "/24", "dev", "lo"], check=True)
        return local
    pid = os.getpid()
    # 127.0 to 127.19 are left to others; pids beyond 16 bits share addresses with one in 65 536.
    return f"127.{20 + _next_host}.{pid >> 8 & 255}.{(pid & 255) or 255}"


def enter_namespace():
    """Goes on in a network of its own with addresses that do not look like loopback: some programs
    refuse those. Where user namespaces are forbidden, ends with ctest's status for "skipped"."""
    global _in_namespace
    if os.environ.get("GODWIT_IN_NAMESPACE") != str(os.getppid()):
        if subprocess.run(["unshare", "-Urn", "true"], capture_output=True, check=False).returncode != 0:
            print("skipped: this system allows no user namespaces", flush=True)
            sys.exit(77)
        environment = dict(os.environ, GODWIT_IN_NAMESPACE=str(os.getpid()))
        # As a child, not in our place: the namespace ends with it.
        sys.exit(subprocess.run(["unshare", "-Urn", sys.executable, *sys.argv], env=environment,
                                check=False).returncode)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    _in_namespace = True


def note(text):
    """Says what is run, in the test's output."""
    print(f"  {text}", flush=True)


def in_uri(host):
    """As a URI has it: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


class Process:
    """A child whose output lines are collected; ended when the test ends."""

    def __init__(self, test, arguments, **options):
        self.arguments = [str(a) for a in arguments]
        self.name = pathlib.Path(self.arguments[0]).name
        self.lines = []
        self.errors = []
        self._arrived = threading.Condition()
        self.child = subprocess.Popen(
            self.arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, errors="replace", start_new_session=True, **options)
        self._readers = [
            threading.Thread(target=self._read, args=(self.child.stdout, self.lines), daemon=True),
            threading.Thread(target=self._read, args=(self.child.stderr, self.errors), daemon=True)]
        for reader in self._readers:
            reader.start()
        test.addCleanup(self.stop)

    def _read(self, stream, lines):
        for line in stream:
            with self._arrived:
                lines.append(line.rstrip("\n"))
                self._arrived.notify_all()
        with self._arrived:
            self._arrived.notify_all()

    def wait_until(self, condition, what, limit=LIMIT):
        """Waits until condition() is true whenever a line has come; returns what it returned."""
        deadline = time.monotonic() + limit
        with self._arrived:
            while True:
                result = condition()
                if result:
                    return result
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._arrived.wait(left)
        raise AssertionError(f"{self.name}: {what} did not come within {limit} s; its last output:\n"
                             + "\n".join(self.lines[-15:] + self.errors[-15:]))

    def wait_for_line(self, text, limit=LIMIT):
        return self.wait_until(
            lambda: next((l for l in self.lines + self.errors if text in l), None), repr(text), limit)

    def write(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()

    def wait(self, limit=LIMIT):
        """The exit status."""
        try:
            status = self.child.wait(limit)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs after {limit} s:\n"
                                 + "\n".join(self.lines[-15:] + self.errors[-15:])) from None
        for reader in self._readers:
            reader.join(LIMIT)
        return status

    def stop(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(5)
        # What is left of it and of its own children, which would go on and hold its output open.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait(LIMIT)
        # A stream that is being read cannot be closed: that would wait for its reader without end.
        for reader in self._readers:
            reader.join(LIMIT)
        if any(reader.is_alive() for reader in self._readers):
            raise AssertionError(f"{self.name} has ended, but something holds its output open")
        for stream in (self.child.stdin, self.child.stdout, self.child.stderr):
            try:
                stream.close()
            except OSError:
                pass


class Phone(Process):
    """`godwit phone --events json`, driven by its standard input."""

    def __init__(self, test, user, local, *flags, host=None, password=None, launcher=()):
        environment = dict(os.environ)
        environment.pop("GODWIT_PASSWORD", None)
        if password is not None:
            environment["GODWIT_PASSWORD"] = password
        self.uri = f"sip:{user}@{in_uri(local)}:5060" if local else None
        # Without an address it follows the network.
        bind = ["--bind", local] if local else []
        super().__init__(
            test, [*launcher, GODWIT, "phone", "--account", f"sip:{user}@{host or in_uri(local)}", *bind,
                   "--sip-port", "5060", "--events", "json", *flags], env=environment)
        self._seen = 0
        self.wait_for_event("ready")

    @staticmethod
    def _matches(event, name, members):
        return event["event"] == name and all(
            wanted(event.get(key)) if callable(wanted) else event.get(key) == wanted
            for key, wanted in members.items())

    def events(self, name, **members):
        """All events of that name so far whose members are as given; a function is asked."""
        return [event for event in map(json.loads, list(self.lines))
                if self._matches(event, name, members)]

    def wait_for_event(self, name, limit=LIMIT, **members):
        """The first such event since mark()."""
        shown = {k: v for k, v in members.items() if not callable(v)}

        def look():
            return next((event for event in map(json.loads, self.lines[self._seen:])
                         if self._matches(event, name, members)), None)
        return self.wait_until(look, f"event {name} {shown}", limit)

    def wait_for_change(self):
        """The report of the first change since mark() that was carried through: one that shows
        itself in two steps is two changes, and the second takes over."""
        return self.wait_for_event("ip_change_completed",
                                   report=lambda report: not report["superseded"])["report"]

    def mark(self):
        """Later waits look only at events from here on."""
        self._seen = len(self.lines)

    def command(self, line, ok=True):
        """Gives the command and returns its result event."""
        before = len(self.lines)
        self.write(line)
        name = line.split()[0]

        def look():
            for text in self.lines[before:]:
                event = json.loads(text)
                if event["event"] == "result" and event["command"] == name:
                    return event
            return None
        result = self.wait_until(look, f"the result of {line!r}")
        if result["ok"] != ok:
            raise AssertionError(f"{line!r}: {result}")
        return result

    def hears(self, packets=25, call=None):
        """Waits until that many more RTP packets were received in a call."""
        self.mark()
        first = self.wait_for_event("call_statistics", **({"call": call} if call else {}))
        base = first["packets_received"]
        return self.wait_for_event("call_statistics",
                                   packets_received=lambda n: n is not None and n >= base + packets)

    def quit(self):
        self.write("quit")
        status = self.wait()
        if status != 0:
            raise AssertionError(f"godwit phone ended with {status}: {self.errors[-5:]}")


def first_answer(stream):
    """What comes on a connection up to the end of a message's head; less if it ends before."""
    text = b""
    while b"\r\n\r\n" not in text:
        piece = stream.recv(4096)
        if not piece:
            break
        text += piece
    return text.decode(errors="replace")


def wait_for_end(stream):
    """Reads until the other side has closed the connection."""
    with contextlib.suppress(ConnectionError):
        while stream.recv(4096):
            pass


def with_tls(test, stream, authority, name):
    """The same connection with TLS to a server of that name."""
    stream = ssl.create_default_context(cafile=str(authority.ca)).wrap_socket(stream, server_hostname=name)
    test.addCleanup(stream.close)
    return stream


def call_each_other(caller, callee, name):
    """A call between two phones, of which the callee answers by itself; each hears the other."""
    for phone in (caller, callee):
        phone.mark()
    caller.command(f"call {name}")
    for phone in (caller, callee):
        phone.wait_for_event("call_state", state="confirmed")
        phone.hears()


class Certificates:
    """A private certificate authority, made with the openssl program, and what it issues."""

    def __init__(self, test, name="Interop CA"):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="godwit-ca-"))
        test.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.ca = self.folder / "ca.pem"
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                      "-days", "30", "-subj", f"/CN={name}", "-keyout", "ca.key", "-out", "ca.pem")

    def _openssl(self, *arguments):
        result = subprocess.run(["openssl", *arguments], cwd=self.folder, capture_output=True,
                                text=True, timeout=LIMIT, check=False)
        if result.returncode != 0:
            raise AssertionError(f"openssl {arguments}: {result.stderr}")

    def issue(self, name, *alternative_names, days=30, self_signed=False):
        """A certificate and its key: two paths. Alternative names as in "DNS:a.example". With
        negative `days` it has expired."""
        stem = f"{len(list(self.folder.iterdir()))}"
        san = ",".join(alternative_names)
        (self.folder / f"{stem}.ext").write_text(f"subjectAltName={san}\n" if san else "\n",
                                                 encoding="utf-8")
        self._openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                      "-subj", f"/CN={name}", "-keyout", f"{stem}.key", "-out", f"{stem}.csr")
        signer = ["-signkey", f"{stem}.key"] if self_signed else \
            ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
        self._openssl("x509", "-req", "-in", f"{stem}.csr", *signer, "-days", str(days),
                      "-extfile", f"{stem}.ext", "-out", f"{stem}.pem")
        return self.folder / f"{stem}.pem", self.folder / f"{stem}.key"


class Kamailio(Process):
    """A registrar and proxy with digest authentication for alice and bob. With `certificate` (and
    key, from Certificates.issue) it also serves TCP on port 5060 and TLS on 5061, on `hosts`."""

    USERS = {"alice": "wonderland", "bob": "builder", "baresip": "strange", "linphone": "green"}

    def __init__(self, test, hosts=None, certificate=None, client_ca=None, launcher=(), domain=None,
                 template="kamailio.cfg", received=False, tables=False, named_routes=False,
                 rtpengine=False, **more):
        """`domain`: a name that means this server too. `received`: it reaches phones where their
        REGISTER came from, over the connection that brought it. `named_routes`: it writes the
        domain into Record-Route instead of its addresses. `rtpengine`: audio passes an RtpEngine.
        `tables`: empty ones, as text files in @FOLDER@/tables. `more`: what stands for @WORD@ in
        the template."""
        self.hosts = hosts or [address()]
        self.host = self.hosts[0]
        folder = pathlib.Path(tempfile.mkdtemp(prefix="godwit-kamailio-"))
        test.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        if tables:
            shutil.copytree("/usr/share/kamailio/dbtext/kamailio", folder / "tables")
        modules = next(pathlib.Path("/usr/lib").glob("*/kamailio/modules"))
        passwords = "\n".join(f'  if ($au == "{user}") $var(password) = "{password}";'
                              for user, password in self.USERS.items())
        listen = [f"listen=udp:{host}:5060" for host in self.hosts]
        defines = []
        if certificate:
            defines = ["-A", "WITH_STREAMS"]
            listen += [f"listen=tcp:{host}:5060\nlisten=tls:{host}:5061" for host in self.hosts]
            if received:
                defines += ["-A", "WITH_RECEIVED"]
            wary = "yes" if client_ca else "no"
            (folder / "tls.cfg").write_text(f"""[server:default]
method = TLSv1.2+
verify_certificate = {wary}
require_certificate = {wary}
certificate = {certificate[0]}
private_key = {certificate[1]}
{f'ca_list = {client_ca}' if client_ca else ''}
[client:default]
verify_certificate = no
require_certificate = no
""", encoding="utf-8")
        if named_routes:
            defines += ["-A", "WITH_NAMED_ROUTES"]
        if rtpengine:
            defines += ["-A", "WITH_RTPENGINE"]
        config = (HERE / template).read_text(encoding="utf-8")
        for name, value in {"LISTEN": "\n".join(listen), "PASSWORDS": passwords,
                            "FOLDER": str(folder), "HOST": self.host, "NAME": domain or "",
                            **more}.items():
            config = config.replace(f"@{name}@", value)
        if domain:
            config = config.replace("fork=yes\n", f'fork=yes\nalias="{domain}"\n', 1)
        (folder / "kamailio.cfg").write_text(config, encoding="utf-8")
        # -DD: in the foreground, children and all, so that ending this process ends them.
        super().__init__(test, [*launcher, "/usr/sbin/kamailio", "-DD", "-E", "-f",
                                folder / "kamailio.cfg", "-L", modules, "-m", "32", "-M", "8", "-Y",
                                folder, "-w", folder, *defines])
        wait_for_sip(self.host, self)


class RtpEngine(Process):
    """A relay for audio with an address of each family, as Kamailio's rtpengine module drives it;
    without its kernel module."""

    def __init__(self, test, v4, v6):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="godwit-rtpengine-"))
        test.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        (folder / "empty.conf").write_text("[rtpengine]\n", encoding="utf-8")
        super().__init__(test, ["rtpengine", "--foreground", "--log-stderr", "--table=-1",
                                f"--config-file={folder / 'empty.conf'}", f"--interface=relay/{v4}",
                                f"--interface=relay/{v6}", "--listen-ng=127.0.0.1:2223",
                                "--port-min=30000", "--port-max=30999"])
        self.wait_for_line("Startup complete")


def wait_for_sip(host, process, limit=LIMIT):
    """Asks with OPTIONS until something answers."""
    deadline = time.monotonic() + limit
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((address(), 0))
        probe.settimeout(0.2)
        local = "%s:%d" % probe.getsockname()
        count = 0
        while time.monotonic() < deadline:
            count += 1
            probe.sendto((f"OPTIONS sip:{host} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKp{count}"
                          f"\r\nFrom: <sip:probe@{local}>;tag=p\r\nTo: <sip:{host}>\r\nCall-ID: p{count}"
                          f"\r\nCSeq: {count} OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
                          ).encode(), (host, 5060))
            try:
                probe.recvfrom(4096)
                return
            except OSError:
                if process.child.poll() is not None:
                    break
    raise AssertionError(f"{process.name} does not answer:\n" + "\n".join(process.errors[-15:]))


def wait_for_port(host, port, limit=LIMIT):
    """Connects until something listens there: a phone is ready before its sockets are open."""
    deadline = time.monotonic() + limit
    while True:
        try:
            socket.create_connection((host, port), limit).close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise AssertionError(f"nothing listens at {host}:{port}") from None
            time.sleep(0.02)


def write_tone(path):
    """A minute of a tone, for programs that have no microphone here."""
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(b"".join(struct.pack("<h", int(8000 * math.sin(0.5 * i)))
                                   for i in range(8000 * 60)))


def version_of(*command):
    """The first line that a program says about itself, for the protocol of what was run."""
    result = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    lines = (result.stdout + result.stderr).strip().splitlines()
    return next((l.strip() for l in lines if any(c.isdigit() for c in l)), "?")


def main():
    # Before ctest's limit of 300 s for a whole program: what it is waiting for.
    faulthandler.dump_traceback_later(285)
    unittest.main(verbosity=2)
