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

        def start_again(times):
            for _ in range(times):
                for command in ("drain", "resume"):
                    self.assertEqual(leatd.ask(command, "one")["exit_code"], 0)
                leatd.wait_for("one")
            pid = leatd.process.pid
            return (watch.memory_of(pid)[1], len(list(Path(f"/proc/{pid}/fd").iterdir())), len(list(Path(f"/proc/{pid}/task").iterdir())),
                    len(list((self.folder / "run/one").iterdir())))

        memory, *before = start_again(50)  # until malloc has what it wants
        memory_after, *after = start_again(50)
        self.assertEqual(after, before, "descriptors, threads, files in the runtime folder")
        self.assertLess(memory_after - memory, 100, "KiB")


if __name__ == "__main__":
    faultfs.main()
