#!/usr/bin/env python3
"""Runs process_data() on every record: one JSON line in, one out, as leat's `exec` step wants it.

Change process_data() and leave the rest. What it returns is passed on: a record (dict), None to drop it, or a list of
records. An exception makes the record a dead letter with the exception as its reason.

Reading a line and flushing an answer at a time would cost two system calls a record. So whatever is waiting is read
at once, and answers leave when there is nothing more to read: a lone record is answered at once, a flood in large
pieces. Messages go to stderr; stdout belongs to leat.
"""

import json
import os
import select
import sys


def process_data(record):
    record["words"] = len(record.get("text", "").split())
    return record


READ_BYTES = 256 * 1024
WRITE_BYTES = 64 * 1024  # answers are sent from this size on, even when more input is waiting

encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def answer(line):
    try:
        result = process_data(json.loads(line))
        if result is not None and not isinstance(result, (dict, list)):
            raise TypeError(f"process_data returned a {type(result).__name__}, not a dict, a list or None")
        return encode(result).encode()
    except Exception as error:  # whatever it is, it concerns this record only
        return json.dumps({"leat_error": f"{type(error).__name__}: {error}"}).encode()


def send(answers):
    data = memoryview(b"".join(answers))
    while data:
        data = data[os.write(1, data) :]


def main():
    waiting = select.poll()
    waiting.register(0, select.POLLIN)
    answers, size = [], 0
    pieces = []  # of a line that has not ended yet
    while True:
        if answers and not waiting.poll(0):
            send(answers)
            answers, size = [], 0
        block = os.read(0, READ_BYTES)
        if not block:
            break
        *lines, rest = block.split(b"\n")
        if lines and pieces:
            lines[0] = b"".join(pieces) + lines[0]
            pieces = []
        if rest:
            pieces.append(rest)
        for line in lines:
            result = answer(line)
            answers += (result, b"\n")
            size += len(result) + 1
            if size >= WRITE_BYTES:
                send(answers)
                answers, size = [], 0
    if pieces:
        answers += (answer(b"".join(pieces)), b"\n")
    send(answers)


if __name__ == "__main__":
    sys.stdout = sys.stderr  # a stray print() is no answer
    main()
