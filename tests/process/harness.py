"""Runs the real programs on real files. Every case has a folder of its own that goes when it ends."""

import json
import os
import select
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

BIN = Path(os.environ.get("LEAT_BIN", Path(__file__).resolve().parents[2] / "build" / "bin"))
HOOKED = BIN.parent / "test-bin"  # the same programs, with tests/hooks in them
LEAT = str(BIN / "leat")
SANITIZED = "asan" in str(BIN) or "tsan" in str(BIN)
DEADLINE_S = 120  # generous: the sanitized build on a busy machine


def program(name, environment):
    """The path of that program: of what is installed, or of the one that does what LEAT_TEST_* say."""
    hooks = [variable for variable in environment if variable.startswith("LEAT_TEST_")]
    if hooks and "LEAT_TEST_HOOKS" not in hooks:
        raise ValueError(f"{', '.join(hooks)} without LEAT_TEST_HOOKS: no program knows them")
    return str((HOOKED if hooks else BIN) / name)


class Run:
    """What one `leat run` left behind."""

    def __init__(self, folder, process, out, err):
        self.folder, self.code, self.stdout, self.stderr = folder, process.returncode, out, err
        self.summary = json.loads(out) if out.startswith(b'{"pipeline"') else None

    def output(self, name="out.jsonl"):
        path = self.folder / name
        return path.read_bytes() if path.exists() else None

    def dead(self, name="dead.jsonl"):
        path = self.folder / name
        return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []

    def counts(self):
        return tuple(self.summary[key] for key in ("in", "kept", "dropped", "dead"))


class LoudCase(unittest.TestCase):
    """One that is skipped says so and why, for scripts/test to say it at its end."""

    def run(self, result=None):
        result = result if result is not None else self.defaultTestResult()
        before = len(result.skipped)
        super().run(result)
        for _, reason in result.skipped[before:]:
            print(f"SKIPPED {Path(sys.argv[0]).stem}, {self._testMethodName}: {reason}", file=sys.stderr, flush=True)
        return result


class Case(LoudCase):
    maxDiff = 2000

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="leat-test-"))
        self.runtime = self.folder / "run"
        self.runtime.mkdir(mode=0o700)
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def pipeline(self, paths="in.jsonl", keep=None, steps=None, workers=2, out="out.jsonl", name="pipeline.yaml", **more):
        """JSON is YAML: the pipeline file is written as JSON. `more`: sections that are merged in."""
        config = {
            "version": 1,
            "name": "test",
            "source": {"paths": [paths] if isinstance(paths, str) else paths},
            "sink": {"path": out},
            "dead_letter": {"path": "dead.jsonl"},
        }
        if keep is not None:
            config["filter"] = {"keep": keep}
        if steps:
            config["process"] = {"workers": workers, "steps": steps}
        if "{n}" in str(out):
            config["sink"]["rotate"] = {"bytes": "1GiB"}  # it wants one
        for section, content in more.items():
            if isinstance(content, dict):
                config.setdefault(section, {}).update(content)
            else:
                config[section] = content
        return self.write(name, json.dumps(config, indent=1))

    def start(self, *arguments, **popen):
        environment = dict(os.environ, LC_ALL="C.UTF-8", XDG_STATE_HOME=str(self.folder / "state"), **popen.pop("env", {}))
        environment.pop("STATE_DIRECTORY", None)
        return subprocess.Popen(
            [*popen.pop("launcher", ()), program("leat", environment), *map(str, arguments)], cwd=self.folder, env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, **popen)

    def start_pipeline(self, *arguments, name="pipeline.yaml", **popen):
        """A run in the background, killed at the end of the case should it still be there."""
        process = self.start("run", name, "--json", "--runtime-dir", self.runtime, *arguments, **popen)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def hear(self, process, text):
        """Waits until it has said `text` on stderr."""
        process.heard = getattr(process, "heard", b"")
        deadline = time.monotonic() + DEADLINE_S
        while text.encode() not in process.heard:
            ready, _, _ = select.select([process.stderr], [], [], max(0, deadline - time.monotonic()))
            piece = os.read(process.stderr.fileno(), 65536) if ready else b""
            self.assertTrue(piece, f"never said {text!r}, but {process.heard.decode(errors='replace')}")
            process.heard += piece

    def finish(self, process, seconds=DEADLINE_S):
        heard = getattr(process, "heard", b"")
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            self.fail(f"still running after {seconds} s\n{(heard + err).decode(errors='replace')}")
        return Run(self.folder, process, out, (heard + err).decode(errors="replace"))

    def until(self, condition, what, seconds=DEADLINE_S, run=None):
        """Waits for what other processes do; returns what `condition` did. When `run` has ended, it waits no more."""
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            if run and run.poll() is not None and not condition():
                self.fail(f"the run ended with {run.returncode} before: {what}\n{self.finish(run).stderr}")
            self.assertLess(time.monotonic(), deadline, f"not within {seconds} s: {what}")
            time.sleep(0.01)
        return value

    def processes(self):
        """Process number -> command line of all that were given a path in the case's folder."""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                command = Path("/proc", pid, "cmdline").read_bytes()
            except OSError:
                continue
            if str(self.folder).encode() in command:
                found[int(pid)] = command.decode(errors="replace").split("\0")
        return found

    def pid_of(self, program):
        """The process that runs leat-reader, leat-processor or child.py: the first one, should there be more."""
        return min(pid for pid, command in self.processes().items() if any(
            word.endswith("/" + program) for word in command[:2]))

    def leat(self, *arguments, code=0, **popen):
        run = self.finish(self.start(*arguments, **popen))
        self.assertEqual(run.code, code, run.stderr)
        return run

    def run_pipeline(self, pipeline=None, *arguments, code=0, **popen):
        """From the beginning, whatever was there before."""
        return self.run_on(pipeline, "--force", "--fresh", *arguments, code=code, **popen)

    def run_on(self, pipeline=None, *arguments, code=0, **popen):
        """Goes on from what the ledger knows."""
        run = self.leat("run", pipeline or self.folder / "pipeline.yaml", "--json",
                        "--runtime-dir", self.runtime, *arguments, code=code, **popen)
        if run.summary is not None and "in" in run.summary:
            records_in, kept, dropped, dead = run.counts()
            self.assertEqual(records_in, kept + dropped + dead, "the counts do not add up")
        self.assertNothingLeft()
        return run

    def sources(self, *arguments, pipeline="pipeline.yaml"):
        """What the ledger knows of each source, by its path in the case's folder."""
        run = self.finish(self.start("sources", pipeline, "--json", *arguments))
        self.assertIn(run.code, (0, 66, 78), run.stderr)  # 66: none, 78: no ledger yet
        rows = [json.loads(line) for line in run.stdout.splitlines()]
        return {os.path.relpath(row["path"], self.folder): row for row in rows}

    def states(self, *arguments, **more):
        return {path: row["state"] for path, row in self.sources(*arguments, **more).items()}

    def ledger(self, query, state="state/leat/test"):
        """Rows of a query, as another program sees them: [] while there is no ledger."""
        path = self.folder / state / "ledger.db"
        if not path.exists():
            return []
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
        try:
            return database.execute(query).fetchall()
        except sqlite3.OperationalError:  # its tables are not there yet
            return []
        finally:
            database.close()

    def start_over(self):
        """The next run knows nothing of the ones before."""
        shutil.rmtree(self.folder / "state", ignore_errors=True)
        for path in [*self.folder.glob("*.jsonl"), *self.folder.glob(".*.leat-tmp")]:
            if path.name != "in.jsonl":
                path.unlink()

    def unfinished(self):
        """The temporary outputs that the ledgers of the case name."""
        named = set()
        for path in self.folder.rglob("ledger.db"):
            ledger = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
            named |= {row[0] for row in ledger.execute("select temporary from outputs where state <> 'published'")}
            ledger.close()
        return named

    def assertSame(self, got, want):
        """Of long contents: unittest would take minutes to show the difference."""
        if got != want:
            at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
            self.fail(f"{len(got)} bytes, not {len(want)}; at {at}: {got[at:at+60]!r}, not {want[at:at+60]!r}")

    def assertNothingLeft(self):
        """No socket, page or runtime folder, no process, and of temporary outputs only those a ledger will continue with."""
        self.assertEqual([str(path) for path in self.runtime.rglob("*")], [])
        left = {str(path) for path in self.folder.rglob(".*.leat-tmp")}
        self.assertLessEqual(left, self.unfinished())
        self.assertEqual(self.processes(), {})


def lines(records):
    return b"".join(json.dumps(record, separators=(",", ":")).encode() + b"\n" for record in records)


def zstd(content, *options):
    return subprocess.run(["zstd", "-q", "-c", *options], input=content, stdout=subprocess.PIPE, check=True).stdout


# A child for `exec` that stops at a record with the key "block", says so by making the file `started`, and continues
# when the gate is opened. It is given the case's folder so that processes() finds it.
BLOCKING_CHILD = """
import os, sys
for line in sys.stdin:
    if '"block"' in line:
        with open("started.new", "w") as started:
            started.write(str(os.getpid()))
        os.rename("started.new", "started")
        open("gate").read()
    print(line, end="", flush=True)
"""


class BlockedCase(Case):
    """Cases that need a run to be in its middle, surely."""

    def setUp(self):
        super().setUp()
        self.write("child.py", BLOCKING_CHILD)
        os.mkfifo(self.folder / "gate")

    def child_step(self):
        return {"exec": {"command": ["python3", str(self.folder / "child.py")], "timeout": "5m",
                         "write": [str(self.folder)]}}

    def wait_until_blocked(self, run):
        """Returns the child's process number."""
        self.until((self.folder / "started").exists, "the child is at the record that blocks", run=run)
        return int((self.folder / "started").read_text())

    def open_gate(self):
        """For who waits at it now and for all that come."""
        held = os.open(self.folder / "gate", os.O_RDWR)
        self.write("gate.open", b"")
        os.rename(self.folder / "gate.open", self.folder / "gate")
        os.close(held)
