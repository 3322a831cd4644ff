"""A NAS that goes away, hangs, lies or is slow, and a sink on one: the same bytes, sooner or later, and nothing is read
twice but what must be. The mount is tests/faultfs, which counts."""

import os
import random
import re
import shutil
import signal
import subprocess
import time

import faultfs
from harness import Case, lines, zstd

KIB = 1024
IDENTITY = 128 * KIB  # 64 KiB of the head and 64 KiB before the place: what may be read again of every source


def content(name, count=6000):
    """About 600 KiB: many batches. It does not compress well."""
    bytes_of = random.Random(name).randbytes
    return lines({"source": name, "n": n, "text": bytes_of(30).hex()} for n in range(count))


A, B, C = content("a"), content("b"), content("c")


class NasCase(Case):
    def setUp(self):
        super().setUp()
        self.nas = faultfs.mount(self)
        self.define()

    def define(self, out="out.jsonl", **more):
        limits = {"commit": {"interval": "20ms"}, "batch": "32KiB"}
        return self.pipeline(paths=more.pop("paths", f"{self.nas.path}/*.jsonl*"), out=out, limits=limits, **more)

    def put(self, **files):
        for name, data in files.items():
            (self.nas.backing / f"{name}.jsonl").write_bytes(data)

    def done(self, process, code=0):
        run = self.finish(process)
        self.assertEqual(run.code, code, run.stderr)
        return run

    def output_so_far(self, name="out.jsonl"):
        path = self.folder / f".{name}.leat-tmp"
        return path.stat().st_size if path.exists() else 0

    def row(self, name):
        """Its line of the ledger; None: it has none yet."""
        columns = ("state", "lines", "offset", "frame_offset", "frame_raw_offset", "records_in", "retry")
        rows = self.ledger(f"SELECT {', '.join(columns)} FROM sources WHERE path = '{self.nas.path}/{name}'")
        return dict(zip(columns, rows[0])) if rows else None

    def page_text(self):
        """What the workers say of themselves, as whoever looks into the runtime folder sees it."""
        texts = b""
        for path in self.runtime.rglob("*.page"):
            try:
                texts += path.read_bytes()
            except FileNotFoundError:
                pass
        return texts.decode(errors="replace")

    def hang_in_the_middle(self, name="a.jsonl", offset=300_000):
        """A run that hangs in a read(); all that was read before is committed."""
        self.nas.command(f"hang read {name} offset={offset}")
        process = self.start_pipeline()
        self.until(self.nas.hanging, "the read hangs")
        last = [-1]

        def quiet():
            now = self.row(name)
            same = now is not None and now["lines"] > 0 and now == last[0]
            last[0] = now
            time.sleep(0.1)  # five commits
            return same
        self.until(quiet, "all is committed")
        return process


class Outage(NasCase):
    """Reading."""

    def test_each_error_of_each_operation_for_a_while(self):
        want = A + B + C
        for name, listing in (("ESTALE", "opendir"), ("EIO", "readdir"), ("ENOTCONN", "opendir"), ("ETIMEDOUT", "readdir")):
            with self.subTest(error=name):
                self.put(a=A, b=B, c=C)
                self.nas.command("reset")
                for fault in (f"fail {listing} * {name} times=1", f"fail getattr b.jsonl {name} times=1",
                              f"fail open a.jsonl {name} times=1",
                              f"fail read b.jsonl {name} offset=200000 times=1", f"fail read c.jsonl {name} times=1"):
                    self.nas.command(fault)
                run = self.run_pipeline()
                self.assertEqual(self.nas.stats()["faults"], 5)
                self.assertSame(run.output(), want)
                self.assertEqual(run.counts(), (18_000, 18_000, 0, 0))
                self.assertEqual(run.dead(), [])
                self.nas.command("clear")

    def test_the_same_error_for_a_while_and_then_gone(self):
        self.put(a=A, b=B)
        self.nas.command("fail read a.jsonl EIO offset=250000")
        process = self.start_pipeline()
        self.until(lambda: "cannot read" in self.page_text(), "it says what it waits for")
        text = self.page_text()
        self.assertRegex(text, rf"\d+ s: cannot read {self.nas.path}/a.jsonl at offset 25\d+: Input/output error")
        self.nas.command("clear")
        self.assertSame(self.done(process).output(), A + B)

    def test_a_read_that_hangs_is_named_and_two_signals_end_the_run_at_once(self):
        self.put(a=A, b=B)
        process = self.hang_in_the_middle()
        self.until(lambda: re.search(rf"[1-9] s in read\(\) of {self.nas.path}/a.jsonl", self.page_text()), "it is named")
        since = time.monotonic()
        process.send_signal(signal.SIGINT)
        self.hear(process, "stopping")
        process.send_signal(signal.SIGINT)
        run = self.done(process, 75)
        self.assertLess(time.monotonic() - since, 6)
        self.assertNothingLeft()
        self.nas.command("clear")
        self.assertSame(self.run_on().output(), A + B)

    def test_one_signal_ends_a_run_that_hangs_with_what_was_read(self):
        self.put(a=A)
        process = self.hang_in_the_middle()
        process.send_signal(signal.SIGTERM)
        run = self.done(process, 75)
        self.assertEqual(run.summary["in"], self.row("a.jsonl")["lines"])
        self.nas.command("clear")
        self.assertSame(self.run_on().output(), A)

    def test_a_read_that_nothing_can_end_does_not_keep_leat(self):
        """A hard NFS mount: not even SIGKILL ends it. The next run does not wait for that reader either."""
        self.put(a=A)
        self.nas.command("hang read a.jsonl offset=300000 hard")
        process = self.start_pipeline()
        self.until(self.nas.hanging, "the read hangs")
        process.send_signal(signal.SIGINT)
        self.hear(process, "stopping")
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)  # and not until stderr is closed: that reader has it too
        finally:
            self.nas.command("clear")
        self.done(process, 75)
        self.until(lambda: not self.processes(), "the reader has gone")
        self.assertSame(self.run_on().output(), A)

    def test_a_read_that_hangs_and_comes_back_goes_on(self):
        self.put(a=A, b=B)
        process = self.hang_in_the_middle()
        self.nas.command("clear")
        self.assertSame(self.done(process).output(), A + B)

    def test_a_listing_that_hangs_is_no_end_either(self):
        self.put(a=A)
        self.nas.command("hang opendir *")
        process = self.start_pipeline()
        self.until(self.nas.hanging, "the listing hangs")
        process.send_signal(signal.SIGINT)
        self.done(process, 75)
        self.nas.command("clear")
        self.assertSame(self.run_on().output(), A)

    def test_stale_handles_are_opened_again(self):
        self.put(a=A, b=B)
        process = self.hang_in_the_middle()
        self.nas.command("stale *")
        self.nas.command("release")
        self.assertSame(self.done(process).output(), A + B)
        self.assertEqual(self.nas.of("a.jsonl")["opens"], 2)

    def test_a_mount_that_is_gone_for_a_while_is_waited_for(self):
        self.define(source={"require_mount": str(self.nas.path)})
        self.put(a=A, b=B)
        process = self.hang_in_the_middle()
        self.nas.stop()
        self.until(lambda: self.nas.path.name in self.page_text() and "cannot" in self.page_text()
                   or "nothing is mounted there" in self.page_text(), "it says so")
        self.assertIsNone(process.poll())
        self.nas.start()
        self.assertSame(self.done(process).output(), A + B)
        self.assertEqual(set(self.states().values()), {"done"})

    def test_before_the_mount_is_there_nothing_is_believed(self):
        self.define(source={"require_mount": str(self.nas.path)})
        self.put(a=A)
        self.nas.stop()
        (self.nas.path / "b.jsonl").write_bytes(B)  # below the mount point
        process = self.start_pipeline()
        self.until(lambda: f"{self.nas.path}: nothing is mounted there" in self.page_text(), "it says so")
        (self.nas.path / "b.jsonl").unlink()
        self.nas.start()
        self.assertSame(self.done(process).output(), A)

    def test_an_outage_longer_than_give_up_ends_the_run_and_the_next_one_goes_on(self):
        self.define(source={"give_up": "600ms"})
        self.put(a=A, b=B)
        process = self.hang_in_the_middle()
        self.nas.command("away EHOSTDOWN")
        self.nas.command("release")
        run = self.done(process, 74)
        self.assertIn(f"cannot open {self.nas.path}/a.jsonl", run.stderr)
        place = self.row("a.jsonl")["offset"]
        self.assertGreater(place, 0)
        run = self.finish(self.start_pipeline())  # still away
        self.assertEqual(run.code, 74)
        self.assertEqual(self.row("a.jsonl")["offset"], place)
        self.nas.command("back")
        run = self.run_on()
        self.assertSame(run.output(), A + B)
        self.assertEqual(run.summary["bytes_in"], len(A + B) - place)

    def test_one_place_that_cannot_be_read_fails_its_source_and_the_others_go_on(self):
        self.define(out="{stem}.out", source={"give_up": "2s"})
        self.put(a=A, b=B, c=C)
        self.nas.command("fail read b.jsonl EIO offset=200000")
        run = self.run_on(code=74)
        self.assertEqual((run.output("a.out"), run.output("b.out"), run.output("c.out")), (A, None, C))
        failed, = run.summary["sources"]["failed"]
        row = self.row("b.jsonl")
        self.assertEqual((row["state"], row["retry"]), ("failed", 1))
        self.assertEqual(row["offset"], B[:200_000].rindex(b"\n") + 1)
        self.assertEqual(failed["offset"], row["offset"])
        self.assertEqual(failed["reason"], f"cannot read {self.nas.path}/b.jsonl at offset 200000: Input/output error")
        self.nas.command("clear")
        self.nas.command("reset")
        run = self.run_on()
        self.assertSame(run.output("b.out"), B)
        self.assertEqual(run.summary["in"], 6000 - row["lines"])
        self.assertLessEqual(self.nas.of("b.jsonl")["read"], len(B) - row["offset"] + IDENTITY)
        self.assertEqual(self.nas.of("a.jsonl")["read"], 0)
        self.assertEqual({row["state"] for row in self.sources().values()}, {"done"})

    def test_a_source_that_failed_by_the_mount_goes_on_in_a_shared_sink(self):
        self.define(out="out-{n}.jsonl", source={"give_up": "600ms"})
        self.put(a=A, b=B, c=C)
        self.nas.command("fail read b.jsonl EIO offset=200000")
        run = self.run_on(code=74)
        place = self.row("b.jsonl")["offset"]
        self.assertSame(run.output("out-000001.jsonl"), A + B[:place] + C)
        self.nas.command("clear")
        self.assertSame(self.run_on().output("out-000002.jsonl"), B[place:])

    def test_an_error_while_it_is_asked_whether_a_source_was_moved_is_waited_out(self):
        self.define(out="out-{n}.jsonl")
        self.put(a=A)
        self.run_on()
        (self.nas.backing / "a.jsonl").rename(self.nas.backing / "b.jsonl")
        self.put(c=C)
        self.nas.command("fail open b.jsonl EIO times=1")
        self.assertSame(self.run_on().output("out-000002.jsonl"), C)
        self.assertEqual({os.path.basename(path): state for path, state in self.states().items()},
                         {"b.jsonl": "done", "c.jsonl": "done"})

    def test_a_slow_link_with_short_reads_gives_the_same_bytes(self):
        self.put(a=A, c=C)
        (self.nas.backing / "b.jsonl.zst").write_bytes(zstd(B))
        self.nas.command("short read * 5001")
        self.nas.command("delay read * 3")
        self.nas.command("delay getattr * 20")
        self.assertSame(self.run_on().output(), A + B + C)

    def test_an_empty_listing_forgets_nothing(self):
        self.put(a=A, b=B)
        self.run_on()
        rows = self.sources()
        self.nas.command("empty *")
        run = self.run_on(code=66)
        self.assertIn("no file matches source.paths", run.stderr)
        self.assertEqual(self.sources(), rows)
        self.nas.command("clear")
        self.assertEqual(self.run_on().counts(), (0, 0, 0, 0))

    def test_an_empty_listing_leaves_a_half_read_source_half_read(self):
        self.put(a=A, b=B)
        process = self.hang_in_the_middle()
        process.kill()
        self.finish(process)
        self.until(lambda: not self.processes(), "all processes are gone")
        self.nas.command("clear")
        place = self.row("a.jsonl")
        self.nas.command("empty *")
        run = self.finish(self.start_pipeline())
        self.assertEqual(run.code, 66, run.stderr)
        self.assertEqual(self.row("a.jsonl"), place)
        self.nas.command("clear")
        self.assertSame(self.run_on().output(), A + B)

    def test_a_state_folder_on_a_network_mount_is_refused(self):
        mount = faultfs.mount(self, "net", options=("--type", "sshfs"))
        self.put(a=A)
        run = self.leat("run", "pipeline.yaml", "--runtime-dir", self.runtime, "--state", mount.path / "state", code=78)
        self.assertIn(f"the state folder {mount.path}/state lies on a network file system (fuse.sshfs on {mount.path}), "
                      "where a ledger is not safe; choose another one with --state", run.stderr)
        self.assertEqual(list(mount.backing.iterdir()), [])
        self.assertIsNone(run.output())


class Following(NasCase):
    def follow(self):
        self.define(out="out-{n}.jsonl", source={"poll": "50ms", "settle": "50ms"})
        process = self.start_pipeline("--follow")
        self.wait_for(len(A))
        return process

    def wait_for(self, size):
        return self.until(lambda: self.output_so_far("out-000001.jsonl") >= size, f"{size} bytes of output")

    def stop(self, process, output):
        process.send_signal(signal.SIGINT)
        self.done(process, 75)
        self.assertSame(self.run_on().output("out-000001.jsonl"), output)

    def test_after_a_long_outage_reading_begins_within_six_seconds(self):
        """The longest pause between two tries is 5 s: it is reached after 7.5 s."""
        self.put(a=A)
        process = self.follow()
        self.nas.command("away")
        self.put(b=B)
        time.sleep(8)  # the length of the outage
        self.nas.command("reset")
        self.nas.command("back")
        back = time.monotonic()
        self.until(lambda: self.nas.of("b.jsonl")["read"] > 0, "b is read")
        self.assertLess(time.monotonic() - back, 6)
        self.wait_for(len(A + B))
        self.assertEqual(self.nas.of("a.jsonl")["opens"], 0)
        self.stop(process, A + B)

    def test_empty_listings_forget_nothing(self):
        self.put(a=A)
        process = self.follow()
        self.nas.command("empty *")
        self.nas.command("reset")
        self.until(lambda: self.nas.of("")["listings"] >= 3, "three listings")
        self.nas.command("clear")
        self.nas.command("reset")
        self.until(lambda: self.nas.of("")["listings"] >= 3, "three listings")
        self.put(b=B)
        self.wait_for(len(A + B))
        self.assertEqual(self.nas.of("a.jsonl")["opens"], 0)
        self.assertLessEqual(self.nas.of("b.jsonl")["read"], len(B) + 64 * KIB)
        self.stop(process, A + B)

    def test_a_mount_that_comes_and_goes_between_polls(self):
        self.put(a=A)
        process = self.follow()
        self.nas.stop()
        time.sleep(0.3)  # the length of the outage: some polls find an empty folder
        self.nas.start()
        self.put(b=B)
        self.wait_for(len(A + B))
        self.stop(process, A + B)


class Economy(NasCase):
    """What is read from the NAS, to the byte."""

    def kill_in_the_middle(self, name, offset):
        process = self.hang_in_the_middle(name, offset)
        process.kill()
        self.finish(process)
        self.until(lambda: not self.processes(), "all processes are gone")
        self.nas.command("clear")
        self.nas.command("reset")
        return self.row(name)

    def test_an_undisturbed_run_reads_each_byte_once(self):
        self.put(a=A, b=B)
        (self.nas.backing / "c.jsonl.zst").write_bytes(zstd(C))
        self.run_on()
        for path in self.nas.backing.iterdir():
            used = self.nas.of(path.name)
            self.assertLessEqual(used["read"], path.stat().st_size + 64 * KIB)
            self.assertEqual(used["opens"], 1)

    def test_a_finished_source_costs_no_open_and_no_read(self):
        for n in range(20):
            (self.nas.backing / f"{n}.jsonl").write_bytes(A[:1000].rpartition(b"\n")[0] + b"\n")
        self.run_on()
        self.nas.command("reset")
        self.run_on()
        for n in range(20):
            used = self.nas.of(f"{n}.jsonl")
            self.assertEqual((used["opens"], used["read"]), (0, 0))
            self.assertLessEqual(used["getattrs"], 2)  # one stat(): look up, get

    def test_a_plain_source_is_read_on_from_what_was_committed(self):
        self.put(a=A, b=B)
        row = self.kill_in_the_middle("a.jsonl", 300_000)
        self.assertGreater(row["offset"], 200_000)
        self.assertSame(self.run_on().output(), A + B)
        used = self.nas.of("a.jsonl")
        self.assertLessEqual(used["read"], len(A) - row["offset"] + IDENTITY)
        self.assertEqual(used["opens"], 1)
        self.assertLessEqual(self.nas.of("b.jsonl")["read"], len(B) + 64 * KIB)

    def test_a_zstd_source_is_read_on_from_its_last_frame(self):
        frames = [zstd(content(f"a{n}", 1500)) for n in range(8)]
        data = b"".join(frames)
        (self.nas.backing / "a.jsonl.zst").write_bytes(data)
        row = self.kill_in_the_middle("a.jsonl.zst", len(data) * 3 // 4)
        self.assertGreater(row["frame_offset"], 0)
        self.assertLess(row["frame_raw_offset"], row["offset"] + 1)
        self.assertSame(self.run_on().output(), b"".join(content(f"a{n}", 1500) for n in range(8)))
        # The head is read for the identity; what lies between the frame's start and the place is in the rest.
        self.assertLessEqual(self.nas.of("a.jsonl.zst")["read"], len(data) - row["frame_offset"] + IDENTITY)

    def test_a_gzip_source_is_read_again_and_nothing_comes_twice(self):
        want = content("a", 20_000)
        data = subprocess.run(["gzip", "-c"], input=want, stdout=subprocess.PIPE, check=True).stdout
        (self.nas.backing / "a.jsonl.gz").write_bytes(data)
        row = self.kill_in_the_middle("a.jsonl.gz", len(data) // 2)
        self.assertEqual(row["frame_offset"], 0)
        self.assertSame(self.run_on().output(), want)
        self.assertLessEqual(self.nas.of("a.jsonl.gz")["read"], len(data) + IDENTITY)

    def test_an_outage_costs_what_was_on_its_way(self):
        """The same process reopens: the head, the tail, and a line that was half read."""
        self.put(a=A)
        self.nas.command("fail read a.jsonl EIO offset=300000 times=1")
        self.assertSame(self.run_on().output(), A)
        used = self.nas.of("a.jsonl")
        self.assertLessEqual(used["read"], len(A) + 2 * IDENTITY)
        self.assertEqual(used["opens"], 2)

    def test_a_reader_that_is_killed_costs_what_was_not_committed(self):
        self.put(a=A)
        process = self.hang_in_the_middle()
        place = self.row("a.jsonl")["offset"]
        self.nas.command("reset")
        killed = self.pid_of("leat-reader")
        os.kill(killed, signal.SIGKILL)

        def next_reader_hangs():
            readers = [pid for pid, command in self.processes().items() if command[0].endswith("/leat-reader")]
            return readers and killed not in readers and self.nas.hanging()

        self.until(next_reader_hangs, "the next reader is there")
        self.nas.command("clear")
        self.assertSame(self.done(process).output(), A)
        self.assertLessEqual(self.nas.of("a.jsonl")["read"], len(A) - place + IDENTITY + 256 * KIB)

    def test_a_moved_source_costs_its_head(self):
        self.put(a=A)
        self.run_on()
        (self.nas.backing / "a.jsonl").rename(self.nas.backing / "b.jsonl")
        self.nas.command("reset")
        self.run_on()
        self.assertLessEqual(self.nas.of("b.jsonl")["read"], 64 * KIB)

    def test_a_grown_source_costs_its_head_and_tail(self):
        self.define(out="out-{n}.jsonl")
        self.put(a=A)
        self.run_on()
        with open(self.nas.backing / "a.jsonl", "ab") as file:
            file.write(B)
        self.nas.command("reset")
        self.assertSame(self.run_on().output("out-000002.jsonl"), B)
        self.assertLessEqual(self.nas.of("a.jsonl")["read"], len(B) + IDENTITY)


class After(NasCase):
    """source.after on a mount, and deaths in the middle of it."""

    def setUp(self):
        super().setUp()
        (self.nas.backing / "done").mkdir()
        # A source goes when its output is published, and that is whole then: new records have one of their own.
        self.define(source={"after": {"move": str(self.nas.path / "done")}}, out="out-{n}.jsonl")
        self.put(a=A)

    def kill_at(self, fault):
        self.nas.command(fault)
        process = self.start_pipeline()
        self.until(self.nas.hanging, "the move hangs")
        self.assertEqual(self.row("a.jsonl")["state"], "done")  # its intent and all its records are durable
        process.kill()
        self.finish(process)
        self.until(lambda: not self.processes(), "all processes are gone")
        self.nas.command("clear")

    def check(self):
        self.put(b=B)
        self.run_on()
        self.assertSame(b"".join(path.read_bytes() for path in sorted(self.folder.glob("out-*.jsonl"))), A + B)
        self.assertEqual([path.name for path in self.nas.backing.iterdir()], ["done"])
        self.assertEqual((self.nas.backing / "done/a.jsonl").read_bytes(), A)
        self.assertEqual([(row["after_done"], row["in"]) for row in self.sources().values()], [(True, 6000)] * 2)

    def test_killed_between_done_and_the_move(self):
        self.kill_at("hang rename *")
        self.assertTrue((self.nas.backing / "a.jsonl").exists())
        self.check()

    def test_killed_between_the_move_and_the_ledger(self):
        self.kill_at("hang fsyncdir *")
        self.assertTrue((self.nas.backing / "done/a.jsonl").exists())
        self.check()

    def test_a_mount_that_goes_away_in_the_move_is_waited_for(self):
        self.nas.command("fail rename * ESTALE times=2")
        self.check()


class SinkAway(Case):
    """The outputs are on the mount, the sources are not."""

    def setUp(self):
        super().setUp()
        self.nas = faultfs.mount(self)
        self.write("in/a.jsonl", A)
        self.write("in/b.jsonl", B)
        self.want = A + B

    def define(self, out="out.jsonl", **more):
        limits = {"commit": {"interval": "20ms", "bytes": "64KiB"}, "batch": "32KiB"}
        return self.pipeline(paths="in/*", out=str(self.nas.path / out), limits=limits, **more)

    def decoded(self, path):
        return subprocess.run(["zstd", "-dcq", str(path)], stdout=subprocess.PIPE, check=True).stdout

    def assertClean(self, name="out.jsonl"):
        self.assertEqual(sorted(path.name for path in self.nas.backing.iterdir()), [name])
        self.assertEqual(self.processes(), {})

    def test_each_error_of_each_operation_for_a_while(self):
        for error in ("EIO", "ENOTCONN", "ESTALE"):
            with self.subTest(error=error):
                self.define("out.jsonl.zst")
                for fault in (f"fail create .out* {error} times=1", f"fail write .out* {error} after=2 times=1",
                              f"fail fsync .out* {error} after=1 times=1", f"fail rename .out* {error} times=1",
                              f"fail fsyncdir * {error} after=1 times=1", f"fail truncate .out* {error} times=1"):
                    self.nas.command(fault)
                process = self.start_pipeline("--force", "--fresh")
                run = self.finish(process)
                self.assertEqual(run.code, 0, run.stderr)
                self.assertIn("trying again until it works", run.stderr)
                self.assertSame(self.decoded(self.nas.backing / "out.jsonl.zst"), self.want)
                self.assertEqual(run.counts(), (12_000, 12_000, 0, 0))
                self.assertClean("out.jsonl.zst")
                self.nas.command("clear")

    def test_a_sink_that_goes_away_and_comes_back(self):
        self.define()
        self.nas.command("hang write .out* offset=300000")
        process = self.start_pipeline()
        self.until(self.nas.hanging, "it is in the middle")
        self.nas.command("away")
        self.nas.command("release")
        self.hear(process, "trying again until it works")
        self.assertIsNone(process.poll())
        self.nas.command("back")
        run = self.finish(process)
        self.assertEqual(run.code, 0, run.stderr)
        self.assertRegex(run.stderr, r"the sink has recovered after \d+ s")
        self.assertSame((self.nas.backing / "out.jsonl").read_bytes(), self.want)
        self.assertEqual(run.counts(), (12_000, 12_000, 0, 0))
        self.assertClean()

    def test_a_sink_that_is_unmounted_and_mounted_again(self):
        self.define(sink={"require_mount": str(self.nas.path)})
        self.nas.command("hang write .out* offset=300000")
        process = self.start_pipeline()
        self.until(self.nas.hanging, "it is in the middle")
        self.nas.stop()
        self.hear(process, "trying again until it works")
        self.assertEqual(list(self.nas.path.iterdir()), [])  # nothing below the mount point
        self.nas.start()
        run = self.finish(process)
        self.assertEqual(run.code, 0, run.stderr)
        self.assertSame((self.nas.backing / "out.jsonl").read_bytes(), self.want)
        self.assertClean()

    def test_a_sink_that_is_away_longer_than_give_up_ends_the_run_and_the_next_one_goes_on(self):
        self.define(source={"give_up": "1s"})
        self.nas.command("hang write .out* offset=300000")
        process = self.start_pipeline()
        self.until(self.nas.hanging, "it is in the middle")
        self.nas.command("away")
        self.nas.command("release")
        run = self.finish(process)
        self.assertEqual(run.code, 74, run.stderr)
        self.assertIn("source.give_up", run.stderr)
        self.assertIn("Run again to continue", run.stderr)
        self.nas.command("back")
        run = self.run_on()
        self.assertSame((self.nas.backing / "out.jsonl").read_bytes(), self.want)
        self.assertLess(run.summary["in"], 12_000)
        self.assertClean()

    def test_a_write_that_hangs_is_named_and_two_signals_end_the_run(self):
        self.define()
        self.nas.command("hang write .out* offset=300000")
        process = self.start_pipeline()
        self.until(self.nas.hanging, "it is in the middle")
        process.send_signal(signal.SIGINT)
        self.hear(process, "stopping")
        process.send_signal(signal.SIGINT)
        run = self.finish(process)
        self.assertEqual(run.code, 75, run.stderr)
        self.nas.command("clear")
        self.run_on()
        self.assertSame((self.nas.backing / "out.jsonl").read_bytes(), self.want)

    def test_outputs_of_their_own_on_a_sink_that_fails_now_and_then(self):
        for n in range(12):
            self.write(f"in/{n:02}.jsonl", A[:2000].rpartition(b"\n")[0] + b"\n")
        self.define("{stem}.out")
        for fault in ("fail create .0* EIO times=1 after=3", "fail rename .0* ESTALE times=1 after=5",
                      "fail fsync .1* ENOTCONN times=1"):
            self.nas.command(fault)
        self.run_on()
        self.assertEqual({path.name: path.read_bytes() for path in self.nas.backing.iterdir()},
                         {path.stem + ".out": path.read_bytes() for path in (self.folder / "in").iterdir()})

    def test_dead_letters_on_a_mount_that_fails_come_once(self):
        bad = b"".join(b"bad %d\n" % n for n in range(3000))
        self.write("in/c.jsonl", bad)
        self.define(dead_letter={"path": str(self.nas.path / "dead.jsonl")})
        for fault in ("fail write dead* EIO after=1 times=1", "fail fsync dead* ENOTCONN times=1",
                      "fail open dead* ESTALE times=1"):
            self.nas.command(fault)
        run = self.run_on()
        self.assertEqual(run.counts(), (15_000, 12_000, 0, 3000))
        self.assertEqual([letter["record"] for letter in run.dead("nas.backing/dead.jsonl")],
                         bad.decode().splitlines())
        self.assertSame((self.nas.backing / "out.jsonl").read_bytes(), self.want)


class DiskFull(Case):
    """Room is made, the pipeline is run again, and the output is as if nothing had been."""

    def setUp(self):
        super().setUp()
        self.disk = faultfs.mount(self, "disk")
        self.write("in/a.jsonl", A)
        self.write("in/b.jsonl", B)
        self.write("in/c.jsonl", b"".join(b"bad %d\n" % n for n in range(3000)))

    def define(self, out="out.jsonl", dead="dead.jsonl"):
        limits = {"commit": {"interval": "20ms", "bytes": "32KiB"}, "batch": "32KiB"}  # many commits
        self.pipeline(paths="in/*", out=out, dead_letter={"path": dead}, limits=limits)

    def check(self, where, out, dead, *arguments):
        for room in where:
            with self.subTest(room=room):
                self.disk.command(f"full {room}")
                run = self.finish(self.start_pipeline(*arguments))
                self.assertEqual(run.code, 74, run.stderr)
                self.assertRegex(run.stderr, r"[Nn]o (space left|room)")
                self.assertIn("free some and run again", run.stderr)
                self.assertEqual(self.processes(), {})
                self.disk.command("full off")
                run = self.run_on(None, *arguments)
                self.assertSame(out.read_bytes(), A + B)
                self.assertEqual([letter["record"] for letter in run.dead(dead)], [f"bad {n}" for n in range(3000)])
                self.assertEqual(sum(row["in"] for row in self.sources(*arguments).values()), 15_000)
                self.assertEqual({row["state"] for row in self.sources(*arguments).values()}, {"done"})
                out.unlink()
                (self.folder / dead).unlink()
                shutil.rmtree(self.folder / "state", ignore_errors=True)
                for path in self.disk.backing.iterdir():
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    def test_in_the_middle_of_an_output(self):
        self.define(out=str(self.disk.path / "out.jsonl"))
        self.check((0, 300_000, len(A + B) - 1), self.disk.backing / "out.jsonl", "dead.jsonl")

    def test_in_the_middle_of_the_dead_letters(self):
        self.define(dead=str(self.disk.path / "dead.jsonl"))
        self.check((0, 100_000), self.folder / "out.jsonl", "disk.backing/dead.jsonl")

    def test_in_the_middle_of_the_ledger(self):
        self.define()
        self.check((0, 20_000, 120_000, 400_000), self.folder / "out.jsonl", "dead.jsonl", "--state", self.disk.path / "state")

    def test_everything_on_a_disk_that_is_full(self):
        self.define(out=str(self.disk.path / "out.jsonl"), dead=str(self.disk.path / "dead.jsonl"))
        self.check((250_000, 900_000, 1_500_000), self.disk.backing / "out.jsonl", "disk.backing/dead.jsonl",
                   "--state", self.disk.path / "state")


if __name__ == "__main__":
    faultfs.main()
