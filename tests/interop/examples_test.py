# SPDX-License-Identifier: Apache-2.0
"""The programs in examples/ do what they say, against `godwit serve` and its echo parties."""

import json
import os
import pathlib
import subprocess
import unittest

from harness import GODWIT, LIMIT, Process, address, main

EXAMPLES = pathlib.Path(os.environ.get("EXAMPLES", "build/release/examples"))


class ExamplesTest(unittest.TestCase):
    def setUp(self):
        self.host = address()
        self.server = Process(self, [GODWIT, "serve", "--listen", self.host, "--events", "json", "--user",
                                     "alice:wonderland", "--echo", "echo", "--echo", "mirror"])
        self.server.wait_for_line('"ready"')
        self.old = address()
        self.new = address()

    def run_example(self, name, *callees):
        done = subprocess.run(
            [EXAMPLES / f"example_{name}", f"sip:alice@{self.host}", "wonderland",
             *(f"sip:{callee}@{self.host}" for callee in callees), self.old, self.new],
            capture_output=True, text=True, timeout=3 * LIMIT, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def only(self, events, name, **members):
        found = [event for event in events if event["event"] == name
                 and all(event.get(key) == value for key, value in members.items())]
        self.assertEqual(len(found), 1, (name, members, events))
        return found[0]

    def contacts(self, events):
        return [event["contact"] for event in events
                if event["event"] == "registration" and event["state"] == "registered"]

    def test_step_by_step(self):
        events = self.run_example("step_by_step", "echo")
        self.assertIn(self.old, self.contacts(events)[0])
        self.assertIn(self.new, self.contacts(events)[-1])
        self.assertTrue(self.only(events, "call_refreshed")["ok"])
        media = [event for event in events if event["event"] == "call_media"]
        self.assertIn(self.old, media[0]["local"])
        self.assertIn(self.new, media[-1]["local"])

    def test_target_then_media(self):
        events = self.run_example("target_then_media", "echo")
        first, second = [event for event in events if event["event"] == "call_refreshed"]
        self.assertEqual((first["ok"], first["method"]), (True, "update"))
        self.assertTrue(second["ok"])
        media = [event for event in events if event["event"] == "call_media"]
        self.assertIn(self.new, media[-1]["local"])
        self.assertTrue(media[-1]["held_by_us"])

    def test_hang_up_selected(self):
        events = self.run_example("hang_up_selected", "echo", "mirror")
        ended = [event for event in events if event["event"] == "call_state" and event["state"] == "ended"]
        self.assertEqual([event["call"] for event in ended], [2, 1])
        self.assertTrue(self.only(events, "call_refreshed", call=1)["ok"])

    def test_usage_is_told(self):
        for name in ("step_by_step", "target_then_media", "hang_up_selected", "roaming_call"):
            done = subprocess.run([EXAMPLES / f"example_{name}"], capture_output=True, text=True,
                                  timeout=LIMIT, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertIn("usage:", done.stderr)


if __name__ == "__main__":
    main()
