"""The same bytes whatever the number of processors and whatever the compression of input and output."""

import gzip
import json
import random
import subprocess
import unittest

from harness import Case, lines, zstd

# Answers of different children take different times, so batches overtake each other.
UNEVEN_CHILD = """
import json, sys, time
for line in sys.stdin:
    if json.loads(line)["n"] % 97 == 0:
        time.sleep(0.005)
    print(line, end="", flush=True)
"""


def records(count, seed=1):
    chance = random.Random(seed)
    for n in range(count):
        size = chance.choice((0, 5, 40, 300, 300, 3000))
        yield {"n": n, "score": chance.randrange(100), "secret": {"a": [n]}, "text": "é\u2028\"\\" + "abc " * size}


def decoded(path):
    data = path.read_bytes()
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-q", "-d", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return gzip.decompress(data) if path.suffix == ".gz" else data


STEPS = [{"drop": ["/secret"]}, {"length": {"from": "/text", "to": "/length"}}, {"rename": {"/n": "/number"}}]
KEEP = [{"field": "/score", "lt": 60}]


def expected(kept):
    for record in kept:
        yield {"number": record["n"], "score": record["score"], "text": record["text"], "length": len(record["text"])}


class Order(Case):
    def test_steps_give_the_same_bytes_with_1_2_4_and_8_processors(self):
        every = list(records(4000))
        self.write("in.jsonl", lines(every))
        want = lines(expected(record for record in every if record["score"] < 60))
        for workers in (1, 2, 4, 8):
            with self.subTest(workers=workers):
                self.pipeline(keep=KEEP, steps=STEPS, workers=workers)
                run = self.run_pipeline()
                self.assertSame(run.output(), want)
                self.assertEqual(run.counts(), (4000, want.count(b"\n"), 4000 - want.count(b"\n"), 0))

    def test_an_uneven_exec_step_does_not_change_the_order(self):
        every = list(records(3000))
        self.write("in.jsonl", lines(every))
        self.write("child.py", UNEVEN_CHILD)
        steps = [{"exec": {"command": ["python3", "child.py"]}}, {"drop": ["/secret"]}]
        want = lines({key: value for key, value in record.items() if key != "secret"} for record in every)
        for workers in (1, 4, 4):
            with self.subTest(workers=workers):
                self.pipeline(steps=steps, workers=workers)
                self.assertSame(self.run_pipeline().output(), want)

    def test_every_compression_in_and_out(self):
        every = list(records(3000))
        plain = lines(every)
        self.write("in.jsonl", plain)
        self.write("in.jsonl.zst", zstd(plain))
        self.write("in.jsonl.gz", gzip.compress(plain))
        want = lines(expected(record for record in every if record["score"] < 60))
        for paths in ("in.jsonl", "in.jsonl.zst", "in.jsonl.gz"):
            for out in ("out.jsonl", "out.jsonl.zst", "out.jsonl.gz"):
                with self.subTest(paths=paths, out=out):
                    self.pipeline(paths=paths, keep=KEEP, steps=STEPS, workers=2, out=out)
                    run = self.run_pipeline()
                    self.assertSame(decoded(self.folder / out), want)
                    (output,) = run.summary["outputs"]
                    self.assertEqual(output["bytes"], (self.folder / out).stat().st_size)
                    self.assertEqual(output["records_bytes"], len(want))

    def test_commits_in_the_middle_of_a_compressed_output(self):
        plain = lines(records(4000))
        self.write("in.jsonl", plain)
        for out in ("out.jsonl.zst", "out.jsonl.gz"):
            with self.subTest(out=out):
                self.pipeline(out=out, limits={"commit": {"interval": "1h", "bytes": "256KiB"}})
                self.run_pipeline()
                self.assertSame(decoded(self.folder / out), plain)

    def test_what_is_kept_leaves_byte_for_byte(self):
        odd = [b'{"n" : %d, "score":%d.0, "big": 123456789012345678901234567890}\r\n', b'\t{"score":%d,"x":"\\u0041%d"} \n',
               b'{"a":1,"a":2,"score":%d,"e":1E+%d}\n']
        raw = [odd[n % 3] % (n % 100, n % 100) for n in range(20_000)]
        self.write("in.jsonl", b"".join(raw))
        want = b"".join(line for line in raw if json.loads(line)["score"] < 50)
        for workers in (1, 3):
            with self.subTest(filters=workers):
                self.pipeline(keep=[{"field": "/score", "lt": 50}], filter={"workers": workers})
                self.assertSame(self.run_pipeline().output(), want)

    def test_three_filters_before_three_processors(self):
        every = list(records(4000))
        self.write("in.jsonl", lines(every))
        want = lines(expected(record for record in every if record["score"] < 60))
        self.pipeline(keep=KEEP, steps=STEPS, workers=3, filter={"workers": 3})
        for _ in range(3):
            self.assertSame(self.run_pipeline().output(), want)

    def test_files_of_all_kinds_in_path_order(self):
        parts = {f"in/{name}": lines(records(300, seed)) for seed, name in enumerate(
            ("b/2.jsonl", "a.jsonl.zst", "b/10.jsonl.gz", "c.jsonl", "Z.jsonl", "b.jsonl"))}
        for name, plain in parts.items():
            pack = {"zst": zstd, ".gz": gzip.compress}.get(name[-3:], bytes)
            self.write(name, pack(plain))
        order = sorted(parts, key=lambda name: name.encode())
        want = b"".join(parts[name] for name in order)
        for steps in (None, [{"drop": ["/nothing"]}]):
            self.pipeline(paths="in/**/*.jsonl*", steps=steps, workers=4)
            self.assertSame(self.run_pipeline().output(), want)

    def test_dead_letters_in_line_order_whoever_rejects(self):
        chance = random.Random(3)
        raw, dead, want, offset = [], [], [], 0
        for n in range(6000):
            kind = chance.randrange(12)
            line = {0: b'{"n":%d' % n, 1: b"[%d]" % n, 2: b"", 3: b"\xff%d" % n}.get(kind, b'{"n":%d}' % n)
            if kind in (0, 1, 3):
                dead.append((n + 1, offset, "processor" if kind == 1 else "filter", line))
            elif kind != 2:
                want.append(b'{"n":%d,"kind":"x"}' % n)
            raw.append(line + b"\n")
            offset += len(line) + 1
        self.write("in.jsonl", b"".join(raw))
        for workers in (1, 4):
            with self.subTest(workers=workers):
                self.pipeline(steps=[{"set": {"/kind": "x"}}], workers=workers, filter={"workers": 2})
                run = self.run_pipeline()
                self.assertEqual(run.output().splitlines(), want)
                self.assertEqual(run.counts(), (len(want) + len(dead), len(want), 0, len(dead)))
                letters = run.dead()
                self.assertEqual([(letter["line"], letter["offset"], letter["stage"]) for letter in letters],
                                 [letter[:3] for letter in dead])
                for letter, (_, _, _, line) in zip(letters, dead):
                    if line.isascii():
                        self.assertEqual(letter["record"].encode(), line)
                    self.assertEqual(letter["source"], str(self.folder / "in.jsonl"))
                (self.folder / "dead.jsonl").unlink()

    def test_dead_letters_of_a_later_run_are_appended(self):
        self.write("in.jsonl", b"bad\n{}\n")
        self.pipeline()
        for _ in range(2):
            self.run_pipeline()
        self.assertEqual([letter["line"] for letter in self.run_pipeline().dead()], [1, 1, 1])


if __name__ == "__main__":
    unittest.main(verbosity=2)
