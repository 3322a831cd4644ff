"""The commands: what they say, where they say it, and what they exit with."""

import json
import os
import signal
import subprocess
import unittest

from harness import BIN, BlockedCase, Case, lines

PROGRAMS = ("leat", "leat-reader", "leat-filter", "leat-processor", "leat-writer")
GOOD = lines({"n": n, "score": n % 10} for n in range(1000))
BAD = """version: 1
name: bad
source: {paths: [in.jsonl]}
filter:
  keep:
    - {field: /a, gtt: 3}
sink: {path: out.jsonl, levle: 3}
"""


class Cli(Case):
    def setUp(self):
        super().setUp()
        self.write("in.jsonl", GOOD + b"bad\n")

    def test_help_and_version_of_every_program(self):
        for program in PROGRAMS:
            with self.subTest(program=program):
                for option, text in (("--help", "Usage"), ("--version", "0.")):
                    done = subprocess.run([BIN / program, option], capture_output=True, text=True)
                    self.assertEqual((done.returncode, done.stderr), (0, ""))
                    self.assertIn(text, done.stdout)

    def test_help_of_every_command(self):
        for command in ("run", "check", "explain"):
            with self.subTest(command=command):
                run = self.leat(command, "--help")
                self.assertIn(b"leat " + command.encode(), run.stdout)
                self.assertEqual(run.stderr, "")
        self.assertIn(b"75 stopped", self.leat("run", "--help").stdout)

    def test_usage_errors_are_64_and_on_stderr(self):
        self.pipeline()
        for arguments, text in (
            ((), "leat needs a command"),
            (("chek", "pipeline.yaml"), 'did you mean "check"'),
            (("run",), "PIPELINE"),
            (("run", "pipeline.yaml", "--bogus"), "--bogus"),
            (("run", "pipeline.yaml", "second.yaml"), "second.yaml"),
            (("check",), "PIPELINE"),
            (("explain",), "PIPELINE"),
        ):
            with self.subTest(arguments=arguments):
                run = self.leat(*arguments, code=64)
                self.assertIn(text, run.stderr)
                self.assertEqual(run.stdout, b"")

    def test_a_worker_started_by_hand_says_who_starts_it(self):
        for program in PROGRAMS[1:]:
            with self.subTest(program=program):
                done = subprocess.run([BIN / program], capture_output=True, text=True)
                self.assertEqual(done.returncode, 64)
                self.assertIn("leat run", done.stderr)

    def test_a_missing_pipeline_file_is_78(self):
        for command in ("run", "check", "explain"):
            with self.subTest(command=command):
                run = self.leat(command, "nothing.yaml", code=78)
                self.assertIn("nothing.yaml: cannot be read: No such file", run.stderr)

    def test_typing_errors_are_shown_with_place_and_suggestion(self):
        self.write("bad.yaml", BAD)
        for command in ("run", "check", "explain"):
            with self.subTest(command=command):
                run = self.leat(command, "bad.yaml", code=78)
                self.assertIn('bad.yaml:6:19: filter.keep[0].gtt: unknown key (did you mean "gt"?)', run.stderr)
                self.assertIn('bad.yaml:7:25: sink.levle: unknown key (did you mean "level"?)', run.stderr)
                self.assertEqual(run.stdout, b"")
        self.assertFalse((self.folder / "out.jsonl").exists())

    def test_check_json(self):
        self.write("bad.yaml", BAD)
        self.pipeline()
        bad, good = json.loads(self.leat("check", "--json", "bad.yaml", "pipeline.yaml", code=78).stdout)
        self.assertEqual([(p["line"], p["column"], p["key"]) for p in bad["problems"]],
                         [(6, 19, "filter.keep[0].gtt"), (7, 25, "sink.levle")])
        self.assertEqual((bad["ok"], good["ok"], good["problems"], good["warnings"]), (False, True, [], []))

    def test_check_of_a_good_pipeline(self):
        self.pipeline()
        run = self.leat("check", "pipeline.yaml")
        self.assertEqual((run.stdout, run.stderr), (b"pipeline.yaml: OK\n", ""))

    def test_check_of_several_sees_what_two_share(self):
        self.pipeline()
        self.pipeline(name="again.yaml")
        run = self.leat("check", "pipeline.yaml", "again.yaml", code=78)
        self.assertEqual(run.stdout, b"pipeline.yaml: OK\n")
        self.assertIn('again.yaml: name: "test" is pipeline.yaml\'s already', run.stderr)
        self.assertIn("again.yaml: sink.path: ", run.stderr)

    def test_check_warns_when_nothing_matches(self):
        self.pipeline(paths="nothing/*")
        self.assertIn("no file matches", self.leat("check", "pipeline.yaml").stderr)

    def test_check_wants_the_files_of_sets(self):
        self.pipeline(keep=[{"field": "/a", "in_file": "nothing.txt"}])
        self.assertIn("nothing.txt", self.leat("check", "pipeline.yaml", code=78).stderr)

    def test_explain(self):
        self.write("set.txt", b"a\nb\n")
        self.pipeline(keep=[{"field": "/n", "lt": 3}, {"field": "/host", "in_file": "set.txt"}],
                      steps=[{"drop": ["/x"]}], workers=3, limits={"memory": "48MiB"})
        text = self.leat("explain", "pipeline.yaml").stdout.decode()
        shown = json.loads(self.leat("explain", "--json", "pipeline.yaml").stdout)
        self.assertEqual(shown["workers"], {"reader": 1, "filter": 1, "processor": 3, "processor_max": 3, "writer": 1})
        self.assertEqual(len(shown["predicates"]), 2)
        self.assertEqual(shown["steps"], ["drop /x"])
        self.assertEqual(shown["files"], [{"path": str(self.folder / "in.jsonl"), "bytes": len(GOOD) + 4}])
        budget = shown["budget"]
        self.assertEqual(budget["limit_bytes"], 48 << 20)
        self.assertLessEqual(sum(budget[k + "_bytes"] for k in ("base", "codec", "sets", "window")), 48 << 20)
        for word in (*shown["predicates"], "drop /x", str(self.folder / "in.jsonl"), "48.0 MiB", "3 processor"):
            self.assertIn(word, text)
        self.assertFalse((self.folder / "out.jsonl").exists())

    def test_a_budget_that_does_not_add_up_names_the_key(self):
        self.pipeline(limits={"memory": "8MiB"})
        self.assertIn("limits.memory", self.leat("check", "pipeline.yaml", code=78).stderr)

    def test_the_summary_adds_up_and_names_the_files(self):
        self.pipeline(keep=[{"field": "/score", "lt": 3}])
        run = self.leat("run", "pipeline.yaml", "--runtime-dir", self.runtime)
        self.assertEqual(run.stdout, b"")
        row = {line.split()[0]: line.split()[1].replace(",", "") for line in run.stderr.splitlines() if line.split()}
        self.assertEqual([int(row[key]) for key in ("in", "kept", "dropped", "dead")], [1001, 300, 700, 1])
        for text in (str(self.folder / "out.jsonl"), str(self.folder / "dead.jsonl"), "1 of 1 file read", "busiest"):
            self.assertIn(text, run.stderr)
        self.assertNothingLeft()

    def test_quiet_is_quiet(self):
        self.pipeline()
        run = self.leat("run", "pipeline.yaml", "--quiet", "--runtime-dir", self.runtime)
        self.assertEqual((run.stdout, run.stderr), (b"", ""))

    def test_json_is_one_object_and_nothing_else(self):
        self.pipeline()
        run = self.run_pipeline()
        self.assertEqual(run.stdout.count(b"\n"), 1)
        self.assertEqual((run.summary["exit_code"], run.summary["pipeline"]), (0, "test"))
        self.assertEqual(run.summary["dead_letter"], {"path": str(self.folder / "dead.jsonl"), "records": 1})
        (output,) = run.summary["outputs"]
        self.assertEqual(output, {"path": str(self.folder / "out.jsonl"), "bytes": len(GOOD), "records_bytes": len(GOOD)})
        self.assertEqual([stage["stage"] for stage in run.summary["stages"]], ["reader", "filter", "writer"])
        self.assertEqual(run.summary["bytes_in"], len(GOOD) + 4)

    def test_no_colour_or_cursor_codes_where_there_is_no_terminal(self):
        self.pipeline()
        self.assertNotIn("\x1b", self.run_pipeline().stderr)

    def test_a_runtime_folder_that_cannot_be_used(self):
        self.pipeline()
        run = self.leat("run", "pipeline.yaml", "--runtime-dir", self.folder / "in.jsonl", code=64)
        self.assertIn("--runtime-dir", run.stderr)
        run = self.leat("run", "pipeline.yaml", "--runtime-dir", self.folder / ("x" * 100), code=64)
        self.assertIn("shorter", run.stderr)

    def test_stdout_that_is_closed_is_an_error_with_json(self):
        self.pipeline()
        with open("/dev/full", "wb") as full:
            command = [BIN / "leat", "run", "pipeline.yaml", "--json", "--quiet", "--runtime-dir", self.runtime]
            self.assertEqual(subprocess.run(command, cwd=self.folder, stdout=full).returncode, 74)


class Twice(BlockedCase):
    def test_a_second_run_on_the_same_sink_is_refused(self):
        content = b'{"block":1}\n' + GOOD
        self.write("in.jsonl", content)
        self.pipeline(steps=[self.child_step()])
        first = self.start_pipeline()
        self.wait_until_blocked(first)
        second = self.leat("run", "pipeline.yaml", "--json", "--force", "--runtime-dir", self.runtime, code=78)
        self.assertIn(f"another run has the state folder {self.folder}", second.stderr)
        self.assertIn(f"pid {first.pid} ", second.stderr)
        third = self.leat("run", "pipeline.yaml", "--json", "--force", "--runtime-dir", self.runtime,
                          "--state", self.folder / "other", code=78)
        self.assertIn(" is in use: pid ", third.stderr)
        self.open_gate()
        run = self.finish(first)
        self.assertEqual(run.code, 0, run.stderr)
        self.assertEqual(run.output(), content)
        self.assertNothingLeft()

    def test_two_runs_on_two_sinks_do_not_disturb_each_other(self):
        self.write("in.jsonl", b'{"block":1}\n' + GOOD)
        self.write("other.jsonl", GOOD)
        self.pipeline(steps=[self.child_step()])
        first = self.start_pipeline()
        self.wait_until_blocked(first)
        self.pipeline(paths="other.jsonl", out="other.out", name="other.yaml", dead_letter={"path": "other.dead"})
        self.write("other.yaml", (self.folder / "other.yaml").read_text().replace('"test"', '"other"'))
        self.leat("run", "other.yaml", "--json", "--runtime-dir", self.runtime)
        self.open_gate()
        run = self.finish(first)
        self.assertEqual(run.code, 0, run.stderr)
        self.assertEqual(run.output("other.out"), GOOD)
        self.assertNothingLeft()


class Follow(Case):
    def test_a_file_that_arrives_is_taken_and_a_signal_ends_it_with_75(self):
        (self.folder / "in").mkdir()
        self.pipeline(paths="in/*.jsonl", out="{stem}.out", source={"settle": "200ms", "poll": "100ms"},
                      keep=[{"field": "/score", "lt": 3}])
        process = self.start_pipeline("--follow")
        want = b"".join(line + b"\n" for line in GOOD.splitlines() if json.loads(line)["score"] < 3)
        for name in ("first", "second"):
            self.write(f"in/.{name}", GOOD)
            os.rename(self.folder / f"in/.{name}", self.folder / f"in/{name}.jsonl")
            self.until((self.folder / f"{name}.out").exists, f"{name}.out appears", run=process)
            self.assertEqual((self.folder / f"{name}.out").read_bytes(), want)  # whole as soon as it is there
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGTERM)
        run = self.finish(process)
        self.assertEqual(run.code, 75, run.stderr)  # with --follow the input is never used up
        self.assertEqual((run.counts(), run.summary["sources"]["done"]), ((2000, 600, 1400, 0), 2))
        self.assertNothingLeft()

    def test_a_file_that_still_grows_is_not_taken_before_it_has_settled(self):
        (self.folder / "in").mkdir()
        self.pipeline(paths="in/*.jsonl", out="{stem}.out", source={"settle": "1s", "poll": "100ms"})
        process = self.start_pipeline("--follow")
        with open(self.folder / "in/a.jsonl", "wb", buffering=0) as file:
            for line in GOOD.splitlines(keepends=True)[:100]:
                file.write(line)
        self.until((self.folder / "a.out").exists, "a.out appears", run=process)
        self.assertEqual((self.folder / "a.out").read_bytes(), b"".join(GOOD.splitlines(keepends=True)[:100]))
        process.send_signal(signal.SIGINT)
        self.assertEqual(self.finish(process).code, 75)

    def test_follow_needs_a_placeholder(self):
        self.write("in.jsonl", GOOD)
        self.pipeline()
        run = self.leat("run", "pipeline.yaml", "--follow", "--runtime-dir", self.runtime, code=78)
        self.assertIn("{stem}", run.stderr)

    def test_a_run_that_found_nothing_has_ended_and_status_says_why(self):
        """It was said to have been killed."""
        self.pipeline(paths="none-*.jsonl")
        self.leat("run", "pipeline.yaml", "--runtime-dir", self.runtime, code=66)
        said = self.leat("status", "pipeline.yaml").stdout.decode()
        self.assertRegex(said, r"ended \S+ with exit code 66 \(epoch 1\)\n +\S.*none-\*\.jsonl")
        self.assertNotIn("killed", said)
        self.assertEqual(json.loads(self.leat("status", "pipeline.yaml", "--json").stdout)["last_run"]["exit_code"], 66)

    def test_follow_needs_more_than_the_date(self):
        """It was written to, under its hidden name, for ever; so source.after never came."""
        self.write("in.jsonl", GOOD)
        self.pipeline(out="out-{date}.jsonl")
        run = self.leat("run", "pipeline.yaml", "--follow", "--runtime-dir", self.runtime, code=78)
        self.assertIn("{date} ends no output", run.stderr)
        self.assertIn("warning: sink.path: {date} ends no output", self.leat("check", "pipeline.yaml").stderr)
        self.leat("run", "pipeline.yaml", "--runtime-dir", self.runtime)


if __name__ == "__main__":
    unittest.main(verbosity=2)
