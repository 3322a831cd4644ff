"""`scripts/bench growth`: how much memory leat holds when records grow on their way, by how much they grow, by what makes
them grow, and by the number of processors. Every output is compared, byte for byte, with what it must be.
"""
import hashlib
import itertools
import json
import os
import sys
import time

import machine
import measure
import peers
import report

MEMORY = 64 * 2**20
FACTORS = (1, 10, 100, 1000, 10_000)
KINDS = ("set", "replace", "exec", "exec arrays")
PROCESSORS = (1, 4, 16)
TEXT = "0123456789"
RECORD_BYTES = len('{"n":1000000,"t":"%s"}\n' % TEXT)
OUTPUT_BYTES = 40 * 10**6
QUICK_BYTES = 8 * 10**6
MOST_RECORDS = 150_000
FEWEST_RECORDS = 200
MEMBERS = 8          # of an array
VALUE_BYTES = 8_000  # of `set`: the rest is copied, as the pipeline file is in every process
BATCH = {16: "64KiB"}  # in 64 MiB there is not much left of 20 processes

CHILD = """import sys
big, members = 'y' * int(sys.argv[1]), int(sys.argv[2])
for line in sys.stdin:
    made = line.rstrip()[:-1] + ',"big":"' + big + '"}'
    print('[' + ','.join([made] * members) + ']' if members else made, flush=True)
"""


class PssOfLeat(measure.PssSampler):
    """Programs of exec steps are the user's: not counted."""

    def sample(self):
        while not self.stop.wait(measure.SAMPLE_SECONDS):
            self.peak_bytes = max(self.peak_bytes, sum(measure.pss_bytes(pid) for pid in measure.descendants() if is_leat(pid)))
            self.samples += 1


def is_leat(pid):
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().startswith("leat")
    except OSError:
        return False


def record(n):
    return '{"n":%d,"t":"%s"}' % (1_000_000 + n, TEXT)


def job(kind, factor, folder):
    """(steps, result): what to do, and the bytes that record n becomes."""
    grown = RECORD_BYTES * factor
    if kind == "set":
        size, copies = min(grown, VALUE_BYTES), max(0, round(grown / VALUE_BYTES) - 1)
        value = "y" * size
        steps = [{"set": {"/big": value}}, *({"copy": {"/big": f"/c{i}"}} for i in range(copies))]
        tail = ',"big":"%s"' % value + "".join(',"c%d":"%s"' % (i, value) for i in range(copies)) + "}\n"
        return steps, lambda n: record(n)[:-1] + tail
    if kind == "replace":
        each = "y" * max(1, grown // len(TEXT))
        text = each * len(TEXT)
        return [{"replace": {"field": "/t", "pattern": ".", "with": each}}], lambda n: record(n).replace(TEXT, text) + "\n"
    members = MEMBERS if kind == "exec arrays" else 0
    big = "y" * (grown // max(1, members))
    script = os.path.join(folder, "grow.py")
    with open(script, "w") as file:
        file.write(CHILD)
    steps = [{"exec": {"command": [sys.executable, script, str(len(big)), str(members)]}}]
    return steps, lambda n: (record(n)[:-1] + ',"big":"%s"}\n' % big) * max(1, members)


def measure_cell(kind, factor, processors, folder, output_bytes):
    steps, result = job(kind, factor, folder)
    records = max(FEWEST_RECORDS, min(MOST_RECORDS, output_bytes // (RECORD_BYTES * factor)))
    with open(os.path.join(folder, "in.jsonl"), "w") as file:
        file.writelines(record(n) + "\n" for n in range(records))
    config = {"version": 1, "name": "growth", "source": {"paths": ["in.jsonl"], "compression": "none"},
              "process": {"workers": processors, "steps": steps}, "sink": {"path": "out.jsonl", "compression": "none"},
              "limits": {"memory": "64MiB", **({"batch": BATCH[processors]} if processors in BATCH else {})}}
    with open(os.path.join(folder, "pipeline.yaml"), "w") as file:
        json.dump(config, file)
    cell = {"kind": kind, "factor": factor, "processors": processors, "records": records, "right": False, "failure": None}
    begin = time.monotonic()
    try:
        with PssOfLeat() as memory:
            measure.run([peers.LEAT, "run", "pipeline.yaml", "--fresh", "--force"], folder, peers.leat_env(folder))
    except measure.Failed as error:
        return cell | {"failure": str(error), "seconds": time.monotonic() - begin, "peak_pss_bytes": 0}
    cell |= {"seconds": time.monotonic() - begin, "peak_pss_bytes": memory.peak_bytes}
    wanted, found = hashlib.sha256(), hashlib.sha256()
    for n in range(records):
        wanted.update(result(n).encode())
    path = os.path.join(folder, "out.jsonl")
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(1 << 20), b""):
            found.update(chunk)
    os.unlink(path)
    return cell | {"right": wanted.digest() == found.digest()}


def main(options):
    if not os.access(peers.LEAT, os.X_OK):
        report.progress("build leat first: no build/bin/leat")
        return False
    output_bytes = QUICK_BYTES if options.quick else OUTPUT_BYTES
    results = []
    with machine.work_folder(options.work, 4 * OUTPUT_BYTES) as folder:
        for kind, factor, processors in itertools.product(KINDS, FACTORS, PROCESSORS):
            report.progress(f"growth: {kind}, {factor} times, {processors} processors")
            results.append(measure_cell(kind, factor, processors, folder, output_bytes))
    cells = []
    for kind, factor in itertools.product(KINDS, FACTORS):
        row = [kind, f"{factor:,}"]
        for cell in results:
            if (cell["kind"], cell["factor"]) != (kind, factor):
                continue
            if cell["failure"]:
                report.progress(f"{kind}, {factor} times, {cell['processors']} processors: {cell['failure']}")
            state = "failed" if cell["failure"] else "" if cell["right"] else "**wrong**"
            over = "**" if cell["peak_pss_bytes"] > MEMORY else ""
            row.append(f"{over}{cell['peak_pss_bytes'] / 2**20:.1f} MiB{over}, {cell['seconds']:.1f} s {state}".strip())
        cells.append(row)
    lines = ["## Growth", "", *machine.describe(), f"- `{options.command_line}`", "",
             f"Peak PSS of all of leat's processes together and wall time, records of {RECORD_BYTES} bytes that grow by the factor, to about",
             f"{output_bytes // 10**6} MB. The bound is `limits.memory`, 64 MiB; with 16 processors `limits.batch` is {BATCH[16]}. Every output is the",
             "bytes that it must be, or **wrong** stands there.",
             "", *report.table(["step", "times", *(f"{n} processor{'s' if n > 1 else ''}" for n in PROCESSORS)], cells)]
    print("\n".join(lines))
    report.keep_json(options.json, {"command": options.command_line, "results": results})
    if options.write:
        report.replace_section("growth", lines)
    return all(cell["right"] and cell["peak_pss_bytes"] <= MEMORY for cell in results)
