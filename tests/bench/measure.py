"""Runs a command and says what it cost: time, CPU of its whole process tree and, in a run of its own, peak memory.

Memory is PSS (a page that n processes share counts 1/n in each), added up over the tree every 20 ms. Reading it takes
the kernel's locks of the sampled processes, so it never runs in a timed run.
"""
import ctypes
import os
import signal
import subprocess
import threading
import time

SAMPLE_SECONDS = 0.02
PR_SET_CHILD_SUBREAPER = 36


class Failed(Exception):
    """The command did not do its job; str() is the end of what it wrote to stderr."""


def adopt_orphans():
    """Descendants whose parent has gone become our children, so that their CPU is counted and they are not lost."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants():
    """Process ids of everything below this process."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(name))
    found, queue = [], [os.getpid()]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def pss_bytes(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass  # it has ended
    return 0


class PssSampler:
    """`with PssSampler() as memory: ...; memory.peak_bytes` is the highest sum over all descendants that was seen."""

    def __enter__(self):
        self.peak_bytes = 0
        self.samples = 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.sample)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()

    def sample(self):
        while not self.stop.wait(SAMPLE_SECONDS):
            self.peak_bytes = max(self.peak_bytes, sum(map(pss_bytes, descendants())))
            self.samples += 1


def run(command, folder, env=None):
    """Runs argv in `folder`, stderr to a file there. Returns wall and CPU seconds; raises Failed unless it exits 0."""
    errors = os.path.join(folder, "stderr.txt")
    with open(errors, "wb") as stderr:
        begin = time.monotonic()
        process = subprocess.Popen(command, cwd=folder, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            reap_orphans(deadline_seconds=5)
            raise
        wall = time.monotonic() - begin
    process.returncode = os.waitstatus_to_exitcode(status)  # or Popen would wait for it again
    cpu = usage.ru_utime + usage.ru_stime + reap_orphans(deadline_seconds=5)
    if process.returncode != 0:
        with open(errors, "rb") as stderr:
            text = stderr.read()[-2000:].decode(errors="replace").strip()
        raise Failed(f"exit status {process.returncode}: {text or 'nothing on stderr'}")
    return {"wall": wall, "cpu": cpu}


def reap_orphans(deadline_seconds):
    """Waits for what a command left running; its CPU seconds. What outlives the deadline is ended."""
    cpu = 0.0
    deadline = time.monotonic() + deadline_seconds
    while True:
        try:
            pid, _, usage = os.wait3(os.WNOHANG)
        except ChildProcessError:
            return cpu
        if pid:
            cpu += usage.ru_utime + usage.ru_stime
        elif time.monotonic() < deadline:
            time.sleep(0.01)
        else:
            for left in descendants():
                os.kill(left, signal.SIGKILL)
            deadline = float("inf")
