"""Tables for the terminal, docs/BENCHMARKS.md and --json."""
import json
import os
import re
import sys

import jobs

PAGE = os.path.join(jobs.ROOT, "docs", "BENCHMARKS.md")
HEAD = """# Benchmarks

Written by `scripts/bench --write`; each part says when, where and with which command. Do not edit: run it again.
"""
SECTIONS = ("compare", "memory", "exec", "order", "pool", "status")
WHAT = {
    "J1": "keep `score < 0.5` and `lang` in 20 languages, drop a field, rename one, add a length; JSON Lines to JSON Lines",
    "J2": "the same from `.zst` to `.zst` level 3",
    "J3": "the filter of J1 only",
}


def progress(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def table(header, rows):
    """Lines of a Markdown table whose columns line up, so that it reads well in a terminal too."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    line = lambda row: "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
    return [line(header), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows)]


def seconds(value):
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def megabytes(count):
    return f"{count / 1e6:.0f} MB"


def verdict(row):
    if row["right"] is None:
        return ""
    return row["verdict"] if row["right"] else f"**no**: {row['verdict']}"


def job_table(rows):
    leat = next((row["wall"] for row in rows if row["peer"] == "leat" and "wall" in row), None)
    cells = []
    for row in sorted(rows, key=lambda row: row.get("wall", float("inf"))):
        if "wall" not in row:
            cells.append([row["title"], "failed", "", "", "", "", "", " ".join((row["failure"] or "not run").split())[:120].replace("|", "/")])
            continue
        cells.append([
            row["title"], f"{seconds(row['wall'])} [{seconds(row['wall_min'])}–{seconds(row['wall_max'])}]", seconds(row["cpu"]),
            f"{row['mb_per_s']:.0f}", f"{row['records_per_s']:,.0f}", megabytes(row["peak_pss_bytes"]),
            f"{row['wall'] / leat:.2f}" if leat else "–", verdict(row)])
    return table(["", "wall s, median [min–max]", "CPU s", "MB/s", "records/s", "peak PSS", "time / leat's", "output right?"], cells)


def job_section(job, kind, size, rows):
    return [f"### {job}, {kind} records: {WHAT[job]}", "",
            f"{megabytes(size['bytes'])}, {size['records']:,} records, {size['kept']:,} kept", "", *job_table(rows)]


def compare_page(description, options, versions, left_out, sizes, results):
    lines = ["## leat and its peers", "", *description, f"- `{options.command_line}`", ""]
    lines += [f"- {title}: version {version}" + (f"; {note}" if note else "") for title, (version, note) in versions.items()]
    lines += [f"- not measured: {title} ({reason})" for title, reason in left_out.items()]
    lines += ["", f"""Input and output are on `{options.work}`. {options.rounds} rounds, all peers in each round one after the other, in an
order that shifts from round to round; medians. Times are of the whole command, its start included; CPU is user and system
time of the whole process tree. MB/s and records/s count uncompressed input. Peak PSS is of the whole process tree, sampled
every 20 ms in a run that is not timed. `time / leat's` above 1: leat is faster by that factor. Output is right when every record is there,
in input order, with exactly the values it must have; for J3, with the input's bytes. Times of different runs do not compare."""]
    for kind, size in sizes.items():
        for job in options.jobs:
            rows = [row for row in results if row["job"] == job and row["corpus"] == kind]
            lines += ["", *job_section(job, kind, size, rows)]
    return lines


def keep_json(path, document):
    if path:
        with open(path, "w") as file:
            json.dump(document, file, indent=1)
            file.write("\n")


def replace_section(name, lines):
    """Puts lines in the place of the section of that name in the page; the others stay."""
    old = ""
    if os.path.exists(PAGE):
        with open(PAGE) as file:
            old = file.read()
    parts = dict(re.findall(r"<!-- begin (\w+) -->\n(.*?)<!-- end \1 -->\n", old, re.DOTALL))
    parts[name] = "\n".join(lines) + "\n"
    with open(PAGE, "w") as file:
        file.write(HEAD + "".join(f"\n<!-- begin {key} -->\n{parts[key]}<!-- end {key} -->\n" for key in SECTIONS if key in parts))
    progress(f"wrote {os.path.relpath(PAGE)}")
