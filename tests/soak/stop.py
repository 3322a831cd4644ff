"""SIGTERM at random moments: the run stops with 75 and the next one continues."""
import os
import signal
import time

import world


def soak(folder, stops, seed, megabytes, say):
    sources = os.path.join(folder, "in")
    records = world.make_sources(sources, megabytes)
    want = world.undisturbed(folder, sources, records)
    disturbed = world.World(os.path.join(folder, "stopped"), sources, seed, interval="1s")
    done = rounds = 0
    try:
        while done < stops:
            disturbed.forget()
            rounds += 1
            code = 75
            while code == 75:
                disturbed.start()
                if done < stops:
                    time.sleep(disturbed.random.uniform(0, 0.4) * world.SLOW)
                    disturbed.process.send_signal(signal.SIGTERM)
                    done += 1
                code = disturbed.finish()
                # A run that is stopped before it takes signals over ends by the signal, as any program.
                if code == -signal.SIGTERM:
                    code = 75
            if code != 0:
                raise world.Wrong(f"a run ended with {code}; see {disturbed.folder}/log")
            disturbed.check(want, records)
            say(f"round {rounds}: {done} stops so far, output and dead letters the same")
    finally:
        disturbed.close()
    say(f"{done} stops in {rounds} rounds: decoded output, dead letters and counts as in the undisturbed run")
