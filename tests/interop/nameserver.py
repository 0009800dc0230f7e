# SPDX-License-Identifier: Apache-2.0
"""A name server for tests that need names."""

import socket
import struct
import threading

from harness import address, in_uri

A, AAAA, SRV, NAPTR = 1, 28, 33, 35


def wire_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def text(value):
    return bytes([len(value)]) + value.encode()


class DnsServer:
    """Answers on an address of its own from a table of (name, type) -> record data."""

    def __init__(self, test, family=4):
        self.records = {}
        self.asked = []
        self._socket = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6,
                                     socket.SOCK_DGRAM)
        self._socket.bind((address(family), 0))
        host, port = self._socket.getsockname()[:2]
        self.endpoint = f"{in_uri(host)}:{port}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        test.addCleanup(self._stop)

    def _stop(self):
        # An empty datagram to itself ends the thread.
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join(5)
        self._socket.close()

    def add(self, name, kind, data):
        self.records.setdefault((name, kind), []).append(data)

    def _serve(self):
        while True:
            query, peer = self._socket.recvfrom(4096)
            if not query:
                return
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
                at += 1 + query[at]
            name, kind = ".".join(labels), struct.unpack(">H", query[at + 1:at + 3])[0]
            self.asked.append((name, kind))
            found = self.records.get((name, kind), [])
            known = any(other == name for other, _ in self.records)
            reply = query[:2] + struct.pack(">HHHHH", 0x8180 | (0 if known else 3), 1, len(found), 0, 0)
            reply += query[12:at + 5]
            for data in found:
                reply += struct.pack(">HHHIH", 0xC00C, kind, 1, 60, len(data)) + data
            self._socket.sendto(reply, peer)
