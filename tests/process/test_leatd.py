"""leatd: pipelines of a folder, what people ask for, what goes wrong. Asserts bytes, and who is there."""
import json
import os
import signal
import socket
import subprocess
import threading
import time
import unittest
from pathlib import Path

from harness import zstd
from leatd import LeatdCase


class Folder(LeatdCase):
    def test_runs_what_is_there_and_ends_with_nothing_left(self):
        self.pipeline()
        self.start_leatd()
        content = self.numbers(1000)
        self.feed("a.jsonl", content)
        self.until_output("a.jsonl", self.expected(content))
        self.assertEqual(self.status()["state"], "running")
        self.assertEqual(self.stop_leatd(), 0)
        self.assertEqual(sorted(p.name for p in (self.runtime / "d").iterdir()), ["leatd.lock"])
        self.assertEqual(self.processes(), {})

    def test_a_bad_file_does_not_stop_the_others(self):
        self.pipeline("good")
        self.pipeline("bad", text="version: 1\nname: bad\nsauce: {}\n")
        self.start_leatd()
        content = self.numbers(10)
        self.feed("a.jsonl", content)
        self.until_output("a.jsonl", self.expected(content))
        bad = self.status("bad.yaml")
        self.assertEqual(bad["state"], "refused")
        self.assertIn("bad.yaml:3", bad["message"])
        self.assertIn("sauce", bad["message"])

    def test_too_few_open_files_are_refused_with_the_number_that_is_needed(self):
        """libzmq aborted leatd, and a processor that joins, where a descriptor was missing."""
        self.pipeline("one", process={"workers": 2})
        self.pipeline("two", process={"workers": 12}, sink={"path": str(self.folder / "out/two-{stem}.jsonl")})
        for files in (12, 16, 24, 40, 60):
            self.start_leatd(ready=False, launcher=["prlimit", f"--nofile={files}:{files}"])
            self.assertEqual(self.daemon.wait(10), 78)
            self.assertIn(f"64 open files are needed and {files} are allowed: raise the limit", self.said())
        self.start_leatd(launcher=["prlimit", "--nofile=24:150"])  # it may raise that itself
        self.assertEqual(self.status("one")["state"], "running")
        self.assertEqual(self.status("two.yaml")["state"], "refused")
        self.assertIn("open files are needed and 150 are allowed", self.status("two.yaml")["message"])
        joining = self.join("one", "prlimit", "--nofile=30:30")
        self.assertEqual(joining.wait(10), 74)
        self.assertIn(b"open files are needed and 30 are allowed", joining.stderr.read())

    def test_what_is_no_file_is_refused_and_holds_nobody_up(self):
        self.pipeline("good")
        os.mkfifo(self.folder / "etc/pipelines.d/pipe.yaml")
        (self.folder / "etc/pipelines.d/folder.yaml").mkdir()
        self.start_leatd(ready=False)
        self.until(lambda: self.ask("status")["data"]["pipelines"], "they are read", 5)
        states = {p["name"]: (p["state"], p["message"]) for p in self.ask("status")["data"]["pipelines"]}
        self.assertNotEqual(states["good"][0], "refused")
        for name in ("pipe.yaml", "folder.yaml"):
            self.assertEqual(states[name][0], "refused")
            self.assertIn("not a file", states[name][1])

    def test_two_of_one_name_or_one_target_are_refused(self):
        self.pipeline("one")
        self.pipeline("one", file="second.yaml")
        self.pipeline("three")  # the same sink
        self.pipeline("four", sink={"path": str(self.folder / "fixed.jsonl")})
        self.start_leatd()
        states = {p["name"]: p for p in self.ask("status")["data"]["pipelines"]}
        self.assertEqual(states["one"]["state"], "running")
        self.assertIn("'one' is", states["second.yaml"]["message"].replace('"', "'"))
        self.assertIn("sink.path", states["three.yaml"]["message"])
        self.assertIn("placeholder", states["four.yaml"]["message"])

    def test_a_copy_with_the_name_of_what_runs_is_refused_even_if_it_sorts_first(self):
        self.pipeline("reviews")
        self.start_leatd()
        self.until(lambda: self.status()["state"] == "running", "it runs")
        pid = self.workers("writer")[0]["pid"]
        self.pipeline("reviews", file="a-copy.yaml", sink={"path": str(self.folder / "out/copy-{stem}.jsonl")})
        self.ask("reload")

        def check():
            states = {p["file"].rpartition("/")[2]: p for p in self.ask("status")["data"]["pipelines"]}
            self.assertEqual(states["reviews.yaml"]["state"], "running")
            self.assertEqual(states["a-copy.yaml"]["state"], "refused")
            self.assertIn("reviews.yaml's already", states["a-copy.yaml"]["message"])

        check()
        self.assertEqual(self.workers("writer")[0]["pid"], pid)
        self.stop_leatd()
        self.start_leatd()  # and when none runs yet, the state knows whose it is
        self.until(lambda: self.status()["state"] == "running", "it runs again")
        check()
        content = self.numbers(10)
        self.feed("a.jsonl", content)
        self.until_output("a.jsonl", self.expected(content))

    def test_what_leatd_runs_is_not_run_by_hand_as_well(self):
        path = self.pipeline("reviews")
        self.start_leatd()
        run = self.leat("run", path, "--force", code=78, env={"LEAT_RUNTIME_DIR": str(self.runtime / "d")})
        self.assertIn("leat status reviews", run.stderr)

    def test_a_second_leatd_is_refused(self):
        self.pipeline()
        self.start_leatd()
        second = subprocess.run(
            [self.daemon.args[0], *self.daemon.args[1:]], stderr=subprocess.PIPE, text=True, timeout=30, check=False)
        self.assertEqual(second.returncode, 78)
        self.assertIn("another leatd", second.stderr)
        self.assertEqual(self.status()["state"], "running")

    def test_killed_it_goes_on_where_it_was(self):
        self.pipeline()
        content = self.numbers(3000)
        self.start_leatd(LEAT_TEST_HOOKS=1, LEAT_TEST_PROCESSOR_US=200)
        self.feed("a.jsonl", content)
        for _ in range(3):
            self.until(lambda: self.status()["records"]["in"] > 100, "under way")
            self.kill_leatd()
            self.start_leatd(LEAT_TEST_HOOKS=1, LEAT_TEST_PROCESSOR_US=200)
        self.until_output("a.jsonl", self.expected(content))

    def test_the_workers_do_not_inherit_the_service_manager(self):
        self.pipeline()
        self.start_leatd(NOTIFY_SOCKET="/nowhere", WATCHDOG_USEC="60000000", WATCHDOG_PID="1")
        for worker in self.status()["workers"]:
            environment = Path(f"/proc/{worker['pid']}/environ").read_bytes()
            self.assertNotIn(b"NOTIFY_SOCKET", environment)
            self.assertNotIn(b"WATCHDOG", environment)


class Pool(LeatdCase):
    SLOW = {"LEAT_TEST_HOOKS": 1, "LEAT_TEST_PROCESSOR_US": 500}

    def test_scaled_up_and_down_while_it_flows(self):
        self.pipeline()
        self.start_leatd(**self.SLOW)
        content = self.numbers(8000)
        self.feed("a.jsonl", content)
        for count in (6, 1, 3, 2, 5, 1):
            self.assertEqual(self.ask("scale", "reviews", role="processor", workers=count)["exit_code"], 0)
            self.until_pool(count)
        self.until_output("a.jsonl", self.expected(content))
        said = self.said()
        self.assertNotIn("sent again", said)
        self.assertNotIn("worker-died", said)
        self.assertIn('reason="asked for"', said)

    def test_one_that_is_in_the_middle_of_a_record_finishes_it(self):
        self.pipeline(process={"workers": 2})
        self.start_leatd(LEAT_TEST_HOOKS=1, LEAT_TEST_PROCESSOR_US=500000)
        content = self.numbers(8, size=9000)
        self.feed("a.jsonl", content)
        self.until(lambda: all(w["state"] == "busy" for w in self.workers("processor")), "both are at work")
        self.ask("scale", "reviews", role="processor", workers=1)
        self.until(lambda: "worker-draining" in self.said(), "a processor drains")
        self.until_pool(1)
        self.until_output("a.jsonl", self.expected(content))
        self.assertNotIn("worker-died", self.said())

    def slow_child(self):
        """A step that takes 100 ms a record while the file `slow` is there: minutes for what is queued at first."""
        self.write("slow", "")
        child = self.write("child.py", "import os, sys, time\nfor line in sys.stdin:\n"
                           f"    if os.path.exists('{self.folder}/slow'): time.sleep(0.1)\n"
                           "    print(line, end='', flush=True)\n")
        return {"exec": {"command": ["python3", str(child)]}}

    def test_one_that_leaves_gives_back_what_is_queued(self):
        self.pipeline(process={"workers": 2, "steps": [self.slow_child()]})
        self.start_leatd()
        content = self.numbers(3000)
        self.feed("a.jsonl", content)
        self.until(lambda: all(w["state"] == "busy" for w in self.workers("processor")), "both are at work")
        since = time.monotonic()
        self.ask("scale", "reviews", role="processor", workers=1)
        self.until_pool(1)
        self.assertLess(time.monotonic() - since, 15)
        os.unlink(self.folder / "slow")
        self.until_output("a.jsonl", content)
        self.assertNotIn("worker-died", self.said())

    def test_a_changed_file_and_a_stop_do_not_wait_for_what_is_queued(self):
        self.pipeline(process={"workers": 2, "steps": [self.slow_child()]})
        self.start_leatd()
        content = self.numbers(3000)
        self.feed("a.jsonl", content)
        self.until(lambda: all(w["state"] == "busy" for w in self.workers("processor")), "both are at work")
        since = time.monotonic()
        self.pipeline(process={"workers": 1, "steps": [self.slow_child()]})
        self.ask("reload")
        self.until(lambda: "pipeline-swapped" in self.said(), "swapped", 15)
        self.until(lambda: all(w["state"] == "busy" for w in self.workers("processor")), "the new one is at work")
        self.assertEqual(self.ask("stop", "reviews")["exit_code"], 0)
        self.ask("resume", "reviews")
        self.until(lambda: self.workers("processor"), "again at work")
        self.assertEqual(self.stop_leatd(seconds=15), 0)
        self.assertLess(time.monotonic() - since, 40)
        os.unlink(self.folder / "slow")
        self.start_leatd()
        self.until_output("a.jsonl", content)

    def test_killed_while_it_leaves(self):
        self.pipeline(process={"workers": 2})
        self.start_leatd(LEAT_TEST_HOOKS=1, LEAT_TEST_PROCESSOR_US=100000)
        content = self.numbers(30, size=9000)
        self.feed("a.jsonl", content)
        self.until(lambda: all(w["state"] == "busy" for w in self.workers("processor")), "both are at work")
        self.ask("scale", "reviews", role="processor", workers=1)
        leaving = self.until(lambda: [w for w in self.workers("processor") if w["state"] == "leaving"], "one leaves")
        os.kill(leaving[0]["pid"], signal.SIGKILL)
        self.until_pool(1)
        self.until_output("a.jsonl", self.expected(content))

    def test_a_filter_dies_while_one_leaves(self):
        self.pipeline(process={"workers": 2})
        self.start_leatd(LEAT_TEST_HOOKS=1, LEAT_TEST_PROCESSOR_US=100000)
        content = self.numbers(30, size=9000)
        self.feed("a.jsonl", content)
        self.until(lambda: all(w["state"] == "busy" for w in self.workers("processor")), "both are at work")
        self.ask("scale", "reviews", role="processor", workers=1)
        os.kill(self.workers("filter")[0]["pid"], signal.SIGKILL)
        self.until_pool(1)
        self.until_output("a.jsonl", self.expected(content))

    def test_a_writer_dies_while_the_pool_has_another_size(self):
        self.pipeline()
        self.start_leatd(**self.SLOW)
        content = self.numbers(4000)
        self.feed("a.jsonl", content)
        self.ask("scale", "reviews", role="processor", workers=4)
        joined = self.join(**self.SLOW)
        self.until_pool(5)
        os.kill(self.workers("writer")[0]["pid"], signal.SIGKILL)
        self.until(lambda: "worker-died" in self.said(), "the death is noticed")
        self.until_pool(5)  # the one that joined joins again
        self.until_output("a.jsonl", self.expected(content))
        self.assertIsNone(joined.poll())

    def test_what_the_memory_has_no_room_for_is_refused(self):
        self.pipeline()
        self.start_leatd()
        answer = self.ask("scale", "reviews", role="processor", workers=60)
        self.assertEqual(answer["exit_code"], 78)
        self.assertIn("limits.memory", answer["text"])
        self.until_pool(1)

    def test_without_processors_it_says_what_to_do_and_stops_all_the_same(self):
        self.pipeline(process={"workers": 0})
        self.start_leatd()
        content = self.numbers(10)
        self.feed("a.jsonl", content)
        self.until(lambda: "no processor" in self.status()["message"], "says that there is no processor")
        joined = self.join()
        self.until_output("a.jsonl", self.expected(content))
        joined.terminate()
        self.assertEqual(joined.wait(20), 0)
        self.feed("b.jsonl", content)
        self.until(lambda: "no processor" in self.status()["message"], "again without")
        self.assertEqual(self.stop_leatd(), 0)


class Joined(LeatdCase):
    SLOW = Pool.SLOW

    def start(self):
        self.pipeline()
        self.start_leatd(**self.SLOW)
        self.content = self.numbers(6000)
        self.feed("a.jsonl", self.content)

    def check(self):
        self.until_output("a.jsonl", self.expected(self.content))

    def test_takes_its_share_and_leaves_when_asked(self):
        self.start()
        joined = self.join(**self.SLOW)
        self.until_pool(2)
        self.until(lambda: [w["records"] > 50 for w in self.workers("processor") if w["kind"] == "joined"] == [True], "it works")
        joined.terminate()
        self.assertEqual(joined.wait(20), 0)
        self.until_pool(1)
        self.check()
        self.assertNotIn("worker-died", self.said())
        self.assertNotIn("sent again", self.said())

    def test_killed_it_is_not_replaced_and_nothing_is_lost(self):
        self.start()
        for _ in range(5):
            joined = self.join(**self.SLOW)
            self.until_pool(2)
            joined.kill()
            self.until_pool(1)
        self.check()

    def test_it_ends_by_the_signal_that_ended_its_membership(self):
        self.start()
        joined = self.join(**self.SLOW)
        self.until_pool(2)
        membership = next(worker["pid"] for worker in self.workers("processor") if worker["kind"] == "joined")
        self.assertNotEqual(membership, joined.pid)
        os.kill(membership, signal.SIGKILL)
        self.assertEqual(joined.wait(20), -signal.SIGKILL)
        self.check()

    def test_a_pool_of_joined_ones_only(self):
        self.pipeline(process={"workers": 0})
        self.start_leatd()
        joined = [self.join(**self.SLOW) for _ in range(3)]
        self.until_pool(3)
        content = self.numbers(4000)
        self.feed("a.jsonl", content)
        self.until(lambda: self.status()["records"]["in"] > 300, "under way")
        joined[0].kill()
        joined[1].terminate()
        self.until_output("a.jsonl", self.expected(content))

    def test_scaling_does_not_touch_it(self):
        self.start()
        joined = self.join(**self.SLOW)
        self.until_pool(2)
        self.ask("scale", "reviews", role="processor", workers=3)
        self.until_pool(4)
        self.ask("scale", "reviews", role="processor", workers=1)
        self.until_pool(2)
        self.assertIsNone(joined.poll())
        self.check()

    def test_it_finds_leatd_again(self):
        self.start()
        joined = self.join(**self.SLOW)
        self.until_pool(2)
        self.kill_leatd()
        self.start_leatd(**self.SLOW)
        self.until_pool(2)
        self.assertIsNone(joined.poll())
        self.check()

    def test_it_tells_a_service_manager_when_it_has_joined_and_when_it_leaves(self):
        self.start()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(self.runtime / "notify"))
            manager.settimeout(30)
            joined = self.join(**self.SLOW, NOTIFY_SOCKET=self.runtime / "notify")
            self.assertEqual(manager.recv(4096), b"READY=1\nSTATUS=processor 1 of reviews")
            joined.terminate()
            self.assertIn(b"STOPPING=1", manager.recv(4096))
            self.assertEqual(joined.wait(20), 0)
        self.check()

    def test_it_waits_for_leatd_and_says_so(self):
        joined = self.join()
        self.hear(joined, "waiting for leatd")
        self.pipeline()
        self.start_leatd()
        self.until_pool(2)
        joined.terminate()
        self.assertEqual(joined.wait(20), 0)

    def test_another_user_is_refused_in_words(self):
        if os.geteuid() != 0:
            self.skipTest("only root becomes another user")
        self.start()
        subprocess.run(["chmod", "-R", "a+rwX", str(self.runtime)], check=True)
        os.chmod(self.folder, 0o755)
        other = self.join("reviews", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        self.assertEqual(other.wait(20), 78)
        self.assertIn("start it as the same user", other.stderr.read().decode())
        self.check()


class Asked(LeatdCase):
    def begin(self, count=4000, **sections):
        self.pipeline(**sections)
        self.start_leatd(**Pool.SLOW)
        self.content = self.numbers(count)
        self.feed("a.jsonl", self.content)
        self.until(lambda: self.status()["records"]["in"] > 100, "under way")

    def check(self):
        self.until_output("a.jsonl", self.expected(self.content))

    def test_paused_nothing_moves_and_the_workers_stay(self):
        self.begin()
        self.assertEqual(self.ask("pause", "reviews")["exit_code"], 0)
        self.until(lambda: self.status()["window_batches"] == 0, "what was under way is finished")
        before = self.status()
        self.assertEqual(before["state"], "paused")
        time.sleep(1)  # nothing is to happen meanwhile
        after = self.status()
        self.assertEqual(after["records"], before["records"])
        self.assertEqual([w["pid"] for w in after["workers"]], [w["pid"] for w in before["workers"]])
        self.assertIsNone(self.output("a.jsonl"))
        self.ask("resume", "reviews")
        self.check()

    def test_drained_all_is_committed_and_the_workers_are_gone(self):
        self.begin()
        answer = self.ask("drain", "reviews")
        self.assertEqual(answer["exit_code"], 0)
        self.assertIn("leat resume reviews", answer["text"])
        status = self.status()
        self.assertEqual(status["state"], "stopped")
        self.assertEqual(status["workers"], [])
        self.ask("resume", "reviews")
        self.check()

    def test_a_drain_that_is_taken_back_is_answered(self):
        self.begin()
        answers = []
        asking = threading.Thread(target=lambda: answers.append(self.ask("drain", "reviews", seconds=30)))
        asking.start()
        self.until(lambda: self.status()["state"] == "draining", "it drains")
        self.ask("resume", "reviews")
        asking.join(40)
        self.assertEqual([answer["exit_code"] for answer in answers], [75])
        self.check()

    def test_stopped_and_resumed(self):
        self.begin()
        self.assertEqual(self.ask("stop", "reviews")["exit_code"], 0)
        self.assertEqual(self.status()["workers"], [])
        self.ask("resume", "reviews")
        self.check()

    def test_resumed_while_it_drains_whoever_waits_for_the_end_hears_of_it(self):
        self.pipeline()
        self.start_leatd(LEAT_TEST_HOOKS=1, LEAT_TEST_PROCESSOR_US=300000)
        self.content = self.numbers(10, size=9000)
        self.feed("a.jsonl", self.content)
        self.until(lambda: self.status()["window_batches"] > 0, "under way")
        drain = self.start("drain", "reviews", "--runtime-dir", self.runtime / "d")
        self.until(lambda: self.status()["state"] == "draining", "it drains")
        self.ask("resume", "reviews")
        self.assertIn("it was resumed", self.finish(drain).stderr)
        self.check()

    def test_a_name_that_is_not_there(self):
        self.begin(200)
        answer = self.ask("pause", "revues")
        self.assertEqual(answer["exit_code"], 64)
        self.assertIn("reviews", answer["text"])
        self.check()

    def test_the_program_leat(self):
        self.begin(200)
        self.check()
        where = ("--runtime-dir", self.runtime / "d")
        text = self.leat("status", *where).stdout
        self.assertIn(b"reviews", text)
        data = json.loads(self.leat("status", *where, "--json").stdout)
        self.assertEqual(data["pipelines"][0]["name"], "reviews")
        self.leat("scale", "reviews", "processor", 2, *where)
        self.until_pool(2)
        row = json.loads(self.leat("sources", "reviews", "--json", *where).stdout)
        self.assertEqual(row["state"], "done")
        self.feed("bad.jsonl", b'{"n":1}\n{"n":\n')
        self.until(lambda: self.output("bad.jsonl") is not None, "bad.jsonl is done")
        letter = json.loads(self.leat("dead", "ls", "reviews", "--json", *where).stdout)
        self.assertEqual(letter["line"], 2)
        self.leat("pause", "reviews", *where)
        self.assertEqual(self.status()["state"], "paused")
        self.leat("resume", "reviews", *where)
        self.leat("reload", *where)
        self.leat("scale", "nosuch", "processor", 2, *where, code=64)


class Reload(LeatdCase):
    def begin(self, count=3000):
        self.file = self.pipeline()
        self.start_leatd(**Pool.SLOW)
        self.content = self.numbers(count)
        self.feed("a.jsonl", self.content)
        self.until(lambda: self.status()["records"]["in"] > 100, "under way")

    def pids(self):
        return [w["pid"] for w in self.status()["workers"]]

    def test_unchanged_nobody_is_touched(self):
        self.begin()
        before = self.pids()
        answer = self.ask("reload")
        self.assertEqual(answer["exit_code"], 0)
        self.assertEqual([(r["pipeline"], r["result"]) for r in answer["data"]], [("reviews", "unchanged")])
        self.assertEqual(self.pids(), before)
        self.until_output("a.jsonl", self.expected(self.content))

    def test_a_list_that_a_pipeline_names_is_taken_over_when_it_has_changed(self):
        hosts = self.write("hosts.txt", "one\n")
        self.pipeline(filter={"keep": [{"field": "/host", "in_file": str(hosts)}]}, process={"workers": 0, "steps": []})
        self.start_leatd()
        content = b'{"host":"one"}\n{"host":"two"}\n'
        self.feed("a.jsonl", content)
        self.until_output("a.jsonl", content[:15])
        hosts.write_text("two\n")
        self.assertEqual([r["result"] for r in self.ask("reload")["data"]], ["changed"])
        self.feed("b.jsonl", content + b'{"host":"three"}\n')
        self.until_output("b.jsonl", content[15:])
        self.assertEqual([r["result"] for r in self.ask("reload")["data"]], ["unchanged"])

    def test_a_bad_file_leaves_the_old_one_running(self):
        self.begin()
        before = self.pids()
        good = self.file.read_text()
        self.pipeline(process={"workers": "many"})
        answer = self.ask("reload")
        self.assertEqual(answer["exit_code"], 78)
        self.assertIn("what ran before continues", answer["text"])
        self.assertEqual(self.pids(), before)
        self.file.write_text(good)
        self.assertEqual(self.ask("reload")["exit_code"], 0)
        self.assertEqual(self.pids(), before)
        self.until_output("a.jsonl", self.expected(self.content))

    def test_a_changed_one_is_swapped_at_a_batch_boundary(self):
        self.begin(12000)  # more than the window holds
        self.pipeline(process={"steps": [{"set": {"/kind": "other"}}]})
        answer = self.ask("reload")
        self.assertEqual([(r["pipeline"], r["result"]) for r in answer["data"]], [("reviews", "changed")])
        self.until(lambda: self.output("a.jsonl") is not None, "a.jsonl is there")
        got = self.output("a.jsonl").splitlines(keepends=True)
        old = self.expected(self.content).splitlines(keepends=True)
        new = [line.replace(b'"document"', b'"other"') for line in old]
        at = next(i for i, line in enumerate(got) if line != old[i])
        self.assertGreater(at, 0)
        self.assertSame(b"".join(got), b"".join(old[:at] + new[at:]))

    def test_paused_it_stays_paused(self):
        self.begin()
        self.ask("pause", "reviews")
        self.until(lambda: self.status()["window_batches"] == 0, "what was under way is finished")
        for kind in ("second", "third", "fourth"):
            before = self.pids()
            self.pipeline(process={"steps": [{"set": {"/kind": kind}}]})
            self.ask("reload")
            self.until(lambda: len(self.pids()) == 4 and not set(self.pids()) & set(before), "others have taken over")
            self.until(lambda: "starting" not in [w["state"] for w in self.status()["workers"]], "they are ready")
            time.sleep(0.5)  # nothing is to be sent meanwhile
            status = self.status()
            self.assertEqual((status["state"], status["window_batches"]), ("paused", 0))
            self.assertEqual([w["records"] for w in self.workers("processor")], [0])

    def test_a_folder_with_too_many_files_changes_nothing_that_runs(self):
        self.begin()
        before = self.pids()
        for n in range(256):
            self.pipeline(f"z{n}", text="bad")
        answer = self.ask("reload")
        self.assertEqual(answer["exit_code"], 78)
        self.assertIn("no more than 256", answer["text"])
        self.assertEqual([p["name"] for p in self.ask("status")["data"]["pipelines"]].count("reviews"), 1)
        self.assertEqual(self.pids(), before)

    def test_a_name_that_still_runs_of_a_file_that_is_wrong_now_is_taken(self):
        self.begin()
        before = self.pids()
        self.file.with_name("zz.yaml").write_text(self.file.read_text())
        self.pipeline(text="bad")
        results = {Path(r["pipeline"]).name: (r["result"], r["text"]) for r in self.ask("reload")["data"]}
        self.assertEqual({name: result for name, (result, _) in results.items()},
                         {"reviews.yaml": "refused", "zz.yaml": "refused"})
        self.assertIn("reviews.yaml", results["zz.yaml"][1])
        self.assertEqual([p["name"] for p in self.ask("status")["data"]["pipelines"]].count("reviews"), 1)
        self.assertEqual(self.pids(), before)
        self.file.unlink()
        self.assertEqual([r["result"] for r in self.ask("reload")["data"]], ["changed"])
        self.until_output("a.jsonl", self.expected(self.content))

    def test_told_to_stop_it_starts_nothing_new(self):
        self.pipeline()
        self.start_leatd(LEAT_TEST_HOOKS=1, LEAT_TEST_PROCESSOR_US=200000)
        self.feed("a.jsonl", self.numbers(20, size=9000))
        self.until(lambda: self.workers("processor")[0]["state"] == "busy", "under way")
        self.pipeline("second", sink={"path": str(self.folder / "out/second-{stem}.jsonl")})
        self.daemon.send_signal(signal.SIGSTOP)
        self.daemon.send_signal(signal.SIGHUP)
        self.daemon.send_signal(signal.SIGTERM)
        self.daemon.send_signal(signal.SIGCONT)
        self.assertEqual(self.daemon.wait(60), 0)
        self.daemon = None
        self.assertNotIn("pipeline=second", self.said())

    def test_swapped_again_and_again_in_the_middle_of_a_compressed_source(self):
        self.pipeline(source={"paths": [str(self.folder / "in/*.zst")]})
        self.start_leatd(**Pool.SLOW)
        content = self.numbers(20000, size=300)
        self.feed("a.jsonl.zst", zstd(content))
        kinds = ["document"]
        for n in range(3):
            self.until(lambda: self.status()["state"] == "running" and self.workers("processor")[0]["records"] > 300, "under way")
            kinds.append(f"kind-{n}")
            self.pipeline(source={"paths": [str(self.folder / "in/*.zst")]}, process={"steps": [{"set": {"/kind": kinds[-1]}}]})
            self.assertEqual([r["result"] for r in self.ask("reload")["data"]], ["changed"])
            self.until(lambda: self.said().count("pipeline-swapped") == n + 1, "swapped")
        self.until(lambda: self.output("a.jsonl") is not None, "a.jsonl is there")
        got = [json.loads(line) for line in self.output("a.jsonl").splitlines()]
        self.assertEqual([record["n"] for record in got], list(range(20000)))
        order = [kinds.index(record["kind"]) for record in got]
        self.assertEqual(order, sorted(order))
        self.assertGreater(len(set(order)), 2)

    def test_removed_and_added(self):
        self.begin()
        self.file.unlink()
        self.pipeline("second", sink={"path": str(self.folder / "out/second-{stem}.jsonl")})
        results = {r["pipeline"]: r["result"] for r in self.ask("reload")["data"]}
        self.assertEqual(results, {"reviews": "removed", "second": "started"})
        self.until_output("second-a.jsonl", self.expected(self.content))
        self.until(lambda: not (self.runtime / "d/reviews").exists(), "its runtime folder is gone")
        self.assertEqual([p["name"] for p in self.ask("status")["data"]["pipelines"]], ["second"])

    def test_sighup_reloads(self):
        self.begin()
        self.pipeline("second", sink={"path": str(self.folder / "out/second-{stem}.jsonl")})
        self.daemon.send_signal(signal.SIGHUP)
        self.until(lambda: len(self.ask("status")["data"]["pipelines"]) == 2, "the second one runs")


class Trouble(LeatdCase):
    def test_a_full_disk_pauses_it_and_it_goes_on_by_itself(self):
        if os.geteuid() != 0:
            self.skipTest("only root mounts a tmpfs")
        small = self.folder / "small"
        small.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small)], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", str(small)], check=False)
        self.pipeline(sink={"path": str(small / "{stem}.jsonl")})
        self.start_leatd()
        content = self.numbers(8000)
        self.feed("a.jsonl", content)
        self.until(lambda: "space" in self.status()["message"], "says that there is no room")
        self.assertEqual(self.status()["state"], "waiting")
        subprocess.run(["mount", "-o", "remount,size=16m", str(small)], check=True)
        self.until((small / "a.jsonl").exists, "it goes on by itself")
        self.assertSame((small / "a.jsonl").read_bytes(), self.expected(content))
        self.until(lambda: "pipeline-recovered" in self.said(), "says that it is back")
        self.assertEqual(self.said().count("pipeline-failed"), 1)

    def test_a_target_that_is_there_already_waits_for_a_person(self):
        self.pipeline()
        (self.folder / "out/a.jsonl").write_bytes(b"precious\n")
        self.start_leatd()
        content = self.numbers(10)
        self.feed("a.jsonl", content)
        self.until(lambda: self.status()["state"] in ("failed", "waiting"), "it has failed")
        self.assertIn("a.jsonl", self.status()["message"])
        self.assertEqual(self.output("a.jsonl"), b"precious\n")
        (self.folder / "out/a.jsonl").unlink()
        self.ask("resume", "reviews")
        self.until_output("a.jsonl", self.expected(content))

    def test_a_worker_that_cannot_start_is_tried_again(self):
        self.pipeline(process={"steps": [{"exec": {"command": [str(self.folder / "later.sh")]}}]})
        self.start_leatd()
        self.until(lambda: "later.sh" in self.status()["message"], "says what is missing")
        self.write("later.sh", "#!/bin/sh\nexec cat\n")
        os.chmod(self.folder / "later.sh", 0o755)
        self.ask("resume", "reviews")
        self.feed("a.jsonl", self.numbers(10))
        self.until_output("a.jsonl", self.numbers(10))

    def test_a_reload_tries_again_what_waits_for_a_person(self):
        self.pipeline(process={"steps": [{"exec": {"command": [str(self.folder / "later.sh")]}}]})
        self.start_leatd()
        self.until(lambda: self.status()["state"] == "failed", "waits for a person")
        self.write("later.sh", "#!/bin/sh\nexec cat\n")
        os.chmod(self.folder / "later.sh", 0o755)
        self.assertEqual([r["result"] for r in self.ask("reload")["data"]], ["unchanged"])
        self.feed("a.jsonl", self.numbers(10))
        self.until_output("a.jsonl", self.numbers(10), 20)

    def test_every_worker_killed_in_turn(self):
        self.pipeline(process={"workers": 2})
        self.start_leatd(**Pool.SLOW)
        files = lambda: len(list((self.runtime / "d/reviews").iterdir()))
        content = self.numbers(10000)
        self.feed("a.jsonl", content)
        self.until(lambda: self.status()["records"]["in"] > 0, "all have their sockets")
        before = files()
        for role in ("processor", "filter", "reader", "writer", "processor"):
            self.until(lambda: self.status()["records"]["in"] > 0 and len(self.status()["workers"]) == 5, "all are there")
            os.kill(self.workers(role)[0]["pid"], signal.SIGKILL)
        self.until_output("a.jsonl", self.expected(content))
        self.until_pool(2)
        # Each death left a socket, and a new start of everybody all of them, until the pipeline stopped.
        self.until(lambda: files() <= before, "the runtime folder holds what it held before", 10)


if __name__ == "__main__":
    unittest.main(verbosity=2)
