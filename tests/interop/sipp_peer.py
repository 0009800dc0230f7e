# SPDX-License-Identifier: Apache-2.0
"""SIPp as the other side of a godwit phone. Its scenarios check what they receive, and its exit status
is their verdict."""

import pathlib
import shutil
import tempfile
import unittest

from harness import HERE, Phone, Process, address, note, version_of


class SippCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        note(version_of("sipp", "-v"))

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="godwit-sipp-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def sipp(self, scenario, host, *arguments, calls=1, limit=30):
        """Runs a scenario at that address; for at most `limit` seconds."""
        # The screen goes to a file: SIPp draws it even without a terminal.
        return Process(self, ["sipp", *arguments, "-sf", HERE / "sipp" / scenario, "-i", host, "-p", "5060",
                              "-mi", host, "-m", str(calls), "-nostdin", "-timeout", f"{limit}s", "-timeout_error",
                              "-trace_err", "-error_file", self.folder / f"{scenario}.log"],
                       cwd=self.folder)

    def assert_passed(self, *peers, limit=40):
        for sipp in peers:
            status = sipp.wait(limit)
            errors = [file.read_text(errors="replace") for file in self.folder.glob("*.log")]
            self.assertEqual(status, 0, "".join(errors))

    def called_by(self, scenario, *flags):
        """SIPp calls a phone."""
        phone = Phone(self, "alice", address(), "--no-register", *flags)
        sipp = self.sipp(scenario, address(), "-s", "alice", phone.uri.split("@")[1])
        return phone, sipp

    def calling(self, scenario, *flags):
        """A phone calls SIPp."""
        host = address()
        sipp = self.sipp(scenario, host)
        phone = Phone(self, "alice", address(), "--no-register", *flags)
        # SIPp needs a moment to open its socket; until then INVITE is repeated.
        phone.command(f"call sip:sipp@{host}")
        return phone, sipp
