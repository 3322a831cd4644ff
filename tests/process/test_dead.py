"""Dead letters listed, shown and fed again; what the ledger shows during a run."""

import json
import os
import random
import signal
import sqlite3
import time
import unittest

from harness import BlockedCase, Case, lines

# An array is no object: a dead letter at the first step, and a good record without steps.
STEP = {"set": {"/k": 1}}


class Dead(Case):
    def setUp(self):
        super().setUp()
        self.write("in.jsonl", b'{"a":1}\n[1]\nbad\n[2]\n{"a":2}\n')
        self.pipeline(steps=[STEP])
        self.leat("run", "pipeline.yaml", "--runtime-dir", self.runtime)
        self.letters = (self.folder / "dead.jsonl").read_bytes()

    def replay(self, *arguments, code=0):
        return self.leat("dead", "replay", "pipeline.yaml", "--runtime-dir", self.runtime, *arguments, code=code)

    def aside(self):
        return [path for path in self.folder.iterdir() if path.name.startswith("dead.jsonl.replay-")]

    def test_ls_and_show_give_what_the_file_holds(self):
        listed = self.leat("dead", "ls", "pipeline.yaml", "--json").stdout.splitlines()
        self.assertEqual([json.loads(line)["number"] for line in listed], [1, 2, 3])
        self.assertIn(b"in.jsonl:3: malformed JSON", self.leat("dead", "ls", "dead.jsonl").stdout)
        self.assertEqual(self.leat("dead", "show", "pipeline.yaml", "2", "--record").stdout, b"bad\n")
        self.assertIn(b"line      4\n", self.leat("dead", "show", "dead.jsonl", "3").stdout)
        self.assertIn("3 lines", self.leat("dead", "show", "dead.jsonl", "4", code=66).stderr)
        self.leat("dead", "ls", "nowhere.jsonl", code=66)

    def test_replay_feeds_each_letter_once_and_says_where_those_that_come_again_came_from(self):
        self.pipeline()  # put right: no steps any more
        replayed = self.replay("--output", "replayed.jsonl")
        self.assertIn("3 dead letters replayed; now in", replayed.stderr)
        self.assertEqual((self.folder / "replayed.jsonl").read_bytes(), b"[1]\n[2]\n")
        letter, = [json.loads(line) for line in (self.folder / "dead.jsonl").read_bytes().splitlines()]
        first = json.loads(self.letters.splitlines()[1])
        self.assertEqual(letter, {**first, "stage": "filter", "reason": letter["reason"], "attempts": 2})
        aside, = self.aside()
        self.assertEqual(aside.read_bytes(), self.letters)
        self.assertEqual((self.folder / "out.jsonl").read_bytes(), b'{"a":1,"k":1}\n{"a":2,"k":1}\n')

        # The pipeline continues beside it: the letter stays, a new one comes behind it.
        dead = (self.folder / "dead.jsonl").read_bytes()
        self.write("in2.jsonl", b"worse\n")
        self.pipeline(paths="in*.jsonl", out="out-{stem}.jsonl", steps=[STEP])
        self.leat("run", "pipeline.yaml", "--runtime-dir", self.runtime, "--accept-changes")
        after = (self.folder / "dead.jsonl").read_bytes()
        self.assertTrue(after.startswith(dead))
        self.assertEqual([json.loads(line)["record"] for line in after.splitlines()][-1], "worse")

    def test_replay_again_takes_up_nothing_when_none_is_left(self):
        self.pipeline(keep=[{"field": "", "type": "array"}])
        self.replay("--output", "replayed.jsonl")
        self.replay("--output", "again.jsonl")  # "bad" once more
        self.assertEqual(json.loads((self.folder / "dead.jsonl").read_bytes())["attempts"], 3)
        os.unlink(self.folder / "dead.jsonl")
        self.assertIn("No such file", self.replay("--output", "none.jsonl", code=66).stderr)

    def test_one_published_output_cannot_take_more_so_output_is_asked_for(self):
        refused = self.replay(code=64)
        self.assertIn("--output", refused.stderr)
        self.assertEqual((self.folder / "dead.jsonl").read_bytes(), self.letters)
        self.assertEqual(self.aside(), [])

    def test_placeholders_give_the_replay_outputs_of_its_own(self):
        for out, glob in (("by-{stem}.jsonl", "by-replay-*.jsonl"), ("n-{n}.jsonl", "n-replay-*-000001.jsonl")):
            with self.subTest(out=out):
                self.write("dead.jsonl", self.letters)
                self.pipeline(out=out, **({"sink": {"path": out, "rotate": {"bytes": "1GiB"}}} if "{n}" in out else {}))
                self.replay()
                found, = self.folder.glob(glob)
                self.assertEqual(found.read_bytes(), b"[1]\n[2]\n")

    def test_letters_by_reference_and_other_lines_stay(self):
        big = (b'{"source":"/in/a","line":9,"offset":5,"stage":"reader","reason":"too long","attempts":1,'
               b'"length":99999999}\n')
        self.write("dead.jsonl", self.letters + big + b"a remark\n")
        self.pipeline()
        # They were appended by hand, and the ledger knows how long the file was: it does not count them.
        self.replay("--output", "one.jsonl")
        self.write("letters.jsonl", self.letters + big + b"a remark\n")
        replayed = self.replay("--file", "letters.jsonl", "--output", "two.jsonl")
        self.assertIn("2 of them because", replayed.stderr)
        kept = (self.folder / "dead.jsonl").read_bytes().splitlines(keepends=True)
        self.assertIn(big, kept)
        self.assertIn(b"a remark\n", kept)

    def test_a_replay_that_is_killed_is_gone_on_with_and_nothing_comes_twice(self):
        count = 20000
        self.write("letters.jsonl", b"".join(
            b'{"source":"/in/a","line":%d,"offset":%d,"stage":"processor","reason":"r","attempts":1,"record":"%s"}\n'
            % (n, n * 9, b"bad %d" % n if n % 100 == 0 else b'{\\"n\\":%d}' % n) for n in range(1, count + 1)))
        self.write("slow.py", "import sys, time\nfor line in sys.stdin:\n  time.sleep(1e-4)\n  print(line, end='', flush=True)\n")
        self.pipeline(steps=[STEP, {"exec": {"command": ["python3", "slow.py"]}}], workers=1,
                      limits={"commit": {"interval": "10ms"}, "batch": "4KiB"})
        state = self.folder / "state" / "leat" / "test"
        dice = random.Random(7)
        kills = 0
        for _ in range(100):
            begun = any(state.glob("*replay-*"))
            process = self.start("dead", "replay", "pipeline.yaml", "--runtime-dir", self.runtime,
                                 *([] if begun else ["--file", "letters.jsonl", "--output", "r.jsonl"]))
            time.sleep(dice.uniform(0.05, 1.5))
            process.send_signal(signal.SIGKILL)
            run = self.finish(process)
            kills += run.code == -signal.SIGKILL
            if not (self.folder / "letters.jsonl").exists() and not any(state.glob("replay-*")):
                break
            # Killed before it had begun in earnest, it is undone by the next, which was not told what to begin with.
            undone = begun and not any(state.glob("*replay-*")) and run.code == 64
            self.assertTrue(undone or run.code in (-signal.SIGKILL, 0), run.stderr)
        self.assertGreater(kills, 2)
        self.assertSame((self.folder / "r.jsonl").read_bytes(),
                        lines({"n": n, "k": 1} for n in range(1, count + 1) if n % 100))
        again = [json.loads(line) for line in (self.folder / "dead.jsonl").read_bytes().splitlines()]
        again = [letter for letter in again if letter["source"] == "/in/a"]
        self.assertEqual([letter["line"] for letter in again], list(range(100, count + 1, 100)))
        self.assertEqual({letter["attempts"] for letter in again}, {2})
        self.assertEqual(list(state.glob("replay-*")), [])


class State(BlockedCase):
    def test_sources_and_status_show_a_run_while_it_goes_on_and_a_second_one_is_refused(self):
        self.write("a.jsonl", lines({"n": n} for n in range(5)))
        self.write("b.jsonl", b'{"block":1}\n')
        self.pipeline(paths=["a.jsonl", "b.jsonl"], steps=[self.child_step()], out="{stem}.out.jsonl", workers=1,
                      limits={"commit": {"interval": "10ms"}})
        process = self.start_pipeline()
        self.wait_until_blocked(process)
        self.until(lambda: b'"done"' in self.finish(self.start("sources", "pipeline.yaml", "--json")).stdout, "a is done")
        status = json.loads(self.leat("status", "pipeline.yaml", "--json").stdout)
        self.assertEqual(status["running"]["pid"], str(process.pid))
        self.assertEqual(status["sources"]["done"], 1)
        self.assertEqual(status["sources"]["in"], 5)
        for arguments in (["run", "pipeline.yaml"], ["dead", "replay", "pipeline.yaml"]):
            refused = self.leat(*arguments, "--runtime-dir", self.runtime, code=78)
            self.assertIn(f"pid {process.pid} on ", refused.stderr)
        with sqlite3.connect(f"file:{self.folder}/state/leat/test/ledger.db?mode=ro", uri=True) as ledger:
            self.assertEqual(ledger.execute("SELECT state, records_in FROM sources WHERE path LIKE '%a.jsonl'").fetchall(),
                             [("done", 5)])
        self.open_gate()
        self.assertEqual(self.finish(process).code, 0)
        self.assertNotIn("running", json.loads(self.leat("status", "pipeline.yaml", "--json").stdout))
        self.assertIn(b"2 sources: 2 done", self.leat("sources", "pipeline.yaml").stdout)
        self.leat("sources", "pipeline.yaml", "--state-filter", "failed", code=66)

    def test_a_folder_without_a_ledger_and_anothers_ledger_are_78(self):
        self.pipeline()
        self.assertIn("no ledger", self.leat("status", "pipeline.yaml", code=78).stderr)
        self.write("in.jsonl", b"{}\n")
        self.leat("run", "pipeline.yaml", "--state", "s", "--runtime-dir", self.runtime)
        self.pipeline(name="other.yaml", out="other.jsonl")
        (self.folder / "other.yaml").write_text((self.folder / "other.yaml").read_text().replace('"test"', '"other"'))
        for command in ("status", "sources"):
            self.assertIn("pipeline test", self.leat(command, "other.yaml", "--state", "s", code=78).stderr)


if __name__ == "__main__":
    unittest.main()
