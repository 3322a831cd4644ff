"""leat as a service: a Debian with systemd boots in a container, the package is installed there, and a NAS is mounted.

What needs the container skips loudly without root, debootstrap, systemd-container, and a NAS (sshfs.py). The first run makes
the Debian (a minute), below the build folder.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import faultfs
from harness import BIN, HOOKED, SANITIZED, Case, LoudCase

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "systemd"))

import disturb
import home
import test_sandbox

UNITS = Path(__file__).resolve().parents[2] / "systemd"
PROCESSOR = "leat-processor@reviews-7.service"

LEAVES_DAEMON = """
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp("sh", ["sh", "-c", "sleep 3600; :", "leat-outlives"])
    os._exit(0)
for line in sys.stdin:
    print(line, end="", flush=True)
"""

# Answers with what became of its attempts, and the names in its environment.
GIVEN = """
import json, os, socket, sys
def attempt(opens, *where):
    try:
        opens(*where).close()
        return "done"
    except OSError as error:
        return error.strerror
for line in sys.stdin:
    own = os.environ["TMPDIR"] + "/new"
    paths = ["/srv/cache/new", own, "/srv/other/new", "/run/leat/new", "/tmp/new"]
    results = {path.replace(own, "own"): attempt(open, path, "w") for path in paths}
    results["secrets"] = attempt(open, "/etc/leat/secrets")
    results["network"] = attempt(socket.create_connection, ("10.99.77.1", 2222), 20)
    print(json.dumps({"results": results, "names": sorted(os.environ)}), flush=True)
"""


class Generator(Case):
    """leat-generator, without systemd."""

    def dropins(self, **files):
        (self.folder / "etc/pipelines.d").mkdir(parents=True)
        for name, text in files.items():
            self.write(f"etc/pipelines.d/{name}.yaml", text)
        out = self.folder / "out"
        out.mkdir()
        done = subprocess.run([str(BIN / "leat-generator"), str(out), str(out), str(out), str(self.folder / "etc")],
                              stderr=subprocess.PIPE, text=True, check=True)
        return {path.parent.name: path.read_text() for path in out.glob("*/*.conf")}, done.stderr

    def config(self, name, command, **step):
        return json.dumps({"version": 1, "name": name, "source": {"paths": ["in.jsonl"]}, "sink": {"path": "/srv/out.jsonl"},
                           "process": {"steps": [{"exec": {"command": command, **step}}, {"drop": "/a"}]}})

    def bound(self, text):
        return [line.partition("=")[2] for line in text.splitlines() if line.startswith("BindReadOnlyPaths=")]

    def test_a_processor_is_shown_the_folder_of_its_pipeline_and_what_its_commands_name(self):
        found, said = self.dropins(one=self.config("one", ["python3", "/srv/a.py", "--model=/opt/m/", "../x.py", "b.py"]))
        self.assertEqual(said, "")
        self.assertEqual(len(found), 64)
        self.assertEqual(self.bound(found["leat-processor@one-63.service.d"]), sorted(
            ["-/opt/m", "-/srv/a.py", f"-{self.folder}/etc/pipelines.d", f"-{self.folder}/etc/x.py"]))

    def test_folders_that_a_program_may_write_to_are_bound_to_be_written(self):
        found, _ = self.dropins(one=self.config("one", ["cat"], write=["/srv/cache", "/usr/lib", "cache"]))
        lines = found["leat-processor@one-0.service.d"].splitlines()
        self.assertEqual([line for line in lines if line.startswith("BindPaths=")],
                         [f"BindPaths=-{folder}" for folder in sorted(["/srv/cache", f"{self.folder}/etc/pipelines.d/cache"])])

    def test_what_would_undo_the_sandbox_is_not_bound(self):
        found, _ = self.dropins(one=self.config("one", ["/usr/bin/python3", "/", "/proc/1/root", "/etc/../run/dbus", "//"]))
        self.assertEqual(self.bound(found["leat-processor@one-0.service.d"]), [f"-{self.folder}/etc/pipelines.d"])

    def test_a_virtual_environment_is_bound_whole(self):
        self.write("venv/pyvenv.cfg", "")
        found, _ = self.dropins(one=self.config("one", [str(self.folder / "venv/bin/python"), "a.py"]))
        self.assertIn(f"-{self.folder}/venv", self.bound(found["leat-processor@one-0.service.d"]))

    def test_a_bad_pipeline_costs_only_itself_and_one_without_programs_has_no_dropin(self):
        found, said = self.dropins(bad="version: [", two=self.config("two", ["cat"]), three=self.config("two", ["cat"]),
                                   plain='{version: 1, name: plain, source: {paths: [a]}, sink: {path: b}}')
        self.assertEqual({name.split("-")[1] for name in found}, {"processor@two"})
        self.assertIn("bad.yaml:2:1: not valid YAML", said)
        self.assertIn("two.yaml: another file has a pipeline named two", said)

    def test_a_name_with_odd_characters_is_escaped_and_one_that_cannot_be_is_left_out(self):
        found, _ = self.dropins(one=self.config("one", ["cat", "/srv/a b:c%d", "/srv/\nExecStartPre=/bin/evil", "/srv/'q"]))
        text = found["leat-processor@one-0.service.d"]
        self.assertIn("-/srv/a\\ b\\:c%%d", self.bound(text))
        self.assertNotIn("evil", text)
        self.assertNotIn("'q", text)


class Units(LoudCase):
    def test_security_analysis_gives_each_unit_two_or_less(self):
        if shutil.which("systemd-analyze") is None:
            self.skipTest("systemd-analyze is missing (systemd)")
        if os.geteuid() != 0 and not os.path.isdir("/run/systemd"):
            self.skipTest("systemd-analyze wants /run/systemd, which only root may make")
        for unit in ("leatd.service", "leat-processor@.service"):
            done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20",
                                   str(UNITS / unit)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stdout[-2000:])


    def test_units_let_leat_confine_the_programs_of_exec_steps(self):
        """Not among @system-service of systemd 252: without them every exec step of a unit would be refused (78)."""
        for unit in ("leatd.service", "leat-processor@.service"):
            allowed = [word for line in (UNITS / unit).read_text().splitlines() if line.startswith("SystemCallFilter=")
                       for word in line.partition("=")[2].split()]
            self.assertLessEqual({"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp"}, set(allowed))


class Lint(LoudCase):
    def test_the_package_has_no_errors(self):
        if SANITIZED or shutil.which("lintian") is None or shutil.which("cpack") is None:
            self.skipTest("lintian is missing, or the build is no Release build")
        done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", str(home.pack())],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)


class Booted(LoudCase):
    """A machine for each test, with the package installed."""

    MEGABYTES, FILES = 8, 8

    def setUp(self):
        reason = "the package is made from the Release build" if SANITIZED else home.missing()
        if reason:
            self.skipTest(reason)
        folder = Path(tempfile.mkdtemp(prefix="leat-test-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        self.service = home.Service(folder, home.BUILD, self.MEGABYTES, self.FILES,
                                       say=lambda text: print("   ", text, file=sys.stderr, flush=True))
        self.addCleanup(self.service.close)
        self.addCleanup(self.show_story)
        self.machine = self.service.machine
        self.service.install()

    def show_story(self):
        """Of a test that failed."""
        outcome = self._outcome.result
        if any(test is self for test, _ in outcome.failures + outcome.errors) and self.machine.leader:
            print(self.service.story(), file=sys.stderr, flush=True)

    def enable(self, **more):
        self.service.configure(self.service.pipeline(**more))
        self.machine.systemctl("daemon-reload")
        self.machine.systemctl("enable", "--now", "mnt-nas.mount", "leatd")


class Package(Booted):
    MEGABYTES, FILES = 1, 1

    def test_units_are_right_and_nothing_is_started_by_installing(self):
        done = self.machine.run("systemd-analyze", "verify", "--man=no", "leatd.service", "leat.slice", PROCESSOR)
        self.assertEqual(done.stdout + done.stderr, "")
        self.assertEqual(self.machine.say("systemctl", "is-enabled", "leatd", check=False), "disabled")
        self.assertEqual(self.machine.show("leatd", "ActiveState"), "inactive")
        self.assertIn("drwxr-x--- 2 leat leat", self.machine.say("ls", "-ld", "/run/leat"))

    def test_remove_keeps_and_purge_takes_state_and_configuration(self):
        self.service.configure()
        self.machine.write("/var/lib/leat/reviews/ledger.db", "")
        self.machine.run("apt-get", "remove", "-y", "leat")
        self.assertTrue((self.machine.root / "etc/leat/pipelines.d/reviews.yaml").exists())
        self.assertTrue((self.machine.root / "var/lib/leat/reviews").exists())
        self.machine.run("apt-get", "purge", "-y", "leat")
        self.assertFalse((self.machine.root / "etc/leat").exists())
        self.assertFalse((self.machine.root / "var/lib/leat").exists())
        self.assertEqual(self.machine.say("systemctl", "list-unit-files", "leat*", "--no-legend", check=False), "")


class Sandbox(Booted):
    """With any program in the units' place."""

    MEGABYTES, FILES = 1, 1

    def setUp(self):
        super().setUp()
        for unit in ("leatd", "leat-processor@"):
            self.machine.write(f"/etc/systemd/system/{unit}.service.d/sleeps.conf",
                               "[Service]\nType=exec\nExecStart=\nExecStart=/usr/bin/sleep infinity\n")
        self.service.configure()
        self.machine.systemctl("daemon-reload")
        self.machine.systemctl("start", "mnt-nas.mount", "leatd", PROCESSOR)

    def inside(self, unit, *command):
        """As the unit sees it: its mounts and network, its user."""
        pid = self.machine.show(unit, "MainPID")
        user, group = self.machine.say("id", "-u", "leat"), self.machine.say("id", "-g", "leat")
        return self.machine.run("nsenter", "-t", pid, "-m", "-n", "-S", user, "-G", group, *command, check=False)

    def test_a_mount_that_goes_and_comes_is_seen_by_the_daemon_and_never_by_a_processor(self):
        self.service.give()
        for _ in range(2):
            self.assertEqual(self.inside("leatd", "ls", "/mnt/nas/in").stdout, "part-000.jsonl\n")
            self.assertNotEqual(self.inside(PROCESSOR, "ls", "/mnt").returncode, 0)
            self.machine.systemctl("stop", "mnt-nas.mount")
            self.assertEqual(self.inside("leatd", "ls", "/mnt/nas").stdout, "")
            self.machine.systemctl("start", "mnt-nas.mount")

    def test_a_processor_sees_programs_its_runtime_folder_and_what_its_pipeline_names(self):
        self.assertEqual(self.inside(PROCESSOR, "ls", "/srv/scripts", "/etc/leat").stdout.split(),
                         ["/etc/leat:", "pipelines.d", "/srv/scripts:", "pass.py"])
        self.assertEqual(self.inside(PROCESSOR, "ls", "/etc").stdout.split(), ["alternatives", "ld.so.cache", "leat"])
        for path in ("/srv/out", "/var/lib", "/etc/passwd", "/mnt", "/root/leat.deb", "/home/leat"):
            self.assertNotEqual(self.inside(PROCESSOR, "ls", path).returncode, 0, path)
        for path in ("/new", "/etc/new", "/srv/scripts/new", "/usr/new", "/run/new"):
            self.assertNotEqual(self.inside(PROCESSOR, "touch", path).returncode, 0, path)
        self.assertEqual(self.inside(PROCESSOR, "touch", "/run/leat/new", "/tmp/new").returncode, 0)
        leat = self.machine.say("id", "-u", "leat")  # with root the only user in its namespace
        map_of = {unit: self.machine.say("cat", f"/proc/{self.machine.show(unit, 'MainPID')}/uid_map").split()
                  for unit in (PROCESSOR, "leatd")}
        self.assertEqual(map_of[PROCESSOR], ["0", "0", "1", leat, leat, "1"])
        self.assertEqual(len(map_of["leatd"]), 3)


class Limits(Booted):
    """What a processor by unit may not do, and may not have."""

    MEGABYTES, FILES = 1, 1

    def test_a_processor_by_unit_that_tries_can_open_and_see_nothing_and_connect_to_nobody(self):
        tries = {"open /usr/bin/leat": "done", "open /srv/scripts/pass.py": "done", "open /etc/passwd": "No such file or directory",
                 "open /srv/out/reviews.dead": "No such file or directory", "see /mnt/nas": "No such file or directory",
                 "open /mnt/nas/in/tries.jsonl": "No such file or directory", "see /var/lib/leat": "No such file or directory",
                 "see /proc/1": "No such file or directory", "make /run/leat/new": "Permission denied",
                 "write /srv/scripts/pass.py": "Permission denied", "trace parent": "Operation not permitted",
                 "connect 10.99.77.1:2222": "Address family not supported by protocol"}
        shutil.copy(HOOKED / "leat-processor", self.machine.root / "usr/local/bin")
        self.machine.write("/etc/systemd/system/leat-processor@.service.d/hooks.conf", "[Service]\nEnvironment=LEAT_TEST_HOOKS=1\n"
                           "ExecStart=\nExecStart=/usr/local/bin/leat-processor --unit %i\n")
        self.enable(process={"workers": 0})
        self.machine.systemctl("start", PROCESSOR)
        (self.service.nas.files / "in" / "tries.jsonl").write_text(
            "".join(json.dumps({"score": 0, "leat_test": f"processor {what}"}, separators=(",", ":")) + "\n" for what in tries))
        out = self.service.out() / "tries.jsonl"
        self.service.wait(out.exists, "the records that try are through")
        said = [line.removeprefix("test-hook ") for line in self.machine.journal("-u", PROCESSOR).splitlines() if "test-hook" in line]
        self.assertEqual(said, [f"{what.replace(' ', '=')} result={result}" for what, result in tries.items()])

    def test_a_hostile_program_of_an_exec_step_is_refused_everything_in_a_unit_and_in_leatd(self):
        shutil.copy(test_sandbox.HOSTILE, self.machine.root / "srv/scripts/hostile.py")
        self.machine.run("install", "-d", "-o", "leat", "/run/leat/victims")
        for name in "abd":
            self.machine.run("install", "-o", "leat", "/dev/null", f"/run/leat/victims/{name}")
        self.enable(process={"workers": 0, "steps": [{"exec": {
            "command": ["python3", "/srv/scripts/hostile.py", "/run/leat", "leat"], "processes": 20, "memory": "256MiB"}}]})
        names = ["write-to-page", "new-in-runtime-folder", *test_sandbox.ATTEMPTS, *test_sandbox.MORE]
        records = [{"score": 0, "try": name} for name in names] + [{"score": 0, "n": n} for n in range(100)]
        for where in self.both():
            (self.service.nas.files / "in" / f"{where}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
            out = self.service.out() / f"{where}.jsonl"
            self.service.wait(out.exists, f"the records that try are through in {where}", 120)
            got = [json.loads(line) for line in out.read_text().splitlines()]
            results = {record["try"]: record.pop("got") for record in got if "try" in record}
            self.assertEqual(got, records)
            self.assertEqual({name: result for name, result in results.items()
                              if result not in test_sandbox.REFUSED | {"EAFNOSUPPORT", "ENOENT"}}, {})
            self.assertEqual(self.machine.run("ls", "/run/leat/victims").stdout.split(), ["a", "b", "d"])

    def test_a_program_has_what_its_step_and_dropins_name_in_a_unit_and_in_leatd(self):
        self.machine.run("install", "-d", "-o", "leat", "/srv/cache", "/srv/other")
        self.machine.write("/etc/leat/secrets", "LEAT_SECRET=named\nLEAT_OTHER=not named\n", mode=0o600)
        for unit in ("leatd", "leat-processor@"):
            self.machine.write(f"/etc/systemd/system/{unit}.service.d/more.conf",
                               "[Service]\nEnvironmentFile=/etc/leat/secrets\nPrivateNetwork=no\nIPAddressDeny=\n"
                               "RestrictAddressFamilies=AF_INET AF_INET6\n")
        self.machine.write("/srv/scripts/given.py", GIVEN)
        self.enable(process={"workers": 0, "steps": [{"exec": {
            "command": ["python3", "/srv/scripts/given.py"], "write": ["/srv/cache"], "env": ["LEAT_SECRET"]}}]})
        for where in self.both():
            (self.service.nas.files / "in" / f"{where}.jsonl").write_text('{"score": 0}\n')
            out = self.service.out() / f"{where}.jsonl"
            self.service.wait(out.exists, f"the record is through in {where}")
            given = json.loads(out.read_text())
            unseen = "No such file or directory" if where == "unit" else "Permission denied"
            refused = "Permission denied"
            self.assertEqual(given["results"], {"/srv/cache/new": "done", "own": "done", "/srv/other/new": unseen,
                                                "/run/leat/new": refused, "/tmp/new": refused, "secrets": unseen,
                                                "network": "done"})
            self.assertIn("LEAT_SECRET", given["names"])
            self.assertLessEqual(set(given["names"]), {"LEAT_SECRET", "TMPDIR", "PATH", "HOME", "USER", "LOGNAME", "SHELL",
                                                       "LANG", "LC_ALL", "LC_CTYPE"})

    def both(self):
        """Names where the one processor runs, after it was moved there."""
        self.machine.systemctl("start", PROCESSOR)
        self.service.joined(1)
        yield "unit"
        self.machine.systemctl("stop", PROCESSOR)
        self.machine.run("leat", "scale", "reviews", "processor", "1")
        yield "leatd"

    def test_nothing_of_a_program_stays_when_its_unit_or_leatd_is_killed(self):
        self.machine.write("/srv/scripts/daemon.py", LEAVES_DAEMON)
        self.enable(process={"workers": 0, "steps": [{"exec": {"command": ["python3", "/srv/scripts/daemon.py"]}}]})
        for where in self.both():
            unit = PROCESSOR if where == "unit" else "leatd"
            self.service.wait(lambda: self.daemons() != [], f"a daemon of a program of {unit}")
            before = self.daemons()
            self.machine.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", unit)
            self.service.wait(lambda: not set(before) & set(self.daemons()), f"it is gone with {unit}")

    def daemons(self):
        return self.machine.run("pgrep", "-f", "leat-outlives", check=False).stdout.split()

    def test_a_processor_that_needs_more_memory_than_it_may_have_is_survived(self):
        self.machine.write(f"/etc/systemd/system/{PROCESSOR}.d/memory.conf", "[Service]\nMemoryMax=12M\nMemorySwapMax=0\nRestart=no\n")
        self.enable(process={"workers": 1, "steps": [{"length": {"from": "/text", "to": "/n"}}]}, limits={"memory": "64MiB"})
        self.machine.systemctl("start", PROCESSOR)
        self.service.joined(1)
        record = json.dumps({"score": 0, "text": "x" * 9_000_000}, separators=(",", ":"))
        for n in range(10):  # until one was dealt to it
            (self.service.nas.files / "in" / f"huge-{n}.jsonl").write_text(record + "\n")
            out = self.service.out() / f"huge-{n}.jsonl"
            self.service.wait(out.exists, f"{out.name} is through")
            self.assertEqual(out.read_text(), record[:-1] + ',"n":9000000}\n')
            if self.machine.show(PROCESSOR, "ActiveState") != "active":
                break
        result = self.machine.show(PROCESSOR, "Result")  # with cgroups of version 1 systemd sees just the signal
        self.assertTrue(result == "oom-kill" or result == "signal" and self.service.oom_kills() != [], result)
        self.assertTrue(self.service.is_running())


class Disturbed(Booted):
    """The service in bad years."""

    MEGABYTES, FILES = 60, 32

    def test_whatever_is_done_to_it_the_outputs_are_those_of_an_undisturbed_run(self):
        self.machine.write("/etc/systemd/system/leat.slice.d/memory.conf", "[Slice]\nMemoryMax=128M\n")
        self.machine.write("/etc/systemd/system/leatd.service.d/watchdog.conf", "[Service]\nWatchdogSec=10s\n")
        self.enable()
        disturb.Disturbances(self.service).run()
        self.assertIn(self.service.oom_kills(), ([], None))
        self.tells_a_story(self.service.story(5000))

    def tells_a_story(self, journal):
        """Each thing that happened is in it, by its name, and nothing is said again and again."""
        for event in ("leatd-starts", "leatd-ready", "worker-joined", "worker-died", "worker-left", "reload", "pool-scaled",
                      "leatd-stops"):
            self.assertIn(f" {event}", journal)
        self.assertLess(len(journal.splitlines()), 1500)


if __name__ == "__main__":
    faultfs.main()
