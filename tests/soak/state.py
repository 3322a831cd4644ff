"""The long form of tests/process/test_state.py: what kills and damages the state, many times."""
import os
import subprocess
import sys

import world

TEST = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "process", "test_state.py")


def soak(count, say):
    """`count` rounds of rotation, source.after and kill -9; ten times as many bits of a ledger."""
    environment = dict(os.environ, LEAT_ROUNDS=str(count), LEAT_FLIPS=str(10 * count))
    names = ["Published.test_whatever_kills_it_every_record_is_published_once", "Damaged"]
    if subprocess.run([sys.executable, "-B", TEST, *names], env=environment, check=False).returncode != 0:
        raise world.Wrong("see above")
    say(f"{count} kills with source.after, {10 * count} bits: each record published once, or refused")
