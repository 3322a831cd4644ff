"""A Debian of its own that boots: made by debootstrap once, copied for each test, run by systemd-nspawn.

Needs root, and Debian's debootstrap and systemd-container; `missing()` says why it cannot be used.
"""
import hashlib
import os
import platform
import shutil
import signal
import subprocess
import time
from pathlib import Path

TOOLS = ("debootstrap", "systemd-nspawn", "nsenter")
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
PACKAGES = ("systemd", "systemd-sysv", "dbus", "sshfs", "openssh-client", "iproute2", "procps", "python3", "zstd")
CGROUPS = Path("/sys/fs/cgroup")
# nspawn of systemd 252 forbids them in a container, a machine has them.
CONFINES = "landlock_create_ruleset landlock_add_rule landlock_restrict_self"

# On a host with cgroups of version 1 nspawn mounts the controllers read-only, and no limit of a unit would hold.
INIT = """#!/bin/sh
force=
while read -r _ path type options _; do
  [ "$type" = cgroup ] || continue
  force=SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1  # since 256 it asks for that where this machine has cgroup v1
  case "$options" in
    *name=*) ;;
    ro,*) umount "$path" && mount -t cgroup -o "nosuid,nodev,noexec,${path##*/}" cgroup "$path" ;;
  esac
done </proc/self/mounts
exec /lib/systemd/systemd $force
"""


class Broken(Exception):
    pass


def tool(name):
    return shutil.which(name, path=PATH)


def missing():
    if os.geteuid() != 0:
        return "only root boots a container"
    for name in TOOLS:
        if tool(name) is None:
            return f"{name} is missing (debootstrap, systemd-container)"
    return None


def mirror():
    """The archive that this machine installs from, and its suite: the package was built here."""
    listed = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"],
                            stdout=subprocess.PIPE, text=True, check=True).stdout
    for uri, suite, component in map(str.split, listed.splitlines()):
        if component == "main" and suite == platform.freedesktop_os_release()["VERSION_CODENAME"]:
            return uri, suite
    raise Broken("apt's sources do not have this Debian")


def bare_root(cache, package):
    """The folder of a Debian with PACKAGES and what `package` depends on, so that apt installs it there without a network.

    Made when it is not there yet (a minute)."""
    depends = subprocess.run(["dpkg-deb", "-f", str(package), "Depends"], stdout=subprocess.PIPE, text=True, check=True).stdout
    root = Path(cache) / ("debian-" + hashlib.sha256(" ".join([*PACKAGES, depends]).encode()).hexdigest()[:8])
    if root.exists():
        return root
    part, log = root.with_suffix(".part"), root.with_suffix(".log")
    for left in Path(cache).glob("debian-*"):
        if left.is_dir():
            shutil.rmtree(left)
    part.mkdir(parents=True)
    uri, suite = mirror()

    def make(*command):
        with open(log, "ab") as out:
            done = subprocess.run([tool(command[0]), *command[1:]], stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False,
                                  env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"))
        if done.returncode != 0:
            raise Broken(f"{command[0]} failed, see {log}")

    make("debootstrap", "--no-check-gpg", "--variant=minbase", f"--include={','.join(PACKAGES)}", suite, str(part), uri)
    for name in ("apt.conf.d", "sources.list.d"):
        if (Path("/etc/apt") / name).is_dir():
            shutil.copytree(Path("/etc/apt") / name, part / "etc/apt" / name, dirs_exist_ok=True)
    (part / "etc/apt/sources.list").unlink(missing_ok=True)
    if os.path.exists("/etc/apt/sources.list"):
        shutil.copy("/etc/apt/sources.list", part / "etc/apt/sources.list")
    (part / "etc/dpkg/dpkg.cfg.d/no-fsync").write_text("force-unsafe-io\n")
    make("chroot", str(part), "apt-get", "update")
    make("chroot", str(part), "apt-get", "satisfy", "-y", "--no-install-recommends", depends.strip())
    shutil.rmtree(part / "var/cache/apt", ignore_errors=True)
    part.rename(root)
    return root


class Cgroup:
    """One of our own in each hierarchy, below where we are: systemd in the container takes the top it sees for its own."""

    def __init__(self, name):
        self.folders = []
        if Path("/run/systemd/system").is_dir():
            return  # this host's systemd gives the container its scope
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            mount = CGROUPS / (controllers.removeprefix("name=") or "unified")
            if not controllers and not mount.is_dir():
                mount = CGROUPS
            folder = mount / path.lstrip("/") / name
            if not (folder.parent / "cgroup.procs").exists():
                continue
            folder.mkdir(exist_ok=True)
            if controllers == "cpuset":
                for item in ("cpuset.cpus", "cpuset.mems"):
                    (folder / item).write_text((folder.parent / item).read_text())
                (folder / "cgroup.clone_children").write_text("1")
            self.folders.append(folder)

    def memory(self):
        return next((folder for folder in self.folders if folder.is_relative_to(CGROUPS / "memory")), None)

    def enter(self):
        for folder in self.folders:
            (folder / "cgroup.procs").write_text(str(os.getpid()))

    def remove(self):
        deadline = time.monotonic() + 10
        for top in self.folders:
            for path, _, _ in os.walk(top, topdown=False):
                while True:
                    try:
                        os.rmdir(path)
                        break
                    except OSError:
                        if time.monotonic() > deadline:
                            break
                        time.sleep(0.05)


class Machine:
    """`namespace`: the network namespace that is its network. `shared`: folders of the host it sees, by their path there.

    `package` is a .deb: /root/leat.deb."""

    def __init__(self, folder, cache, package, namespace, shared=None):
        self.name = f"leat-test-{os.getpid()}"
        self.namespace, self.shared = namespace, dict(shared or {})
        self.root = Path(folder) / "root"
        self.console = Path(folder) / "console.log"
        self.nspawn = self.leader = None
        subprocess.run(["cp", "-a", "--reflink=auto", str(bare_root(cache, package)), str(self.root)], check=True)
        shutil.copy(package, self.root / "root/leat.deb")
        self.write("/sbin/leat-test-init", INIT, mode=0o755)
        self.write("/etc/hostname", "leat-test\n")
        self.write("/etc/machine-id", hashlib.sha256(self.name.encode()).hexdigest()[:32] + "\n")
        (self.root / "var/log/journal").mkdir(exist_ok=True)  # the journal is to outlive a boot
        self.cgroup = Cgroup(self.name)

    def write(self, path, text, mode=0o644):
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        return file

    def boot(self, seconds=60):
        keep = ["--keep-unit"] if self.cgroup.folders else []
        binds = [f"--bind-ro={host}:{inside}" for inside, host in self.shared.items()]
        with open(self.console, "ab") as out:
            self.nspawn = subprocess.Popen(
                [tool("systemd-nspawn"), "--quiet", "-D", str(self.root), f"--machine={self.name}", "--register=no", *keep,
                 "--bind=/dev/fuse", f"--network-namespace-path=/run/netns/{self.namespace}", *binds, "--console=pipe",
                 f"--system-call-filter={CONFINES}", "--kill-signal=SIGRTMIN+3", "/sbin/leat-test-init"],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, preexec_fn=self.cgroup.enter)
        deadline = time.monotonic() + seconds
        while not (self.find_leader() and self.state() in ("running", "degraded")):
            if self.nspawn.poll() is not None or time.monotonic() > deadline:
                raise Broken(f"the container did not boot: {self.console.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)
        return self

    def find_leader(self):
        """nspawn's child that is PID 1 inside."""
        try:
            children = Path(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children").read_text().split()
            self.leader = next((int(pid) for pid in children
                                if "\nNSpid:\t%s\t1\n" % pid in Path(f"/proc/{pid}/status").read_text()), None)
        except OSError:
            self.leader = None
        return self.leader

    def state(self):
        return self.run("systemctl", "is-system-running", check=False).stdout.strip()

    def run(self, *command, check=True, seconds=120, text=True, **more):
        """In the container, as root; its output. With check: raises when it fails."""
        done = subprocess.run([tool("nsenter"), "-t", str(self.leader), "-a", *map(str, command)], check=False,
                              timeout=seconds, stdin=more.pop("stdin", subprocess.DEVNULL), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=text, **more)
        if check and done.returncode != 0:
            raise Broken(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def say(self, *command, **more):
        return self.run(*command, **more).stdout.strip()

    def systemctl(self, *arguments, **more):
        return self.run("systemctl", "--no-pager", *arguments, **more)

    def show(self, unit, what):
        return self.systemctl("show", "--value", "-p", what, unit).stdout.strip()

    def journal(self, *arguments):
        return self.run("journalctl", "--no-pager", "-q", "-o", "cat", *arguments, check=False).stdout

    def cut_power(self):
        """At once, as when the cable is pulled; but what was written stays, with or without fsync."""
        if self.leader is not None:
            os.kill(self.leader, signal.SIGKILL)
        if self.nspawn is not None:
            try:
                self.nspawn.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.nspawn.kill()
                self.nspawn.wait()
        self.nspawn = self.leader = None

    def close(self):
        self.cut_power()
        self.cgroup.remove()
