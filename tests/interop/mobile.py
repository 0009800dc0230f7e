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

    NETWORKS = {"wifi": "10.1.0", "lte": "10.2.0"}

    def __init__(self, test):
        self.holder = subprocess.Popen(["unshare", "-n", "sleep", "600"])
        test.addCleanup(self.holder.wait)
        test.addCleanup(self.holder.terminate)
        own = pathlib.Path("/proc/self/ns/net").stat().st_ino
        while pathlib.Path(f"/proc/{self.holder.pid}/ns/net").stat().st_ino == own:
            time.sleep(0.01)
        for name, prefix in self.NETWORKS.items():
            ip("link", "add", f"{name}-far", "type", "veth", "peer", "name", name)
            test.addCleanup(ip, "link", "del", f"{name}-far")
            ip("link", "set", name, "netns", str(self.holder.pid))
            ip("address", "add", f"{prefix}.1/24", "dev", f"{name}-far")
            ip("link", "set", f"{name}-far", "up")
            ip("link", "set", name, "up", inside=self.holder.pid)
        ip("link", "set", "lo", "up", inside=self.holder.pid)
        self.batch(f"address add {self.address('wifi')}/24 dev wifi",
                   f"route replace default via {self.gateway('wifi')}")

    def address(self, name):
        return self.NETWORKS[name] + ".2"

    def gateway(self, name):
        return self.NETWORKS[name] + ".1"

    def batch(self, *lines):
        """Inside, all at once."""
        subprocess.run(["nsenter", "-t", str(self.holder.pid), "-n", "ip", "-batch", "-"], text=True,
                       input="".join(line + "\n" for line in lines), check=True)

    def move(self, old, new):
        """At once, as a device that leaves one network for another."""
        self.batch(f"address add {self.address(new)}/24 dev {new}",
                   f"address del {self.address(old)}/24 dev {old}",
                   f"route replace default via {self.gateway(new)}")


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
