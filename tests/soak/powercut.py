"""The power is cut at random moments, state folder and sink both on a disk that keeps only what was fsynced."""
import os
import time

import faultfs
import world


def soak(folder, cuts, seed, megabytes, say):
    if reason := faultfs.missing():
        raise world.Wrong(f"cannot run here: {reason}")
    sources = os.path.join(folder, "in")
    records = world.make_sources(sources, megabytes)
    want = world.undisturbed(folder, sources, records)
    place = os.path.join(folder, "cut")
    os.makedirs(place)
    with faultfs.FaultFs(place, "disk", lossy=True) as disk:
        disturbed = world.World(os.path.join(place, "world"), sources, seed, out=str(disk.path / "out"),
                                state=str(disk.path / "state"))
        # What was there before the pipeline is durable.
        os.makedirs(disturbed.state, mode=0o700, exist_ok=True)
        for path in (disturbed.out, disturbed.state, str(disk.path)):
            sync_folder(path)
        done = rounds = 0
        try:
            while done < cuts:
                disturbed.forget()
                for path in (disturbed.out, disturbed.state):
                    sync_folder(path)
                rounds += 1
                while True:
                    disturbed.start()
                    if done < cuts:
                        time.sleep(disturbed.random.uniform(0.02, 0.6) * world.SLOW)
                    if done >= cuts or disturbed.process.poll() is not None:
                        code = disturbed.finish()
                        if code != 0:
                            raise world.Wrong(f"a run ended with {code}; see {disturbed.folder}/log")
                        break
                    disk.powercut(seed=disturbed.random.randrange(1 << 30))
                    disturbed.kill_all()
                    disk.restore()
                    done += 1
                    if any(name.endswith(".db") for name in os.listdir(disturbed.state)):
                        disturbed.check_ledger()
                disturbed.check(want, records)
                say(f"round {rounds}: {done} cuts so far, output and dead letters the same")
        finally:
            disturbed.close()
    say(f"{done} cuts in {rounds} rounds: the ledger was sound each time; decoded output, dead letters and counts as in "
        "the undisturbed run")


def sync_folder(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
