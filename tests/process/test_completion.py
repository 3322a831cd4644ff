"""What the shells offer. The commands and options of leat are taken from its --help: none may be missing."""

import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
import unittest
from pathlib import Path

from harness import BIN, Case

FOLDER = Path(__file__).resolve().parents[2] / "systemd" / "completion"
COMMANDS = ("run", "check", "explain", "sources", "status", "dead", "dead ls", "dead show", "dead replay",
            "scale", "pause", "resume", "drain", "stop", "reload", "help", "version")
STATUS = {"pipelines": [{"name": "reviews", "workers": [{"role": "reader"}], "events": [{"event": "e"}]},
                        {"name": "logs"}, {"name": "Bad.yaml"}]}


def options_of(command):
    text = subprocess.run([BIN / "leat", *command.split(), "--help"], capture_output=True, text=True).stdout
    return set(re.findall(r"^  (?:-\w,)?(--[a-z-]+)", text, re.MULTILINE))


class Completion(Case):
    def setUp(self):
        super().setUp()
        self.environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "LEAT_RUNTIME_DIR": str(self.folder),
                            "HOME": str(self.folder)}

    def serve(self, folder):
        server = socket.socket(socket.AF_UNIX)
        server.bind(f"{folder}/leatd.sock")
        server.listen(5)

        def answer():
            try:
                while True:
                    client, _ = server.accept()
                    with client:
                        client.recv(4096)
                        reply = {"exit_code": 0, "text": "", "data": STATUS}
                        client.sendall(json.dumps(reply).encode() + b"\n")
            except OSError:
                pass

        thread = threading.Thread(target=answer)
        thread.start()

        def stop():
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            server.close()

        self.addCleanup(stop)

    def bash(self, *words):
        script = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _leat; printf "%s\\n" "${COMPREPLY[@]}"'
        done = subprocess.run(["bash", "-c", script, "bash", FOLDER / "leat.bash", "leat", *words], cwd=self.folder,
                              env=self.environment, capture_output=True, text=True, timeout=30)
        self.assertEqual(done.stderr, "")
        return set(done.stdout.split("\n")) - {""}

    def test_bash_offers_every_command_and_option(self):
        self.assertEqual(self.bash(""), {c for c in COMMANDS if " " not in c})
        self.assertEqual(self.bash("re"), {"resume", "reload"})
        self.assertEqual(self.bash("dead", ""), {"ls", "show", "replay"})
        self.assertEqual(self.bash("-"), options_of(""))
        for command in COMMANDS:
            with self.subTest(command=command):
                self.assertEqual(self.bash(*command.split(), "--"), options_of(command))

    def test_zsh_knows_every_command_and_option(self):
        text = (FOLDER / "_leat").read_text()
        for command in COMMANDS:
            for word in [command.split()[-1], *(option for option in options_of(command))]:
                self.assertRegex(text, rf"(?<![a-z-]){re.escape(word)}(?![a-z-])")
        self.assertEqual(set(re.findall(r"(--[a-z][a-z-]+)", text)) - {"--version"},
                         set().union(*(options_of(command) for command in COMMANDS)))

    def test_bash_offers_the_pipelines_of_leatd_and_files(self):
        self.serve(self.folder)
        self.write("here.yaml", b"")
        self.write("with space.yml", b"")
        self.write("data.jsonl", b"")
        (self.folder / "sub").mkdir()
        for words in (("pause", ""), ("scale", ""), ("stop", "--json", "")):
            self.assertEqual(self.bash(*words), {"reviews", "logs"})
        self.assertEqual(self.bash("pause", "rev"), {"reviews"})
        files = {"here.yaml", "with space.yml", "sub", "run"}
        self.assertEqual(self.bash("status", ""), {"reviews", "logs"} | files)
        self.assertEqual(self.bash("check", "here.yaml", ""), files)
        self.assertEqual(self.bash("run", "--state", ""), {"sub", "run"})
        self.assertLess({"reviews", "data.jsonl"}, self.bash("dead", "ls", ""))
        self.assertEqual(self.bash("scale", "reviews", ""), {"processor"})
        self.assertIn("auto", self.bash("scale", "reviews", "processor", ""))
        self.assertEqual(self.bash("sources", "--state-filter", "d"), {"done"})

    def test_the_leatd_that_is_named_on_the_line_is_asked(self):
        other = self.folder / "other"
        other.mkdir()
        self.serve(other)
        self.assertEqual(self.bash("pause", ""), set())
        self.assertEqual(self.bash("pause", "--runtime-dir", str(other), ""), {"reviews", "logs"})

    def test_a_leatd_that_hangs_does_not_hold_up_the_shell(self):
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"{self.folder}/leatd.sock")
            server.listen(5)
            began = time.monotonic()
            self.assertEqual(self.bash("pause", ""), set())
            self.assertLess(time.monotonic() - began, 5)

    @unittest.skipUnless(shutil.which("zsh"), "no zsh here")
    def test_zsh_takes_the_file(self):
        done = subprocess.run(["zsh", "-c", f"fpath=({FOLDER} $fpath); autoload -U compinit; compinit -D -u;"
                               " print $_comps[leat]; autoload +X _leat && print loaded"],
                              env=self.environment, capture_output=True, text=True, timeout=30)
        self.assertEqual((done.stdout, done.stderr), ("_leat\nloaded\n", ""))


if __name__ == "__main__":
    unittest.main()
