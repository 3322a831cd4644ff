"""`scripts/bench`: leat and its peers on the same jobs, in one run, round by round."""
import os
import shlex
import statistics
import subprocess
import sys

import jobs
import machine
import measure
import peers
import report

LEVEL = "-3"


def make_data(kind, size, folder):
    """The corpus as raw JSON Lines, as .zst, and as two .zst halves."""
    data = peers.Data(kind, *(os.path.join(folder, name) for name in ("in.jsonl", "in.jsonl.zst")),
                      [os.path.join(folder, f"half{number}.jsonl.zst") for number in (0, 1)], 0, 0, os.path.join(folder, "out"))
    os.mkdir(data.folder)
    jobs.make_corpus("--kind", kind, "--size", str(size), "--out", data.raw)
    data.bytes = os.path.getsize(data.raw)
    with open(data.raw, "rb") as file:
        file.seek(data.bytes // 2)
        file.readline()
        data.middle = file.tell()
    subprocess.run(["zstd", "-q", LEVEL, data.raw, "-o", data.zst], check=True)
    raw = shlex.quote(data.raw)
    for cut, shard in zip((f"head -c {data.middle} {raw}", f"tail -c +{data.middle + 1} {raw}"), data.shards):
        subprocess.run(peers.shell(f"{cut} | zstd -q {LEVEL} -o {shlex.quote(shard)}"), check=True)
    return data


def remove(paths):
    for path in paths:
        if os.path.exists(path):
            os.unlink(path)


class Row:
    """One peer at one job: what was measured so far, or why not."""

    def __init__(self, peer, judged):
        self.peer, self.judged = peer, judged
        self.rounds = []
        self.pss_bytes = 0
        self.right = self.verdict = self.failure = None

    def run(self, job, data):
        remove(self.peer.outputs(job, data))
        try:
            return measure.run(self.peer.command(job, data), data.folder, self.peer.env(data))
        except measure.Failed as error:
            self.failure = str(error)
            print(f"bench: {self.peer.name} {job} {data.kind}: {error}", file=sys.stderr)
            return None

    def first_run(self, job, data, reference):
        """Warms up, takes the memory and reads the output; not timed."""
        with measure.PssSampler() as memory:
            done = self.run(job, data)
        self.pss_bytes = memory.peak_bytes
        if done and self.judged:
            try:
                self.right, self.verdict = reference.judge(job, lambda: jobs.output_lines(self.peer.outputs(job, data)))
            except OSError as error:
                self.right, self.verdict = False, f"no output: {error}"

    def result(self, job, data, records):
        found = {"job": job, "corpus": data.kind, "peer": self.peer.name, "title": self.peer.title, "failure": self.failure,
                 "right": self.right, "verdict": self.verdict, "peak_pss_bytes": self.pss_bytes, "rounds": self.rounds}
        if self.rounds and not self.failure:
            walls = [done["wall"] for done in self.rounds]
            wall = statistics.median(walls)
            found |= {"wall": wall, "wall_min": min(walls), "wall_max": max(walls),
                      "cpu": statistics.median(done["cpu"] for done in self.rounds),
                      "mb_per_s": data.bytes / 1e6 / wall, "records_per_s": records / wall}
        return found


def measure_job(job, data, reference, chosen, rounds):
    rows = [Row(peer, True) for peer in chosen] + [Row(peer, False) for peer in peers.floors(job)]
    for row in rows:
        report.progress(f"{job} {data.kind}: memory and output of {row.peer.name}")
        row.first_run(job, data, reference)
        remove(row.peer.outputs(job, data))
    for number in range(rounds):
        report.progress(f"{job} {data.kind}: round {number + 1} of {rounds}")
        turn = number % len(rows)  # nobody always runs after the same neighbour's load
        for row in rows[turn:] + rows[:turn]:
            if not row.failure:
                done = row.run(job, data)
                if done:
                    row.rounds.append(done)
                remove(row.peer.outputs(job, data))
    return [row.result(job, data, reference.records) for row in rows]


def choose(names, processors):
    """(peers to run, reasons why others do not); names may be empty for all that are there."""
    every = peers.every_peer(processors)
    unknown = set(names) - {peer.name for peer in every}
    if unknown:
        sys.exit(f"bench: unknown peer {', '.join(sorted(unknown))}; there are {', '.join(peer.name for peer in every)}")
    wanted = [peer for peer in every if not names or peer.name in names]
    left_out = {peer.title: peer.missing() for peer in wanted if peer.missing()}
    return [peer for peer in wanted if peer.title not in left_out], left_out


def main(options):
    """True if leat ran, where it was asked for, and gave what it must."""
    if options.install:
        peers.install()
    chosen, left_out = choose(options.peers, options.processors)
    for title, reason in left_out.items():
        print(f"bench: without {title}: {reason}", file=sys.stderr)
    machine.warn_if_busy()
    description = machine.describe()
    results, sizes = [], {}
    for kind in options.corpora:
        with machine.work_folder(options.work, 4 * options.size) as folder:
            report.progress(f"making the {kind} corpus and its reference")
            data = make_data(kind, options.size, folder)
            reference = jobs.Reference(data.raw)
            sizes[kind] = {"bytes": data.bytes, "zst_bytes": os.path.getsize(data.zst), "records": reference.records, "kept": reference.kept}
            for job in options.jobs:
                rows = measure_job(job, data, reference, chosen, options.rounds)
                results += rows
                print("\n".join(report.job_section(job, kind, sizes[kind], rows)), end="\n\n", flush=True)
    versions = {peer.title: (peer.version(), peer.note) for peer in chosen}
    report.keep_json(options.json, {"machine": description, "command": options.command_line, "corpora": sizes, "results": results})
    wrong = [row for row in results if row["peer"] == "leat" and not (row["right"] and not row["failure"])]
    if options.write and not wrong:
        report.replace_section("compare", report.compare_page(description, options, versions, left_out, sizes, results))
    for row in wrong:
        print(f"bench: leat, {row['job']} {row['corpus']}: {row['failure'] or row['verdict']}", file=sys.stderr)
    return not wrong
