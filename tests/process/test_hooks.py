"""What a record may make a worker do for a test (tests/hooks) is in the programs of test-bin, and in no other."""

import os
import subprocess
import unittest

from harness import BIN, HOOKED, LEAT, Case, lines, program

PROGRAMS = ("leat", "leatd", "leat-reader", "leat-filter", "leat-processor", "leat-writer")
MARKS = (b"LEAT_TEST_", b"leat_test", b"test-hook")


def marks(path):
    content = path.read_bytes()
    return [mark for mark in MARKS if mark in content]


class Hooks(Case):
    def test_what_is_installed_has_none_and_what_the_tests_run_has_all(self):
        installed = sorted(path for path in BIN.iterdir() if path.name.startswith("leat"))
        self.assertLessEqual({*PROGRAMS, "leat-generator"}, {path.name for path in installed})
        self.assertEqual({path.name: marks(path) for path in installed}, {path.name: [] for path in installed})
        self.assertEqual({name: marks(HOOKED / name) for name in PROGRAMS}, {name: [*MARKS] for name in PROGRAMS})

    def test_what_the_tests_run_is_not_installed(self):
        for script in (BIN.parent / "cmake_install.cmake", BIN.parent / "tests/cmake_install.cmake"):
            self.assertNotIn("test-bin", script.read_text())

    def test_a_record_that_asks_is_a_record_like_others_to_what_is_installed(self):
        content = lines({"n": n, "leat_test": f"{role} abort"} for n, role in enumerate(("reader", "filter", "processor", "writer")))
        self.write("in.jsonl", content)
        self.pipeline(keep=[{"field": "/n", "ge": 0}], steps=[{"drop": "/absent"}])
        environment = dict(os.environ, LEAT_TEST_HOOKS="1", LEAT_TEST_PROCESSOR_LOSES="1", LEAT_TEST_NO_PROGRESS_MS="1")
        command = ["run", "pipeline.yaml", "--state", "state", "--runtime-dir", self.runtime]
        done = subprocess.run([LEAT, *command], cwd=self.folder, env=environment, capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertSame((self.folder / "out.jsonl").read_bytes(), content)

    def test_variables_that_no_program_would_know_are_refused(self):
        self.assertEqual(program("leat", {"HOME": "/"}), LEAT)
        self.assertEqual(program("leat", {"LEAT_TEST_HOOKS": "1", "LEAT_TEST_DAY_MS": "1"}), str(HOOKED / "leat"))
        with self.assertRaises(ValueError):
            program("leat", {"LEAT_TEST_DAY_MS": "1"})


if __name__ == "__main__":
    unittest.main()
