"""A real NAS: sshd in a network namespace of its own, its link limited by tc tbf, mounted by sshfs.

Needs root, network namespaces and FUSE, and Debian's openssh-server, sshfs and iproute2; skips loudly without.
"""
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

TOOLS = ("sshd", "sshfs", "ssh-keygen", "ip", "tc", "nsenter", "fusermount3")
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def tool(name):
    return shutil.which(name, path=PATH)


def run(*command):
    subprocess.run([tool(command[0]), *command[1:]], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def missing():
    """Why it cannot be used here; None: it can."""
    for name in TOOLS:
        if tool(name) is None:
            return f"{name} is missing (openssh-server, sshfs, iproute2, util-linux, fuse3)"
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse cannot be opened"
    name = f"leat-try-{os.getpid()}"
    if subprocess.run([tool("ip"), "netns", "add", name], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        return "network namespaces cannot be made"
    run("ip", "netns", "del", name)
    return None


class Nas:
    """`files` is the folder on the server, `path` where it is mounted."""

    def __init__(self, folder, megabits=400):
        self.folder, self.megabits = Path(folder), megabits
        self.files, self.path = self.folder / "nas.files", self.folder / "nas"
        self.files.mkdir()
        self.path.mkdir()
        self.server, self.client = f"leat-nas-{os.getpid()}", f"leat-host-{os.getpid()}"
        self.sshd = self.sshfs = None
        # A short path: control sockets and sshd's checks want one that only root may write to.
        self.private = Path(tempfile.mkdtemp(prefix="leat-ssh-"))

    def start(self):
        for name in (self.server, self.client):
            run("ip", "netns", "add", name)
        run("ip", "link", "add", "nas0", "netns", self.server, "type", "veth", "peer", "name", "host0", "netns", self.client)
        for name, device, address in ((self.server, "nas0", "10.99.77.1/30"), (self.client, "host0", "10.99.77.2/30")):
            self.inside(name, "ip", "address", "add", address, "dev", device)
            self.inside(name, "ip", "link", "set", device, "up")
            self.inside(name, "ip", "link", "set", "lo", "up")
        self.inside(self.server, "tc", "qdisc", "add", "dev", "nas0", "root", "tbf", "rate", f"{self.megabits}mbit",
                    "burst", "64kb", "latency", "50ms")
        for key in ("host", "user"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.private / key))
        (self.private / "sshd_config").write_text(f"""
Port 2222
ListenAddress 10.99.77.1
HostKey {self.private}/host
AuthorizedKeysFile {self.private}/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
""")
        self.start_server()
        self.mount()
        return self

    def inside(self, namespace, *command):
        run("nsenter", f"--net=/run/netns/{namespace}", tool(command[0]), *command[1:])

    def start_server(self):
        Path("/run/sshd").mkdir(exist_ok=True)
        self.sshd = subprocess.Popen(
            [tool("nsenter"), f"--net=/run/netns/{self.server}", tool("sshd"), "-D", "-e", "-f",
             str(self.private / "sshd_config")],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    def kill_server(self):
        """With every session: as when the power of the NAS fails."""
        self.kill_in(self.server)
        self.sshd.wait()

    def kill_in(self, namespace):
        for pid in self.pids_in(namespace):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    @staticmethod
    def pids_in(namespace):
        found = subprocess.run([tool("ip"), "netns", "pids", namespace], stdout=subprocess.PIPE, text=True, check=True)
        return [int(pid) for pid in found.stdout.split()]

    def mount(self):
        options = (f"reconnect,ServerAliveInterval=1,ServerAliveCountMax=2,ConnectTimeout=2,port=2222,IdentityFile={self.private}/user,"
                   "StrictHostKeyChecking=no,UserKnownHostsFile=/dev/null,GlobalKnownHostsFile=/dev/null,LogLevel=ERROR")
        deadline = time.monotonic() + 30
        while True:
            self.sshfs = subprocess.Popen(
                [tool("nsenter"), f"--net=/run/netns/{self.client}", tool("sshfs"), "-f", "-o", options,
                 f"root@10.99.77.1:{self.files}", str(self.path)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                start_new_session=True)
            while self.sshfs.poll() is None and not os.path.ismount(self.path):
                time.sleep(0.02)
            if self.sshfs.poll() is None:
                return
            error = self.sshfs.stderr.read().decode(errors="replace")
            self.sshfs.stderr.close()
            if time.monotonic() > deadline:
                raise RuntimeError(f"sshfs: {error}")
            time.sleep(0.1)  # sshd is not listening yet

    def stop(self):
        subprocess.run([tool("fusermount3"), "-uqz", str(self.path)], check=False)
        if self.sshfs is not None:
            self.sshfs.terminate()
            self.sshfs.wait()
            self.sshfs.stderr.close()
        for name in (self.client, self.server):
            self.kill_in(name)
        if self.sshd is not None:
            self.sshd.wait()
        for name in (self.client, self.server):
            subprocess.run([tool("ip"), "netns", "del", name], check=False)
        shutil.rmtree(self.private, ignore_errors=True)


def mount(case, **options):
    """A NAS in the case's folder that goes when the case ends; skips the case where that is not possible."""
    if reason := missing():
        case.skipTest(reason)
    nas = Nas(case.folder, **options)
    case.addCleanup(nas.stop)
    return nas.start()
