"""A pipeline on real data that is disturbed again and again, and what it must have written in the end.

The job is J1 of scripts/bench from .zst to .zst with 4 processors, some records malformed, so that there are dead
letters. The undisturbed run comes first; everything after it is compared with what that one wrote.
"""
import hashlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("LEAT_BIN", os.path.join(ROOT, "build", "bin"))
HOOKED = os.path.join(os.path.dirname(os.path.normpath(BIN)), "test-bin")  # the same programs, with tests/hooks in them
LEAT = os.path.join(BIN, "leat")
WORKERS = ("leat-reader", "leat-filter", "leat-processor", "leat-writer")
SLOW = 10 if "asan" in BIN or "tsan" in BIN else 1
DEADLINE_S = 120 * SLOW

sys.path.insert(0, os.path.join(ROOT, "tests", "bench"))


class Wrong(Exception):
    """What should never be: the soak has found something."""


def make_sources(folder, megabytes):
    """Three sources, two of them .zst of several frames, one plain; one record in 500 is damaged."""
    import jobs

    os.makedirs(folder)
    corpus = os.path.join(folder, "all")
    jobs.make_corpus("--kind", "large", "--size", f"{megabytes}MB", "--out", corpus)
    with open(corpus, "rb") as file:
        lines = file.readlines()
    os.unlink(corpus)
    for n in range(0, len(lines), 500):
        lines[n] = lines[n][:len(lines[n]) // 2] + b"\n"
    third = len(lines) // 3
    for name, part in (("a", lines[:third]), ("b", lines[third:2 * third])):
        with open(os.path.join(folder, name + ".jsonl.zst"), "wb") as out:
            for at in range(0, len(part), 700):
                out.write(compress(b"".join(part[at:at + 700])))
    with open(os.path.join(folder, "c.jsonl"), "wb") as out:
        out.writelines(lines[2 * third:])
    return len(lines)


def compress(data):
    return subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


class World:
    """One folder: sources in `in`, output and dead letters in `out`, the ledger in `state`."""

    def __init__(self, folder, sources, seed, out=None, state=None, interval="25ms", record_us=40):
        self.folder, self.sources = folder, sources
        self.out = out or os.path.join(folder, "out")
        self.state = state or os.path.join(folder, "state")
        self.random = random.Random(seed)
        self.record_us = record_us * SLOW
        os.makedirs(self.out, exist_ok=True)
        self.runtime = os.path.join(folder, "run")
        os.makedirs(self.runtime, mode=0o700)
        self.pipeline = os.path.join(folder, "soak.yaml")
        with open(self.pipeline, "w") as file:
            json.dump({
                "version": 1, "name": "soak",
                "source": {"paths": [os.path.join(sources, "*")]},
                "filter": {"keep": [{"field": "/score", "lt": 0.5}]},
                "process": {"workers": 4, "steps": [{"drop": "/mtime"}, {"rename": {"/path": "/source"}},
                                                    {"length": {"from": "/text", "to": "/n"}}]},
                "sink": {"path": os.path.join(self.out, "out.jsonl.zst")},
                "dead_letter": {"path": os.path.join(self.out, "dead.jsonl")},
                "limits": {"commit": {"interval": interval}, "batch": "64KiB"},
            }, file)
        self.process = None
        self.log = open(os.path.join(folder, "log"), "ab")

    def start(self, *arguments):
        environment = dict(os.environ, LEAT_TEST_HOOKS="1", LEAT_TEST_FILTER_US=str(self.record_us), LC_ALL="C.UTF-8")
        self.process = subprocess.Popen(
            [os.path.join(HOOKED, "leat"), "run", self.pipeline, "--state", self.state, "--runtime-dir", self.runtime, *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log, env=environment)
        return self.process

    def processes(self):
        """pid -> program, of the run that was started last."""
        found = {}
        if self.process is None or self.process.poll() is not None:
            return found
        found[self.process.pid] = "leat"
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        try:
            with open(children) as file:
                pids = file.read().split()
        except OSError:
            return found
        for pid in pids:
            try:
                with open(f"/proc/{pid}/comm") as file:
                    name = file.read().strip()
            except OSError:
                continue
            if name in [worker[:15] for worker in WORKERS]:
                found[int(pid)] = name
        return found

    def finish(self):
        try:
            return self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            raise Wrong(f"still running after {DEADLINE_S} s") from None

    def kill_all(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self.wait_for_orphans()

    def wait_for_orphans(self):
        """Workers of a killed run end by themselves; they hold the lock until then."""
        deadline = time.monotonic() + DEADLINE_S
        while any(self.runtime.encode() in read(f"/proc/{pid}/cmdline") for pid in os.listdir("/proc") if pid.isdigit()):
            if time.monotonic() > deadline:
                raise Wrong("workers outlive their killed supervisor")
            time.sleep(0.01)

    def result(self):
        """(SHA-256 of the decoded output, SHA-256 of the dead letters)."""
        path = os.path.join(self.out, "out.jsonl.zst")
        decoded = subprocess.run(["zstd", "-qdc", path], stdout=subprocess.PIPE, check=False)
        if decoded.returncode != 0:
            raise Wrong(f"{path} is no whole zstd file")
        return sha(decoded.stdout), sha(read(os.path.join(self.out, "dead.jsonl")))

    def check_ledger(self, records=None):
        """in = kept + dropped + dead for every source, and all records together."""
        # Writable: after a cut SQLite has to recover its log first.
        ledger = sqlite3.connect(f"file:{ledger_of(self.state)}?mode=rw", uri=True)
        try:
            if ledger.execute("pragma integrity_check").fetchone()[0] != "ok":
                raise Wrong("the ledger is damaged")
            if records is None and not ledger.execute("select 1 from sqlite_master where name = 'sources'").fetchone():
                return  # cut off while it was made
            rows = ledger.execute(
                'select path, state, records_in, kept, dropped, dead from sources').fetchall()
        finally:
            ledger.close()
        for path, state, records_in, kept, dropped, dead in rows:
            if records_in != kept + dropped + dead:
                raise Wrong(f"{path}: {records_in} in, {kept} kept, {dropped} dropped, {dead} dead")
            if records is not None and state != "done":
                raise Wrong(f"{path} is {state}")
        if records is not None and sum(row[2] for row in rows) != records:
            raise Wrong(f"{sum(row[2] for row in rows)} records in the ledger, {records} in the sources")

    def check(self, want, records):
        got = self.result()
        if got != want:
            raise Wrong(f"output or dead letters differ: {got}, not {want}; see {self.folder}")
        self.check_ledger(records)
        left = [name for name in os.listdir(self.out) if name.startswith(".")]
        if left or self.processes():
            raise Wrong(f"left behind: {left} {self.processes()}")

    def forget(self):
        """The next run starts from nothing."""
        for path in (self.out, self.state):
            for name in os.listdir(path) if os.path.isdir(path) else ():
                os.unlink(os.path.join(path, name))

    def close(self):
        self.kill_all()
        self.log.close()


def undisturbed(folder, sources, records):
    world = World(os.path.join(folder, "undisturbed"), sources, 0, record_us=0)
    world.start()
    code = world.finish()
    if code != 0:
        raise Wrong(f"the undisturbed run ended with {code}; see {world.folder}/log")
    world.check_ledger(records)
    want = world.result()
    world.close()
    return want


def ledger_of(state):
    return os.path.join(state, next(name for name in sorted(os.listdir(state)) if name.endswith(".db")))


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def sha(data):
    return hashlib.sha256(data).hexdigest()


class Folder:
    """A temporary folder that stays, and is named, when something was wrong."""

    def __init__(self, parent):
        import tempfile
        self.path = tempfile.mkdtemp(prefix="leat-soak-", dir=parent)

    def __enter__(self):
        return self.path

    def __exit__(self, kind, error, trace):
        if kind is None:
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            print(f"soak: everything is left in {self.path}", flush=True)
