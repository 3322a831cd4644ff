"""A child of an exec step that tries to get out of its sandbox (hostile.py), and what ordinary children can rely on."""

import ctypes
import errno
import json
import os
import signal
import sys
import tempfile
import unittest
from pathlib import Path

from harness import Case, lines
from leatd import LeatdCase

HOSTILE = Path(__file__).with_name("hostile.py")
REFUSED = {errno.errorcode[number] for number in (errno.EPERM, errno.EACCES, errno.EAGAIN, errno.ENOMEM, errno.ENOSYS)}
SECRET = {"LEAT_SECRET": "of somebody else"}


def names():
    """What hostile.py tries, by the names of its tables."""
    argv, sys.argv = sys.argv, ["hostile.py", "", ""]
    try:
        sys.path.insert(0, str(HOSTILE.parent))
        import hostile
        return list(hostile.FILES), list(hostile.ATTEMPTS), list(hostile.MORE)
    finally:
        sys.argv = argv


FILES, ATTEMPTS, MORE = names()
# Of Landlock in this kernel, as landlock_create_ruleset(LANDLOCK_CREATE_RULESET_VERSION) says.
LANDLOCK = ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1)
NEVER = set() if LANDLOCK >= 3 else {"truncate", "empty-file"}  # what an older one cannot allow for a folder
LIMITED = {"memory", "secret"}  # not by the sandbox
if os.path.exists("/proc/sys/kernel/yama/ptrace_scope") and os.geteuid() != 0:
    LIMITED |= {"ptrace"}


class Attempts:
    """Mixed into a case with a folder and a runtime folder."""

    def victims(self):
        for name in "abd":
            self.write(f"victims/{name}", "victim")

    def step(self, **more):
        return {"exec": {"command": ["python3", str(HOSTILE), str(self.folder), str(self.folder)], "timeout": "1m",
                         "processes": 20, "memory": "256MiB", **more}}

    def records(self):
        """Enough of them before the first attempt for an output to be there."""
        plain = [{"n": n, "text": "x" * 100} for n in range(2000)]
        attempts = [{"n": 2000 + n, "try": name} for n, name in enumerate([*FILES, *ATTEMPTS, *MORE, "outlive"])]
        return [*plain, *attempts, *({"n": 3000 + n} for n in range(500))]

    def results(self, output):
        """Name -> what came of it. Every other record is as it was, in its place."""
        got = [json.loads(line) for line in output.splitlines()]
        results = {record["try"]: record.pop("got") for record in got if "try" in record}
        self.assertEqual(got, self.records())
        return results

    def assertHeld(self, output):
        results = self.results(output)
        self.assertEqual(results.pop("outlive"), "done")
        self.assertGreaterEqual(len(results), 40)
        self.assertEqual({name: got for name, got in results.items() if got not in REFUSED}, {})
        self.assertEqual(sorted(path.name for path in (self.folder / "victims").iterdir()), ["a", "b", "d"])
        self.assertEqual((self.folder / "victims/a").read_text(), "victim")


@unittest.skipIf(LANDLOCK < 1, "this kernel has no Landlock")
class Run(Attempts, Case):
    def setUp(self):
        super().setUp()
        self.victims()
        self.write("in.jsonl", lines(self.records()))

    def test_each_attempt_is_refused_and_the_pipeline_goes_on(self):
        self.pipeline(steps=[self.step()], workers=1)
        run = self.run_pipeline(env=SECRET)
        self.assertHeld(run.output())
        self.assertEqual(run.dead(), [])

    def test_without_the_sandbox_the_same_attempts_succeed(self):
        self.pipeline(steps=[self.step()], workers=1)
        run = self.run_pipeline(env={"LEAT_SANDBOX": "off", **SECRET})
        results = self.results(run.output())
        self.assertEqual({name: results[name] for name in [*FILES, *ATTEMPTS] if name not in LIMITED and results[name] != "done"}, {})
        self.assertIn("LEAT_SANDBOX=off", run.stderr)

    def test_keys_of_the_step_open_what_they_name(self):
        self.pipeline(steps=[self.step(write=["victims"], allow=["unix_sockets", "file_attributes"], env=["LEAT_SECRET"],
                                       processes=1000)], workers=1)
        results = self.results(self.run_pipeline(env=SECRET).output())
        opened = {name for name, got in results.items() if got == "done"}
        self.assertEqual(opened | NEVER, {"write-to-file", "empty-file", "truncate", "new-file", "new-folder", "new-link", "new-symlink",
                                  "new-fifo", "rename", "unlink", "chmod", "chown", "utime", "connect", "datagram-pair", "secret",
                                  "fork-bomb", "outlive"})


@unittest.skipIf(LANDLOCK < 1, "this kernel has no Landlock")
class Leatd(Attempts, LeatdCase):
    def test_under_leatd_each_attempt_is_refused_and_the_pipeline_goes_on(self):
        self.victims()
        self.pipeline(process={"workers": 1, "steps": [self.step()]})
        self.start_leatd(**SECRET)
        self.feed("a.jsonl", lines(self.records()))
        self.until(lambda: self.output("a.jsonl") is not None, "the output")
        self.assertHeld(self.output("a.jsonl"))
        self.assertEqual(self.stop_leatd(), 0)
        self.assertEqual(self.processes(), {})


class Children(Case):
    """What stays of them, and what they are given."""

    def child(self, body, records=3, **step):
        self.write("child.py", "import json, os, sys, time\nfor line in sys.stdin:\n    record = json.loads(line)\n    "
                   + "\n    ".join(body.splitlines()) + "\n    print(json.dumps(record), flush=True)\n")
        self.write("in.jsonl", lines({"n": n} for n in range(records)))
        self.pipeline(steps=[{"exec": {"command": ["python3", str(self.folder / "child.py")], **step}}], workers=1)

    DAEMON = ("if record['n'] == 0 and os.fork() == 0:\n"
              "    os.setsid()\n"
              "    if os.fork() == 0:\n"
              "        os.close(0); os.close(1); os.close(2)\n"
              "        os.execvp('sh', ['sh', '-c', 'sleep 3600; :', 'leat-outlives', sys.argv[0]])\n"
              "    os._exit(0)\n")

    def daemons(self):
        return [pid for pid, command in self.processes().items() if "leat-outlives" in command]

    def test_what_a_child_leaves_behind_ends_with_it(self):
        self.child(self.DAEMON)
        run = self.run_pipeline()  # asserts that no process is left
        self.assertEqual(len(run.output().splitlines()), 3)

    def test_whoever_is_killed_nothing_of_a_child_stays(self):
        for victim in ("leat", "leat-processor", "child.py"):
            with self.subTest(victim=victim):
                self.child(self.DAEMON + "elif record['n'] == 2:\n    open('started', 'w').close()\n    time.sleep(3600)\n",
                           write=[str(self.folder)], timeout="1h")
                (self.folder / "started").unlink(missing_ok=True)
                run = self.start_pipeline("--fresh", "--force")
                self.until((self.folder / "started").exists, "the child is at its last record", run=run)
                self.until(self.daemons, "the daemon runs")
                pid = run.pid if victim == "leat" else next(
                    pid for pid, command in self.processes().items() if any(word.endswith(victim) for word in command[:2]))
                os.kill(pid, signal.SIGKILL)
                self.until(lambda: not self.daemons(), "the daemon is gone") if victim != "leat" else None
                run.kill()
                run.wait()
                self.until(lambda: self.processes() == {}, "everything is gone")

    def test_a_child_that_is_refused_processes_lives_on(self):
        self.child("try:\n    while True: os.fork() or time.sleep(3600)\nexcept OSError as error: record['errno'] = error.errno",
                   records=2, processes=10)
        run = self.run_pipeline()
        self.assertEqual([json.loads(line)["errno"] for line in run.output().splitlines()], [errno.EAGAIN] * 2)

    def test_threads_count_and_those_that_have_ended_do_not(self):
        self.child("import threading\n"
                   "for _ in range(30):\n    thread = threading.Thread(target=lambda: None); thread.start(); thread.join()\n"
                   "kept, stop = [], threading.Event()\n"
                   "try:\n    while True: kept.append(threading.Thread(target=stop.wait)); kept[-1].start()\n"
                   "except RuntimeError: record['threads'] = len(kept)\n"
                   "stop.set()\n"
                   "for thread in kept[:-1]: thread.join()\n", processes=12)
        run = self.run_pipeline()
        for line in run.output().splitlines():  # 11, and the one refused; one that is just ending may be counted
            self.assertIn(json.loads(line)["threads"], (11, 12))

    def test_its_folder_is_gone_after_it_whatever_it_left_there(self):
        self.child("temp = os.environ['TMPDIR']\nopen(temp + '/file', 'w').close()\n"
                   "if not os.path.exists(temp + '/dark'):\n    os.mkdir(temp + '/dark', 0o300)\n    open(temp + '/dark/x', 'w').close()\n"
                   "record['temp'] = temp")
        run = self.run_pipeline()
        temps = {json.loads(line)["temp"] for line in run.output().splitlines()}
        (temp,) = temps
        self.assertTrue(temp.startswith(tempfile.gettempdir() + "/leat-exec-"))
        self.assertFalse(os.path.exists(temp))

    def test_its_environment_is_small_and_what_env_says(self):
        self.child("record['env'] = dict(os.environ)", records=1, env=["PASSED", "ABSENT", {"SET": "a=b c"}])
        run = self.run_pipeline(env={"PASSED": "p", "OTHER": "o", "LEAT_SECRET": "s", "LC_TIME": "C"})
        (record,) = map(json.loads, run.output().splitlines())
        env = record["env"]
        self.assertEqual((env["PASSED"], env["SET"], env["LC_TIME"]), ("p", "a=b c", "C"))
        # Where python3 is a script of pyenv, that adds some of its own.
        env = {name: value for name, value in env.items() if "PYENV" not in name}
        known = {"PWD", "SHLVL", "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TERM", "TMPDIR", "PASSED", "SET"}
        self.assertEqual({name for name in env if name not in known and not name.startswith("LC_")}, set())

    def test_a_folder_to_write_to_that_is_missing_is_said(self):
        self.child("pass", write=["nowhere"])
        run = self.run_pipeline(code=78)
        self.assertIn(f"write: {self.folder}/nowhere: No such file or directory", run.stderr)

    def test_a_child_may_open_its_stderr_also_when_that_is_a_file(self):
        self.write("in.jsonl", lines({"n": n} for n in range(3)))
        self.pipeline(steps=[{"exec": {"command": ["bash", "-c", "echo said >/dev/stderr; while read -r line; do echo \"$line\"; done"]}}])
        with open(self.folder / "log", "ab") as log:
            run = self.start("run", "pipeline.yaml", "--runtime-dir", self.runtime, launcher=["sh", "-c", 'exec "$@" 2>>log', "sh"])
            out, err = run.communicate(timeout=60)
        self.assertIn("said\n", (self.folder / "log").read_text())
        self.assertEqual((self.folder / "out.jsonl").read_bytes(), lines({"n": n} for n in range(3)))


if __name__ == "__main__":
    unittest.main(verbosity=2)
