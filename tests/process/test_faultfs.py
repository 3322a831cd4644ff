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
    def setUp(self):
        super().setUp()
        self.fs = faultfs.mount(self)
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
        self.assertEqual(self.fs.stats(), {"hanging": 0, "faults": 0, "room": -1, "paths": {}})

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


if __name__ == "__main__":
    faultfs.main()
