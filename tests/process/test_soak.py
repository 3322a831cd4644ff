"""Two minutes in the life of a leatd: `scripts/soak daemon` is the long form, and also draws what it measures."""
import sys
import unittest
from pathlib import Path

for folder in ("bench", "soak"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / folder))

import daemon
import faultfs
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


if __name__ == "__main__":
    faultfs.main()
