"""Runs the real programs on real files. Every case has a folder of its own that goes when it ends."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

BIN = Path(os.environ.get("LEAT_BIN", Path(__file__).resolve().parents[2] / "build" / "bin"))
LEAT = str(BIN / "leat")
SANITIZED = "asan" in str(BIN) or "tsan" in str(BIN)
DEADLINE_S = 120  # generous: the sanitized build on a busy machine


class Run:
    """What one `leat run` left behind."""

    def __init__(self, folder, process, out, err):
        self.folder, self.code, self.stdout, self.stderr = folder, process.returncode, out, err
        self.summary = json.loads(out) if out.strip().startswith(b"{") else None

    def output(self, name="out.jsonl"):
        path = self.folder / name
        return path.read_bytes() if path.exists() else None

    def dead(self, name="dead.jsonl"):
        path = self.folder / name
        return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []

    def counts(self):
        return tuple(self.summary[key] for key in ("in", "kept", "dropped", "dead"))


class Case(unittest.TestCase):
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
        for section, content in more.items():
            if isinstance(content, dict):
                config.setdefault(section, {}).update(content)
            else:
                config[section] = content
        return self.write(name, json.dumps(config, indent=1))

    def start(self, *arguments, **popen):
        environment = dict(os.environ, LC_ALL="C.UTF-8", **popen.pop("env", {}))
        return subprocess.Popen(
            [*popen.pop("launcher", ()), LEAT, *map(str, arguments)], cwd=self.folder, env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, **popen)

    def finish(self, process):
        try:
            out, err = process.communicate(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            self.fail(f"still running after {DEADLINE_S} s\n{err.decode(errors='replace')}")
        return Run(self.folder, process, out, err.decode(errors="replace"))

    def leat(self, *arguments, code=0, **popen):
        run = self.finish(self.start(*arguments, **popen))
        self.assertEqual(run.code, code, run.stderr)
        return run

    def run_pipeline(self, pipeline=None, *arguments, code=0, **popen):
        run = self.leat("run", pipeline or self.folder / "pipeline.yaml", "--json", "--force",
                        "--runtime-dir", self.runtime, *arguments, code=code, **popen)
        if run.summary is not None and "in" in run.summary:
            records_in, kept, dropped, dead = run.counts()
            self.assertEqual(records_in, kept + dropped + dead, "the counts do not add up")
        self.assertNothingLeft()
        return run

    def assertNothingLeft(self):
        """No socket, page or runtime folder, no temporary output, no process."""
        self.assertEqual([str(path) for path in self.runtime.rglob("*")], [])
        self.assertEqual([path.name for path in self.folder.rglob(".*.leat-tmp")], [])
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                command = Path("/proc", pid, "cmdline").read_bytes()
            except OSError:
                continue
            self.assertNotIn(str(self.runtime).encode(), command, f"process {pid} is still there")


def lines(records):
    return b"".join(json.dumps(record, separators=(",", ":")).encode() + b"\n" for record in records)
