"""`scripts/bench order`: the same decoded bytes with any number of processors, from any compression, run after run.

Sinks of all three kinds take turns from run to run. What the bytes must be is checked against Python's json once (values,
and for the filter alone the bytes); after that only their hash is compared.
"""
import collections
import gzip
import hashlib
import os
import subprocess

import jobs
import machine
import measure
import peers
import report

WORKERS = (1, 2, 4, 8)
SINKS = ("out.jsonl", "out.jsonl.zst", "out.jsonl.gz")
READ_BYTES = 1 << 20


def make_inputs(folder, size):
    """Kind -> file: one plain, one .zst of several frames, one .gz of several members."""
    raw = os.path.join(folder, "in.jsonl")
    jobs.make_corpus("--kind", "large", "--size", str(size), "--out", raw)
    inputs = {"raw": raw, "zstd": raw + ".zst", "gzip": raw + ".gz"}
    for kind, program in (("zstd", ["zstd", "-q", "-3", "-c"]), ("gzip", ["gzip", "-n", "-6", "-c"])):
        with open(raw, "rb") as plain, open(inputs[kind], "wb") as packed:
            for piece in iter(lambda: plain.read(size // 7), b""):
                packed.write(subprocess.run(program, input=piece, stdout=subprocess.PIPE, check=True).stdout)
    return inputs


def chunks(path):
    """Decoded."""
    if path.endswith(".zst"):
        with subprocess.Popen(["zstd", "-dcq", path], stdout=subprocess.PIPE) as process:
            yield from iter(lambda: process.stdout.read(READ_BYTES), b"")
        if process.returncode != 0:
            raise OSError(f"{path}: zstd cannot read it")
        return
    with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
        yield from iter(lambda: file.read(READ_BYTES), b"")


def digest(path):
    total = hashlib.blake2b()
    for chunk in chunks(path):
        total.update(chunk)
    return total.hexdigest()


class Matrix:
    """Runs and what came of them: (job, input, workers) -> digests."""

    def __init__(self, folder, inputs, reference):
        self.folder, self.inputs, self.reference = folder, inputs, reference
        self.digests = collections.defaultdict(list)
        self.verdicts = {}
        self.failures = []

    def run(self, job, kind, workers, sink):
        sink = os.path.join(self.folder, sink)
        pool = {"workers": workers}
        command = peers.leat_run(self.folder, [self.inputs[kind]], None if job == "J3" else {**pool, "steps": peers.STEPS}, sink,
                                 pool if job == "J3" else {})
        try:
            measure.run(command, self.folder, peers.leat_env(self.folder))
            if job not in self.verdicts:
                self.verdicts[job] = self.reference.judge(job, lambda: jobs.output_lines([sink]))  # the first sink is plain
            self.digests[job, kind, workers].append(digest(sink))
        except (measure.Failed, OSError) as error:
            self.failures.append(f"{job}, {kind}, {workers}: {error}")
        if os.path.exists(sink):
            os.unlink(sink)

    def right(self):
        same = all(len({found for key, digests in self.digests.items() if key[0] == job for found in digests}) == 1
                   for job in self.verdicts)
        return same and bool(self.verdicts) and all(right for right, _ in self.verdicts.values()) and not self.failures


def table(matrix, job, rounds):
    first = next((found[0] for key, found in matrix.digests.items() if key[0] == job), None)
    rows = []
    for kind in matrix.inputs:
        cells = [sum(one == first for one in matrix.digests[job, kind, workers]) for workers in WORKERS]
        rows.append([kind, *(f"{same} of {rounds}" for same in cells)])
    pool = "filters" if job == "J3" else "processors"
    return report.table(["input", *(f"{workers} {pool if workers > 1 else pool[:-1]}" for workers in WORKERS)], rows)


def main(options):
    if not os.access(peers.LEAT, os.X_OK):
        report.progress("build leat first: no build/bin/leat")
        return False
    wanted = [job for job in options.jobs if job != "J2"]  # J2 is J1 from and to .zst, which all of this is
    description = machine.describe()
    with machine.work_folder(options.work, 3 * options.size) as folder:
        report.progress("making the inputs and their reference")
        inputs = make_inputs(folder, options.size)
        matrix = Matrix(folder, inputs, jobs.Reference(inputs["raw"]))
        for job in wanted:
            for kind in inputs:
                report.progress(f"order: {job}, {kind}")
                for workers in WORKERS:
                    for number in range(options.rounds):
                        matrix.run(job, kind, workers, SINKS[number % len(SINKS)])
    lines = ["## Order", "", *description, f"- `{options.command_line}`", "",
             f"{report.megabytes(options.size)} of 4.5 KB records, raw, as .zst of eight frames and as .gz of eight members; sinks raw, .zst and .gz in turn.",
             "Runs whose decoded output is, byte for byte, that of the first run:"]
    for job in wanted:
        right, verdict = matrix.verdicts.get(job, (False, "no run"))
        lines += ["", f"{job} (the first run: {verdict if right else '**no**: ' + verdict})", "", *table(matrix, job, options.rounds)]
    print("\n".join(lines))
    for failure in matrix.failures:
        report.progress(failure)
    report.keep_json(options.json, {"machine": description, "command": options.command_line, "verdicts": matrix.verdicts,
                                    "digests": [[*key, found] for key, found in matrix.digests.items()], "failures": matrix.failures})
    if options.write:
        report.replace_section("order", lines)
    return matrix.right()
