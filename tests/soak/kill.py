"""SIGKILL at random to workers and to the whole tree, run after run, until there were enough of them."""
import collections
import os
import signal
import time

import world


def soak(folder, kills, seed, megabytes, say):
    sources = os.path.join(folder, "in")
    records = world.make_sources(sources, megabytes)
    want = world.undisturbed(folder, sources, records)
    disturbed = world.World(os.path.join(folder, "killed"), sources, seed)
    done = collections.Counter()
    rounds = starts = 0
    try:
        while sum(done.values()) < kills:
            disturbed.forget()
            rounds += 1
            while True:
                starts += 1
                disturbed.start()
                victim = disturb(disturbed, done, kills)
                if victim == "leat":
                    disturbed.wait_for_orphans()
                    continue
                code = disturbed.finish()
                if code == 0:
                    break
                if code != 70:  # ten deaths without a commit between end a run; the next one continues
                    raise world.Wrong(f"a run ended with {code}; see {disturbed.folder}/log")
            disturbed.check(want, records)
            say(f"round {rounds}: {sum(done.values())} kills so far, output and dead letters the same")
    finally:
        disturbed.close()
    say(f"{sum(done.values())} kills ({', '.join(f'{n} {name}' for name, n in sorted(done.items()))}) in {rounds} rounds "
        f"and {starts} runs: decoded output, dead letters and counts as in the undisturbed run")


def disturb(disturbed, done, kills):
    """Kills one process after the other; the name of the last one if it was the supervisor, None when the run is over."""
    while sum(done.values()) < kills:
        deadline = time.monotonic() + disturbed.random.uniform(0.005, 0.25) * world.SLOW
        while time.monotonic() < deadline:
            if disturbed.process.poll() is not None:
                return None
            time.sleep(0.005)
        processes = disturbed.processes()
        if not processes:
            continue
        pid = disturbed.random.choice(sorted(processes))
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        done[processes[pid]] += 1
        if processes[pid] == "leat":
            disturbed.process.wait()
            return "leat"
    return None
