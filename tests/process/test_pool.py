"""The pool that balances itself, in short: `scripts/bench pool` measures the same for longer."""
import sys
import time
import unittest
from pathlib import Path

for folder in ("soak", "bench"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / folder))

import pool
from harness import SANITIZED, Case


class Balanced(Case):
    @unittest.skipIf(SANITIZED, "a figure of how fast it is")
    def test_grows_to_four_brings_what_four_should_and_shrinks_when_idle(self):
        balanced = pool.Pool(str(self.folder))
        self.addCleanup(balanced.close)
        balanced.start()
        one, _ = balanced.rate(lambda: time.sleep(3))
        balanced.scale("auto")
        grown = balanced.until_wanted(4, 20)
        self.assertIsNotNone(grown, f"four processors within 20 s: {balanced.events}")
        four, wanted = balanced.rate(lambda: balanced.stays(5))
        self.assertEqual(wanted, [4], balanced.events)
        # 3.7 on a quiet machine; other tests run beside this one.
        self.assertGreater(four / one, 3, f"{four:.0f} records/s with four, {one:.0f} with one")
        balanced.run_dry()
        self.assertIsNotNone(balanced.until_wanted(1, 25), f"one when idle: {balanced.events}")
        self.assertEqual([event["text"].split()[1] for event in balanced.events][-6:],
                         ["to=2", "to=3", "to=4", "to=3", "to=2", "to=1"])
        for event in balanced.events[-6:]:
            self.assertIn("reason=", event["text"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
