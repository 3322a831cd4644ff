"""`scripts/bench status`: how long leatd takes to answer `status` while its workers have all there is to do, or hang."""
import os
import re
import signal
import statistics
import subprocess
import time

import faultfs
import jobs
import machine
import report
import service
import world

NAME = "busy"
LIMIT_MS = 100  # of the 99th percentile
CORPUS = "450MB"
LINKS = 400  # names of the corpus: so much work that it does not end meanwhile


class Subject:
    """leatd with one pipeline that reads from a folder on a faultfs mount, or on a plain folder."""

    def __init__(self, folder, keep=0.02, processors=4, nas=False, corpus=None):
        self.folder = folder
        self.leatd = service.Leatd(folder)
        self.nas = faultfs.FaultFs(folder, "nas") if nas else None
        sources = str(self.nas.path) if nas else os.path.join(folder, "in")
        self.backing = str(self.nas.backing) if nas else sources
        os.makedirs(self.backing, exist_ok=True)
        os.makedirs(os.path.join(folder, "out"))
        for number in range(LINKS if corpus else 0):
            os.symlink(corpus, os.path.join(self.backing, f"{number:04}.jsonl"))
        self.leatd.configure(NAME, {
            "version": 1, "name": NAME,
            "source": {"paths": [sources + "/*.jsonl"], "poll": "200ms", "settle": "200ms"},
            "filter": {"keep": [{"field": "/score", "lt": keep}]},
            "process": {"workers": processors, "steps": [{"drop": "/mtime"}, {"length": {"from": "/text", "to": "/n"}}]},
            "sink": {"path": os.path.join(folder, "out", "{n}.jsonl"), "rotate": {"bytes": "1GiB"}},
        })

    def start(self):
        if self.nas:
            self.nas.start()
        self.leatd.start()
        self.leatd.wait_for(NAME)
        return self

    def add(self, name, records=2000):
        with open(os.path.join(self.backing, name + ".part"), "w") as file:
            file.writelines(f'{{"id":{number},"score":0.001,"text":"{"x" * 200}"}}\n' for number in range(records))
        os.rename(os.path.join(self.backing, name + ".part"), os.path.join(self.backing, name))

    def says(self):
        return self.leatd.pipeline(NAME).get("message", "")

    def requests(self, count):
        """Milliseconds each."""
        times = []
        for _ in range(count):
            begin = time.monotonic()
            answer = self.leatd.ask("status", seconds=30)
            times.append((time.monotonic() - begin) * 1000)
            if answer["exit_code"] != 0:
                raise world.Wrong(str(answer))
            time.sleep(0.002)
        return times

    def programs(self, count):
        """`leat status` as a process."""
        times = []
        for _ in range(count):
            begin = time.monotonic()
            subprocess.run([world.LEAT, "status", "--runtime-dir", self.leatd.runtime], stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, check=True)
            times.append((time.monotonic() - begin) * 1000)
        return times

    def hang(self):
        """A read() of a new file that hangs; returns what leatd says about it."""
        self.nas.command("hang read *.jsonl offset=131072")  # what is before is read to open it
        self.add("hangs.jsonl")
        return self.leatd.until(lambda: re.search(r"in read\(\) of .*hangs", self.says()), "it says which read() hangs").string

    def stop_processor(self):
        """Returns what leatd says about it, and lets it continue by and by: call the second value."""
        pid = next(worker["pid"] for worker in self.leatd.pipeline(NAME)["workers"] if worker["role"] == "processor")
        os.kill(pid, signal.SIGSTOP)
        says = self.leatd.until(lambda: re.search(rf"processor-\d+ \(pid {pid}\) is stopped", self.says()), "it says who is stopped")
        return says.string, lambda: os.kill(pid, signal.SIGCONT)

    def close(self):
        self.leatd.close()
        if self.nas:
            self.nas.stop()


def percentile(times, share):
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def row(name, times, says):
    return [name, f"{len(times):,}", *(f"{value:.2f}" for value in (statistics.median(times), percentile(times, 0.99), max(times))), says]


def at_full_load(folder, count, programs):
    corpus = os.path.join(folder, "corpus")
    jobs.make_corpus("--kind", "large", "--size", CORPUS, "--out", corpus)
    subject = Subject(folder, corpus=corpus)
    try:
        subject.start()
        subject.leatd.until(lambda: subject.leatd.pipeline(NAME)["records"]["in"] > 0, "it reads")
        asked, ran = subject.requests(count), subject.programs(programs)
        status = subject.leatd.pipeline(NAME)
        if status["sources"]["done"] >= LINKS:
            raise world.Wrong("the corpus was used up before all was asked")
        return asked, ran, f"{status['rate']['bytes'] / 1e6:.0f} MB/s, busiest: {status['bottleneck'] or 'none'}"
    finally:
        subject.close()


def main(options):
    faultfs_missing = faultfs.missing()
    if faultfs_missing:
        report.progress(faultfs_missing)
        return False
    description = machine.describe()
    results = []
    with machine.work_folder(options.work, 2e9) as work:
        folders = [os.path.join(work, name) for name in "abc"]
        for folder in folders:
            os.mkdir(folder)
        report.progress("at full load")
        asked, ran, says = at_full_load(folders[0], options.requests, options.requests // 10)
        results += [("at full load", asked, says), ("`leat status`, at full load", ran, "")]
        report.progress("a read() hangs")
        subject = Subject(folders[1], nas=True)
        try:
            says = subject.start().hang().replace(folders[1], "FOLDER")
            results += [("a read() hangs", subject.requests(options.requests), says),
                        ("`leat status`, a read() hangs", subject.programs(options.requests // 10), "")]
        finally:
            subject.close()
        report.progress("a stopped processor")
        subject = Subject(folders[2])
        try:
            subject.start().add("a.jsonl")
            says, go_on = subject.stop_processor()
            results.append(("a processor is stopped", subject.requests(options.requests), says))
            go_on()
        finally:
            subject.close()
    lines = ["## How fast leatd answers `status`", "", *description, f"- `{options.command_line}`", "",
             *report.table(["", "requests", "median ms", "99 % ms", "longest ms", "what it says"], [row(*result) for result in results])]
    print("\n".join(lines))
    report.keep_json(options.json, {"machine": description, "command": options.command_line,
                                    "results": [{"what": what, "ms": times, "says": says} for what, times, says in results]})
    if options.write:
        report.replace_section("status", lines)
    return all(percentile(times, 0.99) < LIMIT_MS for _, times, _ in results)
