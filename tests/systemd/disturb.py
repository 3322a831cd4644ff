"""What may happen to a service in years, in a few minutes: each step is done to it while files arrive."""
import time

import nas
from home import Wrong

UNITS = ("leatd.service", "leat-processor@reviews-8.service", "leat-processor@reviews-9.service")


def check(condition, what):
    if not condition:
        raise Wrong(what)


class Disturbances:
    """Steps in the order of `all`. `away_s`: how long the NAS is unavailable; `each`: files that arrive at each step."""

    def __init__(self, service, away_s=8, each=1):
        self.service, self.machine = service, service.machine
        self.away_s, self.each = away_s, each

    def all(self):
        return (self.processors_join, self.every_unit_is_killed, self.every_process_is_killed, self.a_bad_config_is_refused,
                self.a_good_config_is_taken, self.scaled_by_leat, self.scaled_by_systemctl, self.the_nas_is_away,
                self.the_nas_is_mounted_again, self.the_mount_dies, self.restarted, self.hung, self.upgraded, self.power_is_cut)

    def run(self):
        for step in self.all():
            began = time.monotonic()
            self.give()
            step()
            self.service.arrived()
            peak = self.service.peak_memory()
            self.service.say(f"{step.__name__}: {time.monotonic() - began:.1f} s, the bytes are right"
                             + (f"; at most {peak:.0f} MiB since the boot" if peak else ""))
        self.service.give(len(self.service.feed))
        self.service.finished()

    def give(self):
        self.service.give(self.each)
        self.service.flowing()

    def main_pid(self, unit):
        return int(self.machine.show(unit, "MainPID"))

    def comes_again(self, unit, pid):
        self.service.wait(lambda: self.main_pid(unit) not in (0, pid) and self.machine.show(unit, "ActiveState") == "active",
                          f"{unit} is started again")

    def processors_join(self):
        self.machine.systemctl("start", *UNITS[1:])
        self.service.joined(2)

    def every_unit_is_killed(self):
        for unit in UNITS:
            pid = self.main_pid(unit)
            self.machine.systemctl("kill", "-s", "KILL", "--kill-who=main", unit)
            self.comes_again(unit, pid)
            self.service.joined(2)
            self.service.give(1)

    def every_process_is_killed(self):
        for unit in UNITS:
            pid = self.main_pid(unit)
            self.machine.systemctl("kill", "-s", "KILL", unit)
            self.comes_again(unit, pid)
        self.service.joined(2)

    def a_bad_config_is_refused(self):
        pid = self.main_pid(UNITS[0])
        self.service.configure(self.service.pipeline(sink={"level": "many"}))
        check(self.machine.systemctl("reload", "leatd", check=False).returncode != 0, "a bad configuration was taken")
        check(self.main_pid(UNITS[0]) == pid and self.service.is_running(), "a bad configuration stopped what ran before")
        self.service.give(1)
        self.service.arrived()

    def a_good_config_is_taken(self):
        self.service.configure(self.service.pipeline(limits={"batch": "32KiB"}))
        self.machine.run("leat", "reload")
        self.service.wait(self.service.is_running, "it runs with the new configuration")
        self.service.joined(2)

    def scaled_by_leat(self):
        for count in (6, 1):
            self.machine.run("leat", "scale", "reviews", "processor", count)
            self.service.wait(lambda count=count: len(self.service.workers("own")) == count, f"{count} own processors")
            self.give()
        self.machine.run("leat", "scale", "reviews", "processor", "auto")

    def scaled_by_systemctl(self):
        units = [f"leat-processor@reviews-{n}" for n in range(1, 5)]
        self.machine.systemctl("start", *units)
        self.service.joined(6)
        self.give()
        self.machine.systemctl("stop", *units)
        self.service.joined(2)
        for unit in units:
            check(self.machine.show(unit, "Result") == "success", f"{unit} did not leave in peace")

    def the_nas_is_away(self):
        self.service.nas.kill_server()
        time.sleep(self.away_s)  # the length of the outage, not a synchronisation
        check(self.main_pid(UNITS[0]) > 0 and self.service.status() is not None, "leatd does not answer while the NAS is away")
        self.service.nas.start_server()

    def the_nas_is_mounted_again(self):
        self.service.arrived()
        self.machine.systemctl("stop", "mnt-nas.mount")
        self.service.wait(lambda: nas.MOUNT in (self.service.status() or {}).get("message", ""), "leat status says what is missing")
        self.service.wait(lambda: nas.MOUNT in self.machine.show(UNITS[0], "StatusText"), "systemctl status says so too")
        self.machine.systemctl("start", "mnt-nas.mount")
        self.give()

    def the_mount_dies(self):
        self.machine.systemctl("kill", "-s", "KILL", "mnt-nas.mount")
        time.sleep(1)  # the length of the outage, not a synchronisation
        self.machine.systemctl("restart", "mnt-nas.mount")

    def restarted(self):
        self.machine.systemctl("restart", "leatd")
        self.service.joined(2)

    def hung(self):
        """Its watchdog is to notice."""
        pid = self.main_pid(UNITS[0])
        self.machine.systemctl("kill", "-s", "STOP", "--kill-who=main", UNITS[0])
        self.comes_again(UNITS[0], pid)
        self.service.joined(2)

    def upgraded(self):
        pid = self.main_pid(UNITS[0])
        self.machine.run("apt-get", "install", "-y", "--reinstall", "/root/leat.deb")
        check(self.main_pid(UNITS[0]) not in (0, pid), "an upgrade did not restart it")
        self.service.joined(2)

    def power_is_cut(self):
        self.machine.cut_power()
        self.machine.boot()
        self.service.wait(self.service.is_running, "it runs after the boot")
