"""What happens to a leatd in the course of its life, one thing at a time. Each returns what it did, in words.

A fault that ends is over when its function returns; a change (the size of a pool, who has joined) stays. All answers of
leatd must be what they should be.
"""
import json
import os
import random
import signal
import time

import world

MAX_JOINED = 3


def parent_of(pid):
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rsplit(b")", 1)[1].split()[1])
    except OSError:
        return 0


class Faults:
    def __init__(self, leatd, nas, configs, seed, haste):
        """configs: name -> pipeline. haste: 1: as long as in life; 0.2: a fifth of that."""
        self.leatd, self.nas, self.configs, self.haste = leatd, nas, configs, haste
        self.random = random.Random(seed)
        self.deck = []
        self.counts = {}

    KINDS = ("kill_worker", "stop_processor", "scale", "join", "dismiss_joined", "kill_joined", "nas_away", "pause",
             "reload_changed", "reload_bad", "remove_and_restore", "drain")

    def next(self, kills_leatd):
        """Each kind once before any comes again."""
        while True:
            if not self.deck:
                self.deck = [*self.KINDS, "kill_leatd"]
                self.random.shuffle(self.deck)
            kind = self.deck.pop()
            if kills_leatd or kind != "kill_leatd":
                break
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return kind, getattr(self, kind)()

    def pass_time(self, least, most):
        seconds = self.random.uniform(least, most) * self.haste
        time.sleep(seconds)
        return f"{seconds:.1f} s"

    def a_pipeline(self):
        return self.random.choice(sorted(self.configs))

    def ask(self, command, pipeline=None, code=0, **more):
        answer = self.leatd.ask(command, pipeline, seconds=60, **more)
        if answer["exit_code"] != code:
            raise world.Wrong(f"{command} {pipeline or ''}: {answer}, not exit code {code}")
        return answer

    def workers(self, role=None):
        """(pipeline, worker) of all that are there."""
        return [(name, worker) for name in sorted(self.configs) for worker in self.leatd.pipeline(name).get("workers", ())
                if worker["pid"] and role in (None, worker["role"]) and worker["state"] != "gone"]

    def one_worker(self, role=None):
        """While everything is restarted there is none."""
        return self.random.choice(self.leatd.until(lambda: self.workers(role), f"a {role or 'worker'} is there"))

    def signal(self, pid, number):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass

    def kill_worker(self):
        name, worker = self.one_worker(self.random.choice(("reader", "filter", "processor", "writer")))
        self.signal(worker["pid"], signal.SIGKILL)
        return f"SIGKILL to the {worker['role']} of {name}"

    def stop_processor(self):
        name, worker = self.one_worker("processor")
        self.signal(worker["pid"], signal.SIGSTOP)
        seconds = self.pass_time(5, 5)
        self.signal(worker["pid"], signal.SIGCONT)
        return f"SIGSTOP for {seconds} to processor {worker['index']} of {name}"

    def scale(self):
        name = self.a_pipeline()
        workers = self.random.choice((1, 2, 3, 4, 5, 6))
        if isinstance(self.configs[name]["process"]["workers"], dict) and self.random.random() < 0.5:
            workers = "auto"
        self.ask("scale", name, role="processor", workers=workers)
        return f"scale {name} {workers}"

    def alive(self):
        self.leatd.joined = [process for process in self.leatd.joined if process.poll() is None]
        return self.leatd.joined

    def join(self):
        if len(self.alive()) >= MAX_JOINED:
            return self.dismiss_joined()
        name = self.a_pipeline()
        pid = self.leatd.join(name).pid
        # The member of the pool is a child of the process that was started, which starts another when leatd does.
        self.leatd.until(lambda: any(parent_of(worker["pid"]) == pid and worker["state"] not in ("starting", "gone")
                                     for _, worker in self.workers("processor")), f"the processor {pid} has joined {name}")
        return f"a processor joined {name}"

    def dismiss_joined(self):
        if not self.alive():
            return self.join()
        process = self.leatd.joined.pop(self.random.randrange(len(self.leatd.joined)))
        process.terminate()
        try:
            code = process.wait(world.DEADLINE_S)
        except Exception as error:
            process.kill()
            raise world.Wrong("a processor that joined does not leave when told to") from error
        if code != 0:
            raise world.Wrong(f"a processor that joined and was told to leave ended with {code}")
        return "SIGTERM to a processor that had joined: drained and left"

    def kill_joined(self):
        if not self.alive():
            return self.join()
        process = self.leatd.joined.pop(self.random.randrange(len(self.leatd.joined)))
        process.kill()
        process.wait()
        return "SIGKILL to a processor that had joined"

    def nas_away(self):
        self.nas.command("away")
        seconds = self.pass_time(5, 20)
        self.nas.command("back")
        return f"NAS away for {seconds}"

    def pause(self):
        name = self.a_pipeline()
        self.ask("pause", name)
        seconds = self.pass_time(5, 15)
        if self.leatd.pipeline(name)["state"] != "paused":
            raise world.Wrong(f"{name} is not paused")
        self.ask("resume", name)
        return f"{name} paused for {seconds}"

    def reload_changed(self):
        name = self.a_pipeline()
        limits = self.configs[name].setdefault("limits", {})
        limits["commit"] = {"interval": self.random.choice(("250ms", "500ms", "1s"))}
        limits["batch"] = self.random.choice(("64KiB", "128KiB", "256KiB", "512KiB"))
        self.leatd.configure(name, self.configs[name])
        self.ask("reload")
        return f"reload with a changed {name}: {limits['batch']}, {limits['commit']['interval']}"

    def reload_bad(self):
        name = self.a_pipeline()
        before = self.leatd.pipeline(name).get("epoch")
        with open(self.leatd.file_of(name), "w") as file:
            file.write(json.dumps(dict(self.configs[name], sinc={})))
        answer = self.ask("reload", code=78)
        seconds = self.pass_time(2, 5)
        if "sinc" not in answer["text"] or not self.leatd.pipeline(name):
            raise world.Wrong(f"a bad {name} was not refused by name, or took the good one with it: {answer}")
        self.leatd.configure(name, self.configs[name])
        self.ask("reload")
        return f"a bad file of {name} for {seconds}, which was refused (epoch {before})"

    def remove_and_restore(self):
        name = self.a_pipeline()
        os.unlink(self.leatd.file_of(name))
        self.ask("reload")
        seconds = self.pass_time(0, 5)
        self.leatd.configure(name, self.configs[name])
        self.ask("reload")
        self.leatd.until(lambda: self.leatd.pipeline(name).get("state") == "running", f"{name} runs again")
        return f"the file of {name} gone for {seconds}"

    def drain(self):
        name = self.a_pipeline()
        self.ask("drain", name)
        if self.leatd.pipeline(name)["state"] != "stopped":
            raise world.Wrong(f"{name} was drained and has not stopped")
        seconds = self.pass_time(1, 5)
        self.ask("resume", name)
        self.leatd.wait_for(name)
        return f"{name} drained, resumed after {seconds}"

    def kill_leatd(self):
        self.leatd.kill()
        self.leatd.start()
        for name in sorted(self.configs):
            self.leatd.wait_for(name)
        return "kill -9 of leatd, started again at once"
