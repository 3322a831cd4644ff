"""leatd.service in a booted Debian, at the size and with the outages of real life: see tests/systemd/disturb.py."""
import os

import disturb
import home
import world


def soak(folder, megabytes, say):
    if reason := home.missing():
        raise world.Wrong(f"cannot be done here: {reason}")
    here = home.Service(folder, home.BUILD, megabytes, files=100, megabits=80, say=say)
    try:
        here.machine.write("/etc/systemd/system/leat.slice.d/memory.conf", "[Slice]\nMemoryMax=128M\n")
        here.install()
        here.configure()
        here.machine.systemctl("daemon-reload")
        here.machine.systemctl("enable", "--now", "mnt-nas.mount", "leatd")
        disturb.Disturbances(here, away_s=60, each=3).run()
        if kills := here.oom_kills():
            raise home.Wrong(f"the memory limit killed: {kills}")
        with open(os.path.join(home.BUILD, "soak-systemd.log"), "w", encoding="utf-8") as out:
            out.write(here.story(100_000))
        say(f"{megabytes} MB in {here.fed} files: outputs and dead letters as in the undisturbed run; the journal is in {out.name}")
    except (home.Wrong, home.container.Broken) as wrong:
        say(here.story())
        raise world.Wrong(str(wrong)) from wrong
    finally:
        here.close()
