"""Two minutes in the life of a leatd: `scripts/soak daemon` is the long form, and also draws what it measures."""
import sys
import unittest
from pathlib import Path

for folder in ("bench", "soak"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / folder))

import daemon
import faultfs
import service
import watch
from harness import SANITIZED, Case


class Soak(Case):
    def test_two_minutes(self):
        faultfs.skip_unless_fuse(self)
        happened = []
        try:
            daemon.soak(str(self.folder), 0.5 if SANITIZED else 1.4, 1, happened.append)
        except Exception as error:
            log = (self.folder / "leatd.log").read_text(errors="replace")
            self.fail("\n".join([*happened, repr(error), log[-6000:]]))

    @unittest.skipIf(SANITIZED, "its memory is not leatd's")
    def test_a_hundred_starts_of_a_pipeline_leave_nothing_in_leatd(self):
        leatd = service.Leatd(str(self.folder))
        self.addCleanup(leatd.close)
        leatd.configure("one", {"version": 1, "name": "one", "source": {"paths": [str(self.folder / "in/*.jsonl")]},
                                "process": {"workers": 1, "steps": [{"set": {"/a": 1}}]},
                                "sink": {"path": str(self.folder / "{n}.jsonl"), "rotate": {"bytes": "1MiB"}}})
        leatd.start()
        leatd.wait_for("one")

        pid = leatd.process.pid

        def counts():
            return [len(list(Path(folder).iterdir())) for folder in (f"/proc/{pid}/fd", f"/proc/{pid}/task", self.folder / "run/one")]

        def start_again(times):
            """The most that was there after any of them: what is counted while a start is still under way is fewer or more."""
            most = counts()
            for _ in range(times):
                for command in ("drain", "resume"):
                    self.assertEqual(leatd.ask(command, "one")["exit_code"], 0)
                leatd.wait_for("one")
                most = list(map(max, most, counts()))
            return most

        most = start_again(50)  # until malloc has what it wants
        memory = watch.memory_of(pid)[1]
        start_again(50)
        self.until(lambda: all(map(int.__le__, counts(), most)), f"no more descriptors, threads, files in the runtime folder than {most}")
        self.assertLess(watch.memory_of(pid)[1] - memory, 100, "KiB")


if __name__ == "__main__":
    faultfs.main()
