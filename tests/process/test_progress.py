"""What would stand still for ever ends, and says at which batch; what only takes its time does not."""
import json
import os
import unittest

from harness import Case, lines
from leatd import LeatdCase

HOOKS = {"LEAT_TEST_HOOKS": "1"}
RECORDS = [{"n": n, "text": "x" * 400} for n in range(2000)]


class Progress(Case):
    def test_a_batch_that_never_arrives_ends_the_run_and_is_named(self):
        content = lines(RECORDS[:1000] + [{"n": 1000, "leat_test": "processor lose"}] + RECORDS[1001:])
        self.write("in.jsonl", content)
        self.pipeline(steps=[{"drop": ["/text"]}])
        run = self.leat("run", "pipeline.yaml", "--runtime-dir", self.runtime, code=70, env=HOOKS)
        self.assertIn("in.jsonl line ", run.stderr)
        self.assertIn("sent again 3 times", run.stderr)
        first, last = run.stderr.split("in.jsonl line ")[1].split(",")[0].split(" to ")
        self.assertLessEqual(int(first), 1001)
        self.assertGreaterEqual(int(last), 1001)
        self.assertEqual(self.processes(), {})
        run = self.run_on()
        without = [{key: value for key, value in json.loads(line).items() if key != "text"} for line in content.splitlines()]
        self.assertSame(run.output(), lines(without))

    def test_credits_that_never_come_back_end_the_run(self):
        self.write("in.jsonl", lines(RECORDS * 20))
        self.pipeline(steps=[{"drop": ["/text"]}], workers=1)
        run = self.leat("run", "pipeline.yaml", "--runtime-dir", self.runtime, code=70,
                        env={**HOOKS, "LEAT_TEST_PROCESSOR_OWES": "1", "LEAT_TEST_NO_PROGRESS_MS": "2000"})
        self.assertIn("no progress for 2s: ", run.stderr)
        self.assertIn("filter-0 is blocked", run.stderr)
        self.assertIn("in.jsonl line ", run.stderr)

    def test_a_record_within_its_time_is_no_standstill(self):
        child = self.write("child.py", "import sys, time\nfor line in sys.stdin:\n    time.sleep(3)\n    print(line, end='', flush=True)\n")
        self.write("in.jsonl", b'{"n":1}\n')
        self.pipeline(steps=[{"exec": {"command": ["python3", str(child)]}}])
        run = self.run_pipeline(env={**HOOKS, "LEAT_TEST_NO_PROGRESS_MS": "500"})
        self.assertEqual(run.output(), b'{"n":1}\n')


class Daemon(LeatdCase):
    def test_a_pipeline_that_stands_still_fails_with_the_reason_and_rests(self):
        self.pipeline(process={"workers": 1})
        self.start_leatd(LEAT_TEST_HOOKS=1, LEAT_TEST_PROCESSOR_OWES=1, LEAT_TEST_NO_PROGRESS_MS=1000)
        self.feed("a.jsonl", self.numbers(20_000))
        self.until(lambda: self.said().count("pipeline-starts") >= 3, "it was tried again twice")
        failed = [line for line in self.said().splitlines() if "pipeline-failed" in line]
        self.assertIn("a.jsonl line ", failed[0])
        self.assertIn("exit=70", failed[0])
        self.until(lambda: self.status()["state"] == "waiting", "it waits")
        self.assertIn("no progress", self.status()["message"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
