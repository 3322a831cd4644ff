"""The machine that is measured on, and the folders that a measurement uses."""
import contextlib
import datetime
import os
import platform
import pwd
import shutil
import sys
import tempfile


def cores():
    return len(os.sched_getaffinity(0))


def field(path, key):
    """What stands after `key` and a separator in the first such line of a file."""
    try:
        with open(path) as file:
            for line in file:
                if line.startswith(key):
                    return line[len(key):].strip().lstrip(":=").strip().strip('"')
    except OSError:
        pass
    return "unknown"


def describe():
    """Lines of Markdown."""
    memory = field("/proc/meminfo", "MemTotal").split()[0]
    return [
        f"- {cores()} cores, {field('/proc/cpuinfo', 'model name')}, {int(memory) / 2**20:.0f} GiB of memory",
        f"- Linux {platform.release()}, {field('/etc/os-release', 'PRETTY_NAME')}",
        f"- {datetime.date.today().isoformat()}, load average at the start {os.getloadavg()[0]:.2f}",
    ]


def warn_if_busy():
    if os.getloadavg()[0] > 0.5 * cores():
        print(f"bench: others use this machine (load average {os.getloadavg()[0]:.1f}): compare within this run only", file=sys.stderr)


@contextlib.contextmanager
def work_folder(parent, needed_bytes):
    """A folder under `parent` with room for so much; it is gone afterwards, whatever happens."""
    os.makedirs(parent, exist_ok=True)
    free = shutil.disk_usage(parent).free
    if free < needed_bytes:
        sys.exit(f"bench: {parent} has {free / 1e6:.0f} MB free, {needed_bytes / 1e6:.0f} MB are needed: give another folder with --work")
    folder = tempfile.mkdtemp(prefix=f"leat-bench-{pwd.getpwuid(os.getuid()).pw_name}-", dir=parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
