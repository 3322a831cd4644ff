"""`scripts/bench stop`: from SIGTERM to the end of the run, with slow steps, a fast job and a child that hangs."""
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time


LIMIT_S = 1.0  # of the 99th percentile, on top of one record
ROUNDS = 20
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LEAT = os.path.join(os.environ.get("LEAT_BIN", os.path.join(ROOT, "build", "bin")), "leat")

CHILD = """import sys, time
for number, line in enumerate(sys.stdin):
    time.sleep({seconds})
    print(line, end="", flush=True)
"""
HANGS = """import sys, time
for number, line in enumerate(sys.stdin):
    if '"hangs"' in line:
        time.sleep(1000)
    print(line, end="", flush=True)
"""


class Subject:
    def __init__(self, folder, name, steps, content, record_s=0.0, processors=2, after_s=(0.5, 1.5)):
        self.folder, self.record_s, self.after_s = os.path.join(folder, name), record_s, after_s
        os.makedirs(self.folder)
        with open(os.path.join(self.folder, "in.jsonl"), "wb") as file:
            file.write(content)
        with open(os.path.join(self.folder, "pipeline.yaml"), "w") as file:
            json.dump({"version": 1, "name": "stop-" + name, "source": {"paths": ["in.jsonl"]},
                       "process": {"workers": processors, "steps": steps}, "sink": {"path": "out.jsonl"}}, file)

    def stop(self, after_s):
        """Seconds from the signal to the end."""
        run = subprocess.Popen([LEAT, "run", "pipeline.yaml", "--state", "state", "--fresh", "--force", "--quiet"],
                               cwd=self.folder, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(after_s)
        since = time.monotonic()
        run.send_signal(signal.SIGTERM)
        code = run.wait(600)
        if code not in (75, -signal.SIGTERM):  # the latter: before it had taken signals over
            raise RuntimeError(f"the run ended with {code}, not 75, in {self.folder}")
        return time.monotonic() - since


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def subjects(folder):
    def records(count, size=60, **more):
        return b"".join(json.dumps({"n": n, "text": "x" * size, **more}).encode() + b"\n" for n in range(count))

    def child(name, text):
        path = os.path.join(folder, name + ".py")
        with open(path, "w") as file:
            file.write(text)
        return {"exec": {"command": [sys.executable, path], "timeout": "2s"}}

    hangs = records(200) + b'{"hangs":1}\n' + records(1000)
    alone = json.dumps({"hangs": 1, "text": "x" * 30_000}).encode() + b"\n" + records(1000)
    return {
        "exec, 50 ms a record, 2 processors": Subject(
            folder, "exec", [child("slow", CHILD.format(seconds=0.05))], records(20_000), 0.05),
        "fast: drop": Subject(folder, "fast", [{"drop": "/text"}], records(40_000, 3000) * 4, after_s=(0.1, 0.3)),  # it takes half a second
        "a child that hangs in a batch": Subject(folder, "hangs", [child("hangs", HANGS)], hangs, processors=1),
        "a child that hangs at a record alone, timeout 2s": Subject(
            folder, "alone", [child("alone", HANGS)], alone, 3.0, processors=1),
    }


def main(options):
    rounds = max(options.rounds, ROUNDS)
    good = True
    luck = random.Random(1)
    with tempfile.TemporaryDirectory(prefix="leat-bench-", dir=options.work) as folder:
        for name, subject in subjects(folder).items():
            times = [subject.stop(luck.uniform(*subject.after_s)) for _ in range(rounds)]
            p50, p99 = percentile(times, 0.5), percentile(times, 0.99)
            limit = LIMIT_S + subject.record_s
            good = good and p99 <= limit
            print(f"{name}: {rounds} stops, p50 {p50:.2f} s, p99 {p99:.2f} s (at most {limit:.2f} s)", flush=True)
    return good
