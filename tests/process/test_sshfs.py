"""A real network file system whose server dies and comes again: nothing is lost, nothing comes twice."""

import hashlib
import json
import os
import time
import unittest

import faultfs
import sshfs
from harness import Case, SANITIZED, lines, zstd


def records(name, count):
    for n in range(count):
        yield {"source": name, "n": n, "text": hashlib.sha256(f"{name}{n}".encode()).hexdigest() * 20}


class Sshfs(Case):
    COUNT = 12_000 if not SANITIZED else 3_000  # about 16 MB a file

    def setUp(self):
        super().setUp()
        self.nas = sshfs.mount(self, megabits=80)
        self.contents = {name: lines(records(name, self.COUNT)) for name in ("a", "b", "c")}
        (self.nas.files / "a.jsonl").write_bytes(self.contents["a"])
        (self.nas.files / "b.jsonl.zst").write_bytes(zstd(self.contents["b"]))
        (self.nas.files / "c.jsonl").write_bytes(self.contents["c"])
        self.pipeline(paths=f"{self.nas.path}/*", steps=[{"drop": "/nothing"}],
                      source={"require_mount": str(self.nas.path)}, limits={"commit": {"interval": "200ms"}})
        self.want = b"".join(self.contents.values())

    def wait_for_output(self, size):
        temporary = self.folder / ".out.jsonl.leat-tmp"
        self.until(lambda: temporary.exists() and temporary.stat().st_size >= size, f"{size} bytes of output")

    def test_the_server_dies_in_the_middle_and_comes_back(self):
        process = self.start_pipeline("--state", self.folder / "state")
        self.wait_for_output(len(self.want) // 4)
        self.nas.kill_server()
        self.hear(process, "")
        time.sleep(4)  # the length of the outage, not a synchronisation
        self.assertIsNone(process.poll())
        self.nas.start_server()
        run = self.finish(process)
        self.assertEqual(run.code, 0, run.stderr)
        self.assertSame(run.output(), self.want)

    def test_a_run_killed_while_the_server_is_away_goes_on_when_it_is_back(self):
        process = self.start_pipeline("--state", self.folder / "state")
        self.wait_for_output(len(self.want) // 4)
        self.nas.kill_server()
        process.kill()
        process.wait()
        self.nas.start_server()
        run = self.finish(self.start_pipeline("--state", self.folder / "state"))
        self.assertEqual(run.code, 0, run.stderr)
        self.assertSame(run.output(), self.want)
        self.assertLess(run.summary["in"], 3 * self.COUNT)  # what was committed was not read again

    def test_the_sink_is_on_the_server_that_dies_and_comes_back(self):
        (self.nas.files / "out").mkdir()
        self.pipeline(paths=f"{self.nas.path}/*", out=str(self.nas.path / "out" / "out.jsonl"),
                      source={"paths": [f"{self.nas.path}/*.jsonl", f"{self.nas.path}/*.zst"]},
                      sink={"require_mount": str(self.nas.path)},
                      dead_letter={"path": str(self.folder / "dead.jsonl")}, limits={"commit": {"interval": "200ms"}})
        process = self.start_pipeline("--state", self.folder / "state")
        temporary = self.nas.files / "out" / ".out.jsonl.leat-tmp"
        self.until(lambda: temporary.exists() and temporary.stat().st_size >= len(self.want) // 4, "some output")
        self.nas.kill_server()
        time.sleep(4)
        self.assertIsNone(process.poll())
        self.nas.start_server()
        run = self.finish(process)
        self.assertEqual(run.code, 0, run.stderr)
        self.assertSame((self.nas.files / "out" / "out.jsonl").read_bytes(), self.want)


if __name__ == "__main__":
    faultfs.main()
