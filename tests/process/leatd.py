"""A leatd of the case's own: its folders are in the case's folder, and it is asked over its socket."""
import json
import os
import signal
import socket
import subprocess
import time

from harness import Case, lines, program


class LeatdCase(Case):
    def setUp(self):
        super().setUp()
        for name in ("etc/pipelines.d", "in", "out"):
            (self.folder / name).mkdir(parents=True)
        self.daemon = None
        self.addCleanup(self.end)

    def pipeline(self, name="reviews", file=None, text=None, **sections):
        """Writes etc/pipelines.d/NAME.yaml; the file is there whole or not at all."""
        config = {
            "version": 1, "name": name,
            "source": {"paths": [str(self.folder / "in/*.jsonl")], "poll": "200ms", "settle": "300ms"},
            "filter": {"keep": [{"field": "/n", "exists": True}]},
            "process": {"workers": 1, "steps": [{"set": {"/kind": "document"}}]},
            "sink": {"path": str(self.folder / "out/{stem}.jsonl")},
            "dead_letter": {"path": str(self.folder / f"{name}.dead.jsonl")},
            "limits": {"commit": {"interval": "200ms"}},
        }
        for section, content in sections.items():
            config[section] = {**config.get(section, {}), **content} if isinstance(content, dict) else content
        path = self.folder / "etc/pipelines.d" / (file or f"{name}.yaml")
        new = path.with_suffix(".new")
        new.write_text(json.dumps(config, indent=1) if text is None else text)
        new.rename(path)
        return path

    def start_leatd(self, ready=True, launcher=(), **env):
        environment = dict(os.environ, LC_ALL="C.UTF-8", **{key: str(value) for key, value in env.items()})
        self.log = open(self.folder / "leatd.log", "ab")
        before = self.log.tell()
        (self.runtime / "d/leatd.sock").unlink(missing_ok=True)  # of one that was killed
        self.daemon = subprocess.Popen(
            [*launcher, program("leatd", environment), "--config-dir", self.folder / "etc", "--state-dir", self.folder / "state", "--runtime-dir",
             self.runtime / "d"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log, env=environment)
        self.log.close()
        self.until(lambda: self.daemon.poll() is not None or self.listens(), "leatd's socket")
        if ready:
            self.until(lambda: "leatd-ready" in self.said()[before:], "leatd is ready")
        return self.daemon

    def listens(self):
        with socket.socket(socket.AF_UNIX) as connection:  # its name is there a moment before
            return connection.connect_ex(str(self.runtime / "d/leatd.sock")) == 0

    def said(self):
        return (self.folder / "leatd.log").read_text(errors="replace")

    def ask(self, command, pipeline="", seconds=60, **arguments):
        """The answer as a dict."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(seconds)
            connection.connect(str(self.runtime / "d/leatd.sock"))
            request = {"command": command, **({"pipeline": pipeline} if pipeline else {}), **arguments}
            connection.sendall(json.dumps(request).encode() + b"\n")
            answer = b""
            while piece := connection.recv(1 << 16):
                answer += piece
        return json.loads(answer)

    def status(self, name="reviews"):
        return next(p for p in self.ask("status")["data"]["pipelines"] if p["name"] == name)

    def workers(self, role, name="reviews"):
        return [w for w in self.status(name)["workers"] if w["role"] == role]

    def until_pool(self, count, name="reviews"):
        """So many processors are there and ready."""
        self.until(lambda: [w["state"] not in ("starting", "gone", "leaving") for w in self.workers("processor", name)]
                   == [True] * count, f"{count} processors")

    def join(self, name="reviews", *launcher, **env):
        """A processor that nobody but us has started."""
        environment = dict(os.environ, **{key: str(value) for key, value in env.items()})
        process = subprocess.Popen(
            [*launcher, program("leat-processor", environment), "--join", f"ipc://{self.runtime}/d/{name}/control"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def feed(self, name, content):
        """As an upload does it: under another name first."""
        part = self.folder / "in" / (name + ".part")
        part.write_bytes(content)
        part.rename(self.folder / "in" / name)

    def numbers(self, count, first=0, size=60):
        return lines({"n": n, "text": "x" * size} for n in range(first, first + count))

    def expected(self, content):
        return b"".join(line[:-2] + b',"kind":"document"}\n' for line in content.splitlines(keepends=True))

    def output(self, name):
        path = self.folder / "out" / name
        return path.read_bytes() if path.exists() else None

    def until_output(self, name, content, seconds=60):
        self.until(lambda: self.output(name) is not None, f"out/{name}", seconds)
        self.assertSame(self.output(name), content)

    def stop_leatd(self, signal_number=signal.SIGTERM, seconds=30):
        self.daemon.send_signal(signal_number)
        code = self.daemon.wait(seconds)
        self.daemon = None
        return code

    def kill_leatd(self):
        """And waits for its workers: they die with it."""
        self.daemon.kill()
        self.daemon.wait()
        self.daemon = None
        self.until(lambda: not [pid for pid, words in self.processes().items() if "--join" not in words], "all workers are gone")

    def end(self):
        if self.daemon is not None:
            self.daemon.terminate()
            try:
                self.daemon.wait(30)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()
                raise
        self.daemon = None
