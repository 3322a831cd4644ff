"""`scripts/bench exec`: a Python function in leat's exec step on several processors, and in a pipeline of generators.

The function is enrich.py's; leat runs it through the shipped example, config/examples/exec_python.py.
"""
import os
import statistics

import jobs
import machine
import measure
import peers
import report

RECORDS = 100_000
RECORD_BYTES = 4800  # more than the mean, so that the corpus has RECORDS of them


def make_input(folder, wanted):
    """The first `wanted` records of a corpus."""
    path = os.path.join(folder, "in.jsonl")
    jobs.make_corpus("--kind", "large", "--size", str(wanted * RECORD_BYTES), "--out", path)
    with open(path, "r+b") as file:
        records = sum(1 for _ in zip(range(wanted), iter(file.readline, b"")))
        file.truncate(file.tell())
    return path, records


def main(options):
    if not os.access(peers.LEAT, os.X_OK):
        report.progress("build leat first: no build/bin/leat")
        return False
    machine.warn_if_busy()
    description = machine.describe()
    with machine.work_folder(options.work, options.records * RECORD_BYTES * 3) as folder:
        source, records = make_input(folder, options.records)
        outputs = {name: os.path.join(folder, f"{name}.jsonl") for name in ("leat", "python")}
        step = {"exec": {"command": [peers.python(), os.path.join(peers.PROGRAMS, "exec_enrich.py")], "timeout": "30s"}}
        leat = peers.leat_run(folder, [source], {"workers": options.processors, "steps": [step]}, outputs["leat"])
        single = [peers.python(), os.path.join(peers.PROGRAMS, "enrich.py"), source, outputs["python"], peers.LANG_LIST]
        walls = {"leat": [], "python": []}
        for number in range(options.rounds):
            report.progress(f"exec: round {number + 1} of {options.rounds}")
            for name, command in (("leat", leat), ("python", single)):
                if os.path.exists(outputs[name]):
                    os.unlink(outputs[name])
                try:
                    walls[name].append(measure.run(command, folder, peers.leat_env(folder))["wall"])
                except measure.Failed as error:
                    report.progress(f"exec: {name}: {error}")
                    return False
        right = same_lines(*outputs.values())
    ratio = statistics.median(walls["python"]) / statistics.median(walls["leat"])
    titles = {"leat": f"leat, exec on {options.processors} processors", "python": "Python generators, one process"}
    cells = [[titles[name], f"{report.seconds(statistics.median(took))} [{report.seconds(min(took))}–{report.seconds(max(took))}]",
              f"{records / statistics.median(took):,.0f}"] for name, took in walls.items()]
    lines = ["## A Python function", "", *description, f"- `{options.command_line}`", "",
             f"`tests/bench/peers/enrich.py` on {records:,} records of 4.5 KB, of which the filter of J1 keeps 47 %; {options.rounds} rounds, interleaved.", "",
             *report.table(["", "wall s, median [min–max]", "records/s"], cells), "",
             f"leat is {ratio:.2f} times as fast; the outputs are {'the same' if right else '**not the same**'}, byte for byte and in order."]
    print("\n".join(lines))
    report.keep_json(options.json, {"machine": description, "command": options.command_line, "walls": walls, "ratio": ratio, "right": right})
    if options.write:
        report.replace_section("exec", lines)
    return right


def same_lines(first, second):
    with open(first, "rb") as one, open(second, "rb") as other:
        while True:
            here, there = one.read(1 << 20), other.read(1 << 20)
            if here != there:
                return False
            if not here:
                return True
