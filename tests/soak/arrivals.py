"""Files that arrive on the NAS: uploaded under another name, growing where they are, whole; some of them damaged.

What is in a file depends on its number and the seed only. All is done below the mount, as another client of the NAS would.
"""
import gzip
import json
import os
import random
import threading
import time

import world

GROWS_S = 0.25  # from piece to piece: far less than the pipelines' `settle`
BROKEN_EVERY = 9


def make_records(name, source, chance):
    """JSON Lines, about 330 bytes each; one in 200 is none."""
    lines = []
    for number in range(chance.randrange(100, 1500)):
        record = {"id": f"{name}:{number}", "source": source, "score": round(chance.random(), 4),
                  "text": "".join(chance.choices("abcdefgh ", k=chance.randrange(20, 500)))}
        line = json.dumps(record, separators=(",", ":"))
        lines.append(line if chance.random() > 0.005 else line[:-7])
    return "\n".join(lines).encode() + b"\n"


class Arrivals(threading.Thread):
    """`kind`: packed (.jsonl.zst) or plain (.jsonl, some .jsonl.gz)."""

    def __init__(self, folder, kind, seed, every_s):
        super().__init__(daemon=True)
        self.folder, self.kind, self.seed, self.every_s = folder, kind, seed, every_s
        self.count = 0
        self.error = None
        self.over = threading.Event()
        os.makedirs(folder)

    def run(self):
        try:
            while not self.over.is_set():
                begin = time.monotonic()
                self.upload(self.count)
                self.count += 1
                self.over.wait(self.every_s - (time.monotonic() - begin))
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def finish(self):
        """The number of files that have arrived."""
        self.over.set()
        self.join()
        if self.error:
            raise self.error
        return self.count

    def content(self, number):
        chance = random.Random(f"{self.seed} {self.kind} {number}")
        stem = f"{self.kind}-{number:05}"
        data = make_records(stem, stem, chance)
        if self.kind == "packed":
            middle = data.index(b"\n", len(data) // 2) + 1
            data = world.compress(data[:middle]) + world.compress(data[middle:])
            name = stem + ".jsonl.zst"
        elif number % 5 == 4:
            data, name = gzip.compress(data, 6, mtime=0), stem + ".jsonl.gz"
        else:
            name = stem + ".jsonl"
        if number % BROKEN_EVERY == BROKEN_EVERY - 1 and not name.endswith(".jsonl"):
            data = damage(data, chance)
        return name, data, chance

    def upload(self, number):
        name, data, chance = self.content(number)
        path = os.path.join(self.folder, name)
        way = chance.choice(("renamed", "hidden", "growing", "whole"))
        if way == "whole":
            with open(path, "wb") as file:
                file.write(data)
            return
        while_uploaded = {"renamed": path + ".part", "hidden": os.path.join(self.folder, "." + name), "growing": path}[way]
        pieces = chance.randrange(2, 5)
        with open(while_uploaded, "wb", buffering=0) as file:
            for at in range(pieces):
                file.write(data[len(data) * at // pieces:len(data) * (at + 1) // pieces])
                time.sleep(GROWS_S)
        if while_uploaded != path:
            os.rename(while_uploaded, path)


def damage(data, chance):
    """Ends too early, or has wrong bytes in its middle."""
    at = chance.randrange(len(data) // 4, len(data) * 3 // 4)
    return data[:at] if chance.random() < 0.5 else data[:at] + bytes(b ^ 0x5A for b in data[at:at + 64]) + data[at + 64:]
