"""What the ledger costs.

`scripts/bench restart`: starting on a state in which all sources are done. `scripts/bench cost --against FOLDER`: the
main job with this build and with the programs of another one, in turn.
"""
import hashlib
import json
import os
import statistics
import subprocess
import time

import jobs
import machine
import measure
import peers
import report

RUNS = 5
WALL_S = 1.0
PEAK_BYTES = 20 * 2**20


def restart(options):
    with machine.work_folder(options.work, options.sources * 4096) as folder:
        os.mkdir(os.path.join(folder, "in"))
        for number in range(options.sources):
            with open(os.path.join(folder, "in", f"{number:07d}.jsonl"), "w") as file:
                file.write('{"score":0.1,"lang":"py"}\n')
        command = peers.leat_run(folder, [os.path.join(folder, "in", "*.jsonl")], {}, os.path.join(folder, "out.jsonl"))
        state = ["--state", os.path.join(folder, "state")]
        environment = peers.leat_env(folder)
        measure.run(command + state, folder, environment)
        again = [word for word in command if word not in ("--force", "--fresh")] + state + ["--json"]
        walls, peaks = [], []
        for _ in range(RUNS):
            begin = time.monotonic()
            with measure.PssSampler() as memory:
                done = subprocess.run(again, cwd=folder, env=dict(os.environ, **environment), stdout=subprocess.PIPE,
                                      stderr=subprocess.DEVNULL, check=False)
            walls.append(time.monotonic() - begin)
            peaks.append(memory.peak_bytes)
            account = json.loads(done.stdout)
            if done.returncode != 0 or account["in"] != 0 or account["sources"]["done_before"] != options.sources:
                report.progress(f"leat did not see that all was done: {account}")
                return False
    wall, peak = statistics.median(walls), max(peaks)
    print(f"{options.sources:,} finished sources, nothing to do: {wall:.2f} s (median of {RUNS}), {peak / 2**20:.1f} MiB PSS at the peak "
          "of all processes together")
    return wall < WALL_S and peak < PEAK_BYTES


def cost(options):
    """`--against`: the folder with the programs of the other build, which may know no --fresh and no --state."""
    return all([cost_of(options, job, kind) for kind in options.corpora for job in options.jobs])


def cost_of(options, job, kind):
    with machine.work_folder(options.work, 4 * options.size) as folder:
        source = os.path.join(folder, "in.jsonl")
        jobs.make_corpus("--kind", kind, "--size", str(options.size), "--out", source)
        if job == "J2":
            subprocess.run(["zstd", "-q", "-3", "--rm", source], check=True)
            source += ".zst"
        sink = os.path.join(folder, "out.jsonl" + (".zst" if job == "J2" else ""))
        process = None if job == "J3" else {"workers": options.processors, "steps": peers.STEPS}
        command = peers.leat_run(folder, [source], process, sink)
        other = [os.path.join(options.against, "leat"), "run", command[2], "--force"]
        ratios, walls = [], {"this": [], "other": []}
        outputs = set()
        for turn in range(options.rounds + 1):
            pair = {}
            for name, words in (("this", command), ("other", other)) if turn % 2 == 0 else (("other", other), ("this", command)):
                environment = peers.leat_env(folder)
                begin = time.monotonic()
                measure.run(words, folder, environment)
                pair[name] = time.monotonic() - begin
                outputs.add(decoded_digest(sink))
                os.unlink(sink)
            if turn == 0:
                continue  # a warm-up
            ratios.append(pair["this"] / pair["other"])
            for name, seconds in pair.items():
                walls[name].append(seconds)
            report.progress(f"round {turn}: {pair['this']:.2f} s and {pair['other']:.2f} s, ratio {ratios[-1]:.3f}")
    print(f"{job} on {options.size / 10**6:.0f} MB of {kind} records, {options.rounds} pairs: this build {statistics.median(walls['this']):.2f} s, the other "
          f"{statistics.median(walls['other']):.2f} s; ratio, median of pairs: {statistics.median(ratios):.3f} "
          f"[{min(ratios):.3f} to {max(ratios):.3f}]; outputs {'the same' if len(outputs) == 1 else 'DIFFER'}", flush=True)
    return len(outputs) == 1


def decoded_digest(path):
    if not path.endswith(".zst"):
        with open(path, "rb") as file:
            return digest(file)
    with subprocess.Popen(["zstd", "-dcq", path], stdout=subprocess.PIPE) as decoder:
        hashed = hashlib.sha256()
        while piece := decoder.stdout.read(1 << 20):
            hashed.update(piece)
    return hashed.hexdigest()


def digest(file):
    return hashlib.file_digest(file, "sha256").hexdigest()
