"""Sources that are gone for long are forgotten, and nothing else is: not what comes again before, not what may be on a
mount that is away. A day takes some milliseconds here."""

import ctypes
import os
import shutil
import signal
import sqlite3
import struct
import time

import faultfs
from harness import Case, lines, zstd

LONG = 91  # looks that a source must be missed in


def content(name, count=20):
    return lines({"source": name, "n": n} for n in range(count))


A, B, C = content("a"), content("b"), content("c")


def leat_sum(*values):
    """As workers/ledger/sqlite.cc has it; leat itself needs libxxhash."""
    data = b""
    for value in values:
        if value is None:
            data += b"\x05"
        elif isinstance(value, int):
            data += b"\x01" + struct.pack("<q", value)
        else:
            text = value.encode() if isinstance(value, str) else value
            data += (b"\x03" if isinstance(value, str) else b"\x04") + b"%d:%s" % (len(text), text)
    hashed = ctypes.CDLL("libxxhash.so.0").XXH3_64bits
    hashed.restype, hashed.argtypes = ctypes.c_int64, (ctypes.c_char_p, ctypes.c_size_t)
    return hashed(data, len(data))


class Forget(Case):
    def setUp(self):
        super().setUp()
        self.define()
        self.a = self.write("in/a.jsonl", A)
        self.b = self.write("in/b.jsonl", B)

    def define(self, sink=None, **source):
        self.pipeline(sink=sink or {}, paths=str(self.folder / "in/*.jsonl*"), out="out-{n}.jsonl", limits={"commit": {"interval": "10ms"}},
                      source={"poll": "10ms", "settle": "10ms", **source})

    def follow(self, day_ms=1):
        return self.start_pipeline("--follow", env={"LEAT_TEST_HOOKS": "1", "LEAT_TEST_DAY_MS": str(day_ms)})

    def stop(self, process):
        process.send_signal(signal.SIGINT)
        run = self.finish(process)
        self.assertEqual(run.code, 75, run.stderr)

    def looks(self, of="looks"):
        rows = self.ledger(f"SELECT {of} FROM ledger")
        return rows[0][0] if rows else 0

    def rows(self, columns="path"):
        """Of all sources, by the names of their files."""
        return {os.path.basename(path): rest for path, *rest in self.ledger(f"SELECT path, {columns} FROM sources")}

    def wait_for_looks(self, process, count, of="looks"):
        since = self.looks(of)
        self.until(lambda: self.looks(of) >= since + count, f"{count} looks", run=process)

    def wait_until_done(self, process, *names):
        self.until(lambda: all(self.rows("state").get(name) == ["done"] for name in names), f"{names} are done", run=process)

    def outputs(self):
        return b"".join(path.read_bytes() for path in sorted(self.folder.glob("out-*.jsonl")))

    def test_gone_for_long_is_forgotten_and_read_again_when_it_comes_back(self):
        process = self.follow()
        self.wait_until_done(process, "a.jsonl", "b.jsonl")
        shutil.copy2(self.a, self.folder / "kept")
        self.a.unlink()
        before = self.looks()
        self.until(lambda: "a.jsonl" not in self.rows(), "it is forgotten", run=process)
        self.assertGreaterEqual(self.looks(), before + LONG - 1)
        self.assertEqual(set(self.rows()), {"b.jsonl"})
        self.stop(process)
        shutil.copy2(self.folder / "kept", self.a)
        self.run_on()
        self.assertSame(self.outputs(), A + B + A)
        self.assertEqual(set(self.rows()), {"a.jsonl", "b.jsonl"})

    def test_back_before_that_it_is_known_still(self):
        process = self.follow()
        self.wait_until_done(process, "a.jsonl", "b.jsonl")
        number = self.rows("id")["a.jsonl"]
        for _ in range(3):
            os.rename(self.a, self.folder / "away")
            self.until(lambda: self.rows("absent_since")["a.jsonl"] != [None], "it is missed", run=process)
            self.wait_for_looks(process, LONG // 2)
            os.rename(self.folder / "away", self.a)
            self.until(lambda: self.rows("absent_since")["a.jsonl"] == [None], "it is back", run=process)
        self.wait_for_looks(process, LONG)
        self.assertEqual(self.rows("id")["a.jsonl"], number)
        self.stop(process)
        self.run_on()
        self.assertSame(self.outputs(), A + B)

    def test_an_empty_or_missing_folder_forgets_nothing(self):
        process = self.follow()
        self.wait_until_done(process, "a.jsonl", "b.jsonl")
        os.rename(self.folder / "in", self.folder / "away")
        self.wait_for_looks(process, LONG * 2)
        believed = self.looks("believed_looks")
        (self.folder / "in").mkdir()
        self.wait_for_looks(process, LONG * 2)
        self.assertLessEqual(self.looks("believed_looks"), believed)
        (self.folder / "in").rmdir()
        os.rename(self.folder / "away", self.folder / "in")
        self.wait_for_looks(process, 2, "believed_looks")
        self.assertEqual(self.rows("absent_since"), {"a.jsonl": [None], "b.jsonl": [None]})
        self.stop(process)
        self.run_on()
        self.assertSame(self.outputs(), A + B)

    def test_a_mount_that_is_away_forgets_nothing(self):
        nas = faultfs.mount(self)
        os.rename(self.folder / "in", nas.backing / "in")
        self.pipeline(paths=f"{nas.path}/in/*.jsonl", out="out-{n}.jsonl", limits={"commit": {"interval": "10ms"}},
                      source={"poll": "10ms", "settle": "10ms", "require_mount": str(nas.path)})
        process = self.follow()
        self.wait_until_done(process, "a.jsonl", "b.jsonl")
        nas.stop()
        (nas.path / "in").mkdir()  # what is under the mount
        (nas.path / "in" / "other.jsonl").touch()
        # A look that was under way when the mount went may still be committed.
        self.until(lambda: (self.looks(), time.sleep(0.2))[0] == self.looks(), "nobody looks any more")
        looks = self.looks()
        time.sleep(1)  # at least 91 days
        self.assertEqual(self.looks(), looks)
        shutil.rmtree(nas.path / "in")
        nas.start()
        self.wait_for_looks(process, 2)
        self.assertEqual(self.rows("absent_since"), {"a.jsonl": [None], "b.jsonl": [None]})
        self.stop(process)

    def test_what_we_have_deleted_is_forgotten_from_a_folder_that_is_empty_always(self):
        self.define({"rotate": {"bytes": "1GiB", "idle": "50ms"}}, after="delete")  # only what is published is deleted
        process = self.follow()
        self.until(lambda: self.rows() and not list((self.folder / "in").iterdir()), "they are deleted", run=process)
        self.until(lambda: self.rows() == {}, "they are forgotten", run=process)
        self.assertLess(self.looks("believed_looks"), LONG)  # of when the files were there
        self.write("in/c.jsonl", C)
        self.until(lambda: "c.jsonl" in self.rows(), "another is read", run=process)
        self.stop(process)

    def test_what_failed_is_forgotten_and_another_at_its_path_is_read_from_its_start(self):
        broken = self.write("in/broken.jsonl.zst", zstd(C)[:-20])
        process = self.follow()
        self.until(lambda: self.rows("state").get("broken.jsonl.zst") == ["failed"], "it failed", run=process)
        broken.unlink()
        self.until(lambda: set(self.rows()) == {"a.jsonl", "b.jsonl"}, "it is forgotten", run=process)
        self.write("in/new", zstd(C))
        os.rename(self.folder / "in/new", broken)
        self.wait_until_done(process, "broken.jsonl.zst")
        self.assertEqual(self.rows("records_in")["broken.jsonl.zst"], [20])
        self.stop(process)

    def test_ten_thousand_are_forgotten(self):
        for n in range(10_000):
            self.write(f"in/{n:05}.jsonl", b'{"n":%d}\n' % n)
        self.run_on()
        for path in (self.folder / "in").glob("0*"):
            path.unlink()
        process = self.follow()
        self.until(lambda: len(self.rows()) == 2, "they are forgotten", run=process)
        self.assertEqual(set(self.rows()), {"a.jsonl", "b.jsonl"})
        self.stop(process)

    def test_a_plain_run_looks_once_a_day_whatever_the_clock_says(self):
        self.run_on()
        self.a.unlink()
        self.run_on()
        self.assertEqual(self.looks(), 0)
        self.assertEqual(self.rows("absent_since")["a.jsonl"], [None])
        day = {"LEAT_TEST_HOOKS": "1", "LEAT_TEST_DAY_MS": "1"}
        self.run_on(env=day)
        self.run_on(env=day)
        self.assertEqual(self.looks(), 2)
        self.assertEqual(self.rows("absent_since")["a.jsonl"], [0])
        # The last sample is of 1970, as after a clock that was years behind: that is one look, and forgets nothing.
        self.change_ledger("UPDATE ledger SET looked_s = 1")
        self.run_on()
        self.run_on()
        self.assertEqual(self.looks(), 3)
        # It is of the future, as after a clock that was years ahead: the next one is in a day.
        self.change_ledger("UPDATE ledger SET looked_s = looked_s + 1000000000")
        self.run_on()
        self.assertEqual(self.looks(), 3)
        self.assertLess(self.looks("looked_s"), time.time() + 60)
        self.assertIn("a.jsonl", self.rows())

    def change_ledger(self, statement):
        """A change that leat could have made: its row is sealed again (workers/ledger/rows.h)."""
        columns = "pipeline, epoch, fingerprint, created_s, looks, believed_looks, looked_s, file, version, schema_sum"
        with sqlite3.connect(self.folder / "state/leat/test/ledger.db") as database:
            database.create_function("leat_sum", -1, leat_sum)
            database.execute(statement)
            database.execute(f"UPDATE ledger SET row_sum = leat_sum({columns})")
        database.close()


if __name__ == "__main__":
    faultfs.main()
