"""leat from its package in a booted Debian, fed from a NAS, and what an undisturbed run makes of the same files."""
import atexit
import functools
import hashlib
import json
import os
import random
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import container
import nas

LEAT = str(Path(os.environ.get("LEAT_BIN", Path(__file__).resolve().parents[2] / "build" / "bin")) / "leat")
BUILD = Path(LEAT).parents[1]
EXAMPLES = {
    # What reads like the pipeline of a home server.
    "reviews": {
        "source": {"paths": [f"{nas.MOUNT}/in/*.jsonl"], "require_mount": nas.MOUNT, "poll": "300ms", "settle": "500ms"},
        "filter": {"keep": [{"field": "/score", "lt": 0.9}]},
        "process": {"workers": {"min": 1, "max": 6},
                    "steps": [{"drop": ["/mtime"]}, {"length": {"from": "/text", "to": "/n"}},
                              {"exec": {"command": ["python3", "/srv/scripts/pass.py"]}}]},
        "sink": {"path": "/srv/out/{stem}.jsonl"},
        "dead_letter": {"path": "/srv/out/reviews.dead"},
        "limits": {"memory": "48MiB", "batch": "64KiB", "commit": {"interval": "300ms"}},
    },
}
PASS = """
import sys
for line in sys.stdin:
    print(line, end="", flush=True)
"""


class Wrong(Exception):
    """The output or a program is not what it should be."""


def missing():
    return container.missing() or nas.sshfs.missing() or (None if container.tool("cpack") else "cpack is missing (cmake)")


@functools.cache
def pack():
    """The .deb of this build, made once a process."""
    folder = tempfile.mkdtemp(prefix="leat-test-deb-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    subprocess.run([container.tool("cpack"), "-G", "DEB", "--config", str(BUILD / "CPackConfig.cmake"), "-B", str(folder)],
                   check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
    return next(Path(folder).glob("*.deb"))


def make_feed(folder, megabytes, files, seed=1):
    """Files of records, a few of them malformed, named in the order in which they will be fed."""
    folder.mkdir()
    dice = random.Random(seed)
    for n in range(files):
        size, number = 0, 0
        with open(folder / f"part-{n:03d}.jsonl", "wb") as out:
            while size < megabytes * 1_000_000 // files:
                text = hashlib.sha256(b"%d %d" % (n, number)).hexdigest() * dice.randint(2, 30)
                line = json.dumps({"id": f"{n}-{number}", "mtime": number, "score": dice.random(), "text": text}).encode()
                if dice.random() < 0.002:
                    line = line[:-5]
                size += out.write(line + b"\n")
                number += 1
    return sorted(folder.glob("*.jsonl"))


class Service:
    """Everything by `close` goes again. `say` takes a line about each step."""

    def __init__(self, folder, cache, megabytes=8, files=8, megabits=24, say=print):
        self.folder, self.say = Path(folder), say
        self.feed = make_feed(self.folder / "feed", megabytes, files)
        self.want = self.undisturbed()
        self.fed = 0
        self.nas = self.machine = None
        try:
            self.nas = nas.Nas(folder, megabits=megabits).start()
            (self.nas.files / "in").mkdir()
            self.machine = container.Machine(folder, cache, pack(), self.nas.client, self.nas.shared())
            self.machine.write("/etc/systemd/system/mnt-nas.mount", self.nas.unit())
            self.machine.write("/srv/scripts/pass.py", PASS)
            self.machine.boot()
        except BaseException:
            self.close()
            raise

    def close(self):
        if self.machine is not None:
            self.machine.close()
        if self.nas is not None:
            self.nas.stop()

    def pipeline(self, name="reviews", **more):
        """JSON is YAML. `more`: sections that are merged in."""
        config = {"version": 1, "name": name, **EXAMPLES["reviews"]}
        for section, content in more.items():
            config[section] = {**config.get(section, {}), **content}
        return json.dumps(config, indent=1)

    def undisturbed(self):
        """What leat run makes of the feed: output by name, and dead letters."""
        here = self.folder / "undisturbed"
        here.mkdir()
        (here / "pass.py").write_text(PASS)
        config = json.loads(self.pipeline(
            source={"paths": [str(self.folder / "feed" / "*.jsonl")], "require_mount": None},
            sink={"path": str(here / "{stem}.jsonl")}, dead_letter={"path": str(here / "reviews.dead")}))
        del config["source"]["require_mount"]
        config["process"] = {"workers": 1, "steps": [*config["process"]["steps"][:2],
                                                     {"exec": {"command": ["python3", str(here / "pass.py")]}}]}
        (here / "reviews.yaml").write_text(json.dumps(config))
        done = subprocess.run([LEAT, "run", str(here / "reviews.yaml"), "--state", str(here / "state"), "--runtime-dir", str(here)],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise Wrong(f"the undisturbed run ended with {done.returncode}: {done.stderr}")
        return {path.name: path for path in here.glob("part-*.jsonl")}, dead_letters(here / "reviews.dead")

    # -- the service

    def install(self):
        self.machine.run("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "/root/leat.deb")
        self.machine.run("install", "-d", "-o", "leat", "-g", "leat", "-m", "2750", "/srv/out")

    def configure(self, text=None, name="reviews"):
        self.machine.write(f"/etc/leat/pipelines.d/{name}.yaml", text or self.pipeline(name))

    def wait(self, condition, what, seconds=60):
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            if time.monotonic() > deadline:
                raise Wrong(f"not within {seconds} s: {what}\n{self.machine.run('leat', 'status', check=False).stdout}")
            time.sleep(0.1)
        return value

    def story(self, lines=200):
        return self.machine.run("journalctl", "--no-pager", "-q", "-n", str(lines), "-u", "leatd", "-u", "leat-processor@*",
                                "-u", "mnt-nas.mount", check=False).stdout

    def status(self, name="reviews"):
        answer = self.machine.run("leat", "status", name, "--json", check=False)
        if answer.returncode != 0:
            return None
        data = json.loads(answer.stdout)
        return next((one for one in data["pipelines"] if one["name"] == name), None)

    def workers(self, kind, name="reviews"):
        """Processors that have joined and stay."""
        state = self.status(name)
        return [one for one in (state or {}).get("workers", []) if one["role"] == "processor" and one["kind"] == kind
                and one["state"] not in ("starting", "leaving", "gone")]

    def joined(self, count, name="reviews"):
        self.wait(lambda: len(self.workers("joined", name)) == count, f"{count} processors have joined by themselves")

    def is_running(self, name="reviews"):
        state = self.status(name)
        return state is not None and state["state"] == "running"

    # -- the data

    def give(self, count=1):
        """The next files arrive on the NAS, each at once under its name."""
        for path in self.feed[self.fed:self.fed + count]:
            part = self.nas.files / "in" / f".{path.name}.part"
            shutil.copyfile(path, part)
            part.rename(part.with_name(path.name))
        self.fed = min(self.fed + count, len(self.feed))

    def out(self):
        return self.machine.root / "srv/out"

    def flowing(self, seconds=60):
        """Waits until something of what was given last is in a temporary output."""
        name = self.feed[self.fed - 1].name
        self.wait(lambda: (self.out() / name).exists() or (self.out() / f".{name}.leat-tmp").exists(), f"some of {name}", seconds)

    def arrived(self, seconds=120):
        """Waits until everything that was given is there; compares every byte."""
        names = [path.name for path in self.feed[:self.fed]]
        self.wait(lambda: all((self.out() / name).exists() for name in names),
                  f"all outputs; missing: {[name for name in names if not (self.out() / name).exists()]}", seconds)
        for name in names:
            if (self.out() / name).read_bytes() != self.want[0][name].read_bytes():
                raise Wrong(f"{name} has other bytes than in the undisturbed run; {self.out()}")

    def finished(self):
        """After everything: outputs, dead letters, and nothing else."""
        self.arrived()
        if dead_letters(self.out() / "reviews.dead") != self.want[1]:
            raise Wrong("the dead letters are others than in the undisturbed run")
        left = sorted(path.name for path in self.out().iterdir() if path.name not in self.want[0])
        if left != ["reviews.dead"]:
            raise Wrong(f"left over: {left}")

    def oom_kills(self):
        """What the kernel said of memory limits in this container: cgroups of version 1 forget it with each unit. None: unknown."""
        done = subprocess.run(["dmesg"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
        if done.returncode != 0:
            return None
        return [line for line in done.stdout.splitlines() if "oom-kill:" in line and f"/{self.machine.name}/" in line]

    def peak_memory(self):
        """Of all of leat at once since the boot, in MiB; None where cgroups of version 1 are not."""
        folder = self.machine.cgroup.memory()
        return int((folder / "leat.slice/memory.max_usage_in_bytes").read_text()) / 2**20 if folder else None


def dead_letters(path):
    """Without the folder, which is another on the NAS."""
    if not path.exists():
        return []
    letters = [json.loads(line) for line in path.read_bytes().splitlines()]
    for letter in letters:
        letter["source"] = os.path.basename(letter["source"])
    return sorted(letters, key=lambda letter: (letter["source"], letter["line"]))
