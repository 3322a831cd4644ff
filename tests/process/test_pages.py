"""A kernel whose pages are larger than 4 KiB: what it refuses is refused by a library that all programs get (tests/pages)."""

import json
import unittest

from harness import BIN, SANITIZED, Case, lines


class Pages(Case):
    @unittest.skipIf(SANITIZED, "a sanitizer wants to be the first library")
    def test_pages_of_16_and_64_kib_change_nothing(self):
        self.write("in.jsonl", lines({"n": n, "text": "x" * 500} for n in range(5000)))
        pipeline = self.pipeline(keep=[{"field": "/n", "ge": 0}], steps=[{"set": {"/a": 1}}])
        outputs = []
        for page_bytes in (4096, 16384, 65536):
            log = self.folder / f"log-{page_bytes}"
            run = self.leat("run", pipeline, "--fresh", "--force", "--json", "--runtime-dir", self.runtime, env={
                "LD_PRELOAD": str(BIN.parent / "libpages.so"), "LEAT_PAGES_BYTES": str(page_bytes), "LEAT_PAGES_LOG": str(log)})
            self.assertNotIn("warning", run.stderr)
            self.assertLessEqual({"leat", "leat-reader", "leat-filter", "leat-processor", "leat-writer"}, set(log.read_text().split()))
            outputs.append(run.output())
        self.assertEqual([json.loads(line)["n"] for line in outputs[0].splitlines()], list(range(5000)))
        self.assertTrue(outputs[0] == outputs[1] == outputs[2])


if __name__ == "__main__":
    unittest.main()
