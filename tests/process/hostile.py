"""A child for `exec` that tries what its sandbox is to prevent: hostile.py FOLDER MATCH. A record {"try": NAME} is answered by
what came of it, "done" or the name of an errno; any other record comes back as it is. Attempts on processes are on those of
leat whose command line holds MATCH. What they do if they succeed is harmless: files of FOLDER/victims, signal 0, memory as it was.
"""
import ctypes
import errno
import json
import os
import platform
import resource
import signal
import socket
import sys
import time

FOLDER, MATCH = sys.argv[1], sys.argv[2]
VICTIMS = os.path.join(FOLDER, "victims")
KEEPER = os.getppid()
LIBC = ctypes.CDLL(None, use_errno=True)
NUMBERS = {"x86_64": {"kcmp": 312, "pidfd_open": 434, "pidfd_getfd": 438, "keyctl": 250, "bpf": 321, "io_uring_setup": 425,
                      "userfaultfd": 323, "perf_event_open": 298, "pivot_root": 155, "clone": 56, "pidfd_send_signal": 424},
           "aarch64": {"kcmp": 272, "pidfd_open": 434, "pidfd_getfd": 438, "keyctl": 219, "bpf": 280, "io_uring_setup": 425,
                       "userfaultfd": 282, "perf_event_open": 241, "pivot_root": 41, "clone": 220, "pidfd_send_signal": 424}}


def call(name, *arguments):
    """A function of libc, or a system call by its number."""
    ctypes.set_errno(0)
    number = NUMBERS[platform.machine()].get(name)
    result = getattr(LIBC, name)(*arguments) if number is None else LIBC.syscall(
        number, *(ctypes.c_long(word) if isinstance(word, int) else word for word in arguments))
    if result < 0 and ctypes.get_errno():
        raise OSError(ctypes.get_errno(), name)
    return result


def cmdline(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read().decode(errors="replace")


def others():
    """Every process of leat, the keeper of this one included; it alone where /proc hides all (ProtectProc=invisible)."""
    if not os.path.exists(f"/proc/{KEEPER}"):
        return [KEEPER]
    found = []
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        try:
            with open(f"/proc/{pid}/comm") as file:
                if file.read().startswith("leat") and MATCH in cmdline(pid):
                    found.append(pid)
        except OSError:
            pass
    assert found, "no process of leat was found"
    return found


def each(attempt):
    """Whether any of them can be done it to; if not, why the last one could not."""
    def on_all():
        error = None
        for pid in others():
            try:
                attempt(pid)
                return
            except OSError as failure:
                error = failure
        raise error
    return on_all


def victim(name):
    return os.path.join(VICTIMS, name)


def opened(path, flags):
    os.close(os.open(path, flags, 0o600))


def find(end):
    """Waits for it: an output is there once the first records have come to the writer."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for folder, _, names in os.walk(FOLDER):
            for name in names:
                if name.endswith(end):
                    return os.path.join(folder, name)
        time.sleep(0.01)
    raise AssertionError(f"nothing in {FOLDER} ends with {end}")


def stack(pid):
    """Where some memory of it is."""
    with open(f"/proc/{pid}/maps") as maps:
        return next(int(line.split("-")[1].split()[0], 16) - 64 for line in maps if "[stack]" in line)


class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def process_vm(name, pid):
    try:
        start = stack(pid)
    except OSError:
        start = 4096  # nothing there: EFAULT, if it gets so far
    byte = ctypes.create_string_buffer(1)
    local, remote = Vector(ctypes.addressof(byte), 1), Vector(start, 1)
    for one in ("process_vm_readv", name):
        call(one, pid, ctypes.byref(local), ctypes.c_ulong(1), ctypes.byref(remote), ctypes.c_ulong(1), ctypes.c_ulong(0))


def ptrace(pid):
    call("ptrace", ctypes.c_long(0x4206), ctypes.c_long(pid), ctypes.c_long(0), ctypes.c_long(0))  # PTRACE_SEIZE
    os._exit(0)  # it continues once its tracer has gone


def getfd(pid):
    handle = call("pidfd_open", pid, 0)
    call("pidfd_getfd", handle, 2, 0)


def connect():
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(find("control"))


def datagram_pair():
    address = os.path.join(os.environ["TMPDIR"], "bound")
    first, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    first.bind(address)
    os.unlink(address)


def bomb():
    """Until it is refused; all of them at once."""
    children = []
    try:
        for _ in range(200):
            pid = os.fork()
            if pid == 0:
                signal.pause()
            children.append(pid)
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def hoard():
    try:
        kept = bytearray(1 << 30)
        kept[::4096] = b"x" * len(kept[::4096])
    except MemoryError:
        raise OSError(errno.ENOMEM, "memory") from None


def outlive():
    """A process in a session of its own, that nobody waits for."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execvp("sh", ["sh", "-c", "sleep 3600; :", "leat-outlives", MATCH])
        os._exit(0)
    os.wait()


def namespace_by_clone():
    pid = call("clone", 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0)  # CLONE_NEWUSER
    if pid == 0:
        os._exit(0)


def no_new_privileges():
    with open("/proc/self/status") as status:
        if "NoNewPrivs:\t1" in status.read():
            raise OSError(errno.EPERM, "no_new_privs is set")


def environment(name):
    if name not in os.environ:
        raise OSError(errno.EACCES, "it is not there")


FILES = {
    "append-to-output": lambda: opened(find(".leat-tmp"), os.O_WRONLY | os.O_APPEND),
    "write-to-ledger": lambda: opened(find("ledger.db"), os.O_RDWR),
    "write-to-page": lambda: opened(find(".page"), os.O_RDWR),
    "new-in-runtime-folder": lambda: opened(find(".page") + ".new", os.O_WRONLY | os.O_CREAT),
}
ATTEMPTS = {
    "write-to-file": lambda: opened(victim("a"), os.O_WRONLY),
    "empty-file": lambda: opened(victim("a"), os.O_RDONLY | os.O_TRUNC),
    "truncate": lambda: os.truncate(victim("a"), 1),
    "new-file": lambda: opened(victim("new"), os.O_WRONLY | os.O_CREAT),
    "new-folder": lambda: os.mkdir(victim("new-folder")),
    "new-link": lambda: os.link(victim("a"), victim("link")),
    "new-symlink": lambda: os.symlink("a", victim("symlink")),
    "new-fifo": lambda: os.mkfifo(victim("fifo")),
    "rename": lambda: os.rename(victim("b"), victim("c")),
    "unlink": lambda: os.unlink(victim("d")),
    "chmod": lambda: os.chmod(victim("a"), 0o777),
    "chown": lambda: os.chown(victim("a"), os.getuid(), -1),
    "utime": lambda: os.utime(victim("a"), (1, 1)),
    "file-in-tmp": lambda: opened("/tmp", os.O_WRONLY | os.O_TMPFILE),
    "proc-mem": each(lambda pid: opened(f"/proc/{pid}/mem", os.O_RDWR)),
    "proc-root": each(lambda pid: os.listdir(f"/proc/{pid}/root/")),
    "proc-fd": each(lambda pid: os.stat(f"/proc/{pid}/fd/2")),
    "proc-cwd": each(lambda pid: os.listdir(f"/proc/{pid}/cwd/")),
    "proc-environ": each(lambda pid: opened(f"/proc/{pid}/environ", os.O_RDONLY)),
    "proc-maps": each(stack),
    "ptrace": each(ptrace),
    "process_vm_writev": each(lambda pid: process_vm("process_vm_writev", pid)),
    "pidfd_getfd": each(getfd),
    "kill": each(lambda pid: os.kill(pid, signal.SIGCONT)),
    "pidfd_send_signal": each(lambda pid: call("pidfd_send_signal", call("pidfd_open", pid, 0), 0, 0, 0)),
    "limits": each(lambda pid: resource.prlimit(pid, resource.RLIMIT_CORE, resource.prlimit(pid, resource.RLIMIT_CORE))),
    "priority": each(lambda pid: os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, pid))),
    "cores": each(lambda pid: os.sched_setaffinity(pid, os.sched_getaffinity(pid))),
    "connect": connect,
    "datagram-pair": datagram_pair,
    "shared-memory": lambda: call("shmctl", call("shmget", 0, 4096, 0o600), 0, None),
    "no-new-privileges": no_new_privileges,
    "secret": lambda: environment("LEAT_SECRET"),
    "fork-bomb": bomb,
    "memory": hoard,
}
# Refused to most users anyway, or by many machines.
MORE = {
    "user-namespace": lambda: call("unshare", 0x10000000),
    "namespace-by-clone": namespace_by_clone,
    "mount": lambda: call("mount", b"none", VICTIMS.encode(), b"no-such-file-system", 0, None),
    "chroot": lambda: os.chroot("/tmp"),
    "pivot_root": lambda: call("pivot_root", b"/", b"/"),
    "keyctl": lambda: call("keyctl", 0, -3, 1),
    "bpf": lambda: call("bpf", 0, 0, 0),
    "io_uring": lambda: call("io_uring_setup", 1, 0),
    "userfaultfd": lambda: call("userfaultfd", 0),
    "perf_event_open": lambda: call("perf_event_open", 0, 0, -1, -1, 0),
    "raw-socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "new-device": lambda: os.mknod(victim("device"), 0o20600, os.makedev(1, 3)),
    "set-user": lambda: os.setuid(65534) if os.getuid() == 0 else os.setuid(0),
}
ALL = {**FILES, **ATTEMPTS, **MORE}


def attempt(name):
    """In a process of its own: one that succeeds may change it."""
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            ALL[name]()
            result = "done"
        except OSError as error:
            result = errno.errorcode.get(error.errno, str(error))
        except BaseException as error:
            result = repr(error)
        os.write(into, result.encode())
        os._exit(0)
    os.close(into)
    with open(out) as file:
        result = file.read()
    os.waitpid(pid, 0)
    return result or "done"


def main():
    for line in sys.stdin:
        record = json.loads(line)
        if "try" in record:
            if record["try"] == "outlive":
                outlive()
                record["got"] = "done"
            else:
                record["got"] = attempt(record["try"])
            line = json.dumps(record) + "\n"
        print(line, end="", flush=True)


if __name__ == "__main__":
    main()
