"""Mounts tests/faultfs, the file system that fails as it is told, in a case's folder.

    nas = faultfs.mount(self)                  # self: a harness.Case; skips it where there is no FUSE
    (nas.backing / "in.jsonl").write_bytes(b)  # as another client of the NAS would: not counted, no faults
    self.pipeline(paths=f"{nas.path}/*.jsonl")
    nas.command("fail read *.jsonl EIO offset=65536 times=3")
    nas.stats()["paths"]["in.jsonl"]["read"]   # bytes

The commands: tests/faultfs/README.md. A file of cases that needs it ends with `faultfs.main()`, so that CTest shows it
as skipped where every case was.
"""

import functools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from harness import BIN, DEADLINE_S

PROGRAM = BIN / "faultfs"


class FaultFs:
    """One mount: `path` is where it is seen, `backing` where its files are."""

    def __init__(self, folder, name="nas", lossy=False, options=()):
        self.folder, self.name, self.lossy, self.options = Path(folder), name, lossy, tuple(map(str, options))
        self.path = self.folder / name
        self.below = self.folder / (name + ".backing")
        self.backing = self.below / "live" if lossy else self.below
        self.control = self.folder / (name + ".sock")
        self.process = None
        self.path.mkdir(exist_ok=True)
        self.backing.mkdir(exist_ok=True, parents=True)

    def start(self):
        """Returns when it is mounted. The arguments are relative: Case.processes() is for the programs under test."""
        command = [str(PROGRAM), self.below.name, self.path.name, "--control", self.control.name, *self.options]
        # libfuse itself leaks what it knows of files that were not released when it leaves.
        environment = dict(os.environ, ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0")
        self.process = subprocess.Popen(command + ["--lossy"] * self.lossy, cwd=self.folder, env=environment,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if self.process.stdout.readline() != b"ready\n":
            code = self.process.wait()
            self.process.stdout.close()
            self.process = None
            raise RuntimeError(f"faultfs ended with {code}")
        return self

    def command(self, line):
        """Returns the answer; raises ValueError when it was not understood."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(DEADLINE_S)
            # The path may be longer than a socket's address can be.
            folder = os.open(self.folder, os.O_PATH | os.O_DIRECTORY)
            try:
                connection.connect(f"/proc/self/fd/{folder}/{self.control.name}")
            finally:
                os.close(folder)
            connection.sendall(os.fsencode(line) + b"\n")
            with connection.makefile("rb") as answers:
                answer = answers.readline().decode(errors="surrogateescape").rstrip("\n")
        if answer.startswith("error"):
            raise ValueError(f"{line}: {answer}")
        return answer

    def stats(self):
        return json.loads(self.command("stats"))

    def of(self, path):
        """The counts of one path inside the mount."""
        zero = dict.fromkeys(("read", "written", "opens", "getattrs", "fsyncs", "listings"), 0)
        return self.stats()["paths"].get(str(path), zero)

    def hanging(self):
        """How many operations hang now: what a test waits for after `hang`."""
        return self.stats()["hanging"]

    def powercut(self, seed=None):
        self.command("powercut" if seed is None else f"powercut seed={seed}")

    def restore(self):
        self.command("restore")

    def stop(self):
        """Unmounts, and waits until the process has gone. What hangs is let go with an error. Raises when it was broken."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            code = self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.process.stdout.close()
        self.process = None
        if os.path.ismount(self.path) or not os.access(self.path, os.R_OK):
            subprocess.run(["fusermount3", "-uqz", str(self.path)], check=False)
        if code != 0:
            raise RuntimeError(f"faultfs ended with {code}")

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


@functools.cache
def missing():
    """Why it cannot be used here; None: it can."""
    if not PROGRAM.exists():
        return f"{PROGRAM} was not built (install libfuse3-dev and configure again)"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse cannot be opened"
    if shutil.which("fusermount3") is None:
        return "fusermount3 is missing (install fuse3)"
    folder = tempfile.mkdtemp(prefix="leat-test-")
    try:
        with FaultFs(folder) as tried:
            if not os.path.ismount(tried.path):
                return "a mount is not seen"
    except RuntimeError as error:
        return f"cannot mount: {error}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return None


def skip_unless_fuse(case):
    if reason := missing():
        case.skipTest(reason)


def mount(case, name="nas", **options):
    """A mount in the case's folder that goes when the case ends."""
    skip_unless_fuse(case)
    mounted = FaultFs(case.folder, name, **options).start()
    case.addCleanup(mounted.stop)
    return mounted


def main():
    """As unittest.main(); 77 when every case was skipped, which CTest shows."""
    result = unittest.main(module="__main__", verbosity=2, exit=False).result
    sys.exit(1 if not result.wasSuccessful() else 77 if len(result.skipped) == result.testsRun else 0)
