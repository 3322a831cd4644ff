"""What a leatd costs while it lives: a sample every few seconds, and whether any of it grows."""
import csv
import glob
import os
import sqlite3
import statistics
import threading
import time

import world

COLUMNS = ("seconds", "leatd_kb", "stages_kb", "processors_kb", "leatd_own_kb", "stages_own_kb", "processors_own_kb", "processes",
           "processors", "descriptors", "threads", "ledger_bytes", "ledger_log_bytes", "sources", "runtime_files", "status_ms", "event")
STAGES = ("leat-reader", "leat-filter", "leat-writer")


class Watch(threading.Thread):
    def __init__(self, leatd, every_s):
        super().__init__(daemon=True)
        self.leatd, self.every_s = leatd, every_s
        self.begin = time.monotonic()
        self.rows, self.events = [], []  # dicts; (seconds, what)
        self.over = threading.Event()

    def seconds(self):
        return time.monotonic() - self.begin

    def note(self, what):
        self.events.append((self.seconds(), what))

    def run(self):
        while not self.over.wait(self.every_s):
            try:
                self.rows.append(self.sample())
            except (OSError, ValueError, sqlite3.Error):
                pass  # leatd was killed meanwhile: that moment says nothing

    def finish(self):
        self.over.set()
        self.join()

    def sample(self):
        begin = time.monotonic()
        self.leatd.ask("status")
        status_ms = (time.monotonic() - begin) * 1000
        pid = self.leatd.process.pid
        memory = {f"{kind}{own}_kb": 0 for own in ("", "_own") for kind in ("leatd", "stages", "processors")}
        counts = {"processes": 0, "processors": 0}
        for one in self.leatd.pids():
            name = world.read(f"/proc/{one}/comm").decode().strip()
            kind = "leatd" if name == "leatd" else "stages" if name in STAGES else "processors"
            everything, own = memory_of(one)
            memory[f"{kind}_kb"] += everything
            memory[f"{kind}_own_kb"] += own
            counts["processes"] += 1
            counts["processors"] += kind == "processors"
        ledgers = [sources_and_bytes(path) for path in glob.glob(self.leatd.state + "/*/ledger.db")]
        return {
            "seconds": round(self.seconds(), 1), **memory, **counts,
            "descriptors": len(os.listdir(f"/proc/{pid}/fd")), "threads": len(os.listdir(f"/proc/{pid}/task")),
            "ledger_bytes": sum(size for _, size in ledgers),
            "ledger_log_bytes": sum(map(os.path.getsize, glob.glob(self.leatd.state + "/*/ledger.db-wal"))),
            "sources": sum(count for count, _ in ledgers),
            "runtime_files": sum(len(files) for _, _, files in os.walk(self.leatd.runtime)),
            "status_ms": round(status_ms, 2)}

    def write(self, path):
        """CSV; what happened stands in the row after it."""
        events = list(self.events)
        with open(path, "w", newline="") as file:
            out = csv.DictWriter(file, COLUMNS)
            out.writeheader()
            for row in self.rows:
                passed = [what for at, what in events if at <= row["seconds"]]
                events = events[len(passed):]
                out.writerow(dict(row, event="; ".join(passed)))

    def growth(self, warm_up_kb):
        """Of each figure: (name, in the second quarter, in the last one, may be at most), as medians.

        Memory a process: how many there are changes all the time, and with it what each has of the pages that they share. So
        its own anonymous memory must be flat, the whole of it nearly so; leatd's malloc has what it wants after some fifty starts
        of pipelines, which is longer than 45 minutes. warm_up_kb: what it may grow by in a short life.
        """
        quarter = len(self.rows) // 4
        early, late = self.rows[quarter:2 * quarter], self.rows[-quarter:]
        share = {"leatd": lambda row: 1, "stages": lambda row: max(row["processes"] - row["processors"] - 1, 1),
                 "processors": lambda row: max(row["processors"], 1)}
        names = {"leatd": "leatd", "stages": "a reader, filter or writer", "processors": "a processor"}
        figures = {}
        for kind, name in names.items():
            figures[f"PSS of {name} (KiB)"] = (lambda row, kind=kind: row[kind + "_kb"] / share[kind](row), 1000 + warm_up_kb)
            figures[f"own memory of {name} (KiB)"] = (lambda row, kind=kind: row[kind + "_own_kb"] / share[kind](row), 300 + warm_up_kb)
        figures |= {
            # Of each worker leatd holds a pidfd and a connection, and the runtime folder a page and sockets.
            "descriptors of leatd, without two a worker": (lambda row: row["descriptors"] - 2 * row["processes"], 4),
            "threads of leatd": (lambda row: row["threads"], 0),
            "files in the runtime folder, a worker": (lambda row: row["runtime_files"] / row["processes"], 1),
            "ledgers, without 700 bytes a source (KiB)": (lambda row: (row["ledger_bytes"] - 700 * row["sources"]) / 1024, 100),
            "logs of the ledgers (KiB)": (lambda row: row["ledger_log_bytes"] / 1024, 8200),  # 4 MiB each, and then used again
        }
        for name, (figure, constant) in figures.items():
            before, after = (statistics.median(map(figure, rows)) for rows in (early, late))
            yield name, before, after, before * 1.1 + constant


def memory_of(pid):
    """KiB: all (PSS), and what is anonymous and so its own."""
    fields = dict(line.split(b":", 1) for line in world.read(f"/proc/{pid}/smaps_rollup").splitlines()[1:])
    return tuple(int(fields.get(key, b"0 kB").split()[0]) for key in (b"Pss", b"Pss_Anon"))


def sources_and_bytes(path):
    """Bytes as the database counts them: the file itself gets what is committed at some later checkpoint, in one jump."""
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
    try:
        return database.execute("select (select count(*) from sources), page_count * page_size from pragma_page_count, pragma_page_size").fetchone()
    finally:
        database.close()
