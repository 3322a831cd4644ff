"""One leatd with folders of its own, as a program that is started, asked, killed and started again."""
import json
import os
import signal
import socket
import subprocess
import time

import world


class Leatd:
    def __init__(self, folder, **environment):
        self.folder = folder
        self.config, self.state, self.runtime = (os.path.join(folder, name) for name in ("etc", "state", "run"))
        os.makedirs(os.path.join(self.config, "pipelines.d"))
        os.makedirs(self.runtime, exist_ok=True)
        self.environment = dict(os.environ, LC_ALL="C.UTF-8", **environment)
        self.bin = world.HOOKED if "LEAT_TEST_HOOKS" in self.environment else world.BIN
        self.log = open(os.path.join(folder, "leatd.log"), "ab")
        self.process = None
        self.joined = []  # processors that were started by hand

    def configure(self, name, pipeline):
        """JSON is YAML."""
        path = self.file_of(name)
        with open(path + ".new", "w") as file:
            json.dump(pipeline, file, indent=1)
        os.rename(path + ".new", path)

    def file_of(self, name):
        return os.path.join(self.config, "pipelines.d", name + ".yaml")

    def start(self):
        self.process = subprocess.Popen(
            [os.path.join(self.bin, "leatd"), "--config-dir", self.config, "--state-dir", self.state, "--runtime-dir", self.runtime],
            env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log)

    def join(self, name):
        """Another processor for that pipeline, from outside."""
        process = subprocess.Popen([os.path.join(self.bin, "leat-processor"), "--join", f"ipc://{self.runtime}/{name}/control"],
                                   env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log)
        self.joined.append(process)
        return process

    def ask(self, command, pipeline=None, seconds=30, **more):
        """The answer; OSError: nobody answers."""
        request = {"command": command, **({"pipeline": pipeline} if pipeline else {}), **more}
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(seconds)
            connection.connect(os.path.join(self.runtime, "leatd.sock"))
            connection.sendall(json.dumps(request).encode() + b"\n")
            answer = b""
            while piece := connection.recv(1 << 16):
                answer += piece
        if not answer:
            raise ConnectionError(f"{command}: no answer")
        return json.loads(answer)

    def pipeline(self, name):
        """Its part of the status; {} while leatd does not answer or does not have it."""
        try:
            return (self.ask("status", name)["data"] or {"pipelines": [{}]})["pipelines"][0]
        except (OSError, KeyError):
            return {}

    def until(self, condition, what, seconds=world.DEADLINE_S):
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            if self.process.poll() is not None:
                raise world.Wrong(f"leatd ended with {self.process.returncode} before: {what}")
            if time.monotonic() > deadline:
                raise world.Wrong(f"not within {seconds} s: {what}")
            time.sleep(0.02)
        return value

    def wait_for(self, name, state="running"):
        self.until(lambda: self.pipeline(name).get("state") == state, f"{name} is {state}")

    def pids(self):
        """leatd, its workers and those that joined."""
        roots = [process.pid for process in [self.process, *self.joined] if process and process.poll() is None]
        return roots + children_of(self.process.pid if self.process else 0)

    def stop(self):
        """As `systemctl stop` does; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(world.DEADLINE_S)
        except subprocess.TimeoutExpired:
            raise world.Wrong("leatd does not end") from None

    def kill(self):
        """Its workers end by themselves."""
        self.process.kill()
        self.process.wait()

    def workers_left(self):
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc")))
                if f"{self.runtime}/".encode() in world.read(f"/proc/{pid}/cmdline")]

    def close(self):
        """Nothing of it is left, whatever it was at."""
        for process in [*self.joined, self.process]:
            if process and process.poll() is None:
                process.kill()
            if process:
                process.wait()
        deadline = time.monotonic() + 10
        while (left := self.workers_left()) and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        self.log.close()


def children_of(pid):
    return [int(child) for child in world.read(f"/proc/{pid}/task/{pid}/children").split()]
