"""Sources that change between runs and while they are read. Each ends with its bytes in the output once, or says what is
the matter, where, and what to do."""

import os
import shutil
import signal
import subprocess
import time
import unittest

from harness import BlockedCase, Case, lines, zstd


def content(name, first=0, count=100):
    return lines({"source": name, "n": n} for n in range(first, first + count))


def gzip(data):
    return subprocess.run(["gzip", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


def touch(path):
    """Another time of modification, surely."""
    now = path.stat().st_mtime_ns
    os.utime(path, ns=(now, now + 1_000_000_000))


def append(path, data):
    with open(path, "ab") as file:
        file.write(data)


A, B, C = content("a"), content("b"), content("c")


class Between(Case):
    """A change that comes between two runs."""

    def setUp(self):
        super().setUp()
        self.a = self.write("in/a.jsonl", A)
        self.pipeline(paths="in/*", out="out-{n}.jsonl")

    def outputs(self):
        return {path.name: path.read_bytes() for path in self.folder.glob("out-*")}

    def check_changed(self, *reasons):
        """The source is changed, the others continue, each run says so, and --reread makes it good."""
        self.write("in/b.jsonl", B)
        run = self.run_on(code=74)
        self.assertEqual(self.outputs(), {"out-000001.jsonl": A, "out-000002.jsonl": B})
        self.assertEqual(self.states(), {"in/a.jsonl": "changed", "in/b.jsonl": "done"})
        self.assertEqual(run.summary["sources"]["changed_count"], 1)
        told, = run.summary["sources"]["changed"]
        self.assertEqual((told["path"], told["offset"]), (str(self.a), len(A)))
        for reason in (*reasons, f"`leat run {self.folder}/pipeline.yaml --reread {self.a}`", f"line 100, offset {len(A)}"):
            self.assertIn(reason, told["reason"])
            self.assertIn(reason, run.stderr)
        again = self.run_on(code=74)
        self.assertIn(told["reason"], again.stderr)
        self.assertEqual(again.counts(), (0, 0, 0, 0))
        self.assertEqual(self.sources()["in/a.jsonl"]["reason"], told["reason"])
        self.run_on(None, "--reread", self.a)
        self.assertEqual(self.outputs(), {"out-000001.jsonl": A, "out-000002.jsonl": B, "out-000003.jsonl": self.a.read_bytes()})
        self.assertEqual(set(self.states().values()), {"done"})
        self.run_on()
        self.assertEqual(len(self.outputs()), 3)

    def test_edited_in_place_is_changed(self):
        self.run_on()
        self.a.write_bytes(A.replace(b'"n":5}', b'"n":7}'))
        touch(self.a)
        self.check_changed("it was written to since it was read", f"{len(A)} bytes")

    def test_truncated_is_changed(self):
        self.run_on()
        half = len(content("a", count=50))
        os.truncate(self.a, half)
        self.check_changed("it was truncated", f"it had {len(A)} bytes and has {half}")

    def test_truncated_to_nothing_is_changed(self):
        self.run_on()
        os.truncate(self.a, 0)
        self.write("in/b.jsonl", B)
        self.assertIn("it was truncated", self.run_on(code=74).stderr)

    def test_replaced_by_a_longer_one_is_changed(self):
        self.run_on()
        os.replace(self.write("other", content("other", count=150)), self.a)
        self.check_changed(f"its first {len(A)} bytes are not those")

    def test_edited_behind_the_head_and_grown_is_changed(self):
        """Its tail, the 64 KiB before the place, tells."""
        long = content("long", count=6000)
        self.a.write_bytes(long)
        self.run_on()
        edited = bytearray(long)
        edited[-100] = ord("x")
        self.a.write_bytes(bytes(edited) + B)
        run = self.run_on(code=74)
        self.assertIn(f"bytes before offset {len(long)} are not those that were read", run.stderr)
        self.assertEqual(self.outputs(), {"out-000001.jsonl": long})
        self.assertEqual(self.states(), {"in/a.jsonl": "changed"})

    def test_with_an_output_of_its_own_reread_replaces_it(self):
        self.pipeline(paths="in/*", out="{stem}.out")
        self.run_on()
        touch(self.a)
        self.assertIn("it changed after its output was published", self.run_on(code=74).stderr)
        self.assertEqual(self.states(), {"in/a.jsonl": "changed"})
        append(self.a, B)
        self.run_on(code=74)
        self.assertEqual((self.folder / "a.out").read_bytes(), A)
        self.run_on(None, "--reread", self.a)
        self.assertEqual((self.folder / "a.out").read_bytes(), A + B)
        self.assertEqual(self.states(), {"in/a.jsonl": "done"})

    def test_grown_after_its_own_output_was_published_is_changed(self):
        self.pipeline(paths="in/*", out="{stem}.out")
        self.run_on()
        append(self.a, B)
        run = self.run_on(code=74)
        self.assertIn(f"it grew after its output was published: it had {len(A)} bytes and has {len(A + B)}", run.stderr)
        self.assertEqual((self.folder / "a.out").read_bytes(), A)
        self.run_on(None, "--reread", self.a)
        self.assertEqual((self.folder / "a.out").read_bytes(), A + B)

    def test_grown_is_gone_on_with_behind_what_was_read(self):
        compressed = self.write("in/b.jsonl.zst", zstd(B))
        zipped = self.write("in/c.jsonl.gz", gzip(C))
        self.run_on()
        more = {self.a: content("a", 100), compressed: content("b", 100), zipped: content("c", 100)}
        append(self.a, more[self.a])
        append(compressed, zstd(more[compressed]))
        append(zipped, gzip(more[zipped]))
        run = self.run_on()
        self.assertEqual(self.outputs(), {"out-000001.jsonl": A + B + C, "out-000002.jsonl": b"".join(more.values())})
        self.assertEqual(run.counts(), (300, 300, 0, 0))
        self.assertEqual({(row["state"], row["in"], row["lines"]) for row in self.sources().values()}, {("done", 200, 200)})

    def test_grown_for_an_output_that_is_published_is_refused_and_nothing_is_lost(self):
        self.pipeline(paths="in/*", out="out.jsonl")
        self.run_on()
        append(self.a, B)
        for force in ((), ("--force",)):
            run = self.run_on(None, *force, code=78)
            self.assertIn("out.jsonl exists already, and holds records that leat has read before", run.stderr)
            self.assertIn("{n}", run.stderr)
        self.assertEqual(run.output(), A)
        self.pipeline(paths="in/*", out="out-{n}.jsonl")
        self.run_on(None, "--accept-changes")
        self.assertEqual(self.outputs(), {"out-000002.jsonl": B})

    def test_an_unterminated_last_line_that_grew_is_changed(self):
        self.a.write_bytes(A[:-1])
        self.run_on()
        self.assertEqual(self.outputs(), {"out-000001.jsonl": A})
        append(self.a, b"  \n" + B)
        run = self.run_on(code=74)
        self.assertIn(f"its last line, which ended without a newline at offset {len(A) - 1}, is longer now", run.stderr)
        self.assertEqual(self.outputs(), {"out-000001.jsonl": A})
        self.assertEqual(self.states(), {"in/a.jsonl": "changed"})

    def test_an_unterminated_last_line_may_get_its_newline(self):
        self.a.write_bytes(A[:-1])
        self.run_on()
        append(self.a, b"\n")
        self.assertEqual(self.run_on().counts(), (0, 0, 0, 0))
        self.assertEqual(self.outputs(), {"out-000001.jsonl": A})
        append(self.a, B)
        self.run_on()
        self.assertEqual(self.outputs(), {"out-000001.jsonl": A, "out-000002.jsonl": B})

    def test_an_unterminated_last_line_may_get_its_newline_and_more(self):
        self.a.write_bytes(A[:-1])
        self.run_on()
        append(self.a, b"\n" + B)
        self.assertEqual(self.run_on().counts(), (100, 100, 0, 0))
        self.assertEqual(self.outputs(), {"out-000001.jsonl": A, "out-000002.jsonl": B})
        self.assertEqual(self.sources()["in/a.jsonl"]["lines"], 200)

    def test_moved_is_not_read_again(self):
        self.run_on()
        b = self.folder / "in/b.jsonl"
        self.a.rename(b)
        self.assertEqual(self.run_on().counts(), (0, 0, 0, 0))
        self.assertEqual(self.states(), {"in/b.jsonl": "done"})
        self.a.write_bytes(C)  # another one under the old name
        self.run_on()
        self.assertEqual(self.outputs(), {"out-000001.jsonl": A, "out-000002.jsonl": C})
        self.assertEqual(self.states(), {"in/a.jsonl": "done", "in/b.jsonl": "done"})

    def test_moved_and_grown_meanwhile_is_another_one(self):
        """Size and time are what it would be known by."""
        self.run_on()
        append(self.a, B)
        self.a.rename(self.folder / "in/b.jsonl")
        self.run_on()
        self.assertEqual(self.outputs(), {"out-000001.jsonl": A, "out-000002.jsonl": A + B})

    def test_deleted_is_remembered(self):
        self.run_on()
        times = self.a.stat()
        self.a.unlink()
        self.run_on(code=66)
        self.assertEqual(self.states(), {"in/a.jsonl": "done"})
        self.a.write_bytes(A)
        os.utime(self.a, ns=(times.st_atime_ns, times.st_mtime_ns))
        self.assertEqual(self.run_on().counts(), (0, 0, 0, 0))

    def test_two_names_for_one_content_are_two_sources(self):
        os.link(self.a, self.folder / "in/b.jsonl")
        self.run_on()
        self.assertEqual(self.outputs(), {"out-000001.jsonl": A + A})
        shutil.copy2(self.a, self.folder / "in/c.jsonl")  # with its time
        self.run_on()
        self.assertEqual(self.outputs(), {"out-000001.jsonl": A + A, "out-000002.jsonl": A})
        self.assertEqual(self.states(), dict.fromkeys(("in/a.jsonl", "in/b.jsonl", "in/c.jsonl"), "done"))

    def test_nul_bytes_at_the_end_are_waited_for(self):
        rest = content("a", 100)
        append(self.a, b"\0" * len(rest))
        self.write("in/b.jsonl", B)
        run = self.run_on(code=74)
        self.assertIn(f"{self.a} ends in {len(rest)} NUL bytes at offset {len(A)}: not written yet; run again", run.stderr)
        self.assertEqual(self.outputs(), {"out-000001.jsonl": A + B})
        self.assertEqual(run.dead(), [])
        self.assertIn("NUL", self.run_on(code=74).stderr)
        self.a.write_bytes(A + rest)
        self.run_on()
        self.assertEqual(self.outputs(), {"out-000001.jsonl": A + B, "out-000002.jsonl": rest})
        self.assertEqual(self.states(), {"in/a.jsonl": "done", "in/b.jsonl": "done"})

    def test_rotation_goes_on_from_run_to_run(self):
        self.pipeline(paths="in/*", out="out-{n}.jsonl", sink={"rotate": {"bytes": len(A)}})
        self.run_on()
        self.write("in/b.jsonl", B + C)
        self.run_on()
        self.assertEqual(self.outputs(), {"out-000001.jsonl": A, "out-000002.jsonl": B, "out-000003.jsonl": C})

    def test_nothing_to_do_says_what_was_done_and_when(self):
        self.write("in/b.jsonl", B)
        self.run_on()
        run = self.run_on()
        self.assertRegex(run.stderr, r"test: nothing to do: 2 files were done before, the last at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
        self.assertEqual((run.summary["sources"]["done"], run.summary["sources"]["done_before"]), (0, 2))
        self.assertEqual(run.summary["outputs"], [])
        self.assertEqual(self.outputs(), {"out-000001.jsonl": A + B})

    def test_fresh_reads_everything_again_and_takes_nothing_away(self):
        self.run_on()
        self.run_on(None, "--fresh", code=78)  # out-000001.jsonl is there
        self.run_on(None, "--fresh", "--force")
        self.assertEqual(self.outputs(), {"out-000001.jsonl": A})
        self.assertEqual(self.states(), {"in/a.jsonl": "done"})

    def test_reread_of_what_was_never_read_is_refused(self):
        self.run_on()
        run = self.run_on(None, "--reread", "in/nothing.jsonl", code=64)
        self.assertIn("in/nothing.jsonl: this pipeline has not read it yet; `leat sources` lists what it has", run.stderr)
        self.assertEqual(self.states(), {"in/a.jsonl": "done"})


class InTheMiddle(BlockedCase):
    """A run that stands still in the middle of a source: at a record that its step does not answer."""

    HEAD, TAIL = content("head", count=30_000), content("tail", count=30_000)
    WHOLE = HEAD + b'{"block":1}\n' + TAIL

    def setUp(self):
        super().setUp()
        self.a = self.write("in/a.jsonl", self.WHOLE)

    def define(self, out="out.jsonl", paths="in/*", **more):
        # Small batches: while one is not answered, little is read ahead.
        more["limits"] = {"commit": {"interval": "20ms"}, "batch": "16KiB"}
        return self.pipeline(paths=paths, steps=[self.child_step()], workers=1, out=out, **more)

    def start_blocked(self, *arguments):
        process = self.start_pipeline(*arguments)
        self.wait_until_blocked(process)
        # All that came before is committed: nothing else is under way.
        self.until(lambda: self.place(process) > len(self.HEAD) // 2, "a commit near the record")
        return process

    def place(self, process):
        self.assertIsNone(process.poll())
        return max((row[0] for row in self.ledger("SELECT offset FROM sources WHERE state = 'reading'")), default=0)

    def kill(self, process):
        process.kill()
        self.until(lambda: not self.processes(), "all processes are gone")
        self.finish(process)
        return self.ledger("SELECT offset FROM sources WHERE state = 'reading'")[0][0]

    def half_read(self, **more):
        """Leaves a.jsonl half read, and returns how far: nothing continues in the meantime."""
        self.define(**more)
        place = self.kill(self.start_blocked())
        self.open_gate()
        return place

    def test_moved_between_two_runs_goes_on_under_its_new_name(self):
        place = self.half_read()
        self.a.rename(self.folder / "in/b.jsonl")
        run = self.run_on()
        self.assertSame(run.output(), self.WHOLE)
        self.assertEqual(self.states(), {"in/b.jsonl": "done"})
        self.assertLess(run.summary["bytes_in"], len(self.WHOLE) - place + 1)
        self.assertEqual(self.sources()["in/b.jsonl"]["in"], 60_001)

    def test_truncated_before_the_place_is_changed(self):
        place = self.half_read()
        os.truncate(self.a, place // 2)
        self.write("in/b.jsonl", B)
        run = self.run_on(code=74)
        self.assertIn("it was truncated", run.stderr)
        self.assertIn(f"offset {place}.", run.stderr)
        self.assertSame(run.output(), self.WHOLE[:place] + B)
        self.assertEqual(self.states(), {"in/a.jsonl": "changed", "in/b.jsonl": "done"})

    def test_a_place_beyond_the_end_is_changed(self):
        """Of a file that may get shorter and longer again, as growing ones do, only the place tells."""
        place = self.half_read(source={"growing": True})
        os.truncate(self.a, place - 10)
        run = self.run_on(code=74)
        self.assertIn(f"it ends at {place - 10} bytes, before the place up to which it was read", run.stderr)
        self.assertSame(run.output(), self.WHOLE[:place])
        self.assertEqual(self.states(), {"in/a.jsonl": "changed"})

    def test_edited_behind_the_place_is_changed(self):
        place = self.half_read()
        self.a.write_bytes(self.WHOLE.replace(b'"tail","n":0}', b'"tail","n":5}'))
        touch(self.a)
        run = self.run_on(code=74)
        self.assertIn("it was written to since it was read", run.stderr)
        self.assertSame(run.output(), self.WHOLE[:place])

    def test_grown_behind_the_place_goes_on(self):
        self.half_read()
        append(self.a, B)
        run = self.run_on()
        self.assertSame(run.output(), self.WHOLE + B)
        self.assertEqual(self.states(), {"in/a.jsonl": "done"})

    def test_gone_is_told_and_gone_on_with_when_it_is_back(self):
        place = self.half_read(out="out-{n}.jsonl")
        self.a.rename(self.folder / "elsewhere")
        self.write("in/b.jsonl", B)
        run = self.run_on()
        self.assertIn(f"{self.a}: it was read up to line", run.stderr)
        self.assertIn(f"offset {place}, and is not there now; a run that finds it continues there", run.stderr)
        self.assertSame(run.output("out-000001.jsonl"), self.WHOLE[:place] + B)
        (self.folder / "elsewhere").rename(self.a)
        run = self.run_on()
        self.assertSame(run.output("out-000002.jsonl"), self.WHOLE[place:])
        self.assertEqual(self.states(), {"in/a.jsonl": "done", "in/b.jsonl": "done"})

    def test_changed_keeps_what_was_committed_of_an_output_of_its_own(self):
        place = self.half_read(out="{stem}.out")
        os.truncate(self.a, place // 2)
        run = self.run_on(code=74)
        self.assertSame(run.output("a.out"), self.WHOLE[:place])
        run = self.run_on(None, "--reread", self.a)
        self.assertSame(run.output("a.out"), self.a.read_bytes().rpartition(b"\n")[0] + b"\n")
        self.assertEqual(self.states(), {"in/a.jsonl": "done"})

    def test_rotation_goes_on_in_the_middle_of_an_output(self):
        self.half_read(out="out-{n}.jsonl", sink={"rotate": {"bytes": 250_000}})
        self.run_on()
        got = {path.name: path.read_bytes() for path in self.folder.glob("out-*")}
        for path in self.folder.glob("out-*"):
            path.unlink()
        shutil.rmtree(self.folder / "state")
        self.run_on()
        self.assertGreater(len(got), 5)
        self.assertEqual(got, {path.name: path.read_bytes() for path in self.folder.glob("out-*")})

    def test_another_filter_is_refused_in_the_middle(self):
        place = self.half_read()
        self.define(keep=[{"field": "/source", "eq": "head"}])
        run = self.run_on(code=78)
        self.assertIn("filter, steps or sink have changed since the last run, which was not finished", run.stderr)
        self.assertIn("--accept-changes", run.stderr)
        self.assertIn("--fresh", run.stderr)
        self.assertEqual(self.sources()["in/a.jsonl"]["offset"], place)
        run = self.run_on(None, "--accept-changes")
        self.assertSame(run.output(), max(self.WHOLE[:place], self.HEAD, key=len))
        self.define()
        self.run_on()  # that one was finished

    def test_another_filter_with_fresh_starts_over(self):
        self.half_read()
        self.define(keep=[{"field": "/source", "eq": "head"}])
        run = self.run_on(None, "--fresh")
        self.assertSame(run.output(), self.HEAD)

    def test_a_second_run_on_the_same_state_is_refused_with_who_holds_it(self):
        self.define()
        process = self.start_blocked()
        run = self.leat("run", "pipeline.yaml", "--runtime-dir", self.runtime, code=78)
        self.assertIn(f"another run has the state folder {self.folder}/state/leat/test: pid {process.pid} on", run.stderr)
        self.assertIn("pipeline.yaml); wait for it, or choose another one with --state", run.stderr)
        self.open_gate()
        self.assertSame(self.finish(process).output(), self.WHOLE)
        self.run_on()

    def test_moved_while_it_is_read_is_read_to_its_end(self):
        self.define()
        process = self.start_blocked()
        self.a.rename(self.folder / "in/b.jsonl")
        self.open_gate()
        run = self.finish(process)
        self.assertEqual(run.code, 0, run.stderr)
        self.assertSame(run.output(), self.WHOLE)
        self.assertEqual(self.states(), {"in/a.jsonl": "done"})
        self.assertEqual(self.run_on().counts(), (0, 0, 0, 0))
        self.assertEqual(self.states(), {"in/b.jsonl": "done"})

    def test_deleted_while_it_is_read_is_read_to_its_end(self):
        self.define()
        process = self.start_blocked()
        self.a.unlink()
        self.open_gate()
        run = self.finish(process)
        self.assertEqual(run.code, 0, run.stderr)
        self.assertSame(run.output(), self.WHOLE)
        self.assertEqual(self.states(), {"in/a.jsonl": "done"})

    def test_replaced_while_it_is_read_is_told_and_the_new_one_is_read_next(self):
        self.define(out="out-{n}.jsonl")
        process = self.start_blocked()
        os.replace(self.write("other", B), self.a)
        self.open_gate()
        run = self.finish(process)
        self.assertEqual(run.code, 0, run.stderr)
        self.assertSame(run.output("out-000001.jsonl"), self.WHOLE)
        self.assertIn(f"{self.a}: another file has taken its place while it was read", run.stderr)
        # To the ledger it is a file that got shorter: a person has to say that it is another one.
        self.assertIn("it was truncated", self.run_on(code=74).stderr)
        self.assertSame(self.run_on(None, "--reread", self.a).output("out-000002.jsonl"), B)

    def test_truncated_while_it_is_read_is_changed(self):
        self.define()
        self.write("in/b.jsonl", B)
        process = self.start_blocked()
        os.truncate(self.a, len(self.WHOLE) - 1000)
        self.open_gate()
        run = self.finish(process)
        self.assertEqual(run.code, 74, run.stderr)
        row = self.sources()["in/a.jsonl"]
        self.assertEqual(row["state"], "changed")
        self.assertIn("truncated while it was read", row["reason"])
        whole_lines = self.WHOLE[:len(self.WHOLE) - 1000].rpartition(b"\n")[0] + b"\n"
        self.assertEqual(row["offset"], len(whole_lines))
        self.assertSame(run.output(), whole_lines + B)
        self.assertNothingLeft()

    def test_edited_while_it_is_read_is_changed(self):
        self.define()
        self.write("in/b.jsonl", B)
        process = self.start_blocked()
        touch(self.a)
        self.open_gate()
        run = self.finish(process)
        self.assertEqual(run.code, 74, run.stderr)
        self.assertIn(f"{self.a}: it was written to while it was read", run.stderr)
        self.assertEqual(self.states(), {"in/a.jsonl": "changed", "in/b.jsonl": "done"})
        self.assertSame(run.output(), self.WHOLE + B)

    def test_grown_while_it_is_read_is_read_to_its_new_end_or_gone_on_with(self):
        self.define(out="out-{n}.jsonl")
        process = self.start_blocked()
        append(self.a, B)
        self.open_gate()
        run = self.finish(process)
        self.assertEqual(run.code, 0, run.stderr)
        self.assertIn("it grew while it was read", run.stderr)
        self.run_on()
        self.assertSame((run.output("out-000001.jsonl") or b"") + (run.output("out-000002.jsonl") or b""), self.WHOLE + B)
        self.assertEqual(self.sources()["in/a.jsonl"]["in"], 60_101)

    def test_the_other_programs_see_the_state_while_it_runs(self):
        self.define()
        process = self.start_blocked()
        self.assertEqual(self.states(), {"in/a.jsonl": "reading"})
        self.assertEqual(self.ledger("PRAGMA integrity_check"), [("ok",)])
        status = self.leat("status", "pipeline.yaml")
        self.assertIn(str(process.pid).encode(), status.stdout)
        self.open_gate()
        self.assertEqual(self.finish(process).code, 0)


class Following(Case):
    def follow(self, **source):
        self.write("in/z.jsonl", b"")
        self.pipeline(paths="in/*.jsonl", out="out-{n}.jsonl", limits={"commit": {"interval": "20ms"}},
                      source={"poll": "50ms", **source})
        return self.start_pipeline("--follow")

    def written(self):
        temporary = self.folder / ".out-000001.jsonl.leat-tmp"
        return temporary.read_bytes() if temporary.exists() else b""

    def wait_for(self, output):
        self.until(lambda: self.written() == output, f"{len(output)} bytes of output")

    def stop(self, process, output):
        """A plain run then publishes what there is."""
        process.send_signal(signal.SIGINT)
        run = self.finish(process)
        self.assertEqual(run.code, 75, run.stderr)
        self.assertNothingLeft()
        run = self.run_on()
        self.assertSame(run.output("out-000001.jsonl"), output)
        return run

    def test_a_growing_file_is_read_as_its_lines_come(self):
        process = self.follow(growing=True)
        path = self.write("in/a.jsonl", A)
        self.wait_for(A)
        append(path, B[:50])  # the second line is not there yet
        first = B[:50].rpartition(b"\n")[0] + b"\n"
        self.wait_for(A + first)
        append(path, B[50:])
        self.wait_for(A + B)
        append(path, C[:-1])
        self.wait_for(A + B + C[:C[:-1].rindex(b"\n") + 1])
        # Written is not committed yet.
        self.until(lambda: self.sources()["in/a.jsonl"]["lines"] == 299, "299 lines are committed")
        self.assertEqual(self.sources()["in/a.jsonl"]["state"], "reading")
        append(path, b"\n")
        self.wait_for(A + B + C)
        self.stop(process, A + B + C)
        self.assertEqual(self.states(), {"in/a.jsonl": "done", "in/z.jsonl": "done"})

    def test_of_a_growing_file_a_plain_run_leaves_an_unterminated_line(self):
        path = self.write("in/a.jsonl", A + B[:20])
        self.pipeline(paths="in/*.jsonl", out="out-{n}.jsonl", source={"growing": True})
        run = self.run_on()
        self.assertIn(f"its last line, from offset {len(A)} on, has no newline yet: left for a later run", run.stderr)
        self.assertEqual(run.output("out-000001.jsonl"), A)
        append(path, B[20:])
        self.assertEqual(self.run_on().output("out-000002.jsonl"), B)

    def test_a_growing_file_that_is_truncated_is_changed(self):
        process = self.follow(growing=True)
        path = self.write("in/a.jsonl", A)
        self.wait_for(A)
        os.truncate(path, 10)
        self.hear(process, f"--reread {path}")
        append(path, B)
        self.write("in/b.jsonl", C)
        self.wait_for(A + C)
        process.send_signal(signal.SIGINT)
        self.finish(process)
        self.assertEqual(self.states()["in/a.jsonl"], "changed")

    def test_an_upload_under_way_is_not_read_before_it_has_its_name(self):
        process = self.follow(settle="100ms")
        part = self.write("in/a.jsonl.part", A)
        hidden = self.write("in/.b.jsonl", B)
        self.write("in/c.jsonl", C)
        self.wait_for(C)
        part.rename(self.folder / "in/a.jsonl")
        self.wait_for(C + A)
        hidden.rename(self.folder / "in/b.jsonl")
        self.wait_for(C + A + B)
        self.stop(process, C + A + B)

    def test_a_file_is_taken_when_it_has_settled_by_our_clock(self):
        process = self.follow(settle="700ms")
        path = self.write("in/a.jsonl", b"")
        for n in range(100):
            append(path, content("a", n, 1))
            os.utime(path, (1_000_000_000, 1_000_000_000 + n))  # an upload may bring the time of its origin
            time.sleep(0.01)
        written = time.monotonic()
        self.assertEqual(self.written(), b"")
        self.wait_for(A)
        self.assertGreater(time.monotonic() - written, 0.6)
        self.stop(process, A)

    def test_a_file_that_goes_on_after_it_has_settled_is_gone_on_with(self):
        process = self.follow(settle="100ms")
        path = self.write("in/a.jsonl", A)
        self.wait_for(A)
        append(path, B)
        self.wait_for(A + B)
        self.stop(process, A + B)


class Afterwards(Case):
    """source.after: what becomes of a source that is done."""

    def define(self, after, out="out-{n}.jsonl", sink=(), **source):
        (self.folder / "done").mkdir(exist_ok=True)
        return self.pipeline(paths="in/*", out=out, source={"after": after, **source}, sink=dict(sink),
                             limits={"commit": {"interval": "20ms"}})

    def files(self):
        return sorted(str(path.relative_to(self.folder)) for folder in ("in", "done")
                      for path in (self.folder / folder).iterdir())

    def setUp(self):
        super().setUp()
        self.a = self.write("in/a.jsonl", A)
        self.b = self.write("in/b.jsonl.zst", zstd(B))

    def test_keep(self):
        self.define("keep")
        self.assertEqual(self.run_on().output("out-000001.jsonl"), A + B)
        self.assertEqual(self.files(), ["in/a.jsonl", "in/b.jsonl.zst"])

    def test_move(self):
        self.define({"move": "done"})
        self.assertEqual(self.run_on().output("out-000001.jsonl"), A + B)
        self.assertEqual(self.files(), ["done/a.jsonl", "done/b.jsonl.zst"])
        self.assertEqual((self.folder / "done/a.jsonl").read_bytes(), A)
        self.assertEqual({row["after_done"] for row in self.sources().values()}, {True})
        self.a.write_bytes(C)  # the next one of that name
        self.assertEqual(self.run_on(code=0).output("out-000002.jsonl"), C)

    def test_delete(self):
        self.define("delete")
        self.assertEqual(self.run_on().output("out-000001.jsonl"), A + B)
        self.assertEqual(self.files(), [])
        self.a.write_bytes(A)  # it comes again, and is another one
        self.assertEqual(self.run_on().output("out-000002.jsonl"), A)
        self.assertEqual(self.files(), [])

    def test_the_next_file_of_a_name_does_not_replace_the_output_of_the_one_that_was_deleted(self):
        """Its records do not come again."""
        self.define("delete", out="{stem}.out")
        self.run_on()
        self.assertEqual((self.folder / "a.out").read_bytes(), A)
        self.a.write_bytes(C)
        for force in ((), ("--force",)):
            run = self.run_on(None, *force, code=78)
            self.assertIn(f"{self.folder}/a.out exists already, and holds records that leat has read before", run.stderr)
        self.assertEqual((self.folder / "a.out").read_bytes(), A)
        (self.folder / "a.out").rename(self.folder / "a.old")
        self.run_on()
        self.assertEqual((self.folder / "a.out").read_bytes(), C)
        self.assertEqual(self.files(), [])

    def test_a_target_that_exists_is_not_replaced_and_the_move_is_done_later(self):
        self.define({"move": "done"})
        self.write("done/a.jsonl", b"precious")
        run = self.run_on()
        self.assertIn(f"{self.a} was not moved: {self.folder}/done/a.jsonl exists already; move one of them away", run.stderr)
        self.assertEqual(self.files(), ["done/a.jsonl", "done/b.jsonl.zst", "in/a.jsonl"])
        self.assertEqual((self.folder / "done/a.jsonl").read_bytes(), b"precious")
        self.assertIs(self.sources()["in/a.jsonl"]["after_done"], False)
        (self.folder / "done/a.jsonl").unlink()
        run = self.run_on()
        self.assertEqual(run.counts(), (0, 0, 0, 0))
        self.assertEqual((self.folder / "done/a.jsonl").read_bytes(), A)
        self.assertEqual(self.files(), ["done/a.jsonl", "done/b.jsonl.zst"])

    def test_without_the_folder_nothing_is_moved(self):
        self.define({"move": "nowhere"})
        run = self.run_on()
        self.assertIn(f"there is no folder {self.folder}/nowhere; make it", run.stderr)
        self.assertEqual(self.files(), ["in/a.jsonl", "in/b.jsonl.zst"])

    def test_a_source_that_changed_since_is_not_moved(self):
        self.define({"move": "done"})
        obstacle = self.write("done/a.jsonl", b"")
        self.run_on()
        touch(self.a)
        obstacle.unlink()
        run = self.run_on(code=74)
        self.assertIn("it was written to since it was read", run.stderr)
        self.assertIn(f"{self.a} was not moved: it has changed since it was read", run.stderr)
        self.assertEqual(self.files(), ["done/b.jsonl.zst", "in/a.jsonl"])
        self.assertEqual(self.a.read_bytes(), A)

    def test_a_source_with_dead_letters_that_are_only_there_stays(self):
        long = b'{"text":"' + b"x" * 5000 + b'"}\n'
        self.a.write_bytes(A + long)
        self.define({"move": "done"}, max_record="4KiB")
        run = self.run_on()
        self.assertEqual(run.output("out-000001.jsonl"), A + B)
        letter, = run.dead()
        self.assertEqual((letter["source"], letter["offset"], letter["length"]), (str(self.a), len(A), len(long) - 1))
        self.assertNotIn("record", letter)
        self.assertEqual(self.files(), ["done/b.jsonl.zst", "in/a.jsonl"])
        row = self.sources()["in/a.jsonl"]
        self.assertEqual((row["state"], row["by_reference"], row.get("after")), ("done", 1, None))

    def test_a_source_with_dead_letters_that_are_kept_is_moved(self):
        self.a.write_bytes(A + b"bad\n")
        self.define({"move": "done"})
        run = self.run_on()
        self.assertEqual([letter["record"] for letter in run.dead()], ["bad"])
        self.assertEqual(self.files(), ["done/a.jsonl", "done/b.jsonl.zst"])

    def test_following_moves_what_is_done(self):
        self.define({"move": "done"}, poll="50ms", settle="50ms", sink={"rotate": {"bytes": "1GiB", "idle": "100ms"}})
        process = self.start_pipeline("--follow")
        self.until(lambda: self.files() == ["done/a.jsonl", "done/b.jsonl.zst"], "both are moved")
        self.a.write_bytes(C)
        self.hear(process, f"{self.folder}/done/a.jsonl exists already")
        process.send_signal(signal.SIGINT)
        self.assertEqual(self.finish(process).code, 75)
        self.assertEqual((self.folder / "done/a.jsonl").read_bytes(), A)
        outputs = b"".join(path.read_bytes() for path in sorted(self.folder.glob("out-*.jsonl")))
        self.assertEqual(outputs, A + B + C)
        self.run_on()


if __name__ == "__main__":
    unittest.main(verbosity=2)
