"""A leatd that lives for a while: files arrive all the time, and every minute something happens to it.

Two pipelines read from a NAS that can go away: `packed` from .zst to an output each, `plain` from raw and .gz to numbered
outputs, which are on the NAS too. In the end every source must have given the bytes that it gives undisturbed, and nothing may have grown.
"""
import collections
import glob
import hashlib
import os
import sqlite3
import subprocess
import time

import arrivals
import faultfs
import faults
import plot
import service
import watch
import world

SETTLE_S = 2
PROCESSOR_US = 600  # a record: so the pools have work for more than one, and cost next to no CPU
FINISH_S = 300
STEPS = [{"drop": "/score"}, {"set": {"/kind": "soak"}}, {"length": {"from": "/text", "to": "/n"}}]


def pipeline(kind, nas, out, sink, workers):
    numbered = "{n}" in sink
    return {
        "version": 1, "name": kind,
        "source": {"paths": [os.path.join(nas, kind, "*")], "poll": "500ms", "settle": f"{SETTLE_S}s", "require_mount": nas},
        "filter": {"keep": [{"field": "/score", "lt": 0.8}]},
        "process": {"workers": workers, "steps": STEPS},
        "sink": {"path": os.path.join(out, kind, sink), **({"rotate": {"bytes": "8MiB", "idle": "5s"}} if numbered else {}),
                 **({"require_mount": nas} if out.startswith(nas) else {})},
        "dead_letter": {"path": os.path.join(out, f"{kind}.dead.jsonl")},
        "limits": {"memory": "128MiB"},
    }


class Soak:
    def __init__(self, folder, minutes, seed, say):
        self.folder, self.seconds, self.seed, self.say = folder, minutes * 60, seed, say
        short = self.seconds < 600
        self.fault_every_s = 5 if short else 60
        self.nas = faultfs.FaultFs(folder, "nas")
        nas = str(self.nas.path)
        self.out = {"packed": os.path.join(folder, "out"), "plain": os.path.join(nas, "out")}
        self.configs = {
            "packed": pipeline("packed", nas, self.out["packed"], "{stem}.jsonl.zst", {"min": 1, "max": 6}),
            "plain": pipeline("plain", nas, self.out["plain"], "{n}.jsonl", 2)}
        self.leatd = service.Leatd(folder, LEAT_TEST_HOOKS="1", LEAT_TEST_PROCESSOR_US=str(PROCESSOR_US))
        for name, config in self.configs.items():
            self.leatd.configure(name, config)
        self.faults = faults.Faults(self.leatd, self.nas, self.configs, seed, 0.15 if short else 1)
        self.watch = watch.Watch(self.leatd, 1 if short else 5)
        self.arrivals = [arrivals.Arrivals(os.path.join(self.nas.backing, kind), kind, seed, 0.8 if short else 1.6)
                         for kind in self.configs]

    def live(self):
        """Files arrive, things happen. The first quarter may kill leatd; one leatd has to stand all that follows."""
        self.nas.start()
        for kind, out in self.out.items():
            os.makedirs(os.path.join(out, kind))
        self.leatd.start()
        for arriving in self.arrivals:
            arriving.start()
        for name in self.configs:
            self.leatd.wait_for(name)
        self.watch.start()
        began = time.monotonic()
        while (passed := time.monotonic() - began) < self.seconds:
            kind, what = self.faults.next(kills_leatd=passed < self.seconds / 4)
            self.watch.note(what)
            self.say(f"{passed:5.0f} s: {what}")
            if self.leatd.process.poll() is not None:
                raise world.Wrong(f"leatd ended with {self.leatd.process.returncode} after {kind}")
            due = began + (passed // self.fault_every_s + 1) * self.fault_every_s
            time.sleep(max(0, min(due, began + self.seconds) - time.monotonic()))
        self.watch.finish()

    def finish(self):
        """Once more without warning; then everything that has arrived is worked through, and leatd ends."""
        arrived = {arriving.kind: arriving.finish() for arriving in self.arrivals}
        self.faults.kill_leatd()
        for name, count in arrived.items():
            self.leatd.until(lambda: self.all_through(name, count), f"{name} is through with {count} sources", FINISH_S)
        for process in self.faults.alive():
            process.terminate()
            if process.wait(world.DEADLINE_S) != 0:
                raise world.Wrong(f"a processor that joined ended with {process.returncode}")
        if (code := self.leatd.stop()) != 0:
            raise world.Wrong(f"leatd ended with {code}")
        left = self.leatd.workers_left() + glob.glob(self.leatd.runtime + "/*/") + [path for out in self.out.values() for path in glob.glob(out + "/*/.*")]
        if left:
            raise world.Wrong(f"left behind: {left}")
        return arrived

    def all_through(self, name, count):
        rows = ledger(self.leatd.state, name, "select count(*) from sources where state in ('done', 'failed')")
        unfinished = ledger(self.leatd.state, name, "select count(*) from outputs where state <> 'published'")
        return rows == [(count,)] and unfinished == [(0,)]

    def close(self):
        self.watch.over.set()
        for arriving in self.arrivals:
            arriving.over.set()
        self.leatd.close()
        self.nas.stop()

    def compare(self, arrived):
        """With what a run on its own makes of the same files."""
        wanted = os.path.join(self.folder, "undisturbed")
        for kind, count in arrived.items():
            os.makedirs(os.path.join(wanted, kind))
            config = pipeline(kind, str(self.nas.path), wanted, "{stem}.jsonl", 2)
            run_once(os.path.join(wanted, kind + ".yaml"), config, self.folder)
            want = by_file(glob.glob(os.path.join(wanted, kind, "*.jsonl")))
            outputs = sorted(glob.glob(os.path.join(self.out[kind], kind, "*")), key=number_or_name)
            got = by_file(outputs) if kind == "packed" else by_source(outputs)
            if kind == "plain":
                want = {name: digest for name, digest in want.items() if digest != sha([])}  # no line names them
            if len(want) < count * 0.8:
                raise world.Wrong(f"{kind}: only {len(want)} of {count} sources gave anything undisturbed")
            wrong = sorted(name for name in want.keys() | got.keys() if want.get(name) != got.get(name))
            if wrong:
                raise world.Wrong(f"{kind}: the output of {len(wrong)} of {count} sources differs: {', '.join(wrong[:10])}")
            letters, dead = (sorted(world.read(os.path.join(out, kind + ".dead.jsonl")).splitlines()) for out in (self.out[kind], wanted))
            if letters != dead:
                raise world.Wrong(f"{kind}: {len(letters)} dead letters, not the {len(dead)} of the undisturbed run")
            self.check_counts(kind, count)
            self.say(f"{kind}: {count} sources, {len(dead)} dead letters, {sum(map(os.path.getsize, outputs)) / 1e6:.0f} MB of output: "
                     "every source as in an undisturbed run")

    def check_counts(self, kind, count):
        rows = ledger(self.leatd.state, kind, 'select path, records_in, kept + dropped + dead from sources')
        if len(rows) != count or any(records != together for _, records, together in rows):
            raise world.Wrong(f"{kind}: the counts in the ledger do not add up")

    def check_growth(self):
        grown = []
        for name, before, after, most in self.watch.growth(4000 if self.seconds < 600 else 0):
            self.say(f"{name}: {before:.0f} in the second quarter, {after:.0f} in the last")
            if after > most:
                grown.append(name)
        slowest = max(row["status_ms"] for row in self.watch.rows)
        self.say(f"{len(self.watch.rows)} samples; the slowest answer to `status` took {slowest:.1f} ms")
        if grown:
            raise world.Wrong("it grows: " + ", ".join(grown))


def soak(folder, minutes, seed, say, csv=None, svg=None):
    one = Soak(folder, minutes, seed, say)
    try:
        one.live()
        arrived = one.finish()
        if csv:
            one.watch.write(csv)
        if svg:
            plot.write(svg, one.watch.rows, one.watch.events)
        one.compare(arrived)
        one.check_growth()
    finally:
        one.close()
    happened = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in sorted(one.faults.counts.items()))
    say(f"{sum(one.faults.counts.values())} faults and changes in {minutes:g} minutes ({happened}), and leatd killed at the end: "
        "output, dead letters and counts as undisturbed")


def ledger(state, name, query):
    database = sqlite3.connect(f"file:{state}/{name}/ledger.db?mode=ro", uri=True, timeout=30)
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()


def run_once(path, config, folder):
    import json
    with open(path, "w") as file:
        json.dump(config, file)
    run = subprocess.run([world.LEAT, "run", path, "--state", path + ".state", "--runtime-dir", os.path.join(folder, "run")],
                         stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if run.returncode not in (0, 74):  # 74: some sources are damaged
        raise world.Wrong(f"the undisturbed run ended with {run.returncode}: {run.stderr.decode(errors='replace')[-2000:]}")


def number_or_name(path):
    stem = os.path.basename(path).split(".")[0]
    return (int(stem), "") if stem.isdigit() else (0, stem)


def decoded(path):
    data = world.read(path)
    if not path.endswith(".zst"):
        return data
    return subprocess.run(["zstd", "-qdc"], input=data, stdout=subprocess.PIPE, check=True).stdout


def by_file(paths):
    return {os.path.basename(path).split(".")[0]: world.sha(decoded(path)) for path in paths}


def by_source(paths):
    """Of numbered outputs in their order: what there is of each source, in the order in which it stands there."""
    digests = collections.defaultdict(hashlib.sha256)
    name = ""
    for path in paths:
        for line in decoded(path).splitlines(keepends=True):
            at = line.find(b'"source":"')
            if at >= 0:  # a damaged byte may have hit the key: then it is of the source that it stands with
                name = line[at + 10:line.index(b'"', at + 10)].decode()
            digests[name].update(line)
    return {name: digest.hexdigest() for name, digest in digests.items()}


def sha(pieces):
    return world.sha(b"".join(pieces))
