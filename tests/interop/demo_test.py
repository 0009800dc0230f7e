# SPDX-License-Identifier: Apache-2.0
"""`godwit demo --degraded`, as it runs where namespaces are not allowed: what it shows, what it does
not claim, and what it says when it was not shown."""

import json
import os
import pathlib
import signal
import unittest

from harness import GODWIT, LIMIT, Process, main


class DegradedDemoTest(unittest.TestCase):
    def start(self, *flags):
        return Process(self, [GODWIT, "demo", "--degraded", "--json", *flags])

    def children(self, pid):
        """Whichever of its threads started them."""
        return [int(child) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
                for child in (task / "children").read_text(encoding="ascii").split()]

    def test_keeps_the_call_and_never_says_pass(self):
        demo = self.start("--moves", "3")
        self.assertEqual(demo.wait(LIMIT), 3)
        told = json.loads(demo.lines[-1])
        self.assertEqual(told["result"], "degraded")
        self.assertIn("--degraded", told["why"])
        self.assertIn("detection", told["not_proven"])
        self.assertEqual(len(told["moves"]), 3)
        for move in told["moves"]:
            self.assertEqual([call["survived"] for call in move["calls"]], [True])
            steps = {step["kind"]: step["ok"] for step in move["steps"]}
            for kind in ("contact_updated", "call_refreshed", "call_audible"):
                self.assertTrue(steps.get(kind), move)
        # Each move leads to where the one before began.
        places = [(call["old_local"].split(":")[0], call["new_local"].split(":")[0])
                  for move in told["moves"] for call in move["calls"]]
        self.assertEqual(places[1], places[0][::-1])
        self.assertEqual(places[2], places[0])
        self.assertNotIn("PASS", "\n".join(demo.lines + demo.errors))

    def test_a_call_that_is_lost_is_a_failure(self):
        """The callee's process ends in the middle: nobody says that the call was kept."""
        demo = self.start("--moves", "3")
        demo.wait_for_line("move 2")
        callees = [pid for pid in self.children(demo.child.pid)
                   if b"--auto-answer" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()]
        self.assertEqual(len(callees), 1)
        os.kill(callees[0], signal.SIGTERM)
        self.assertEqual(demo.wait(LIMIT), 1)
        self.assertEqual(json.loads(demo.lines[-1])["result"], "FAIL")

    def test_an_interrupted_one_is_a_failure(self):
        demo = self.start("--moves", "50")
        demo.wait_for_line("move 1")
        demo.child.send_signal(signal.SIGINT)
        self.assertEqual(demo.wait(LIMIT), 1)
        self.assertEqual(json.loads(demo.lines[-1])["result"], "FAIL")


if __name__ == "__main__":
    main()
