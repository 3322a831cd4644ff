"""What reaches a person's terminal: names from outside cannot act on it, and a mistake is said in words."""

import base64
import json
import os
import re
import resource
import signal
import socket
import subprocess
import unittest

from harness import BIN, Case, lines
from leatd import LeatdCase

EVIL = [b"a\x1b[31mred\x1b]0;title\x07.jsonl", b"b\nleat: 1 of 1 file read\n.jsonl", b"c\r.jsonl", b"d\xff\xfe.jsonl",
        "e\u202egnp.jsonl".encode(), b'f"quote\\.jsonl', b"g\x9b31m.jsonl", "h\u0085x\u009b.jsonl".encode(),
        "i\u061c\u200e\u200f\u2066\u2028\ufeff.jsonl".encode(), b"j\ttab\x7f.jsonl"]
ACTS = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


class Names(Case):
    def setUp(self):
        super().setUp()
        os.makedirs(os.fsencode(self.folder) + b"/in")
        for name in EVIL:
            with open(os.fsencode(self.folder) + b"/in/" + name, "wb") as file:
                file.write(b'x\x1b\n{"a":1}\n')

    def say(self, *arguments, codes=(0,)):
        """Runs leat and returns what it said, in which nothing acts on a terminal."""
        run = self.finish(self.start(*arguments))
        self.assertIn(run.code, codes, run.stderr)
        text = run.stdout.decode() + run.stderr  # stdout fails here when it is not UTF-8
        self.assertEqual(ACTS.findall(text), [], arguments)
        self.assertNotIn("\nleat: 1 of 1", text, arguments)
        return text

    def test_no_command_lets_a_file_name_act_on_the_terminal(self):
        self.pipeline(paths="in/*.jsonl", out="out-{stem}.jsonl")
        self.assertIn("a\\x1b[31mred", self.say("explain", "pipeline.yaml"))
        self.assertIn("out-b\\nleat: 1 of 1", self.say("run", "pipeline.yaml"))
        for command in (("sources", "pipeline.yaml"), ("status", "pipeline.yaml"), ("dead", "ls", "pipeline.yaml"),
                        ("dead", "show", "pipeline.yaml", "2"), ("check", "pipeline.yaml"), ("run", "pipeline.yaml")):
            self.say(*command)
        # The records are bad and there is no dead-letter file; then the sources have changed.
        self.pipeline(paths="in/*.jsonl", out="again-{stem}.jsonl", dead_letter={"path": "in/dead\x1b"}, name="p2.yaml")
        text = (self.folder / "p2.yaml").read_text().replace('"test"', '"again"')
        self.write("p2.yaml", re.sub(r'"dead_letter": \{[^}]*\}', '"limits": {}', text))
        self.assertIn("rejected by the filter", self.say("run", "p2.yaml"))
        for name in EVIL:
            with open(os.fsencode(self.folder) + b"/in/" + name, "r+b") as file:
                file.truncate(3)
        self.assertIn("changed", self.say("run", "p2.yaml", codes=(74,)))
        self.say("sources", "p2.yaml")
        os.mkdir(self.folder / "x\nleat: 1 of 1 y")
        self.write("x\nleat: 1 of 1 y/p\x1b.yaml", "version: 2\n")
        for command in ("check", "run", "explain", "sources", "status"):
            self.say(command, "x\nleat: 1 of 1 y/p\x1b.yaml", codes=(78,))
        self.say("run\x1b[2J", codes=(64,))
        self.say("run", "p.yaml", "--fresh\x1b[2J", codes=(64,))

    def test_json_is_exact(self):
        self.pipeline(paths="in/*.jsonl", out="out-{stem}.jsonl")
        run = self.finish(self.start("run", "pipeline.yaml", "--json", "--quiet"))
        self.assertEqual(run.code, 0)
        lines = self.say("sources", "pipeline.yaml", "--json").splitlines()
        shown = {base64.b64decode(row["path_base64"]) if "path_base64" in row else row["path"].encode()
                 for row in map(json.loads, lines)}
        self.assertEqual({os.path.basename(path) for path in shown}, set(EVIL))
        plain = {row["path"] for row in json.loads(self.say("explain", "pipeline.yaml", "--json"))["files"]}
        self.assertIn(str(self.folder / "in/e\u202egnp.jsonl"), plain)
        letters = [json.loads(line) for line in self.say("dead", "ls", "pipeline.yaml", "--json").splitlines()]
        self.assertEqual({letter["record"] for letter in letters}, {"x\x1b"})


def limit(kind, *values):
    return {"preexec_fn": lambda: resource.setrlimit(kind, values)}


class Limits(Case):
    def setUp(self):
        super().setUp()
        self.write("in.jsonl", lines({"n": n} for n in range(5)))
        self.pipeline(steps=[{"drop": "/x"}])

    def run_it(self, code=0, **popen):
        return self.leat("run", "pipeline.yaml", "--runtime-dir", self.runtime, code=code, **popen)

    def test_too_few_open_files_are_said_in_one_line_with_the_number_that_is_needed(self):
        for files in (8, 12, 24):
            run = self.run_it(74, **limit(resource.RLIMIT_NOFILE, files, files))
            self.assertRegex(run.stderr, rf"^leat: \d+ open files are needed and {files} are allowed: raise the limit .*\n$")
        self.run_it(**limit(resource.RLIMIT_NOFILE, 24, 4096))  # it may raise that itself
        self.assertEqual((self.folder / "out.jsonl").read_bytes(), (self.folder / "in.jsonl").read_bytes())

    def test_a_limited_address_space_is_said_and_nothing_is_waited_for(self):
        run = self.run_it(**limit(resource.RLIMIT_AS, 100 << 20, 100 << 20))
        self.assertIn("the address space is limited (ulimit -v)", run.stderr)
        self.assertNotIn("lost", run.stderr)
        self.assertEqual((self.folder / "out.jsonl").read_bytes(), (self.folder / "in.jsonl").read_bytes())


class Words(Case):
    def setUp(self):
        super().setUp()
        self.write("in.jsonl", lines({"n": n} for n in range(5)) + b"bad\n")

    def test_who_closes_stdout_is_named(self):
        self.write("in.jsonl", lines({"n": n, "text": "x" * 500} for n in range(20_000)))
        self.pipeline(out="/dev/stdout")
        process = self.start("run", "pipeline.yaml", "--runtime-dir", self.runtime)
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read().decode()
        process.stderr.close()
        self.assertEqual(process.wait(), 74)
        self.assertIn("what reads /dev/stdout has closed it (as head does when it has enough)", said)

    def test_the_summary_counts_what_went_to_stdout(self):
        self.pipeline(out="/dev/stdout")
        run = self.leat("run", "pipeline.yaml", "--runtime-dir", self.runtime)
        self.assertIn(f"/dev/stdout ({len(run.stdout)} B)\n", run.stderr)

    def test_check_says_what_a_run_would_meet(self):
        self.pipeline(out="missing/out.jsonl")
        run = self.leat("check", "pipeline.yaml")
        self.assertEqual(run.stdout, b"pipeline.yaml: OK, 1 warning\n")
        self.assertIn(f"warning: sink.path: there is no folder {self.folder}/missing; make it: mkdir -p", run.stderr)
        self.pipeline(out=".")
        self.assertIn("is a folder, not a file", self.leat("check", "pipeline.yaml").stderr)
        self.pipeline()
        self.write("out.jsonl", b"")
        self.assertIn("exists already: a run is refused without --force", self.leat("check", "pipeline.yaml").stderr)
        self.leat("run", "pipeline.yaml", "--force", "--runtime-dir", self.runtime)
        self.assertEqual(self.leat("check", "pipeline.yaml").stderr, "")  # it is its own now
        self.assertIn("a pipeline is read from a file", self.leat("check", "-", code=78).stderr)
        self.assertIn("leatd never ends", self.leat("check", "--for-service", "pipeline.yaml", code=78).stderr)

    def test_letters_of_a_source_that_was_read_again_are_counted_apart(self):
        self.pipeline()
        for _ in range(2):
            self.leat("run", "pipeline.yaml", "--fresh", "--force", "--runtime-dir", self.runtime)
        text = self.leat("dead", "ls", "pipeline.yaml").stdout.decode()
        self.assertIn("2 dead letters\n1 is of a record listed above: its source was read again", text)

    def test_a_replay_names_the_file_that_stays(self):
        self.pipeline(out="out-{stem}.jsonl")
        self.leat("run", "pipeline.yaml", "--runtime-dir", self.runtime)
        run = self.leat("dead", "replay", "pipeline.yaml", "--runtime-dir", self.runtime)
        self.assertIn(f"see {self.folder}/dead.jsonl\n", run.stderr)
        self.assertNotIn("state/leat/test/replay", run.stderr)

    def test_a_changed_source_is_named_once_in_its_line(self):
        self.pipeline(out="out-{stem}.jsonl")
        self.leat("run", "pipeline.yaml", "--runtime-dir", self.runtime)
        self.write("in.jsonl", b'{"n":7}\n')
        run = self.leat("run", "pipeline.yaml", "--runtime-dir", self.runtime, code=74)
        (line,) = [line for line in run.stderr.splitlines() if line.startswith("  changed")]
        self.assertRegex(line, r"in\.jsonl at byte \d+: it ")
        self.assertRegex(self.leat("sources", "pipeline.yaml").stdout.decode(), r"line 7, byte \d+: it ")

    def test_a_source_that_stays_is_said_to(self):
        self.pipeline(out="out-{stem}.jsonl", source={"after": "delete"})
        text = json.loads((self.folder / "pipeline.yaml").read_text())
        del text["dead_letter"]
        self.write("pipeline.yaml", json.dumps(text))
        run = self.leat("run", "pipeline.yaml", "--runtime-dir", self.runtime)
        self.assertIn("in.jsonl stays where it is, whatever source.after says", run.stderr)
        self.assertTrue((self.folder / "in.jsonl").exists())


class Daemon(LeatdCase):
    def leat_of(self, *arguments, code=0):
        return self.leat(*arguments, "--runtime-dir", self.runtime / "d", code=code)

    def test_a_name_that_leatd_does_not_have_is_answered_with_those_it_has(self):
        self.pipeline()
        self.pipeline("logs", file="x\nleat: forged\x1b.yaml", text="version: 2\n")
        self.start_leatd()
        said = self.leat_of("status", "revies", code=64).stderr
        self.assertIn('leatd has no pipeline "revies" (did you mean "reviews"?); it has: reviews; refused: ', said)
        for command in (("status",), ("reload",), ("pause", "nosuch")):
            run = self.finish(self.start(*command, "--runtime-dir", self.runtime / "d"))
            self.assertEqual(ACTS.findall(run.stdout.decode() + run.stderr), [], command)
            self.assertNotIn("\nleat: forged", run.stdout.decode() + run.stderr, command)

    def test_connections_that_wait_in_the_queue_are_not_refused(self):
        self.pipeline()
        self.start_leatd()
        self.daemon.send_signal(signal.SIGSTOP)
        idle = [socket.socket(socket.AF_UNIX) for _ in range(90)]
        for one in idle:
            self.addCleanup(one.close)
            one.setblocking(False)
            one.connect(str(self.runtime / "d/leatd.sock"))  # BlockingIOError: the queue is full
        self.daemon.send_signal(signal.SIGCONT)
        self.assertIn("reviews", self.leat_of("status").stdout.decode())

    def test_a_configuration_folder_that_is_missing_is_a_mistake(self):
        done = subprocess.run([BIN / "leatd", "--config-dir", self.folder / "nosuch", "--state-dir", self.folder / "s",
                               "--runtime-dir", self.runtime / "d"], capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 78)
        self.assertIn("nosuch: no such folder; name it with --config-dir", done.stderr)


if __name__ == "__main__":
    unittest.main()
