"""A sink that is slower than the source holds the reader back, and nothing piles up in between."""

import os
import threading
import time
import unittest

from harness import SANITIZED, Case

MIB = 1 << 20
RATE = 5 * MIB  # bytes a second that the sink takes
BLOCK = 64 * 1024


def pss(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            return next(int(line.split()[1]) * 1024 for line in rollup if line.startswith("Pss:"))
    except (OSError, StopIteration):  # it has just left
        return 0


class SlowReader(threading.Thread):
    """Takes BLOCK after BLOCK from a FIFO, each when its time has come."""

    def __init__(self, path):
        super().__init__()
        self.path, self.pieces, self.size = path, [], 0

    def run(self):
        with open(self.path, "rb", buffering=0) as pipe:
            begin = time.monotonic()
            while piece := pipe.read(BLOCK):
                self.pieces.append(piece)
                self.size += len(piece)
                time.sleep(max(0, begin + self.size / RATE - time.monotonic()))


class Backpressure(Case):
    def test_a_slow_sink_holds_the_reader_back_in_constant_memory(self):
        want = []
        with open(self.folder / "in.jsonl", "wb") as file:
            for n in range(60_000):
                line = b'{"n":%d,"keep":%d,"text":"%s"}\n' % (n, n % 12 < 5, b"%08d " % n * 108)
                file.write(line)
                if n % 12 < 5:
                    want.append(line)
        os.mkfifo(self.folder / "pipe")
        self.pipeline(keep=[{"field": "/keep", "eq": 1}], steps=[{"drop": ["/nothing"]}], workers=2, out="pipe")
        reader = SlowReader(self.folder / "pipe")
        process = self.start_pipeline()
        reader.start()
        samples = []
        while process.poll() is None:
            samples.append((reader.size, sum(map(pss, self.processes()))))
            time.sleep(0.1)
        run = self.finish(process)
        reader.join()
        self.assertEqual(run.code, 0, run.stderr)
        self.assertSame(b"".join(reader.pieces), b"".join(want))
        self.assertEqual(run.counts(), (60_000, 25_000, 35_000, 0))
        (shares,) = [stage for stage in run.summary["stages"] if stage["stage"] == "reader"]
        self.assertGreater(shares["blocked"], 0.5)
        if not SANITIZED:
            self.assertMemory([memory for size, memory in samples if size > 0], run.summary["peak_memory_bytes"])
        self.assertNothingLeft()

    def assertMemory(self, memory, reported):
        self.assertGreater(len(memory), 9, "the run was over before it could be watched")
        third = len(memory) // 3
        self.assertLess(max(memory), 64 * MIB)
        self.assertLess(reported, 64 * MIB)
        self.assertLess(max(memory[-third:]) - max(memory[:third]), 4 * MIB)


if __name__ == "__main__":
    unittest.main(verbosity=2)
