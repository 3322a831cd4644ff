"""leatd answers `status` at once whatever its workers do, and says what is wrong. `scripts/bench status` asks longer."""
import sys
import unittest
from pathlib import Path

for folder in ("soak", "bench"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / folder))

import faultfs
import status
from harness import SANITIZED, Case

LIMIT_MS = status.LIMIT_MS * (5 if SANITIZED else 1)


class Status(Case):
    def subject(self, **more):
        subject = status.Subject(str(self.folder), **more)
        self.addCleanup(subject.close)
        return subject.start()

    def assertAnswers(self, times):
        slow = status.percentile(times, 0.99)
        self.assertLess(slow, LIMIT_MS, f"99 % of {len(times)} within {slow:.1f} ms, the longest {max(times):.1f} ms")

    def test_while_a_read_hangs(self):
        faultfs.skip_unless_fuse(self)
        subject = self.subject(nas=True)
        says = subject.hang()
        self.assertRegex(says, r"^\d+ s in read\(\) of .*/nas/hangs\.jsonl$")
        self.assertAnswers(subject.requests(200))
        self.assertAnswers(subject.programs(10))
        self.assertEqual(subject.leatd.pipeline(status.NAME)["state"], "waiting")
        subject.nas.command("release")
        subject.leatd.until(lambda: subject.says() == "", "all is well again")

    def test_while_a_processor_is_stopped(self):
        subject = self.subject()
        subject.add("a.jsonl")
        says, go_on = subject.stop_processor()
        self.assertRegex(says, r"^processor-0 \(pid \d+\) is stopped by a signal: kill -CONT \d+ continues it$")
        self.assertAnswers(subject.requests(200))
        go_on()
        subject.leatd.until(lambda: subject.says() == "", "all is well again")

    def test_at_full_load(self):
        corpus = self.write("corpus", b"".join(b'{"id":%d,"score":0.5,"text":"%s"}\n' % (n, b"x" * 1000) for n in range(20_000)))
        subject = self.subject(corpus=str(corpus))
        subject.leatd.until(lambda: subject.leatd.pipeline(status.NAME)["records"]["in"] > 0, "it reads")
        self.assertAnswers(subject.requests(300))
        self.assertLess(subject.leatd.pipeline(status.NAME)["sources"]["done"], status.LINKS, "it still reads")


if __name__ == "__main__":
    faultfs.main()
