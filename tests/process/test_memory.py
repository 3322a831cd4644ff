"""The byte budget: what all processes hold together, whatever the input."""

import unittest

from harness import SANITIZED, Case

MIB = 1 << 20


@unittest.skipIf(SANITIZED, "sanitizers hold memory of their own")
class Memory(Case):
    def peak(self, middle=b"", source=None, keep=None):
        """Runs 40 MB with `middle` in it through four processors."""
        with open(self.folder / "in.jsonl", "wb") as file:
            for half in range(2):
                for n in range(20_000):
                    file.write(b'{"n":%d,"text":"%s"}\n' % (half * 20_000 + n, b"%08d " % n * 108))
                if half == 0:
                    file.write(middle)
        self.pipeline(steps=[{"drop": ["/nothing"]}], keep=keep, workers=4, source=source or {})
        run = self.run_pipeline()
        self.assertSame(run.output(), (self.folder / "in.jsonl").read_bytes())
        self.assertGreater(run.summary["peak_memory_bytes"], 4 * MIB, "it was not measured")
        return run.summary["peak_memory_bytes"]

    @staticmethod
    def record(size):
        return b'{"long":"' + b"x" * size + b'"}\n'

    def test_forty_megabytes(self):
        self.assertLess(self.peak(), 64 * MIB)

    def test_a_record_of_four_megabytes(self):
        self.assertLess(self.peak(self.record(4 * MIB)), 64 * MIB)

    def test_a_record_of_sixteen_megabytes(self):
        self.assertLess(self.peak(self.record(16 * MIB), {"max_record": "32MiB"}), 160 * MIB)

    def test_many_small_files(self):
        for n in range(2000):
            self.write(f"in/{n:05}.jsonl", b'{"n":%d}\n' % n)
        self.pipeline(paths="in/*.jsonl", steps=[{"drop": ["/nothing"]}], workers=4)
        run = self.run_pipeline()
        self.assertEqual(run.output(), b"".join(b'{"n":%d}\n' % n for n in range(2000)))
        self.assertLess(run.summary["peak_memory_bytes"], 64 * MIB)


if __name__ == "__main__":
    unittest.main(verbosity=2)
