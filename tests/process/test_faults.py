"""One operation after the other of the writer and of the ledger fails with EIO, once: the bytes are right, or the run refuses and says
why, and the next one goes on from there. All of them with LEAT_EVERY_FAULT=1; else some of each kind, from first to last."""

import os
import random
import shutil
import sys

import faultfs
from harness import Case, lines

KEPT = [lines({"source": name, "n": n, "text": random.Random(f"{name}{n}").randbytes(40).hex()} for n in range(500)) for name in "ab"]
BAD = [f"bad {n}" for n in range(30)]
SOME = None if os.environ.get("LEAT_EVERY_FAULT") else 4


class InTurn(Case):
    def setUp(self):
        super().setUp()
        self.disk = faultfs.mount(self, "disk")
        self.write("in/a.jsonl", KEPT[0])
        self.write("in/b.jsonl", "\n".join(BAD).encode() + b"\n" + KEPT[1])
        self.pipeline(paths="in/*.jsonl", out=str(self.disk.path / "out.jsonl"), dead_letter={"path": str(self.disk.path / "dead.jsonl")},
                      limits={"batch": "8KiB", "commit": {"interval": "10ms", "bytes": "16KiB"}})

    def run_once(self):
        return self.finish(self.start_pipeline("--state", self.disk.path / "state"))

    def again(self):
        for path in self.disk.backing.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def happens(self, operation, where, after, resumed):
        """False: it was never done so often. resumed: by a run that goes on from one that ended in the middle."""
        print(operation, where, after, file=sys.stderr)  # what a failure is of
        self.again()
        if resumed:
            self.disk.command("fail write state/ledger.db-wal ENOSPC after=60")
            self.assertEqual(self.run_once().code, 74)
            self.disk.command("clear")
        before = self.disk.stats()["faults"]
        self.disk.command(f"fail {operation} {where} EIO after={after} times=1")
        run = self.run_once()
        happened = self.disk.stats()["faults"] > before
        self.disk.command("clear")
        self.assertIn(run.code, (0, 74), run.stderr)
        if run.code == 74:
            self.assertRegex(run.stderr, "Input/output error|disk I/O error|check the disk")
            self.assertNotIn("damaged", run.stderr)
            self.assertRegex(run.stderr, r"un again|is failing")
            run = self.run_once()
        self.assertEqual(run.code, 0, run.stderr)
        self.assertSame((self.disk.backing / "out.jsonl").read_bytes(), b"".join(KEPT))
        self.assertEqual([letter["record"] for letter in run.dead("disk.backing/dead.jsonl")], BAD)
        self.assertEqual(sorted(path.name for path in self.disk.backing.iterdir()), ["dead.jsonl", "out.jsonl", "state"])
        return happened

    def in_turn(self, operation, where, resumed=False):
        self.assertTrue(self.happens(operation, where, 0, resumed), f"{operation} of {where} is never done")
        last = 1
        while self.happens(operation, where, last, resumed):
            last *= 2
        for after in range(1, last, max(1, last // SOME) if SOME else 1):
            if not self.happens(operation, where, after, resumed):
                break

    def test_reads_of_the_ledger(self):
        self.in_turn("read", "state/*")

    def test_writes_of_the_ledger(self):
        # Not -shm: mapped memory, which the kernel writes when it likes.
        self.in_turn("write", "state/*[!m]")

    def test_fsyncs_of_the_ledger(self):
        self.in_turn("fsync", "state/*")

    def test_names_of_the_ledger(self):
        for operation in ("open", "create", "unlink", "mkdir", "getattr", "access"):
            self.in_turn(operation, "state*")

    def test_writes_of_the_writer(self):
        self.in_turn("write", "*.jsonl*")

    def test_fsyncs_of_the_writer(self):
        for operation in ("fsync", "fsyncdir"):
            self.in_turn(operation, "*")

    def test_names_of_the_writer(self):
        for operation in ("rename", "open", "create", "unlink"):
            self.in_turn(operation, "*.jsonl*", resumed=True)


if __name__ == "__main__":
    faultfs.main()
