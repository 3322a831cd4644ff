"""Signals and deaths in the middle of a run: what is said, what stays and what goes."""

import os
import signal
import time
import unittest

from harness import BlockedCase, SANITIZED, lines

LINES = lines({"n": n, "text": "x" * 40} for n in range(60_000))
BLOCKED = b'{"block":1}\n' + LINES  # many times what is on its way while the first batch is not answered
ALONE = lines([{"block": 1, "text": "x" * 30_000}]) + LINES  # the record that blocks is a batch of its own

SLOW_CHILD = """
import os, sys, time
for line in sys.stdin:
    if os.path.exists("slow"):
        time.sleep(0.05)
    print(line, end="", flush=True)
"""

# A record comes a second time when its batch was cut before it: the writer has what is before it, and waits for the rest.
GROWING_CHILD = """
import json, os, sys
seen = set()
for line in sys.stdin:
    n = json.loads(line)["n"]
    if n > 0 and n in seen and not os.path.exists("started"):
        with open("started.new", "w") as started:
            started.write(str(os.getpid()))
        os.rename("started.new", "started")
        open("gate").read()
    seen.add(n)
    print('{"n":%d,"big":"%s"}' % (n, "y" * (20000 if n else 200000)), flush=True)
"""


FEW = range(1, 100)  # the record at hand, and what was through before the stop was heard of: not the window


class Stop(BlockedCase):
    def start_blocked(self, *arguments, content=BLOCKED, **more):
        self.write("in.jsonl", content)
        self.pipeline(steps=[self.child_step()], workers=1, **more)
        process = self.start_pipeline(*arguments)
        self.wait_until_blocked(process)
        return process

    def assertGone(self, process, code, output=None):
        run = self.finish(process)
        self.assertEqual(run.code, code, run.stderr)
        self.assertEqual(run.output(), output)
        self.assertNothingLeft()
        return run

    def test_a_signal_finishes_the_record_at_hand_and_the_next_run_goes_on(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number):
                process = self.start_blocked(content=ALONE)
                process.send_signal(number)
                self.hear(process, "stopping")
                self.open_gate()
                run = self.assertGone(process, 75)
                self.assertIn("run again to continue", run.stderr)
                self.assertTrue(run.summary["stopped"])
                self.assertEqual(run.summary["outputs"], [])
                self.assertIn(run.summary["in"], FEW)
                before = run.summary["in"]
                run = self.run_on()
                self.assertSame(run.output(), ALONE)
                self.assertEqual(before + run.summary["in"], ALONE.count(b"\n"))
                os.unlink(self.folder / "started")
                os.unlink(self.folder / "gate")
                os.mkfifo(self.folder / "gate")
                self.start_over()

    def test_a_stop_of_fresh_and_force_says_what_continues_it(self):
        self.write("out.jsonl", b"of before\n")
        process = self.start_blocked("--fresh", "--force")
        process.send_signal(signal.SIGTERM)
        run = self.assertGone(process, 75, output=b"of before\n")
        self.assertIn("run again with --force and without --fresh and --reread to continue", run.stderr)
        self.open_gate()
        self.assertSame(self.run_on(None, "--force").output(), BLOCKED)

    def test_a_stop_of_a_run_with_a_state_folder_names_it(self):
        elsewhere = str(self.folder / "else where")
        process = self.start_blocked("--state", elsewhere)
        process.send_signal(signal.SIGTERM)
        run = self.assertGone(process, 75)
        self.assertIn(f"run again with --state '{elsewhere}' to continue", run.stderr)

    def test_a_batch_that_would_take_long_is_let_go(self):
        process = self.start_blocked()
        since = time.monotonic()
        process.send_signal(signal.SIGTERM)
        run = self.assertGone(process, 75)
        self.assertLess(time.monotonic() - since, 20)  # the gate is shut
        self.assertNotIn("stopped at once", run.stderr)
        self.assertEqual(run.summary["in"], 0)
        self.open_gate()
        self.assertSame(self.run_on().output(), BLOCKED)

    def test_a_slow_step_is_not_waited_for(self):
        self.write("in.jsonl", LINES)
        self.write("child.py", SLOW_CHILD)
        self.write("slow", "")
        self.pipeline(steps=[self.child_step()], limits={"commit": {"interval": "100ms"}})
        process = self.start_pipeline()
        self.until(lambda: self.sources().get("in.jsonl", {}).get("lines", 0) > 0, "the first commit", run=process)
        since = time.monotonic()
        process.send_signal(signal.SIGTERM)
        run = self.assertGone(process, 75)
        self.assertLess(time.monotonic() - since, 20)  # the window would take minutes
        os.unlink(self.folder / "slow")
        first = run.summary["in"]
        run = self.run_on()
        self.assertSame(run.output(), LINES)
        self.assertEqual(first + run.summary["in"], 60_000)

    def test_in_the_middle_of_a_batch_that_was_cut_nothing_is_lost_or_doubled(self):
        self.write("child.py", GROWING_CHILD)
        content = b"".join(b"bad\n" if n % 7 == 3 else b'{"n":%d}\n' % n for n in range(300))
        for opened in (False, True):
            with self.subTest(opened=opened):
                process = self.start_blocked(content=content, limits={"commit": {"interval": "10ms"}})
                self.assertGreater((self.folder / ".out.jsonl.leat-tmp").stat().st_size, 200_000)  # what is to be cut back
                process.send_signal(signal.SIGTERM)
                self.hear(process, "stopping")
                if opened:
                    self.open_gate()
                run = self.assertGone(process, 75)
                self.open_gate()
                before = run.summary["in"]
                run = self.run_on()
                self.assertSame(run.output(), b"".join(
                    b'{"n":%d,"big":"%s"}\n' % (n, b"y" * (20000 if n else 200000)) for n in range(300) if n % 7 != 3))
                self.assertEqual([letter["line"] for letter in run.dead()], list(range(4, 301, 7)))
                self.assertEqual(before + run.summary["in"], 300)
                os.unlink(self.folder / "started")
                os.unlink(self.folder / "gate")
                os.mkfifo(self.folder / "gate")
                self.start_over()

    def test_a_hung_child_is_killed_when_its_time_is_up(self):
        self.write("in.jsonl", ALONE)
        step = self.child_step()
        step["exec"]["timeout"] = "2s"
        self.pipeline(steps=[step], workers=1, process={"timeout": "2s"})
        process = self.start_pipeline()
        self.wait_until_blocked(process)
        process.send_signal(signal.SIGTERM)
        self.assertGone(process, 75)
        self.open_gate()
        self.assertSame(self.run_on().output(), ALONE)

    def test_two_signals_in_a_moment_are_one(self):
        process = self.start_blocked(content=ALONE)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        self.hear(process, "stopping")
        process.send_signal(signal.SIGINT)
        self.open_gate()
        run = self.assertGone(process, 75)
        self.assertNotIn("stopped at once", run.stderr)
        self.assertIn(run.summary["in"], FEW)

    def test_a_writer_that_is_killed_while_it_stops_loses_nothing(self):
        process = self.start_blocked(content=ALONE)
        process.send_signal(signal.SIGTERM)
        self.hear(process, "stopping")
        os.kill(self.pid_of("leat-writer"), signal.SIGKILL)
        self.assertEqual(self.finish(process).code, 75)
        self.open_gate()
        self.assertSame(self.run_on().output(), ALONE)

    def test_a_second_signal_stops_at_once(self):
        process = self.start_blocked(content=ALONE)
        process.send_signal(signal.SIGINT)
        self.hear(process, "stopping")
        time.sleep(0.6)  # within half a second it would be the same request
        since = time.monotonic()
        process.send_signal(signal.SIGINT)
        run = self.assertGone(process, 75)
        self.assertLess(time.monotonic() - since, 20)  # the gate is shut: it did not wait for the window
        self.assertIn("at once", run.stderr)

    def test_outputs_of_finished_sources_stay(self):
        self.write("in/a.jsonl", LINES[:1000].rpartition(b"\n")[0] + b"\n")
        self.write("in/b.jsonl", BLOCKED)
        self.pipeline(paths="in/*", steps=[self.child_step()], workers=1, out="{stem}.out")
        process = self.start_pipeline()
        self.wait_until_blocked(process)
        process.send_signal(signal.SIGINT)
        run = self.assertGone(process, 75)
        self.assertEqual(run.output("a.out"), (self.folder / "in/a.jsonl").read_bytes())
        self.assertIsNone(run.output("b.out"))
        self.assertEqual([output["path"] for output in run.summary["outputs"]], [str(self.folder / "a.out")])

    def test_nothing_outlives_leat(self):
        process = self.start_blocked()
        self.assertEqual(len(self.processes()), 7)  # leat, four workers, the child and its keeper
        process.kill()
        self.until(lambda: not self.processes(), "all processes are gone", 60 if SANITIZED else 5)
        run = self.finish(process)
        self.assertIsNone(run.output())
        self.assertTrue(list(self.runtime.iterdir()), "expected a stale runtime folder to be left")
        self.open_gate()
        self.assertSame(self.run_on().output(), BLOCKED)

    def test_a_child_that_ignores_signals_goes_with_leat(self):
        text = (self.folder / "child.py").read_text()
        self.write("child.py", "import signal\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\n" + text)
        process = self.start_blocked()
        process.send_signal(signal.SIGINT)
        self.assertGone(process, 75)

    def test_a_signal_while_nobody_reads_the_sink(self):
        os.mkfifo(self.folder / "pipe")
        self.write("in.jsonl", LINES * 3)
        self.pipeline(out="pipe")
        process = self.start_pipeline()
        sink = os.open(self.folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, sink)
        self.until(lambda: self.waiting_in(sink) >= 65536 - 4096, "the pipe is full")
        process.send_signal(signal.SIGINT)
        self.hear(process, "stopping")
        time.sleep(0.6)  # within half a second it would be the same request
        process.send_signal(signal.SIGINT)
        run = self.finish(process)
        self.assertEqual(run.code, 75, run.stderr)
        self.assertNothingLeft()

    @staticmethod
    def waiting_in(fd):
        import fcntl
        import struct
        import termios

        return struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0\0\0\0"))[0]


if __name__ == "__main__":
    unittest.main(verbosity=2)
