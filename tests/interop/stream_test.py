# SPDX-License-Identifier: Apache-2.0
"""A godwit phone that accepts TCP and TLS, and strangers that connect to it: Python's TLS, and peers
that lie, stall or talk something else. The phone must go on serving the others."""

import socket
import ssl
import time
import unittest

from harness import (LIMIT, Certificates, Phone, address, first_answer, main, note, wait_for_end,
                     with_tls)


class StreamTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        note(ssl.OPENSSL_VERSION)

    def setUp(self):
        self.authority = Certificates(self)
        self.host = address()
        certificate, key = self.authority.issue("phone.test", "DNS:phone.test")
        self.phone = Phone(self, "alice", self.host, "--no-register", "--listen-tcp", "5060", "--listen-tls",
                           "5061", "--tls-certificate", certificate, "--tls-key", key)

    def connect(self, port=5060):
        deadline = time.monotonic() + LIMIT
        while True:
            try:  # The phone may still be opening the port.
                stream = socket.create_connection((self.host, port), LIMIT, (address(), 0))
                break
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        self.addCleanup(stream.close)
        return stream

    def options(self, stream, transport, number=1):
        return (f"OPTIONS sip:alice@{self.host} SIP/2.0\r\nVia: SIP/2.0/{transport} "
                f"{stream.getsockname()[0]}:{stream.getsockname()[1]};branch=z9hG4bKs{number}\r\n"
                f"From: <sip:stranger@stranger.test>;tag=s\r\nTo: <sip:alice@{self.host}>\r\n"
                f"Call-ID: s{number}@{stream.getsockname()[0]}\r\nCSeq: {number} OPTIONS\r\n"
                "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n").encode()

    def serves(self):
        """A well-behaved stranger gets an answer, over TCP and over TLS."""
        plain = self.connect()
        plain.sendall(self.options(plain, "TCP"))
        self.assertTrue(first_answer(plain).startswith("SIP/2.0 200"))
        secured = with_tls(self, self.connect(5061), self.authority, "phone.test")
        secured.sendall(self.options(secured, "TLS"))
        self.assertTrue(first_answer(secured).startswith("SIP/2.0 200"))
        return plain, secured

    def test_answers_over_tcp_and_tls(self):
        plain, secured = self.serves()
        self.assertEqual(secured.version(), "TLSv1.3")
        # The same connections go on, in pieces and several messages at once.
        message = self.options(secured, "TLS", 2)
        for at in range(0, len(message), 50):
            secured.sendall(message[at:at + 50])
        self.assertIn("CSeq: 2 OPTIONS", first_answer(secured))
        plain.sendall(self.options(plain, "TCP", 2) + self.options(plain, "TCP", 3))
        text = first_answer(plain)
        while "CSeq: 3 OPTIONS" not in text:
            text += first_answer(plain)
        # RFC 5626 §4.4.1: a double CRLF is answered with one.
        plain.sendall(b"\r\n\r\n")
        self.assertEqual(plain.recv(16), b"\r\n")

    def test_old_tls_is_refused(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(self.connect(5061))
        self.serves()

    def test_strangers_that_lie_or_stall_cost_their_own_connection_only(self):
        stalled = [self.connect(5061) for _ in range(4)]
        stalled[1].sendall(b"\x16\x03\x01\x02\x00\x01")  # The beginning of a handshake.
        half = self.connect()
        half.sendall(self.options(half, "TCP")[:60])
        self.serves()
        plain_on_tls = self.connect(5061)
        plain_on_tls.sendall(self.options(plain_on_tls, "TCP"))
        wait_for_end(plain_on_tls)
        garbage = self.connect()
        garbage.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for_end(garbage)
        for length in (b"-5", b"99999999999999999999", b"4294967296", b"x"):
            lying = self.connect()
            lying.sendall(self.options(lying, "TCP").replace(b"Content-Length: 0",
                                                             b"Content-Length: " + length))
            wait_for_end(lying)
        self.serves()
        self.phone.quit()


if __name__ == "__main__":
    main()
