"""Outputs: existing, missing, full, special; published whole or not at all."""

import gzip
import os
import resource
import subprocess
import threading
import unittest
from pathlib import Path

from harness import LEAT, Case, lines, zstd

RECORDS = lines({"n": n} for n in range(1000))
# Compresses to about half: 4 MB of it do not fit into 1 MB.
NOISE = b"".join(b'{"noise":"%s"}\n' % os.urandom(500).hex().encode() for _ in range(4000))


def unpack_zst(data):
    return subprocess.run(["zstd", "-q", "-d", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


class Sink(Case):
    def refused(self, code, *texts, **more):
        """A run that ends with `code` before it has written anything, and says each of `texts`."""
        if not (self.folder / "in.jsonl").exists():
            self.write("in.jsonl", RECORDS)
        self.pipeline(**more)
        run = self.leat("run", "pipeline.yaml", "--json", "--runtime-dir", self.runtime, code=code)
        for text in texts:
            self.assertIn(text, run.stderr)
        self.assertEqual(run.summary["exit_code"], code)
        self.assertNothingLeft()
        return run

    def test_an_existing_output_is_refused_without_force(self):
        self.write("out.jsonl", b"precious\n")
        self.refused(78, "out.jsonl", "--force")
        self.assertEqual((self.folder / "out.jsonl").read_bytes(), b"precious\n")
        self.assertEqual(self.run_pipeline().output(), RECORDS)  # with --force

    def test_a_link_that_leads_nowhere_is_an_existing_output(self):
        os.symlink("nowhere", self.folder / "out.jsonl")
        self.refused(78, "--force")
        self.assertTrue((self.folder / "out.jsonl").is_symlink())

    def test_a_failed_run_leaves_the_output_it_would_have_replaced(self):
        self.write("out.jsonl", b"precious\n")
        self.write("in.jsonl", RECORDS)
        self.pipeline(steps=[{"exec": {"command": ["false"]}}])
        run = self.run_pipeline(code=78)
        self.assertEqual(run.output(), b"precious\n")

    def test_a_folder_below_a_file(self):
        self.write("file", b"")
        self.refused(78, "not a folder", out="file/out.jsonl")

    def test_a_missing_folder_is_not_created(self):
        self.refused(78, "no such folder", "mkdir", out="nothing/out.jsonl")
        self.assertFalse((self.folder / "nothing").exists())

    def test_a_missing_folder_of_the_dead_letter_file(self):
        self.refused(78, "no such folder", dead_letter={"path": "nothing/dead.jsonl"})

    def test_a_folder_as_sink(self):
        (self.folder / "out.jsonl").mkdir()
        run = self.refused(78, "is a folder")
        self.assertEqual(list((self.folder / "out.jsonl").iterdir()), [])
        self.assertNotIn("--force", run.stderr)  # which would not help

    def test_a_sink_that_is_a_source(self):
        self.write("in.jsonl", RECORDS)
        self.pipeline(out="in.jsonl")
        self.assertIn("sink.path", self.run_pipeline(code=78).stderr)  # with --force
        self.assertEqual((self.folder / "in.jsonl").read_bytes(), RECORDS)

    def test_a_folder_that_may_not_be_written(self):
        if os.geteuid() == 0:
            # root may write everywhere but where the kernel refuses to create files
            self.refused(74, "/proc", out="/proc/out.jsonl")
            return
        (self.folder / "shut").mkdir(mode=0o500)
        self.refused(74, "shut", out="shut/out.jsonl")

    def test_empty_input_gives_valid_empty_outputs(self):
        self.write("in.jsonl", b"")
        for out, unpack in (("out.jsonl", bytes), ("out.jsonl.zst", unpack_zst), ("out.jsonl.gz", gzip.decompress)):
            with self.subTest(out=out):
                self.pipeline(out=out)
                run = self.run_pipeline()
                self.assertIsNotNone(run.output(out))
                self.assertEqual(unpack(run.output(out)), b"")

    def test_a_filter_that_keeps_nothing_gives_an_empty_output(self):
        self.write("in.jsonl", RECORDS)
        self.pipeline(keep=[{"field": "/n", "lt": 0}], out="out.jsonl.zst")
        run = self.run_pipeline()
        self.assertEqual(run.counts(), (1000, 0, 1000, 0))
        self.assertEqual(unpack_zst(run.output("out.jsonl.zst")), b"")


class Full(Case):
    def assertFull(self, run, text):
        self.assertEqual(run.code, 74, run.stderr)
        self.assertIn(text, run.stderr)
        self.assertEqual(run.summary["exit_code"], 74)
        self.assertNothingLeft()

    def test_a_full_disk(self):
        disk = self.folder / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "leat-test", disk], stderr=subprocess.PIPE)
        if mounted.returncode != 0:
            self.skipTest(f"a file system may not be mounted here: {mounted.stderr.decode().strip()}")
        self.addCleanup(subprocess.run, ["umount", disk], check=True)
        self.write("in.jsonl", NOISE)
        for out in ("disk/out.jsonl", "disk/out.jsonl.zst", "disk/out.jsonl.gz", "disk/{stem}.out"):
            with self.subTest(out=out):
                self.pipeline(out=out)
                run = self.leat("run", "pipeline.yaml", "--json", "--runtime-dir", self.runtime, code=74)
                self.assertFull(run, "no room")
                self.assertEqual(list(disk.iterdir()), [])

    def test_a_file_size_limit(self):
        self.write("in.jsonl", NOISE)
        self.pipeline()
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        run = self.leat("run", "pipeline.yaml", "--json", "--runtime-dir", self.runtime, code=74, preexec_fn=limit)
        self.assertFull(run, "ulimit -f")
        self.assertIsNone(run.output())

    def test_a_full_device(self):
        self.write("in.jsonl", NOISE)
        self.pipeline(out="/dev/full")
        self.assertFull(self.run_pipeline(code=74), "/dev/full")

    def test_a_full_device_for_dead_letters(self):
        self.write("in.jsonl", b"bad\n" * 1000)
        self.pipeline(dead_letter={"path": "/dev/full"})
        run = self.run_pipeline(code=74)
        self.assertFull(run, "/dev/full")
        self.assertIsNone(run.output())


class Placeholders(Case):
    def files(self, folder="."):
        base = self.folder / folder
        return {str(path.relative_to(base)): path.read_bytes() for path in base.rglob("*") if path.is_file()}

    def test_stem_is_one_output_a_source(self):
        self.write("in/a.jsonl", b"1\n")
        self.write("in/b.jsonl.zst", zstd(b"2\n"))
        self.write("in/c.d.json.gz", gzip.compress(b"3\n"))
        self.write("in/empty.jsonl", b"")
        (self.folder / "out").mkdir()
        self.pipeline(paths="in/*", out="out/{stem}.txt")
        self.run_pipeline()
        self.assertEqual(self.files("out"), {"a.txt": b"1\n", "b.txt": b"2\n", "c.d.txt": b"3\n", "empty.txt": b""})

    def test_path_keeps_the_folders(self):
        self.write("in/x/a.jsonl", b"1\n")
        self.write("in/y/z/a.jsonl", b"2\n")
        self.write("in/a.jsonl", b"3\n")
        (self.folder / "out").mkdir()
        self.pipeline(paths="in/**/*.jsonl", out="out/{path}.jsonl.gz")
        self.run_pipeline()
        self.assertEqual({name: gzip.decompress(data) for name, data in self.files("out").items()},
                         {"x/a.jsonl.gz": b"1\n", "y/z/a.jsonl.gz": b"2\n", "a.jsonl.gz": b"3\n"})

    def test_two_sources_with_one_target_are_refused(self):
        self.write("in/x/a.jsonl", b"1\n")
        self.write("in/y/a.jsonl", b"2\n")
        (self.folder / "out").mkdir()
        self.pipeline(paths="in/**/*.jsonl", out="out/{stem}.jsonl")
        run = self.run_pipeline(code=78)  # with --force: it must not replace its own output
        for text in ("x/a.jsonl", "y/a.jsonl", "{path}"):
            self.assertIn(text, run.stderr)
        self.assertIn(self.files("out"), ({}, {"a.jsonl": b"1\n"}))

    def test_rotation_cuts_between_records(self):
        want = lines({"n": n, "text": "x" * (n % 200)} for n in range(2000))
        self.write("in.jsonl", want)
        self.pipeline(out="part-{n}.jsonl", sink={"rotate": {"bytes": "10KiB"}})
        run = self.run_pipeline()
        names = sorted(path.name for path in self.folder.glob("part-*"))
        self.assertEqual(names, [f"part-{n:06}.jsonl" for n in range(len(names))] if names[0].endswith("000000.jsonl")
                         else [f"part-{n:06}.jsonl" for n in range(1, len(names) + 1)])
        self.assertGreater(len(names), len(want) // 10240)
        parts = [run.output(name) for name in names]
        self.assertEqual(b"".join(parts), want)
        self.assertTrue(all(part.endswith(b"\n") and len(part) <= 10240 for part in parts))
        self.assertEqual([Path(output["path"]).name for output in run.summary["outputs"]], names)

    def test_rotation_gives_a_long_record_an_output_of_its_own(self):
        self.write("in.jsonl", b'{"a":1}\n{"b":"' + b"x" * 30_000 + b'"}\n{"c":1}\n')
        self.pipeline(out="part-{n}.jsonl.zst", sink={"rotate": {"bytes": "10KiB"}})
        self.run_pipeline()
        parts = [unpack_zst(path.read_bytes()) for path in sorted(self.folder.glob("part-*"))]
        self.assertEqual([part[:4] for part in parts], [b'{"a"', b'{"b"', b'{"c"'])


class Special(Case):
    def test_a_fifo_that_somebody_reads(self):
        self.write("in.jsonl", RECORDS * 50)
        os.mkfifo(self.folder / "pipe")
        for compression, unpack in (("none", bytes), ("zstd", unpack_zst), ("gzip", gzip.decompress)):
            with self.subTest(compression=compression):
                self.pipeline(out="pipe", sink={"compression": compression})
                got = []
                drain = threading.Thread(target=lambda: got.append((self.folder / "pipe").read_bytes()))
                drain.start()
                self.run_pipeline()
                drain.join()
                self.assertSame(unpack(got[0]), RECORDS * 50)
        self.assertTrue((self.folder / "pipe").is_fifo())

    def test_the_reader_of_a_fifo_goes_away(self):
        self.write("in.jsonl", NOISE)
        os.mkfifo(self.folder / "pipe")
        self.pipeline(out="pipe")
        process = self.start_pipeline()
        with open(self.folder / "pipe", "rb", buffering=0) as pipe:
            self.assertTrue(pipe.read(1000))
        run = self.finish(process)
        self.assertEqual(run.code, 74, run.stderr)
        self.assertIn("has closed it (as head does", run.stderr)
        self.assertNothingLeft()

    def test_stdout(self):
        self.write("in.jsonl", RECORDS + b"bad\n")
        self.pipeline(out="/dev/stdout")
        run = self.leat("run", "pipeline.yaml", "--runtime-dir", self.runtime)
        self.assertEqual(run.stdout, RECORDS)
        self.assertIn("1,000", run.stderr)
        self.assertNothingLeft()

    def test_stdout_into_a_file_that_others_append_to(self):
        self.write("in.jsonl", RECORDS)
        self.pipeline(out="/dev/stdout")
        path = self.write("log", b"before\n")
        with open(path, "ab") as log:
            command = [LEAT, "run", "pipeline.yaml", "--quiet", "--runtime-dir", self.runtime]
            code = subprocess.run(command, cwd=self.folder, stdout=log).returncode
        self.assertEqual(code, 0)
        self.assertEqual(path.read_bytes(), b"before\n" + RECORDS)

    def test_stdout_and_json_do_not_mix(self):
        self.write("in.jsonl", RECORDS)
        self.pipeline(out="/dev/stdout")
        run = self.leat("run", "pipeline.yaml", "--json", "--runtime-dir", self.runtime, code=64)
        self.assertEqual(run.stdout, b"")

    def test_dev_null(self):
        self.write("in.jsonl", RECORDS)
        self.pipeline(out="/dev/null")
        self.assertEqual(self.run_pipeline().counts(), (1000, 1000, 0, 0))


if __name__ == "__main__":
    unittest.main(verbosity=2)
