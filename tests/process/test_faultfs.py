"""The file system that the tests of faults stand on: it passes everything on, and fails exactly as told."""

import errno
import mmap
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import unittest

import faultfs
from harness import Case

WORDS = bytes(range(256)) * 1024  # 256 KiB


class FaultFsCase(Case):
    OPTIONS = {}

    def setUp(self):
        super().setUp()
        self.fs = faultfs.mount(self, **self.OPTIONS)
        self.path = self.fs.path

    def put(self, name, content=WORDS):
        """As another client would."""
        path = self.fs.backing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return self.path / name

    def open(self, name, flags=os.O_RDONLY):
        fd = os.open(self.path / name, flags, 0o644)
        self.addCleanup(self.close, fd)
        return fd

    def close(self, fd):
        try:
            os.close(fd)
        except OSError:
            pass  # closed by the case, or the mount has gone

    def assertFails(self, error, function, *arguments, **more):
        with self.assertRaises(OSError) as caught:
            function(*arguments, **more)
        self.assertEqual(errno.errorcode[caught.exception.errno], errno.errorcode[error])


class PassesThrough(FaultFsCase):
    def test_a_tree_is_copied_there_and_back(self):
        for name in ("a/1", "a/b/2", "a/b/c/3 with a space", "a/\u00e4\u0444"):
            self.write("tree/" + name, os.urandom(300_000))
        (self.folder / "tree" / "link").symlink_to("a/1")
        (self.folder / "tree" / "a" / "1").chmod(0o640)
        shutil.copytree(self.folder / "tree", self.path / "tree", symlinks=True)
        shutil.copytree(self.path / "tree", self.folder / "again", symlinks=True)
        for one, other in (("tree", "again"), ("tree", "nas.backing/tree")):
            done = subprocess.run(["diff", "-r", "--no-dereference", one, other], cwd=self.folder, capture_output=True)
            self.assertEqual((done.returncode, done.stdout), (0, b""))
        self.assertEqual((self.folder / "again" / "a" / "1").stat().st_mode & 0o777, 0o640)
        self.assertEqual(os.readlink(self.path / "tree" / "link"), "a/1")
        shutil.rmtree(self.path / "tree")
        self.assertEqual(os.listdir(self.fs.backing), [])

    def test_stat_is_that_of_the_file_below(self):
        path = self.put("a")
        os.utime(path, ns=(10**18, 2 * 10**18 + 7))
        for key in ("st_ino", "st_size", "st_mode", "st_nlink", "st_mtime_ns", "st_uid"):
            self.assertEqual(getattr(path.stat(), key), getattr((self.fs.backing / "a").stat(), key), key)
        os.chown(path, os.getuid(), os.getgid())
        self.assertTrue(os.access(path, os.R_OK))
        self.assertEqual(os.statvfs(self.path).f_bsize, os.statvfs(self.folder).f_bsize)

    def test_what_another_client_does_is_seen_at_once(self):
        path = self.put("a", b"one")
        fd = self.open("a")
        self.assertEqual((os.read(fd, 10), os.fstat(fd).st_size), (b"one", 3))
        with open(self.fs.backing / "a", "ab") as other:
            other.write(b" two")
        self.assertEqual((os.fstat(fd).st_size, os.read(fd, 10)), (7, b" two"))
        self.put("b")
        self.assertEqual(sorted(os.listdir(self.path)), ["a", "b"])
        (self.fs.backing / "a").unlink()
        self.assertFalse(path.exists())

    def test_appending_goes_to_the_end_whoever_wrote_it(self):
        path = self.put("a", b"one")
        with open(path, "ab", buffering=0) as ours:
            ours.write(b"+two")
            with open(self.fs.backing / "a", "ab") as other:
                other.write(b"+three")
            ours.write(b"+four")
        self.assertEqual(path.read_bytes(), b"one+two+three+four")

    def test_rename_replaces_or_does_not(self):
        first, second = self.put("a", b"a"), self.put("b", b"b")
        code = ("import ctypes,sys,os; c=ctypes.CDLL(None,use_errno=True)\n"
                "r=c.renameat2(-100,sys.argv[1].encode(),-100,sys.argv[2].encode(),1)\n"
                "sys.exit(ctypes.get_errno() if r else 0)")
        noreplace = [sys.executable, "-c", code, first]
        self.assertEqual(subprocess.run([*noreplace, second]).returncode, errno.EEXIST)
        self.assertEqual(subprocess.run([*noreplace, self.path / "c"]).returncode, 0)
        os.rename(self.path / "c", second)
        self.assertEqual((os.listdir(self.path), second.read_bytes()), (["b"], b"a"))

    def test_links_fifos_truncate_and_holes(self):
        path = self.put("a")
        os.link(path, self.path / "b")
        self.assertEqual((path.stat().st_nlink, path.samefile(self.path / "b")), (2, True))
        os.mkfifo(self.path / "fifo")
        self.assertTrue((self.path / "fifo").is_fifo())
        os.truncate(path, 1000)
        self.assertEqual(path.read_bytes(), WORDS[:1000])
        fd = self.open("a", os.O_RDWR)
        os.ftruncate(fd, 1 << 20)
        os.posix_fallocate(fd, 0, 2 << 20)
        self.assertEqual(os.fstat(fd).st_size, 2 << 20)
        self.assertEqual(os.pread(fd, 10, 995), WORDS[995:1000] + bytes(5))
        self.assertGreaterEqual(os.lseek(fd, 0, os.SEEK_HOLE), 1000)
        with open(path, "wb") as again:
            self.assertEqual(path.stat().st_size, 0)
            again.write(b"x")
            again.flush()
            os.fsync(again.fileno())
            os.fdatasync(again.fileno())
        folder = self.open("", os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(folder)

    def test_an_open_file_can_be_unlinked_and_replaced(self):
        path = self.put("a")
        other = self.put("b", b"b")
        fd = self.open("a")
        os.rename(other, path)
        self.assertEqual((os.listdir(self.path), path.read_bytes()), (["a"], b"b"))
        self.assertEqual((os.pread(fd, 5, 0), os.fstat(fd).st_size), (WORDS[:5], len(WORDS)))
        path.unlink()
        self.assertEqual(os.listdir(self.path), [])

    def test_private_maps_of_any_file_and_shared_ones_of_shm(self):
        self.put("a")
        self.put("x-shm", bytes(8192))
        with mmap.mmap(self.open("a"), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) as mapped:
            self.assertEqual(mapped[:], WORDS)
        with mmap.mmap(self.open("x-shm", os.O_RDWR), 0) as one, mmap.mmap(self.open("x-shm", os.O_RDWR), 0) as two:
            one[5000:5003] = b"abc"
            self.assertEqual(two[5000:5003], b"abc")
            one.flush()
        self.assertEqual((self.fs.backing / "x-shm").read_bytes()[5000:5003], b"abc")

    def test_a_lock_excludes_another_process(self):
        fd = self.open("lock", os.O_RDWR | os.O_CREAT)
        code = "import fcntl,sys; f=open(sys.argv[1],'r+'); fcntl.{}(f, fcntl.LOCK_EX | fcntl.LOCK_NB)"
        import fcntl
        for kind in ("flock", "lockf"):
            getattr(fcntl, kind)(fd, fcntl.LOCK_EX)
            done = subprocess.run([sys.executable, "-c", code.format(kind), self.path / "lock"], capture_output=True)
            self.assertIn(b"BlockingIOError", done.stderr)

    def test_sqlite_in_wal_mode_between_processes(self):
        ours = sqlite3.connect(self.path / "l.db")
        self.addCleanup(ours.close)
        self.assertEqual(ours.execute("pragma journal_mode=wal").fetchone(), ("wal",))
        ours.execute("create table t(n)")
        code = ("import sqlite3,sys\nc = sqlite3.connect(sys.argv[1])\nfor line in sys.stdin:\n"
                "  c.execute('insert into t values (?)', (int(line),)); c.commit()\n"
                "  print(c.execute('select count(*) from t').fetchone()[0], flush=True)\n")
        with subprocess.Popen([sys.executable, "-c", code, self.path / "l.db"], text=True, bufsize=1,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as theirs:
            for n in range(0, 200, 2):
                ours.execute("insert into t values (?)", (n,))
                ours.commit()
                theirs.stdin.write(f"{n + 1}\n")
                theirs.stdin.flush()
                self.assertEqual(theirs.stdout.readline(), f"{n + 2}\n")
            self.assertEqual([n for n, in ours.execute("select n from t")], list(range(200)))
            self.assertTrue((self.path / "l.db-shm").exists())
            theirs.stdin.close()
        self.assertEqual(ours.execute("pragma integrity_check").fetchone(), ("ok",))

    def test_the_type_of_the_mount_can_be_chosen(self):
        other = faultfs.mount(self, "other", options=("--type", "sshfs"))
        done = subprocess.run(["findmnt", "-no", "FSTYPE", other.path], capture_output=True, text=True)
        self.assertEqual(done.stdout, "fuse.sshfs\n")

    def test_nothing_is_left_when_it_stops(self):
        self.fs.stop()
        self.assertFalse(os.path.ismount(self.path))
        self.assertFalse(self.fs.control.exists())
        self.fs.start()
        self.assertTrue(os.path.ismount(self.path))


class Faults(FaultFsCase):
    def test_an_operation_fails_where_the_path_matches(self):
        self.put("a/x.jsonl")
        self.put("a/y.txt")
        self.fs.command("fail open *.jsonl EACCES")
        self.assertFails(errno.EACCES, self.open, "a/x.jsonl")
        self.open("a/y.txt")
        self.fs.command("clear")
        self.open("a/x.jsonl")

    def test_every_operation_can_fail(self):
        path, folder = self.put("d/a"), self.path / "d"
        new = folder / "new"
        fd, folder_fd = self.open("d/a", os.O_RDWR), self.open("d", os.O_RDONLY | os.O_DIRECTORY)
        link = folder / "link"
        link.symlink_to("a")
        operations = {
            "getattr": lambda: os.stat(path), "readlink": lambda: os.readlink(link), "mknod": lambda: os.mkfifo(new),
            "mkdir": lambda: os.mkdir(new), "unlink": lambda: os.unlink(path), "rmdir": lambda: os.rmdir(folder),
            "symlink": lambda: os.symlink("x", new), "rename": lambda: os.rename(path, new),
            "link": lambda: os.link(path, new), "chmod": lambda: os.chmod(path, 0o600),
            "chown": lambda: os.chown(path, 0, 0), "truncate": lambda: os.truncate(path, 0),
            "open": lambda: os.open(path, os.O_RDONLY), "create": lambda: os.open(new, os.O_CREAT | os.O_WRONLY),
            "read": lambda: os.pread(fd, 10, 0), "write": lambda: os.pwrite(fd, b"x", 0),
            "statfs": lambda: os.statvfs(path), "flush": lambda: os.close(os.open(path, os.O_RDONLY)),
            "fsync": lambda: os.fdatasync(fd), "opendir": lambda: os.listdir(folder),
            "readdir": lambda: os.listdir(folder), "fsyncdir": lambda: os.fsync(folder_fd),
            "access": lambda: os.chdir(folder), "utimens": lambda: os.utime(path),
            "fallocate": lambda: os.posix_fallocate(fd, 0, 10), "lseek": lambda: os.lseek(fd, 0, os.SEEK_DATA),
        }
        for op, function in operations.items():
            with self.subTest(op=op):
                self.fs.command(f"fail {op} d* EDQUOT")
                self.assertFails(errno.EDQUOT, function)
                self.fs.command("clear")

    def test_after_so_many_and_so_many_times(self):
        self.put("a")
        fd = self.open("a")
        self.fs.command("fail read a EIO after=2 times=3")
        seen = []
        for _ in range(8):
            try:
                seen.append(len(os.pread(fd, 10, 0)))
            except OSError as error:
                seen.append(error.errno)
        self.assertEqual(seen, [10, 10, errno.EIO, errno.EIO, errno.EIO, 10, 10, 10])
        self.assertEqual(self.fs.stats()["faults"], 3)

    def test_from_an_offset_on(self):
        self.put("a")
        fd = self.open("a", os.O_RDWR)
        self.fs.command("fail read a EIO offset=1000")
        self.assertEqual(os.read(fd, 600) + os.read(fd, 600), WORDS[:1000])
        self.assertFails(errno.EIO, os.read, fd, 600)
        self.fs.command("fail write a ETIMEDOUT offset=1000")
        self.assertEqual(os.pwrite(fd, bytes(100), 950), 50)
        self.assertFails(errno.ETIMEDOUT, os.pwrite, fd, b"x", 1000)

    def test_short_reads_and_writes_are_not_the_end(self):
        path = self.put("a")
        self.fs.command("short read * 1000")
        fd = self.open("a")
        self.assertEqual(len(os.read(fd, 65536)), 1000)
        self.assertEqual(path.read_bytes(), WORDS)
        self.fs.command("short write * 7")
        fd = self.open("b", os.O_CREAT | os.O_WRONLY)
        self.assertEqual([os.write(fd, WORDS[:10]), os.write(fd, WORDS[7:10])], [7, 3])
        self.assertEqual((self.path / "b").read_bytes(), WORDS[:10])

    def test_a_hanging_read_goes_on_when_released_and_holds_up_nobody_else(self):
        self.put("a")
        other = self.put("b", b"b")
        fd, read = self.open("a"), []
        self.fs.command("hang read a offset=1000")
        self.assertEqual(os.pread(fd, 1000, 0), WORDS[:1000])
        threads = [threading.Thread(target=lambda: read.append(os.pread(fd, 10, 1000))) for _ in range(30)]
        for thread in threads:
            thread.start()
        self.until(lambda: self.fs.hanging() == 30, "all hang")
        self.assertEqual(other.read_bytes(), b"b")
        os.rename(self.path / "a", self.path / "c")
        self.assertEqual(read, [])
        self.fs.command("release")
        for thread in threads:
            thread.join()
        self.assertEqual(read, [WORDS[1000:1010]] * 30)
        self.assertEqual(self.fs.hanging(), 0)

    def reader(self, name):
        process = subprocess.Popen(["cat", self.path / name], stdout=subprocess.PIPE)
        self.addCleanup(process.wait)
        self.addCleanup(process.stdout.close)
        self.addCleanup(self.fs.command, "clear")
        self.addCleanup(process.kill)
        self.until(lambda: self.fs.hanging() == 1, "it hangs")
        return process

    def test_who_hangs_can_be_killed(self):
        self.put("a")
        self.fs.command("hang read a")
        process = self.reader("a")
        process.kill()
        self.assertEqual(process.wait(faultfs.DEADLINE_S), -signal.SIGKILL)

    def test_who_hangs_hard_cannot(self):
        self.put("a")
        self.fs.command("hang read a hard")
        process = self.reader("a")
        process.kill()
        with self.assertRaises(subprocess.TimeoutExpired):
            process.wait(0.2)
        self.fs.command("clear")
        self.assertEqual(process.wait(faultfs.DEADLINE_S), -signal.SIGKILL)

    def test_it_stops_though_an_operation_hangs(self):
        self.put("a")
        self.fs.command("hang read a hard")
        process = subprocess.Popen(["cat", self.path / "a"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.until(lambda: self.fs.hanging() == 1, "it hangs")
        self.fs.stop()
        process.communicate(timeout=faultfs.DEADLINE_S)
        self.assertEqual(process.returncode, 1)

    def test_a_listing_comes_back_empty(self):
        path = self.put("d/a")
        self.put("e/a")
        self.fs.command("empty d")
        self.assertEqual((os.listdir(self.path / "d"), os.listdir(self.path / "e")), ([], ["a"]))
        self.assertEqual(path.read_bytes(), WORDS)
        self.fs.command("clear")
        self.assertEqual(os.listdir(self.path / "d"), ["a"])

    def test_what_is_open_turns_stale_and_opening_again_works(self):
        self.put("a")
        old, other = self.open("a"), self.open("a")
        self.fs.command("stale a")
        new = self.open("a")
        self.assertFails(errno.ESTALE, os.pread, old, 10, 0)
        self.assertFails(errno.ESTALE, os.pread, other, 10, 0)
        self.assertEqual(os.pread(new, 10, 0), WORDS[:10])

    def test_away_and_back(self):
        path = self.put("a")
        fd = self.open("a")
        self.fs.command("away")
        for function in (path.stat, self.path.stat, lambda: os.listdir(self.path), lambda: os.read(fd, 1)):
            self.assertFails(errno.ENOTCONN, function)
        self.fs.command("back")
        self.assertEqual(os.read(fd, 1), WORDS[:1])
        self.fs.command("away EHOSTDOWN")
        self.assertFails(errno.EHOSTDOWN, path.stat)

    def test_nul_bytes_at_the_end(self):
        path = self.put("a", b"0123456789")
        self.fs.command("nuls a 4")
        self.assertEqual(path.read_bytes(), b"012345\0\0\0\0")
        fd = self.open("a")
        self.assertEqual((os.pread(fd, 3, 7), os.pread(fd, 3, 4)), (b"\0\0\0", b"45\0"))
        with open(self.fs.backing / "a", "ab") as other:
            other.write(b"ab")
        self.assertEqual(path.read_bytes(), b"01234567\0\0\0\0")

    def test_delay(self):
        self.put("a")
        fd = self.open("a")
        self.fs.command("delay read a 150")
        before = os.times().elapsed
        os.pread(fd, 1, 0)
        self.assertGreaterEqual(os.times().elapsed - before, 0.14)

    def test_a_full_disk_takes_what_fits(self):
        fd = self.open("a", os.O_CREAT | os.O_RDWR)
        self.fs.command("full 1000")
        self.assertEqual((os.write(fd, bytes(900)), os.write(fd, bytes(900))), (900, 100))
        self.assertFails(errno.ENOSPC, os.write, fd, b"x")
        self.assertFails(errno.ENOSPC, os.ftruncate, fd, 1001)
        self.assertEqual(os.pwrite(fd, b"over", 0), 4)
        self.assertEqual(os.statvfs(self.path).f_bavail, 0)
        self.fs.command("full off")
        self.assertEqual(os.write(fd, b"x"), 1)

    def test_the_counts(self):
        path = self.put("d/a")
        self.fs.command("reset")
        path.stat()
        self.assertEqual(self.fs.of("d/a")["getattrs"], 2)
        fd = self.open("d/a", os.O_RDWR)
        for offset in (0, 100_000, 0):
            os.pread(fd, 65_536, offset)
        os.pread(fd, 1000, len(WORDS) - 10)
        os.pwrite(fd, bytes(70_000), 0)
        os.fsync(fd)
        os.listdir(self.path / "d")
        used = self.fs.of("d/a")
        self.assertEqual((used["read"], used["written"], used["opens"], used["fsyncs"]), (3 * 65_536 + 10, 70_000, 1, 1))
        self.assertEqual(self.fs.of("d")["listings"], 1)
        self.fs.command("reset")
        self.assertEqual(self.fs.stats(), {"power": True, "hanging": 0, "faults": 0, "room": -1, "paths": {}})

    def test_a_path_in_the_counts_may_be_odd(self):
        path = self.put('q"\\\n\u00e4')
        path.read_bytes()
        self.assertEqual(self.fs.of(path.name)["read"], len(WORDS))

    def test_a_wrong_command_says_so(self):
        for line, text in (("fial read a EIO", "fial"), ("fail raed a EIO", "raed"), ("fail read a EFOO", "EFOO"),
                           ("fail read", "GLOB"), ("fail read a EIO often=3", "often"), ("short read a x", "x"), ("", "")):
            with self.subTest(line=line), self.assertRaises(ValueError) as caught:
                self.fs.command(line)
            self.assertIn(text, str(caught.exception))

    def test_wrong_arguments_are_refused(self):
        for arguments, code in (((), 64), (("a", "b"), 64), (("a", "b", "--bogus"), 64),
                                (("nothing", "nas", "--control", "s"), 74)):
            done = subprocess.run([faultfs.PROGRAM, *arguments], cwd=self.folder, capture_output=True)
            self.assertEqual((done.returncode, done.stdout), (code, b""))
            self.assertIn(b"faultfs: ", done.stderr)


class LossyCase(FaultFsCase):
    OPTIONS = {"lossy": True}

    def sync(self, name=""):
        """fsync of a file or folder."""
        fd = os.open(self.path / name, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def make(self, name, content=b"", sync=True):
        with open(self.path / name, "wb", buffering=0) as file:
            file.write(content)
            if sync:
                os.fsync(file.fileno())

    def settled(self, name, content=b""):
        self.make(name, content)
        self.sync(os.path.dirname(name))

    def cut(self, seed=None):
        self.fs.powercut(seed)
        self.fs.restore()

    def tree(self):
        return {str(path.relative_to(self.path)): path.read_bytes() for path in sorted(self.path.rglob("*")) if path.is_file()}


class PowerCut(LossyCase):
    def test_what_was_fsynced_stays_and_the_rest_is_lost(self):
        self.settled("a", b"durable")
        os.write(self.open("a", os.O_WRONLY | os.O_APPEND), b"+lost")
        os.write(self.open("a", os.O_WRONLY), b"LOST")
        self.assertEqual(self.tree(), {"a": b"LOSTble+lost"})
        self.cut()
        self.assertEqual(self.tree(), {"a": b"durable"})

    def test_fdatasync_keeps_the_size(self):
        self.settled("a")
        fd = self.open("a", os.O_WRONLY)
        os.write(fd, WORDS)
        os.fdatasync(fd)
        os.write(fd, b"lost")
        self.cut()
        self.assertEqual(self.tree(), {"a": WORDS})

    def test_what_was_there_before_is_durable_and_changes_to_it_are_not(self):
        self.fs.stop()
        (self.fs.backing / "d").mkdir()
        self.put("d/a", b"old")
        os.utime(self.fs.backing / "d" / "a", ns=(1, 10**18))
        self.fs.start()
        before = (self.path / "d" / "a").stat()
        self.assertEqual((before.st_nlink, before.st_mtime_ns), (1, 10**18))
        self.cut()
        self.assertEqual((self.path / "d" / "a").stat().st_mtime_ns, 10**18)
        with open(self.path / "d" / "a", "r+b", buffering=0) as file:
            file.write(b"new")
        self.assertEqual((self.path / "d" / "a").read_bytes(), b"new")
        self.cut()
        self.assertEqual(self.tree(), {"d/a": b"old"})

    def test_a_file_that_was_fsynced_is_gone_without_its_folder(self):
        self.make("a", b"durable?")
        self.cut()
        self.assertEqual(self.tree(), {})

    def test_a_name_without_content(self):
        self.make("a", b"lost", sync=False)
        self.sync()
        self.cut()
        self.assertEqual(self.tree(), {"a": b""})

    def test_truncate_and_its_loss(self):
        self.settled("a", b"0123456789")
        self.settled("b", b"0123456789")
        os.truncate(self.path / "a", 3)
        os.truncate(self.path / "b", 3)
        self.sync("b")
        self.cut()
        self.assertEqual(self.tree(), {"a": b"0123456789", "b": b"012"})
        with open(self.path / "a", "wb"):
            self.assertEqual((self.path / "a").stat().st_size, 0)
        self.cut()
        self.assertEqual(self.tree()["a"], b"0123456789")

    def test_a_rename_without_its_folder_reverts(self):
        self.settled("a.tmp", b"new")
        self.settled("a", b"old")
        os.rename(self.path / "a.tmp", self.path / "a")
        self.assertEqual(self.tree(), {"a": b"new"})
        self.cut()
        self.assertEqual(self.tree(), {"a": b"old", "a.tmp": b"new"})
        os.rename(self.path / "a.tmp", self.path / "a")
        self.sync()
        self.cut()
        self.assertEqual(self.tree(), {"a": b"new"})

    def test_replacing_an_open_file_is_one_change(self):
        self.settled("a", b"old")
        self.settled("b", b"new")
        for seed in range(20):
            fd = os.open(self.path / "a", os.O_RDONLY)
            os.rename(self.path / "b", self.path / "a")
            self.assertEqual(os.pread(fd, 3, 0), b"old")
            self.fs.powercut(seed)
            with self.assertRaises(OSError):
                os.close(fd)
            self.fs.restore()
            self.assertIn(self.tree(), ({"a": b"old", "b": b"new"}, {"a": b"new"}))
            if "b" not in self.tree():
                self.settled("a", b"old")
                self.settled("b", b"new")

    def test_unlink_rmdir_link_and_symlink_revert(self):
        os.mkdir(self.path / "d")
        self.sync()
        self.settled("d/a", b"a")
        os.link(self.path / "d" / "a", self.path / "link")
        os.symlink("x", self.path / "symlink")
        self.cut()
        self.assertEqual(self.tree(), {"d/a": b"a"})
        os.link(self.path / "d" / "a", self.path / "link")
        os.symlink("x", self.path / "symlink")
        os.mkfifo(self.path / "fifo")
        self.sync()
        os.unlink(self.path / "d" / "a")
        os.rmdir(self.path / "d")
        self.cut()
        self.assertEqual(sorted(os.listdir(self.path)), ["d", "fifo", "link", "symlink"])
        self.assertEqual((os.readlink(self.path / "symlink"), (self.path / "fifo").is_fifo()), ("x", True))
        self.assertTrue((self.path / "link").samefile(self.path / "d" / "a"))

    def test_a_folder_is_there_only_when_the_one_above_was_fsynced(self):
        os.mkdir(self.path / "d")
        self.settled("d/a", b"a")
        self.cut()
        self.assertEqual(os.listdir(self.path), [])

    def test_a_move_between_folders_is_never_half_done(self):
        self.settled("a", b"a")
        for n, synced in enumerate(("nothing", "the new folder", "the old folder")):
            os.mkdir(self.path / f"d{n}")
            os.rename(self.path / "a", self.path / f"d{n}" / "a")
            if n > 0:
                self.sync(f"d{n}" if n == 1 else "")
            self.cut()
            with self.subTest(synced=synced):
                self.assertEqual(self.tree(), {f"d{n}/a": b"a"} if n else {"a": b"a"})
            if n == 1:
                os.rename(self.path / "d1" / "a", self.path / "a")
                self.sync()

    def test_a_seed_never_keeps_a_move_into_a_folder_that_it_loses(self):
        os.mkdir(self.path / "d")
        self.settled("a", b"a")
        seen = set()
        for seed in range(40):
            os.mkdir(self.path / "d" / "new")
            os.rename(self.path / "a", self.path / "d" / "new" / "a")
            self.cut(seed)
            seen.add(tuple(self.tree().items()))
            if not (self.path / "a").exists():
                os.rename(self.path / "d" / "new" / "a", self.path / "a")
            if (self.path / "d" / "new").exists():
                os.rmdir(self.path / "d" / "new")
            for folder in ("", "d"):
                self.sync(folder)
        self.assertEqual(seen, {(("a", b"a"),), (("d/new/a", b"a"),)})

    def test_a_removed_inode_whose_number_is_used_again(self):
        self.settled("a", b"a")
        os.unlink(self.path / "a")
        for n in range(20):
            self.make(f"b{n}", b"b")
        self.cut()
        self.assertEqual(self.tree(), {"a": b"a"})

    def test_the_power_is_off_until_it_is_restored(self):
        self.settled("a", b"a")
        fd = self.open("a", os.O_RDWR)
        self.fs.powercut()
        self.assertFalse(self.fs.stats()["power"])
        for function in ((self.path / "a").stat, lambda: os.read(fd, 1), lambda: os.write(fd, b"x"),
                         lambda: os.fsync(fd), lambda: os.listdir(self.path), lambda: os.mkdir(self.path / "d")):
            self.assertFails(errno.EIO, function)
        self.fs.restore()
        self.assertFails(errno.EIO, os.write, fd, b"x")  # who had it open was running before the cut
        self.assertEqual(self.tree(), {"a": b"a"})

    def test_who_hangs_is_let_go(self):
        self.settled("a", b"a")
        self.fs.command("hang fsync a hard")
        thread = threading.Thread(target=lambda: self.assertFails(errno.EIO, self.sync, "a"))
        thread.start()
        self.until(lambda: self.fs.hanging() == 1, "it hangs")
        self.fs.powercut()
        thread.join()

    def test_the_power_is_cut_in_place_of_the_third_change(self):
        self.settled("a")
        fd = self.open("a", os.O_RDWR)
        self.fs.command("powercut after=3")
        os.write(fd, b"1")
        os.fsync(fd)
        self.assertFails(errno.EIO, os.write, fd, b"2")
        self.assertFalse(self.fs.stats()["power"])
        self.fs.restore()
        self.assertEqual(self.tree(), {"a": b"1"})

    def test_stopped_without_power_it_starts_with_what_was_durable(self):
        self.settled("a", b"a")
        self.make("b", b"b")
        self.fs.powercut()
        self.fs.stop()
        self.fs.start()
        self.assertEqual(self.tree(), {"a": b"a"})
        self.make("c", b"c")
        self.fs.stop()
        self.assertEqual(os.listdir(self.fs.below), ["live"])
        self.fs.start()
        self.assertEqual(self.tree(), {"a": b"a", "c": b"c"})

    def test_writes_to_a_file_opened_with_o_dsync_are_durable(self):
        self.settled("a")
        fd = self.open("a", os.O_WRONLY | os.O_DSYNC)
        os.write(fd, b"durable")
        self.cut()
        self.assertEqual(self.tree(), {"a": b"durable"})

    def test_a_seed_keeps_a_prefix_or_nuls_of_what_was_written(self):
        pieces = [bytes([65 + n]) * 1000 for n in range(10)]
        seen = set()
        for seed in range(60):
            self.settled("a", b"durable")
            with open(self.path / "a", "ab", buffering=0) as file:
                for piece in pieces:
                    file.write(piece)
            self.cut(seed)
            left = self.tree()["a"]
            self.assertEqual(left[:7], b"durable")
            is_prefix, is_nul = b"".join(pieces).startswith(left[7:]), left[7:] == bytes(10_000)
            self.assertTrue(is_prefix or is_nul, left)
            seen.add("lost" if left == b"durable" else "nuls" if is_nul else "all" if len(left) == 10_007 else "some")
        self.assertLessEqual({"lost", "nuls", "some"}, seen)

    def test_a_seed_keeps_a_prefix_of_the_names(self):
        for folder in ("d", "e"):
            os.mkdir(self.path / folder)
        self.sync()
        seen = set()
        for seed in range(40):
            for n in range(6):
                self.make(f"d/{n}", b"x")
                self.make(f"e/{n}", b"x")
            self.cut(seed)
            kept = sorted(os.listdir(self.path / "d")), sorted(os.listdir(self.path / "e"))
            for names in kept:
                self.assertEqual(names, [str(n) for n in range(len(names))])
            seen.add(tuple(map(len, kept)))
            for folder in ("d", "e"):
                for name in os.listdir(self.path / folder):
                    os.unlink(self.path / folder / name)
                self.sync(folder)
        self.assertGreater(len(seen), 10)
        self.assertTrue(any(one != other for one, other in seen))

    def test_the_same_seed_leaves_the_same(self):
        left = []
        for _ in range(2):
            other = faultfs.mount(self, f"fs{len(left)}", lossy=True)
            self.path = other.path
            for n in range(8):
                self.make(f"{n}", WORDS, sync=False)
            other.powercut(7)
            other.restore()
            left.append(self.tree())
        self.assertEqual(left[0], left[1])

    def test_a_large_file_costs_only_what_was_written(self):
        self.settled("big", bytes(64 << 20))
        with open(self.path / "big", "r+b", buffering=0) as file:
            for n in range(300):
                file.seek(n * 4096)
                file.write(b"x")
                os.fsync(file.fileno())
        self.cut()
        with open(self.path / "big", "rb") as file:
            content = file.read()
        self.assertEqual((len(content), content.count(b"x"), content[299 * 4096]), (64 << 20, 300, ord("x")))

    def test_a_cut_needs_a_lossy_disk_and_power(self):
        with self.assertRaises(ValueError):
            self.fs.restore()
        self.fs.powercut()
        with self.assertRaises(ValueError):
            self.fs.powercut()
        with self.assertRaises(ValueError):
            faultfs.mount(self, "other").powercut()


class PowerCutOfAJournal(LossyCase):
    OPTIONS = {"lossy": True, "options": ("--sync-names",)}

    def test_fsync_of_a_file_makes_its_name_durable(self):
        os.mkdir(self.path / "d")
        self.make("d/a", b"a")
        self.make("d/b", b"b", sync=False)
        self.cut()
        self.assertEqual(self.tree(), {"d/a": b"a"})


INSERTS = """
import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
c.execute("pragma synchronous=full"); c.execute("pragma journal_mode=" + sys.argv[2]); c.execute("pragma wal_autocheckpoint=7")
c.execute("create table if not exists t (n integer primary key, x)")
n = c.execute("select coalesce(max(n), 0) from t").fetchone()[0]
while True:
    n += 1
    c.execute("insert into t values (?, ?)", (n, "x" * (n * 997 % 9000)))
    c.commit()
    print(n, flush=True)
"""


class Sqlite(LossyCase):
    def acknowledged_commits_survive(self, mode, synchronous="full"):
        chance, acknowledged = random.Random(1), 0
        for seed in range(30):
            self.fs.command(f"powercut seed={seed} after={chance.randrange(1, 200)}")
            done = subprocess.run([sys.executable, "-c", INSERTS.replace("=full", "=" + synchronous), self.path / "l.db", mode],
                                  capture_output=True, text=True)
            self.assertNotEqual(done.returncode, 0)
            self.assertFalse(self.fs.stats()["power"], done.stderr)
            acknowledged = max([acknowledged, *map(int, done.stdout.split())])
            self.fs.restore()
            database = sqlite3.connect(self.path / "l.db")
            try:
                self.assertEqual(database.execute("pragma integrity_check").fetchone(), ("ok",))
                if acknowledged:
                    count, most = database.execute("select count(*), coalesce(max(n), 0) from t").fetchone()
                    self.assertEqual(count, most)
                    self.assertIn(most - acknowledged, (0, 1))
                    acknowledged = most
            finally:
                database.close()
        self.assertGreater(acknowledged, 100)

    def test_commits_in_wal_mode_survive_cuts(self):
        self.acknowledged_commits_survive("wal")

    def test_commits_with_a_rollback_journal_survive_cuts(self):
        # FULL does not fsync the folder when the journal has been unlinked, EXTRA does: sqlite.org/pragma.html
        self.acknowledged_commits_survive("delete", "extra")

    def test_without_synchronous_they_do_not(self):
        with self.assertRaises((AssertionError, sqlite3.DatabaseError)):
            self.acknowledged_commits_survive("wal", "off")


if __name__ == "__main__":
    faultfs.main()
