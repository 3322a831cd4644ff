"""`scripts/bench memory`: how much memory leat holds, by size of the input and by length of a record.

An input over 1 GB is many names (hard links) of one file of 1 GB, which leat must take for as many sources.
"""
import json
import os
import time

import jobs
import machine
import measure
import peers
import report

RUNS = 3
UNIT_BYTES = 10**9
LIMIT_BYTES = 64 * 2**20    # limits.memory of a pipeline that does not set it
LONG_FACTOR = 8             # what a record of over 1 MiB may take on top, in times its size
LONG_BASE = 10**8
LONG_RECORDS = (4 * 2**20, 16 * 2**20)  # the line with its newline; 16 MiB is max_record


def make_inputs(folder, size):
    """Files of `size` bytes together; returns (glob, records kept)."""
    unit = os.path.join(folder, "unit.jsonl")
    jobs.make_corpus("--kind", "large", "--size", str(min(size, UNIT_BYTES)), "--out", unit)
    links = max(1, round(size / UNIT_BYTES))
    for number in range(links):
        os.link(unit, os.path.join(folder, f"in-{number:03d}.jsonl"))
    kept = count_kept(unit)
    os.unlink(unit)
    return os.path.join(folder, "in-*.jsonl"), kept * links


def make_long(folder, record_bytes):
    """A corpus with one record of that length in its middle, which is kept."""
    path = os.path.join(folder, "in-000.jsonl")
    jobs.make_corpus("--kind", "large", "--size", str(LONG_BASE), "--out", path)
    kept = count_kept(path) + 1
    with open(path, "rb") as file:
        file.seek(LONG_BASE // 2)
        file.readline()
        middle = file.tell()
        rest = file.read()
    record = {"id": "long", "path": "/long", "lang": "py", "size": 0, "mtime": 0, "score": 0.25, "uid": 2**63 - 1,
              "meta": {"host": "nas-0", "tags": [], "owner": "long"}, "text": ""}
    frame = len(json.dumps(record)) + 1
    record["text"] = "long " * ((record_bytes - frame) // 5)
    record["text"] += "." * (record_bytes - frame - len(record["text"]))
    with open(path, "r+b") as file:
        file.seek(middle)
        file.write(json.dumps(record).encode() + b"\n" + rest)
    return path, kept


def count_kept(path):
    with open(path, "rb") as file:
        return sum(map(jobs.keeps, map(json.loads, file)))


def count_lines(path):
    with open(path, "rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))


def measure_input(name, make, bound, folder, processors):
    """Peak of several runs over what make(folder) makes."""
    report.progress(f"memory: {name}")
    paths, kept = make(folder)
    sink = os.path.join(folder, "out.jsonl")
    found = {"input": name, "bound_bytes": bound, "peak_pss_bytes": 0, "right": True, "failure": None, "wall": []}
    for _ in range(RUNS):
        command = peers.leat_run(folder, [paths], {"workers": processors, "steps": peers.STEPS}, sink)
        begin = time.monotonic()
        try:
            with measure.PssSampler() as memory:
                measure.run(command, folder, peers.leat_env(folder))
        except measure.Failed as error:
            found |= {"right": False, "failure": str(error)}
            break
        found["wall"].append(time.monotonic() - begin)
        found["peak_pss_bytes"] = max(found["peak_pss_bytes"], memory.peak_bytes)
        found["right"] = found["right"] and count_lines(sink) == kept
        os.unlink(sink)
    return found


def main(options):
    if not os.access(peers.LEAT, os.X_OK):
        report.progress("build leat first: no build/bin/leat")
        return False
    description = machine.describe()
    cases = [(label, lambda folder, size=size: make_inputs(folder, size), LIMIT_BYTES, size) for label, size in options.sizes]
    cases += [(f"{length // 2**20} MiB record in 100 MB", lambda folder, length=length: make_long(folder, length),
               LIMIT_BYTES + LONG_FACTOR * length, LONG_BASE) for length in LONG_RECORDS]
    results = []
    for name, make, bound, size in cases:
        with machine.work_folder(options.work, min(size, UNIT_BYTES) + 0.6 * size + 10**8) as folder:
            results.append(measure_input(name, make, bound, folder, options.processors))
    cells = []
    for row in results:
        if row["failure"]:
            report.progress(f"leat, {row['input']}: {row['failure']}")
        within = "yes" if row["peak_pss_bytes"] <= row["bound_bytes"] else "**no**"
        state = "failed" if row["failure"] else "yes" if row["right"] else "**no**"
        cells.append([row["input"], f"{row['peak_pss_bytes'] / 2**20:.1f} MiB", f"{row['bound_bytes'] / 2**20:.0f} MiB", within,
                      report.seconds(min(row["wall"])) if row["wall"] else "", state])
    lines = ["## Memory", "", *description, f"- `{options.command_line}`", "",
             f"Peak PSS of all of leat's processes together, one reader, one filter, {options.processors} processors, one writer; job J1; sampled every",
             f"20 ms; the highest of {RUNS} runs. The bound is `limits.memory` (64 MiB, the default), and for a record of over 1 MiB {LONG_FACTOR} times its size on top.",
             "", *report.table(["input", "peak PSS", "bound", "within", "wall s", "all records out?"], cells)]
    print("\n".join(lines))
    report.keep_json(options.json, {"machine": description, "command": options.command_line, "results": results})
    if options.write:
        report.replace_section("memory", lines)
    return all(row["right"] and row["peak_pss_bytes"] <= row["bound_bytes"] for row in results)
