"""`scripts/bench pool`: a pool that balances itself, with the figures of the example that leat was made for.

A record takes a processor 10 ms and the filter 2.5 ms (test hooks that sleep), everything else next to nothing. So four
processors are as fast as the filter, and a fifth would bring nothing.
"""
import json
import os
import threading
import time

import machine
import report
import service

PROCESSOR_US, FILTER_US = 10_000, 2_500
NAME = "balanced"
RECORDS = 1_000  # a file: 2.5 s of the filter
AHEAD = 2        # files that wait


class Feed(threading.Thread):
    """Keeps a few files ahead of the reader until it is told that no more come."""

    def __init__(self, folder, leatd):
        super().__init__(daemon=True)
        self.folder, self.leatd = folder, leatd
        self.files = 0
        self.over = threading.Event()
        os.makedirs(folder)

    def run(self):
        while not self.over.wait(0.2):
            done = self.leatd.pipeline(NAME).get("sources", {"done": 0})["done"]
            while self.files < done + AHEAD:
                self.write()

    def write(self):
        path = os.path.join(self.folder, f"{self.files:06}.jsonl")
        with open(path + ".part", "w") as file:
            for number in range(RECORDS):
                file.write(json.dumps({"id": self.files * RECORDS + number, "text": "x" * 60}) + "\n")
        os.rename(path + ".part", path)
        self.files += 1

    def finish(self):
        self.over.set()
        self.join()


class Pool:
    """leatd on the pipeline, which starts with one processor and stays there until it is told otherwise."""

    def __init__(self, folder):
        self.leatd = service.Leatd(folder, LEAT_TEST_HOOKS="1", LEAT_TEST_PROCESSOR_US=str(PROCESSOR_US),
                                   LEAT_TEST_FILTER_US=str(FILTER_US))
        sources, out = os.path.join(folder, "in"), os.path.join(folder, "out")
        os.makedirs(out)
        self.leatd.configure(NAME, {
            "version": 1, "name": NAME,
            "source": {"paths": [sources + "/*.jsonl"], "poll": "200ms", "settle": "200ms"},
            "filter": {"keep": [{"field": "/id", "ge": 0}]},
            "process": {"workers": {"min": 1, "max": 8}, "steps": [{"set": {"/seen": True}}]},
            "sink": {"path": out + "/{n}.jsonl", "rotate": {"bytes": "64MiB"}},
        })
        self.feed = Feed(sources, self.leatd)
        self.events = []

    def start(self):
        self.leatd.start()
        self.feed.start()
        self.leatd.wait_for(NAME)
        self.scale(1)
        self.leatd.until(lambda: self.status()["records"]["in"] > 0, "records come through")
        return self

    def status(self):
        status = self.leatd.pipeline(NAME)
        return status if status else self.status()

    def scale(self, workers):
        answer = self.leatd.ask("scale", NAME, role="processor", workers=workers)
        if answer["exit_code"] != 0:
            raise OSError(answer["text"])

    def wanted(self):
        status = self.status()
        self.events += [event for event in status["events"] if event["event"] == "pool-scaled" and event not in self.events]
        return status["processors"]["wanted"]

    def mark(self):
        """(when, records that have come through), at the moment at which some come: they do so batch by batch."""
        before = self.status()["records"]["in"]
        while (now := self.status()["records"]["in"]) == before:
            time.sleep(0.005)
        return time.monotonic(), now

    def rate(self, meanwhile):
        """Records a second that come through, while `meanwhile()` lasts; also what that returns."""
        begin, before = self.mark()
        result = meanwhile()
        end, after = self.mark()
        return (after - before) / (end - begin), result

    def until_wanted(self, wanted, seconds):
        """How long it took; None: it did not come to that."""
        begin = time.monotonic()
        while time.monotonic() - begin < seconds:
            if self.wanted() == wanted:
                return time.monotonic() - begin
            time.sleep(0.1)
        return None

    def stays(self, seconds):
        """The numbers of processors that were wanted in this time."""
        seen = [self.wanted()]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.2)
            if (now := self.wanted()) != seen[-1]:
                seen.append(now)
        return seen

    def run_dry(self):
        self.feed.finish()
        self.leatd.until(lambda: self.status()["sources"]["done"] == self.feed.files, "all files are done")

    def close(self):
        self.feed.over.set()
        self.leatd.close()


def measure_pool(folder, steady_s):
    """Figures by name."""
    pool = Pool(folder)
    try:
        pool.start()
        one, _ = pool.rate(lambda: time.sleep(15))
        pool.scale("auto")
        grown = pool.until_wanted(4, 60)
        seen = pool.stays(steady_s / 2)
        four, more = pool.rate(lambda: pool.stays(steady_s / 2))
        seen += more[1:]
        pool.run_dry()
        shrunk = pool.until_wanted(1, 60)
        return {"one": one, "four": four, "times": four / one, "grown_s": grown, "seen": seen, "shrunk_s": shrunk,
                "events": pool.events}
    finally:
        pool.close()


def main(options):
    description = machine.describe()
    with machine.work_folder(options.work, 100e6) as folder:
        figures = measure_pool(folder, 60)
    good = (figures["grown_s"] is not None and figures["grown_s"] <= 20 and figures["seen"] == [4] and figures["times"] >= 3.7
            and figures["shrunk_s"] is not None)

    def seconds(value):
        return "never" if value is None else f"{value:.1f} s"
    lines = ["## A pool that balances itself", "", *description, f"- `{options.command_line}`", "",
             f"A record takes a processor {PROCESSOR_US / 1000:g} ms and the filter {FILTER_US / 1000:g} ms; `process.workers: {{min: 1, max: 8}}`.", "",
             *report.table(["", ""], [
                 ["records/s with one processor", f"{figures['one']:.1f}"],
                 ["until the controller wants four", seconds(figures["grown_s"])],
                 ["wanted in the 60 s after that", " ".join(map(str, figures["seen"]))],
                 ["records/s with four", f"{figures['four']:.1f}"],
                 ["times as fast", f"{figures['times']:.2f}"],
                 ["idle: until one is left", seconds(figures["shrunk_s"])]]), "",
             "What it said:", "", "```", *(f"{event['time']} {event['text']}" for event in figures["events"]), "```"]
    print("\n".join(lines))
    report.keep_json(options.json, dict(figures, machine=description, command=options.command_line))
    if options.write:
        report.replace_section("pool", lines)
    return good
