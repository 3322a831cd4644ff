"""Kills, stops and records that kill: whatever dies, the output is what an undisturbed run writes."""

import json
import os
import signal
import sys
import time
import unittest
from pathlib import Path

from harness import BlockedCase, Case, LoudCase, SANITIZED, lines, zstd

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "soak"))

RECORDS = 60_000
LINES = lines({"n": n, "text": "x" * 40} for n in range(RECORDS))
BLOCKED = b'{"block":1}\n' + LINES


class Killed(BlockedCase):
    """A worker dies while the run is surely in its middle."""

    def start_blocked(self, **more):
        self.write("in.jsonl", BLOCKED)
        self.pipeline(steps=[self.child_step()], workers=1, **more)
        process = self.start_pipeline()
        self.wait_until_blocked(process)
        return process

    def test_each_worker_is_replaced_and_the_output_is_the_same(self):
        for role in ("filter", "processor", "reader", "writer"):
            for how in (signal.SIGKILL, signal.SIGTERM):
                with self.subTest(role=role, signal=how):
                    process = self.start_blocked()
                    pid = self.pid_of("leat-" + role)
                    os.unlink(self.folder / "started")
                    os.kill(pid, how)
                    self.hear(process, f"leat-{role} 0 (pid {pid})")
                    self.hear(process, "It is restarted")
                    self.open_gate()
                    run = self.finish(process)
                    self.assertEqual(run.code, 0, run.stderr)
                    self.assertSame(run.output(), BLOCKED)
                    self.assertEqual(run.counts(), (RECORDS + 1, RECORDS + 1, 0, 0))
                    self.assertNothingLeft()
                    self.close_gate()
                    self.start_over()

    def test_a_killed_leat_goes_on_with_the_next_run(self):
        process = self.start_blocked()
        process.kill()
        self.until(lambda: not self.processes(), "all processes are gone", 60 if SANITIZED else 5)
        run = self.finish(process)
        self.assertIsNone(run.output())
        self.open_gate()
        run = self.run_on()
        self.assertSame(run.output(), BLOCKED)
        self.assertNothingLeft()

    def close_gate(self):
        os.unlink(self.folder / "gate")
        os.mkfifo(self.folder / "gate")
        if (self.folder / "started").exists():
            os.unlink(self.folder / "started")


class Lost(Case):
    def test_batches_that_get_lost_in_a_way_nobody_foresaw_are_sent_again(self):
        for role in ("filter", "processor"):
            with self.subTest(role=role):
                self.write("in.jsonl", LINES)
                self.pipeline(steps=[{"drop": "/nothing"}], workers=2)
                run = self.run_pipeline(env={"LEAT_TEST_HOOKS": "1", f"LEAT_TEST_{role.upper()}_LOSES": "4"})
                self.assertIn("batches were lost on their way", run.stderr)
                self.assertEqual(run.counts(), (RECORDS, RECORDS, 0, 0))
                self.assertSame(run.output(), LINES)


class Poison(Case):
    """Three records among 100,000 that kill whoever works on them."""

    COUNT = 100_000 if not SANITIZED else 20_000

    def records(self, role):
        for n in range(self.COUNT):
            record = {"n": n}
            what = {self.COUNT // 4: "segfault", self.COUNT // 2: "abort", self.COUNT * 3 // 4: "loop"}.get(n)
            if what:
                record["leat_test"] = f"{role} {what}"
            yield record

    def check(self, role):
        self.write("in.jsonl", lines(self.records(role)))
        self.pipeline(steps=[{"drop": "/nothing"}], workers=2, process={"timeout": "1s"})
        since = time.monotonic()
        run = self.run_pipeline(env={"LEAT_TEST_HOOKS": "1"})
        took = time.monotonic() - since
        self.assertEqual(run.counts(), (self.COUNT, self.COUNT - 3, 0, 3))
        want = [record for record in self.records(role) if "leat_test" not in record]
        self.assertSame(run.output(), lines(want))
        dead = run.dead()
        self.assertEqual([json.loads(letter["record"])["n"] for letter in dead],
                         [self.COUNT // 4, self.COUNT // 2, self.COUNT * 3 // 4])
        # A sanitizer makes an exit of the first.
        segfault = "exited with" if SANITIZED else "SIGSEGV"
        for letter, reason in zip(dead, (segfault, "SIGABRT", "took longer than 1s (process.timeout)")):
            self.assertIn(reason, letter["reason"])
            self.assertEqual((letter["stage"], letter["attempts"]), (role, 3))
            self.assertEqual(letter["line"], json.loads(letter["record"])["n"] + 1)
        # Nine deaths, three of them after the timeout.
        self.assertLess(took, (9 * 2 + 3 * 1) * (4 if SANITIZED else 1))

    def test_records_that_kill_a_processor_become_dead_letters_and_the_rest_goes_through(self):
        self.check("processor")

    def test_records_that_kill_a_filter_become_dead_letters_and_the_rest_goes_through(self):
        self.check("filter")

    def test_many_records_of_one_batch_that_kill_become_dead_letters_each(self):
        count = 6
        self.write("in.jsonl", lines({"n": n, **({"leat_test": "processor abort"} if n % 10 == 5 else {})}
                                     for n in range(count * 10)))
        self.pipeline(steps=[{"drop": "/nothing"}])
        run = self.run_pipeline(env={"LEAT_TEST_HOOKS": "1"})
        self.assertEqual(run.counts(), (count * 10, count * 9, 0, count))
        self.assertEqual([letter["line"] for letter in run.dead()], [n * 10 + 6 for n in range(count)])


class Soaks(LoudCase):
    """The short forms of scripts/soak."""

    def run_soak(self, what, count, megabytes):
        import importlib

        import world
        with world.Folder(None) as folder:
            importlib.import_module(what).soak(folder, count, 1, megabytes, print)

    def test_sixty_kills(self):
        self.run_soak("kill", 60 if not SANITIZED else 10, 12)

    def test_ten_stops(self):
        self.run_soak("stop", 10 if not SANITIZED else 3, 12)

    def test_ten_power_cuts(self):
        import faultfs
        faultfs.skip_unless_fuse(self)
        self.run_soak("powercut", 10 if not SANITIZED else 3, 12)


if __name__ == "__main__":
    unittest.main(verbosity=2)
