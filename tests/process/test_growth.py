"""Records that grow on their way: limits.memory is kept, nothing waits for ever, and the bytes are the same."""

import hashlib
import os
import signal
import sys
import unittest

from harness import SANITIZED, Case

GROW = """import json, sys
big = 'y' * int(sys.argv[1])
members = int(sys.argv[2])
for line in sys.stdin:
    n = json.loads(line)['n']
    made = ['{"n":%d,"big":"%s"}' % (n, big)] * max(members, 1)
    print('[' + ','.join(made) + ']' if members else made[0], flush=True)
"""
MEMORY = 64 << 20


def lines(count):
    return b"".join(b'{"n":%d}\n' % n for n in range(count))


def pss(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            return next(int(line.split()[1]) for line in file if line.startswith(b"Pss:")) * 1024
    except (OSError, StopIteration):
        return 0  # it has ended


class Growth(Case):
    def check(self, run, count, want):
        """want: the lines that record n becomes."""
        self.assertEqual(run.code, 0, run.stderr)
        expected = hashlib.sha256()
        for n in range(count):
            expected.update(want(n))
        with open(self.folder / "out.jsonl", "rb") as file:
            found = hashlib.file_digest(file, "sha256") if sys.version_info >= (3, 11) else hashlib.sha256(file.read())
        self.assertEqual(found.hexdigest(), expected.hexdigest())
        if not SANITIZED:
            self.assertLess(run.summary["peak_memory_bytes"], MEMORY)

    def test_a_set_that_makes_records_many_times_larger(self):
        self.write("in.jsonl", lines(3000))
        for grown, workers in ((1, 1), (1000, 1), (1000, 4), (100_000, 4)):
            count = 3000 if grown < 100_000 else 600
            with self.subTest(grown=grown, workers=workers):
                self.write("in.jsonl", lines(count))
                self.pipeline(steps=[{"set": {"/big": "y" * grown}}], workers=workers)
                run = self.run_pipeline()
                self.check(run, count, lambda n: b'{"n":%d,"big":"%s"}\n' % (n, b"y" * grown))

    def test_sixteen_processors_whose_copies_of_a_value_take_what_memory_there_is(self):
        self.write("in.jsonl", b"".join(b'{"n":%d,"t":"0123456789"}\n' % n for n in range(200)))
        self.pipeline(steps=[{"replace": {"field": "/t", "pattern": ".", "with": "y" * 50_000}}], workers=16, limits={"batch": "64KiB"},
                      source={"compression": "none"}, sink={"compression": "none"})
        process, peak = self.start_pipeline(), 0

        def ended():
            nonlocal peak
            peak = max(peak, sum(map(pss, self.processes())))  # more often than leat itself looks
            return process.poll() is not None
        self.until(ended, "its end")
        self.check(self.finish(process), 200, lambda n: b'{"n":%d,"t":"%s"}\n' % (n, b"y" * 500_000))
        if not SANITIZED:
            self.assertLess(peak, MEMORY)

    def test_answers_of_a_child_and_their_arrays(self):
        script = self.write("grow.py", GROW)
        for grown, members in ((20_000, 0), (500, 40)):
            with self.subTest(grown=grown, members=members):
                self.write("in.jsonl", lines(1500))
                self.pipeline(steps=[{"exec": {"command": ["python3", str(script), str(grown), str(members)]}}])
                run = self.run_pipeline()
                self.check(run, 1500, lambda n: b'{"n":%d,"big":"%s"}\n' % (n, b"y" * grown) * max(members, 1))
                self.assertNotIn("restarts", run.stderr)

    def test_a_flood_of_rejects_is_as_many_dead_letters(self):
        self.write("in.jsonl", b"x\n" * 300_000 + b'{"n":1}\n')
        self.pipeline(source={"max_record": "1KiB"}, limits={"batch": "1MiB"})
        run = self.run_pipeline()
        self.assertEqual(run.code, 0, run.stderr)
        self.assertEqual(run.counts(), (300_001, 1, 0, 300_000))
        self.assertEqual(run.output(), b'{"n":1}\n')
        dead = run.dead()
        self.assertEqual([letter["line"] for letter in dead], list(range(1, 300_001)))
        self.assertEqual({letter["record"] for letter in dead}, {"x"})

    def test_a_result_over_its_bound_is_a_dead_letter_with_its_size(self):
        self.write("in.jsonl", b'{"a":"%s"}\n{"a":"aa"}\n' % (b"a" * 2_000_000))
        self.pipeline(steps=[{"replace": {"field": "/a", "pattern": "", "with": "x" * 100}}])
        run = self.run_pipeline()
        self.assertEqual(run.code, 0, run.stderr)
        self.assertEqual(run.output(), b'{"a":"%sa%sa%s"}\n' % ((b"x" * 100,) * 3))
        (letter,) = run.dead()
        self.assertEqual(letter["line"], 1)
        self.assertRegex(letter["reason"], "its result takes over 167[0-9]+ bytes; 16777216 are allowed")

    def test_small_records_and_a_cap_below_what_they_become(self):
        self.write("in.jsonl", lines(2000))
        self.pipeline(source={"max_record": "64KiB"}, steps=[{"set": {"/big": "y" * 20_000}}], workers=1)
        self.check(self.run_pipeline(), 2000, lambda n: b'{"n":%d,"big":"%s"}\n' % (n, b"y" * 20_000))

    def test_processors_that_die_between_parts_cost_nothing(self):
        count, grown = 4000, 20_000
        self.write("in.jsonl", lines(count))
        self.pipeline(steps=[{"set": {"/big": "y" * grown}}], workers=3)
        process = self.start_pipeline()
        partly = self.folder / ".out.jsonl.leat-tmp"
        size = count * grown
        for step in range(1, 6):
            def reached(step=step):
                if (self.folder / "out.jsonl").exists():
                    return True
                return partly.exists() and partly.stat().st_size > step * size // 8
            self.until(reached, "some output", run=process)
            victims = [pid for pid, command in self.processes().items() if command[0].endswith("leat-processor")]
            if victims:
                try:
                    os.kill(victims[step % len(victims)], signal.SIGKILL)
                except ProcessLookupError:
                    pass
        self.check(self.finish(process), count, lambda n: b'{"n":%d,"big":"%s"}\n' % (n, b"y" * grown))


if __name__ == "__main__":
    unittest.main()
