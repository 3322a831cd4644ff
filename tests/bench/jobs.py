"""The jobs that every peer does, what their result must be, and in which ways a peer's output differs from that.

J1  keep score < 0.5 and lang in 20 languages; drop mtime, rename path to source, add n, the length of text in code
    points; write compact JSON Lines
J2  the same, from a .zst to a .zst of level 3
J3  the filter of J1 alone: what is kept should be the input's bytes
"""
import array
import collections
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MAKE_CORPUS = os.path.join(ROOT, "scripts", "make-corpus")
NAMES = ("J1", "J2", "J3")
LIMIT = 0.5


def make_corpus(*arguments):
    return subprocess.run([sys.executable, MAKE_CORPUS, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


LANGS = make_corpus("--langs").split()
LANGS_SET = frozenset(LANGS)


def keeps(record):
    return record["score"] < LIMIT and record["lang"] in LANGS_SET


def transform(record):
    record.pop("mtime")
    record["source"] = record.pop("path")
    record["n"] = len(record["text"])
    return record


def canonical(record):
    """The same for two records with the same values, whatever their key order and escapes."""
    return json.dumps(record, sort_keys=True)


class Reference:
    """What the jobs must give for one input, made by Python's json, which keeps 64-bit integers and doubles exactly.

    Hashes only, so that it stays small: hash() of bytes and str, 64 bits, comparable within this process.
    """

    def __init__(self, path):
        self.path = path
        self.records = 0
        self.lines = array.array("q")    # of each kept line's bytes, in order
        self.results = array.array("q")  # of each kept record's canonical J1 result, in order
        with open(path, "rb") as file:
            for line in file:
                self.records += 1
                record = json.loads(line)
                if keeps(record):
                    self.lines.append(hash(line))
                    self.results.append(hash(canonical(transform(record))))
        self.values = None

    @property
    def kept(self):
        return len(self.lines)

    def kept_values(self):
        """id -> (uid, score) of the kept records; only read when an output is wrong somewhere."""
        if self.values is None:
            self.values = {}
            with open(self.path, "rb") as file:
                for record in filter(keeps, map(json.loads, file)):
                    self.values[record["id"]] = (record["uid"], record["score"])
        return self.values

    def judge(self, job, lines):
        """(ok, text) for a peer's output lines of `job`. ok: every record right and, for J3, every byte; in order."""
        if job == "J3":
            expected, got, right = self.lines, array.array("q"), "bytes kept"
            got.extend(map(hash, lines()))
        else:
            expected, got, right = self.results, array.array("q"), "values right"
            for line in lines():
                got.append(hash(canonical(parse(line))))
        if got == expected:
            return True, right
        missing = collections.Counter(expected)
        missing.subtract(got)
        if not any(missing.values()):
            return False, f"{right}, order not kept"
        return False, self.what_is_wrong(job, lines)

    def what_is_wrong(self, job, lines):
        values = dict(self.kept_values())
        total = len(values)
        broken = unexpected = uid_altered = score_altered = 0
        last, in_order = "", True
        for line in lines():
            record = parse(line)
            expected = values.pop(record.get("id"), None) if isinstance(record, dict) else None
            if not isinstance(record, dict):
                broken += 1
            elif expected is None:
                unexpected += 1
            else:
                in_order = in_order and last < record["id"]  # ids count up in the corpus
                last = record["id"]
                uid_altered += record.get("uid") != expected[0] or isinstance(record.get("uid"), float)
                score_altered += record.get("score") != expected[1]
        found = [f"{count:,} records {what}" for count, what in
                 ((len(values), "missing"), (unexpected, "unexpected"), (broken, "are not JSON")) if count]
        found += [f"{what} altered in {100 * count / max(1, total):.1f} %" for count, what in
                  ((uid_altered, "uid"), (score_altered, "score")) if count]
        if not found:
            found = ["re-serialised"] if job == "J3" else ["other values differ"]
        return ", ".join(found if in_order else [*found, "order not kept"])


def parse(line):
    try:
        return json.loads(line)
    except ValueError:
        return "not JSON"


def output_lines(paths):
    """Lines of output files as bytes, one after the other; .zst decompressed by the zstd program."""
    for path in paths:
        if not path.endswith(".zst"):
            with open(path, "rb") as file:
                yield from file
            continue
        with subprocess.Popen(["zstd", "-dcq", path], stdout=subprocess.PIPE) as process:
            yield from process.stdout
        if process.returncode != 0:
            raise OSError(f"{path}: zstd cannot read it")
