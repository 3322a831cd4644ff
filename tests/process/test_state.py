"""What the state says and what is on the disk: neither is believed against the other, and nothing is lost between them."""

import json
import os
import random
import shutil
import signal
import sqlite3
import time
import unittest

from harness import Case, lines

ROUNDS = int(os.environ.get("LEAT_ROUNDS", "4"))  # scripts/soak: 40
FLIPS = int(os.environ.get("LEAT_FLIPS", "12"))  # and 400


class Published(Case):
    """source.after: no source goes before the output that has its records has its name."""

    def setUp(self):
        super().setUp()
        (self.folder / "in").mkdir()
        self.put = 0

    def define(self, **sink):
        self.pipeline(paths="in/*.jsonl", out="out-{n}.jsonl", source={"after": "delete", "poll": "50ms", "settle": "50ms"},
                      sink=sink or {"rotate": {"bytes": "1GiB"}}, limits={"commit": {"interval": "20ms"}})

    def feed(self, count):
        content = lines({"n": n} for n in range(self.put, self.put + count))
        self.write(f"in/.{self.put}", content)
        os.rename(self.folder / f"in/.{self.put}", self.folder / f"in/{self.put:06}.jsonl")
        self.put += count

    def inputs(self):
        return [path.name for path in (self.folder / "in").iterdir()]

    def published(self):
        outputs = sorted(self.folder.glob("out-*.jsonl"))
        return [json.loads(line)["n"] for path in outputs for line in path.read_bytes().splitlines()]

    def done(self):
        return [state for state, in self.ledger("select state from sources")]

    def test_a_stop_publishes_what_follows_has_and_the_next_run_deletes(self):
        self.define()
        self.feed(1000)
        process = self.start_pipeline("--follow")
        self.until(lambda: self.done() == ["done"], "it is read", run=process)
        self.assertEqual(len(self.inputs()), 1)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(self.finish(process).code, 75)
        self.assertEqual(self.published(), list(range(1000)))
        self.run_on()
        self.assertEqual((self.inputs(), self.published()), ([], list(range(1000))))

    def test_killed_a_plain_run_publishes_and_deletes(self):
        self.define()
        self.feed(1000)
        process = self.start_pipeline("--follow")
        self.until(lambda: self.done() == ["done"], "it is read", run=process)
        process.kill()
        self.finish(process)
        self.until(lambda: not self.processes(), "all processes are gone")
        self.assertEqual((len(self.inputs()), self.published()), (1, []))
        run = self.run_on()
        self.assertEqual((self.inputs(), self.published()), ([], list(range(1000))))
        self.assertIn("out-000001.jsonl", run.stderr)

    def test_an_output_whose_sources_somebody_has_taken_away_is_finished_all_the_same(self):
        self.define()
        self.feed(1000)
        process = self.start_pipeline("--follow")
        self.until(lambda: self.done() == ["done"], "it is read", run=process)
        process.kill()
        self.finish(process)
        self.until(lambda: not self.processes(), "all processes are gone")
        for name in self.inputs():
            os.unlink(self.folder / "in" / name)
        self.run_on()
        self.assertEqual(self.published(), list(range(1000)))
        self.run_on(code=66)

    def test_whatever_kills_it_every_record_is_published_once(self):
        chance = random.Random(1)
        self.define(rotate={"bytes": "4KiB", "idle": "300ms"})
        for _ in range(ROUNDS):
            process = self.start_pipeline("--follow")
            for _ in range(4):
                self.feed(chance.randrange(1, 600))
                time.sleep(chance.uniform(0, 0.4))  # the moment of the kill is what is random here
            process.kill()
            self.finish(process)
            self.until(lambda: not self.processes(), "all processes are gone")
            run = self.finish(self.start_pipeline())
            self.assertEqual(run.code, 0, run.stderr)
            self.assertEqual(sorted(self.published()), list(range(self.put)))
            self.assertEqual(self.inputs(), [])


class Belongs(Case):
    """Two files with one name."""

    def test_a_copy_of_a_pipeline_file_does_not_go_on_with_its_state(self):
        for name in ("a", "b"):
            self.write(f"{name}/in.jsonl", lines({name: n} for n in range(10)))
            self.pipeline(name=f"{name}/p.yaml")
        self.run_on("a/p.yaml")
        before = self.ledger("select * from ledger")
        run = self.run_on("b/p.yaml", code=78)
        self.assertIn(f"belongs to {self.folder}/a/p.yaml", run.stderr)
        self.run_on("b/p.yaml", "--fresh", "--force", code=78)
        self.assertEqual(self.ledger("select * from ledger"), before)
        self.assertIn("belongs to", self.leat("sources", "b/p.yaml", code=78).stderr)
        self.run_on("b/p.yaml", "--state", "other")

    def test_a_file_that_was_moved_takes_its_state_along(self):
        self.write("in.jsonl", lines({"n": n} for n in range(10)))
        self.pipeline()
        self.run_on()
        os.rename(self.folder / "pipeline.yaml", self.folder / "moved.yaml")
        run = self.run_on("moved.yaml")
        self.assertIn("pipeline.yaml does not exist any more", run.stderr)
        self.assertEqual(run.counts(), (0, 0, 0, 0))
        self.run_on("moved.yaml")


class Refused(Case):
    """A refusal changes nothing."""

    def state(self):
        return [self.ledger(f"select * from {table}") for table in ("ledger", "sources", "outputs", "runs")]

    def test_fresh_and_reread(self):
        self.write("in.jsonl", lines({"n": n} for n in range(10)))
        self.pipeline()
        self.run_on()
        before = self.state()
        self.assertIn("--fresh --force", self.run_on(None, "--fresh", code=78).stderr)
        self.assertIn("--fresh --force", self.run_on(None, "--reread", "in.jsonl", code=78).stderr)
        self.run_on(None, "--fresh", "--reread", "nothing", "--force", code=64)
        self.assertEqual(self.state(), before)
        os.unlink(self.folder / "out.jsonl")
        self.assertIn("is gone: --fresh --force makes it again", self.run_on().stderr)

    def test_a_changed_source_names_what_helps(self):
        path = self.write("in.jsonl", lines({"n": n} for n in range(10)))
        self.pipeline()
        self.run_on()
        path.write_bytes(lines({"n": n} for n in range(5)))
        run = self.run_on(code=74)
        self.assertIn(f"`leat run {self.folder}/pipeline.yaml --fresh --force` makes {self.folder}/out.jsonl again", run.stderr)
        self.run_on(None, "--fresh", "--force")
        self.assertEqual((self.folder / "out.jsonl").read_bytes(), path.read_bytes())


class OwnInput(Case):
    """A pipeline that could read what it writes, by another name of the folder."""

    def test_the_folder_of_the_sink_is_a_link_to_the_sources(self):
        self.write("in/a.jsonl", lines([{"n": 1}]))
        os.symlink("in", self.folder / "out")
        self.pipeline(paths="in/*.jsonl", out="out/{stem}.out.jsonl")
        self.assertIn("under another name", self.leat("check", "pipeline.yaml", code=78).stderr)
        self.run_on(code=78)
        self.assertEqual(os.listdir(self.folder / "in"), ["a.jsonl"])

    def test_a_folder_below_the_sources_is_a_link_to_the_sink(self):
        self.write("in/a.jsonl", lines([{"n": 1}]))
        self.write("out/x.txt", "")
        os.symlink("../out", self.folder / "in/more")
        self.pipeline(paths="in/**/*.jsonl", out="out/{stem}.jsonl")
        self.leat("check", "pipeline.yaml")
        self.run_on()
        run = self.run_on(code=78)
        self.assertIn("more/a.jsonl is an output of this pipeline", run.stderr)


class Damaged(Case):
    def test_a_bit_that_is_another_one(self):
        """In the ledger of a run that was killed: right or refused, never repeated."""
        want = b""
        for name in "abc":
            content = lines({"f": name, "n": n, "text": "x" * 100} for n in range(2000))
            self.write(f"in/{name}.jsonl", content)
            want += content
        self.pipeline(paths="in/*", limits={"batch": "16KiB", "commit": {"interval": "20ms"}}, steps=[{"set": {"/z": 1}}], workers=1)
        want = want.replace(b"}\n", b',"z":1}\n')
        process = self.start_pipeline(env={"LEAT_TEST_HOOKS": "1", "LEAT_TEST_PROCESSOR_US": "300"})
        self.until(lambda: len(self.ledger("select * from sources where state = 'done'")) == 1, "half done", run=process)
        process.kill()
        self.finish(process)
        self.until(lambda: not self.processes(), "all processes are gone")
        shutil.rmtree(self.runtime)
        self.runtime.mkdir(mode=0o700)
        db = self.folder / "state/leat/test/ledger.db"
        sqlite3.connect(db).execute("pragma wal_checkpoint(truncate)").connection.close()
        base = self.folder / "base"
        shutil.copytree(self.folder / "state", base / "state")
        shutil.copy2(self.folder / ".out.jsonl.leat-tmp", base)
        good = db.read_bytes()
        chance = random.Random(2)
        ended = {}
        for flip in range(FLIPS):
            bad = bytearray(good)
            at = chance.choice([i for i in range(len(good)) if good[i]] if flip % 2 else range(len(good)))
            bad[at] ^= 1 << chance.randrange(8)
            db.write_bytes(bad)
            shutil.copy2(base / ".out.jsonl.leat-tmp", self.folder)
            run = self.finish(self.start_pipeline())
            with self.subTest(at=at):
                self.assertIn(run.code, (0, 74), run.stderr)
                if run.code == 0:
                    self.assertSame(run.output(), want)
                else:
                    self.assertIn("is damaged", run.stderr)
            ended[run.code] = ended.get(run.code, 0) + 1
            shutil.rmtree(self.folder / "state")
            shutil.copytree(base / "state", self.folder / "state")
            for path in (self.folder / "out.jsonl", self.folder / "dead.jsonl"):
                path.unlink(missing_ok=True)
        print(f"{FLIPS} bits: exit codes {ended}")


if __name__ == "__main__":
    unittest.main(verbosity=2)
