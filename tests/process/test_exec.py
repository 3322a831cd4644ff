"""The exec step: the shipped example, and children that die, print junk, hold answers back or do not exist."""

import importlib.util
import os
import shutil
import signal
import unittest
from pathlib import Path

from harness import BlockedCase, Case, lines

EXAMPLES = Path(__file__).resolve().parents[2] / "config" / "examples"


def shipped():
    spec = importlib.util.spec_from_file_location("exec_python", EXAMPLES / "exec_python.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Example(Case):
    def test_the_shipped_example_does_what_its_function_does(self):
        for name in ("exec-python.yaml", "exec_python.py"):
            shutil.copy(EXAMPLES / name, self.folder)
        (self.folder / "out").mkdir()
        records = [{"id": n, "text": "wörd " * (n % 50), "noise": "x" * 100} for n in range(5000)]
        self.write("in/a.jsonl", lines(records[:2000]))
        self.write("in/b.jsonl", lines(records[2000:]))
        run = self.run_pipeline("exec-python.yaml", env={"PYTHONUNBUFFERED": ""})
        module = shipped()
        kept = ({"id": record["id"], "text": record["text"]} for record in records)
        want = b"".join(module.encode(module.process_data(record)).encode() + b"\n" for record in kept)
        self.assertSame(run.output("out/exec-python.jsonl").replace("ö".encode(), b"\\u00f6"),
                        want.replace("ö".encode(), b"\\u00f6"))
        self.assertEqual(run.counts(), (5000, 5000, 0, 0))
        self.assertNotIn("warning", run.stderr)

    def test_an_exception_in_the_shipped_example_is_the_reason_of_a_dead_letter(self):
        for name in ("exec-python.yaml", "exec_python.py"):
            shutil.copy(EXAMPLES / name, self.folder)
        (self.folder / "out").mkdir()
        self.write("in/a.jsonl", b'{"id":1,"text":"a b"}\n{"id":2,"text":3}\n{"id":3}\n')
        run = self.run_pipeline("exec-python.yaml")
        self.assertEqual(run.output("out/exec-python.jsonl"),
                         b'{"id":1,"text":"a b","words":2}\n{"id":3,"words":0}\n')
        (letter,) = run.dead("out/exec-python.dead.jsonl")
        self.assertIn("AttributeError: 'int' object", letter["reason"])
        self.assertEqual((letter["line"], letter["stage"], letter["record"]), (2, "processor", '{"id":2,"text":3}'))


class Children(Case):
    """A child in Python: `body` gets each line, without its newline, as `line`."""

    def child(self, body, records=300, workers=2, flush=True, code=0, timeout="1m", **more):
        body = "\n    ".join(body.splitlines())
        self.write("child.py", "import json, os, sys, time\nfor line in sys.stdin:\n    line = line.rstrip()\n    "
                   f"record = json.loads(line)\n    n = record['n']\n    {body}\n    print(line, flush={flush})\n")
        self.raw = lines({"n": n, "text": "x" * 100} for n in range(records))
        self.write("in.jsonl", self.raw)
        self.pipeline(steps=[{"exec": {"command": ["python3", "child.py"], "timeout": timeout,
                                        "write": ["."]}}], workers=workers, **more)
        return self.run_pipeline(code=code, env={"PYTHONUNBUFFERED": ""})

    def assertOnlyDead(self, run, number, *reasons):
        """Record `number` is the one dead letter; every other came through."""
        (letter,) = run.dead()
        for reason in reasons:
            self.assertIn(reason, letter["reason"])
        raw = self.raw.splitlines(keepends=True)
        self.assertEqual(letter["record"].encode() + b"\n", raw[number])
        self.assertEqual((letter["line"], letter["offset"]), (number + 1, len(b"".join(raw[:number]))))
        self.assertSame(run.output(), b"".join(raw[:number] + raw[number + 1 :]))

    def test_junk(self):
        run = self.child("if n == 123: line = 'no JSON'")
        self.assertOnlyDead(run, 123, "python3")

    def test_an_exception(self):
        run = self.child("if n == 123: raise ValueError('no')")
        self.assertOnlyDead(run, 123, "exited with 1")

    def test_a_crash(self):
        run = self.child("if n == 123: os.kill(os.getpid(), 11)")
        self.assertOnlyDead(run, 123, "signal 11", "SIGSEGV")

    def test_a_crash_with_answers_held_back(self):
        run = self.child("if n == 123: os.kill(os.getpid(), 9)", flush=False)
        self.assertOnlyDead(run, 123, "signal 9")

    def test_a_hang(self):
        run = self.child("if n == 123: time.sleep(3600)", timeout="1s")
        self.assertOnlyDead(run, 123, "no answer within 1s")

    def test_a_leat_error(self):
        run = self.child("if n == 123: line = json.dumps({'leat_error': 'too odd'})")
        self.assertOnlyDead(run, 123, "too odd")

    def test_one_record_becomes_none_or_several(self):
        run = self.child("line = 'null' if n % 3 == 0 else json.dumps([record, record]) if n % 3 == 1 else line")
        self.assertEqual(run.counts(), (300, 200, 100, 0))
        self.assertEqual(run.summary["out"], 300)
        self.assertEqual(len(run.output().splitlines()), 300)

    def test_a_child_that_does_not_flush_loses_nothing(self):
        run = self.child("pass", records=120, flush=False)
        self.assertSame(run.output(), self.raw)
        self.assertIn("flush", run.stderr)

    def test_a_child_that_does_not_flush_is_not_reduced_to_a_record_a_second(self):
        run = self.child("pass", records=3000, flush=False)
        self.assertSame(run.output(), self.raw)

    def test_a_program_that_skips_or_doubles_lines_ends_the_run_and_nothing_of_it_is_believed(self):
        """Its answers were taken for other records once: some came twice, some were lost, exit code 0."""
        double = "print(line, flush={flush})"
        for body, words in (("if n % 3 == 0: continue", "printed 0 lines for 1 record"),
                            ("if n > 40 and n % 2: continue", "printed 0 lines for 1 record"),
                            (double, "printed more lines than"),
                            (f"if n == 30: {double}", "printed more lines than"),
                            (f"if n == 59: {double}", "printed more lines than")):
            for flush in (True, False):
                with self.subTest(body=body, flush=flush):
                    run = self.child(body.format(flush=flush), records=60, flush=flush, code=78)
                    self.assertIn(words, run.stderr)
                    self.assertIn("one line for each record: null drops it", run.stderr)
                    self.assertIsNone(run.output())
                    self.assertEqual(run.dead(), [])

    def test_filters_of_the_shell_are_told_from_programs_that_end(self):
        self.raw = lines({"n": n, "k": "b" if n % 3 == 0 else "a"} for n in range(60))
        for command, code in ((["grep", "-v", '"b"'], 78), (["grep", "--line-buffered", '"a"'], 78), (["sed", "-u", "p"], 78),
                              (["grep", "-m", "3", '"a"'], 78), (["true"], 78), (["head", "-n", "5"], 0), (["sed", "-u", "7q"], 0)):
            with self.subTest(command=command):
                self.write("in.jsonl", self.raw)
                self.pipeline(steps=[{"exec": {"command": command}}])
                run = self.run_pipeline(code=code)
                if code == 0:
                    self.assertSame(run.output(), self.raw)
                    self.assertEqual(run.counts(), (60, 60, 0, 0))
                    (self.folder / "out.jsonl").unlink()
                else:
                    self.assertIsNone(run.output())

    def test_a_child_that_dies_now_and_then_costs_nothing(self):
        run = self.child("if not os.path.exists(f'died{n}') and n % 50 == 49:\n    open(f'died{n}', 'w')\n    os._exit(3)")
        self.assertSame(run.output(), self.raw)
        self.assertEqual(run.dead(), [])

    def test_a_child_that_never_answers_ends_the_run(self):
        run = self.child("sys.exit(1)", code=78)
        self.assertIn("exited with 1", run.stderr)
        self.assertIn("run it by hand", run.stderr)
        self.assertIsNone(run.output())

    def test_a_command_that_is_not_there(self):
        self.write("in.jsonl", b'{"n":1}\n')
        for command in ("no-such-program", "./in.jsonl"):
            with self.subTest(command=command):
                self.pipeline(steps=[{"exec": {"command": [command]}}])
                run = self.run_pipeline(code=78)
                self.assertIn(command, run.stderr)
                self.assertEqual(run.summary["bytes_in"], 0)
                self.assertIsNone(run.output())

    def test_a_flood_on_stderr_is_left_out_and_counted(self):
        """It filled the disk that the log is on."""
        run = self.child("if n == 7: print('y' * 4_000_000, file=sys.stderr)")
        self.assertEqual(run.code, 0, run.stderr)
        self.assertLess(len(run.stderr), 200_000)
        self.assertGreater(run.stderr.count("y"), 60_000)
        self.assertRegex(run.stderr, r"\nleat: skipped of stderr of an exec program, in bytes: \d{7,}\n")

    def test_stderr_of_a_child_is_shown_and_is_no_answer(self):
        run = self.child("if n == 7: print('seven here', file=sys.stderr)")
        self.assertSame(run.output(), self.raw)
        self.assertIn("seven here", run.stderr)


class Killed(BlockedCase):
    def test_a_child_killed_in_the_middle_costs_no_record(self):
        raw = lines({"n": n} for n in range(5000))
        content = raw[:7000].rpartition(b"\n")[0] + b'\n{"block":1}\n' + raw
        self.write("in.jsonl", content)
        self.pipeline(steps=[self.child_step()], workers=2)
        process = self.start_pipeline()
        os.kill(self.wait_until_blocked(process), signal.SIGKILL)
        self.open_gate()
        run = self.finish(process)
        self.assertEqual(run.code, 0, run.stderr)
        self.assertSame(run.output(), content)
        self.assertEqual(run.dead(), [])
        self.assertIn("killed by signal 9", run.stderr)
        self.assertNothingLeft()


if __name__ == "__main__":
    unittest.main(verbosity=2)
