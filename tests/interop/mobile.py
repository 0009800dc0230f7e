# SPDX-License-Identifier: Apache-2.0
"""A network of its own for a phone, with two links of which it can leave one for the other while the
servers stay where they are. Needs harness.enter_namespace()."""

import os
import pathlib
import subprocess
import time

from harness import GODWIT, Phone, Process


def ip(*arguments, inside=None):
    prefix = ["nsenter", "-t", str(inside), "-n"] if inside else []
    subprocess.run(prefix + ["ip", *arguments], check=True)


class Mobile:
    """A network namespace with two links, wifi and lte; at first only wifi has its address."""

    NETWORKS = {"wifi": 1, "lte": 2}

    def __init__(self, test, wifi=4, lte=4):
        """The families of the two."""
        self.families = {"wifi": wifi, "lte": lte}
        self.holder = subprocess.Popen(["unshare", "-n", "sleep", "600"])
        test.addCleanup(self.holder.wait)
        test.addCleanup(self.holder.terminate)
        own = pathlib.Path("/proc/self/ns/net").stat().st_ino
        while pathlib.Path(f"/proc/{self.holder.pid}/ns/net").stat().st_ino == own:
            time.sleep(0.01)
        for name in self.NETWORKS:
            ip("link", "add", f"{name}-far", "type", "veth", "peer", "name", name)
            test.addCleanup(ip, "link", "del", f"{name}-far")
            ip("link", "set", name, "netns", str(self.holder.pid))
            ip("link", "set", f"{name}-far", "up")
            ip("address", "add", f"{self.gateway(name)}/{self.length(name)}", "dev", f"{name}-far",
               *self.nodad(name))
            ip("link", "set", name, "up", inside=self.holder.pid)
        ip("link", "set", "lo", "up", inside=self.holder.pid)
        self.batch(*self.coming("wifi"))

    def _host(self, name, number):
        network = self.NETWORKS[name]
        return f"10.{network}.0.{number}" if self.families[name] == 4 else f"2001:db8:{network}::{number}"

    def address(self, name):
        return self._host(name, 2)

    def gateway(self, name):
        return self._host(name, 1)

    def length(self, name):
        return 24 if self.families[name] == 4 else 64

    def nodad(self, name):
        return ["nodad"] if self.families[name] == 6 else []

    def coming(self, name):
        """What makes the network the one that is used, for batch()."""
        return [" ".join([f"address add {self.address(name)}/{self.length(name)} dev {name}",
                          *self.nodad(name)]),
                f"route replace default via {self.gateway(name)}"]

    def going(self, name):
        """IPv4 routes go with their address; IPv6 ones stay behind and are taken out."""
        lines = [f"address del {self.address(name)}/{self.length(name)} dev {name}"]
        if self.families[name] == 6:
            lines.insert(0, f"route del default via {self.gateway(name)} dev {name}")
        return lines

    def have_both(self):
        """Both networks are there, of IPv4, and wifi is preferred."""
        self.batch(f"route replace default via {self.gateway('wifi')} metric 100",
                   f"route del default via {self.gateway('wifi')} metric 0",
                   f"address add {self.address('lte')}/24 dev lte",
                   f"route add default via {self.gateway('lte')} metric 200")

    def batch(self, *lines):
        """Inside, all at once."""
        subprocess.run(["nsenter", "-t", str(self.holder.pid), "-n", "ip", "-batch", "-"], text=True,
                       input="".join(line + "\n" for line in lines), check=True)

    def move(self, old, new):
        """At once, as a device that leaves one network for another."""
        if self.families[old] == self.families[new] == 4:
            address, route = self.coming(new)
            self.batch(address, *self.going(old), route)
            return
        # With both of one family, the new default route replaces the old one.
        same = self.families[old] == self.families[new]
        self.batch(*self.coming(new), *self.going(old)[1 if same else 0:])


class MobilePhone(Phone):
    """A godwit phone in that namespace, which follows the routes."""

    def __init__(self, test, mobile, user, *flags, host, password):
        environment = dict(os.environ, GODWIT_PASSWORD=password)
        Process.__init__(
            self, test, ["nsenter", "-t", mobile.holder.pid, "-n", GODWIT, "phone", "--account",
                         f"sip:{user}@{host}", "--sip-port", "5060", "--events", "json",
                         "--state-dir", "", *flags], env=environment)
        self._seen = 0
        self.wait_for_event("ready")
