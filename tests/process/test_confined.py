#!/usr/bin/env python3
"""Each worker tries what is not on its list (workers/STAGE/sandbox.cc), by a test hook: refused, and the pipeline continues."""
import json
import re
import subprocess
import unittest

from harness import LEAT, Case

ROLES = ("reader", "filter", "processor", "writer")


class Confined(Case):
    def setUp(self):
        super().setUp()
        for name in ("src/in", "state", "elsewhere", "out/o"):
            (self.folder / name).mkdir(parents=True)
        self.write("elsewhere/secret", "secret")
        self.write("blocked.txt", "x\n")

    def tries(self, role):
        """What is tried in that role, and may be done with the sandbox off."""
        tries = ["open /etc/passwd", f"open {self.folder}/elsewhere/secret", f"write {self.folder}/src/in/00-first.jsonl",
                 f"write {self.folder}/elsewhere/secret", f"make {self.folder}/elsewhere/new-{role}",
                 "connect 127.0.0.1:9", "open /proc/parent/mem", "open /proc/parent/environ"]
        if role != "writer":
            tries.append(f"make {self.folder}/out/o/new-{role}")
        if role == "filter":
            tries.append(f"open {self.folder}/blocked.txt")  # it was read before
        if role in ("filter", "processor", "writer"):
            tries.append(f"open {self.folder}/src/in/00-first.jsonl")
        return [*tries, f"remove {self.folder}/elsewhere/secret"]

    def attempts(self, off=False, steps=None, roles=ROLES):
        """[(role, attempt, result)] and the run; the output must be the input, whatever was tried."""
        expected = b""
        tried = []
        self.write("src/in/00-first.jsonl", '{"first":1}\n')
        for role in roles:
            more = [] if off else ["run /bin/true", "trace parent"]
            for what in self.tries(role) + more:
                if off and what.startswith("remove"):
                    continue
                tried.append((role, what))
                self.write(f"src/in/{len(tried):02}.jsonl", json.dumps({"leat_test": f"{role} {what}"}, separators=(",", ":")) + "\n")
        for path in sorted((self.folder / "src/in").iterdir()):
            expected += path.read_bytes()
        self.pipeline("src/in/*.jsonl", out="out/o/out.jsonl", steps=steps or [{"drop": "/none"}],
                      keep=[{"field": "/leat_test", "not_in_file": "blocked.txt"}], dead_letter={"path": "out/o/dead.jsonl"})
        environment = {"LEAT_TEST_HOOKS": "1", **({"LEAT_SANDBOX": "off"} if off else {})}
        run = self.finish(self.start_pipeline("--state", self.folder / "state", env=environment))
        self.assertEqual(run.code, 0, run.stderr)
        self.assertEqual(run.output("out/o/out.jsonl"), expected, run.stderr)
        said = re.findall(r"test-hook (\w+)=(.*) result=(.*)", run.stderr)
        self.assertEqual(sorted((f"{verb} {what}") for verb, what, _ in said), sorted(what for _, what in tried))
        return [(f"{verb} {what}", result) for verb, what, result in said], run

    def test_what_is_not_on_the_list_is_refused_in_every_worker_and_the_pipeline_goes_on(self):
        results, _ = self.attempts()
        for what, result in results:
            self.assertIn(result, ("Permission denied", "Operation not permitted"), what)
        self.assertEqual((self.folder / "elsewhere/secret").read_text(), "secret")

    def test_with_the_sandbox_off_all_of_that_can_be_done_and_the_log_says_so(self):
        results, run = self.attempts(off=True)
        for what, result in results:
            self.assertIn(result, ("done", "Connection refused"), what)
        self.assertIn("LEAT_SANDBOX=off", run.stderr)

    def test_a_processor_with_exec_steps_writes_nothing_but_what_its_programs_may(self):
        results, _ = self.attempts(steps=[{"exec": {"command": ["cat"]}}], roles=("reader", "filter", "writer"))
        self.assertTrue(all(result != "done" for _, result in results))

    def test_explain_shows_the_lists(self):
        self.pipeline("src/in/*.jsonl", out="out/o/out.jsonl", steps=[{"drop": "/none"}])
        done = subprocess.run([LEAT, "explain", "--sandbox", "pipeline.yaml"], cwd=self.folder, stdout=subprocess.PIPE, text=True, check=True)
        stages = re.split(r"^(\w+)\n", done.stdout, flags=re.MULTILINE)
        lists = dict(zip(stages[1::2], stages[2::2]))
        self.assertEqual(list(lists), list(ROLES))
        self.assertIn(f"  reads {self.folder}/src\n", lists["reader"])
        self.assertNotIn(str(self.folder), lists["processor"])
        self.assertIn(f"removes and moves {self.folder}/out/o\n", lists["writer"])


class Sources(Case):
    def test_a_source_folder_that_is_made_again_while_it_is_followed_is_read(self):
        self.write("in/a/1.jsonl", '{"n":1}\n')
        self.pipeline("in/a/*.jsonl", source={"poll": "100ms", "settle": "100ms"}, out="out-{n}.jsonl", limits={"commit": {"interval": "100ms"}})
        run = self.start_pipeline("--follow")
        self.until(lambda: any(self.folder.glob(".out-*")), "the first file is read")
        (self.folder / "in/a").rename(self.folder / "in/b")
        self.write("in/a/2.jsonl", '{"n":2}\n')
        self.until(lambda: any(b'"n":2' in path.read_bytes() for path in self.folder.glob(".out-*")), "the second is, too")
        run.terminate()
        self.assertEqual(self.finish(run).code, 75)


if __name__ == "__main__":
    unittest.main(verbosity=2)
