# SPDX-License-Identifier: Apache-2.0
"""A godwit phone behind real NATs (nftables masquerade in two routers' namespaces); beyond them
Kamailio, a STUN server and a peer that sends to where SDP says and nowhere else, and no relay. The
call keeps its audio when the phone leaves one NAT for the other, and when a NAT forgets its mappings.
Nobody tells the phone of either.

Skipped, saying so, where nftables or conntrack is not installed or the kernel cannot translate.
"""

import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest

from harness import Kamailio, Phone, address, enter_namespace, main, note, version_of
from mobile import MobilePhone, ip


class StunServer:
    """RFC 8489: answers binding requests with XOR-MAPPED-ADDRESS, and knows nothing else."""

    COOKIE = 0x2112A442

    def __init__(self, test, host):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 3478))
        self.host = host
        self.running = True
        test.addCleanup(self.close)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while self.running:
            request, source = self.socket.recvfrom(2048)
            if len(request) < 20 or struct.unpack("!HHI", request[:8])[::2] != (1, self.COOKIE):
                continue
            port = source[1] ^ (self.COOKIE >> 16)
            seen = struct.unpack("!I", socket.inet_aton(source[0]))[0] ^ self.COOKIE
            mapped = struct.pack("!HHBBHI", 0x0020, 8, 0, 1, port, seen)
            self.socket.sendto(struct.pack("!HH", 0x0101, len(mapped)) + request[4:20] + mapped, source)

    def close(self):
        # An empty datagram ends it.
        self.running = False
        self.socket.sendto(b"", (self.host, 3478))
        self.thread.join(5)
        self.socket.close()


class Namespace:
    """A network namespace, which ends with the test."""

    def __init__(self, test):
        self.holder = subprocess.Popen(["unshare", "-n", "sleep", "600"])
        test.addCleanup(self.holder.wait)
        test.addCleanup(self.holder.terminate)
        own = pathlib.Path("/proc/self/ns/net").stat().st_ino
        while pathlib.Path(f"/proc/{self.holder.pid}/ns/net").stat().st_ino == own:
            time.sleep(0.01)
        self.pid = self.holder.pid
        self.ip("link", "set", "lo", "up")

    def run(self, *command, **options):
        return subprocess.run(["nsenter", "-t", str(self.pid), "-n", *command], check=True,
                              capture_output=True, text=True, **options)

    def ip(self, *arguments):
        ip(*arguments, inside=self.pid)

    def batch(self, *lines):
        self.run("ip", "-batch", "-", input="".join(line + "\n" for line in lines))


class Router(Namespace):
    """A home router: the phone's network inside, the world outside, masquerade between."""

    def __init__(self, test, name, number, phone):
        super().__init__(test)
        self.name = name
        self.inside = f"10.{number}.0"
        # To the world, which is where the test runs; two addresses, the first in use.
        self.outside = f"203.0.113.{number * 8 + 2}"
        self.further_outside = f"203.0.113.{number * 8 + 3}"
        self.world = f"203.0.113.{number * 8 + 1}"
        ip("link", "add", f"{name}-w", "type", "veth", "peer", "name", f"{name}-o")
        test.addCleanup(ip, "link", "del", f"{name}-w")
        ip("link", "set", f"{name}-o", "netns", str(self.pid))
        ip("address", "add", f"{self.world}/29", "dev", f"{name}-w")
        ip("link", "set", f"{name}-w", "up")
        self.ip("link", "add", f"{name}-i", "type", "veth", "peer", "name", name)
        self.ip("link", "set", name, "netns", str(phone.pid))
        self.batch(f"address add {self.inside}.1/24 dev {name}-i", f"link set {name}-i up",
                   f"address add {self.outside}/29 dev {name}-o", f"link set {name}-o up",
                   f"route add default via {self.world}")
        phone.ip("link", "set", name, "up")
        self.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        # Else a second address goes with the first, and masquerade drops what it maps to it, later.
        self.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/all/promote_secondaries")
        self.run("nft", "-f", "-", input=f"""
table ip nat {{
  chain post {{
    type nat hook postrouting priority srcnat;
    oifname "{name}-o" masquerade
  }}
}}
table ip filter {{
  chain input {{
    # Else a packet that comes too early would take the port that the phone's mapping is to have.
    type filter hook input priority filter;
    iifname "{name}-o" drop
  }}
  chain forward {{
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "{name}-i" accept
  }}
}}
""")

    def forget(self, address=None, sip_port=None, rtp_port=None):
        """All mappings are gone, as after a reboot. New ones have that address or, for what the phone
        sends from its port for SIP and from any other, these ports."""
        if address:
            self.ip("address", "replace", f"{address}/29", "dev", f"{self.name}-o")
            self.ip("address", "del", f"{self.outside}/29", "dev", f"{self.name}-o")
            self.ip("route", "replace", "default", "via", self.world)
            self.outside = address
        if sip_port:
            self.run("nft", "-f", "-", input=f"""
flush chain ip nat post
add rule ip nat post oifname "{self.name}-o" udp sport 5060 masquerade to :{sip_port}
add rule ip nat post oifname "{self.name}-o" udp sport != 5060 masquerade to :{rtp_port}
""")
        self.run("conntrack", "-F")


class PhoneNetwork(Namespace):
    """The phone's two links, each to a router."""

    def join(self, router, leave=None):
        lines = [f"address add {router.inside}.2/24 dev {router.name}"]
        if leave:
            lines.append(f"address del {leave.inside}.2/24 dev {leave.name}")
        self.batch(*lines, f"route replace default via {router.inside}.1")


def missing():
    """Why there can be no such test here; empty if there can."""
    for program in ("nft", "conntrack"):
        if not shutil.which(program):
            return f"{program} is not installed"
    probe = subprocess.run(
        ["unshare", "-n", "nft", "add table ip t; add chain ip t c "
         "{ type nat hook postrouting priority 100; }; add rule ip t c masquerade"],
        capture_output=True, text=True, check=False)
    return f"the kernel cannot translate: {probe.stderr.strip()}" if probe.returncode else ""


class NatTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        note(version_of("/usr/sbin/kamailio", "-v"))
        note(version_of("nft", "--version"))

    def setUp(self):
        self.network = PhoneNetwork(self)
        self.wifi = Router(self, "wifi", 1, self.network)
        self.lte = Router(self, "lte", 2, self.network)
        self.network.join(self.wifi)
        self.server = Kamailio(self)
        self.stun = StunServer(self, address())

    def pair(self, caller="alice", stun=True):
        """alice behind the NAT, in a call with bob, who sends to where SDP says and nowhere else."""
        proxy = f"sip:{self.server.host}"
        self.bob = Phone(self, "bob", address(), "--registrar", proxy, "--proxy", proxy, "--auto-answer",
                         "--no-latch", "--source", "tone:500", host=self.server.host,
                         password=Kamailio.USERS["bob"])
        flags = ["--stun-server", f"{self.stun.host}:3478"] if stun else []
        self.alice = MobilePhone(self, self.network, "alice", "--proxy", proxy, "--source", "tone:440",
                                 "--auto-answer", *flags, host=self.server.host,
                                 password=Kamailio.USERS["alice"])
        self.bob.wait_for_event("registration", state="registered")
        self.registered_as(self.wifi.outside, 5060)
        callee = "bob" if caller == "alice" else "alice"
        getattr(self, caller).command(f"call {callee}")
        for phone in (self.alice, self.bob):
            phone.wait_for_event("call_state", state="confirmed")

    def registered_as(self, host, port):
        """Waits, since alice's mark()."""
        self.alice.wait_for_event("registration", state="registered",
                                  contact=f"sip:alice@{host}:{port}")

    def both_hear(self):
        self.alice.hears()
        self.bob.hears()

    def told(self):
        """Where bob was last told to send his audio: address and port."""
        host, _, port = self.bob.events("call_media")[-1]["remote"].rpartition(":")
        return host, int(port)

    def end(self):
        """The peer hangs up: what he sends reaches the phone, and it was one call all along."""
        self.assertEqual(self.alice.events("call_state", state="ended"), [])
        self.bob.command("hangup")
        self.alice.wait_for_event("call_state", state="ended")
        for phone in (self.alice, self.bob):
            self.assertEqual(len(phone.events("call_state", state="confirmed")), 1)

    def move(self):
        self.assertEqual(self.told()[0], self.wifi.outside)
        self.both_hear()
        self.alice.mark()
        self.network.join(self.lte, leave=self.wifi)
        report = self.alice.wait_for_change()
        self.assertEqual([call["survived"] for call in report["calls"]], [True])
        self.registered_as(self.lte.outside, 5060)
        self.both_hear()
        self.assertEqual(self.told()[0], self.lte.outside)
        self.end()

    def test_a_call_moves_from_one_nat_to_another(self):
        self.pair()
        self.move()

    def test_a_call_from_outside_moves_from_one_nat_to_another(self):
        self.pair(caller="bob")
        self.move()

    def test_mappings_that_are_dropped_and_come_back_with_other_ports_are_told(self):
        self.pair()
        self.both_hear()
        self.assertNotEqual(self.told(), (self.wifi.outside, 41000))
        self.alice.mark()
        self.wifi.forget(sip_port=15060, rtp_port=41000)
        self.registered_as(self.wifi.outside, 15060)
        self.both_hear()
        self.assertEqual(self.told(), (self.wifi.outside, 41000))
        self.end()

    def test_mappings_that_are_dropped_with_the_address_are_told(self):
        self.pair()
        self.both_hear()
        before = self.wifi.outside
        self.assertEqual(self.told()[0], before)
        self.alice.mark()
        self.wifi.forget(address=self.wifi.further_outside)
        self.registered_as(self.wifi.further_outside, 5060)
        self.both_hear()
        self.assertEqual(self.told()[0], self.wifi.further_outside)
        self.assertNotEqual(self.told()[0], before)
        self.end()

    def test_mappings_that_come_back_as_they_were_need_nothing(self):
        self.pair()
        self.both_hear()
        descriptions = len(self.bob.events("call_media"))
        self.wifi.forget()
        self.both_hear()
        self.assertEqual(len(self.bob.events("call_media")), descriptions)
        # The mapping of SIP comes back with the phone's next request or keep-alive.
        self.alice.command("hangup")
        self.bob.wait_for_event("call_state", state="ended")

    def test_without_stun_such_a_peer_is_not_heard(self):
        """What the others rest upon: this peer does not latch, and nothing relays."""
        self.pair(stun=False)
        self.bob.hears()
        self.assertEqual(self.told()[0], f"{self.wifi.inside}.2")
        self.alice.mark()
        statistics = self.alice.wait_for_event("call_statistics")
        self.assertFalse(statistics["packets_received"])
        self.end()


if __name__ == "__main__":
    enter_namespace()
    reason = missing()
    if reason:
        print(f"skipped: {reason}", flush=True)
        sys.exit(77)
    main()
