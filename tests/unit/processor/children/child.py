"""Children for the exec step, good and bad: child.py MODE [ARGUMENT ...]. Records are objects with "n"."""
import json
import os
import signal
import sys
import time

mode, arguments = sys.argv[1], sys.argv[2:]


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def lines():
    for line in sys.stdin:
        yield line.rstrip("\n"), json.loads(line)


def first_time(marker):
    """True once: the marker file outlives the process."""
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        return False


def echo():
    for line in sys.stdin:
        say(line.rstrip("\n"))


def answers():  # each record carries the answer to print
    for _, record in lines():
        say(record["answer"])


def buffers():  # as Python does when stdout is a pipe and nobody flushes
    for line in sys.stdin:
        print(line.rstrip("\n"))


def until_eof():
    kept = list(sys.stdin)
    sys.stdout.write("".join(kept))


def buffers_and_dies():  # with all that is in the buffer
    for line, record in lines():
        if record["n"] == int(arguments[0]):
            os.kill(os.getpid(), signal.SIGSEGV)
        print(line)


def by_tens():  # flushes, but only after every tenth answer
    for line, record in lines():
        print(line, flush=record["n"] % 10 == 9)


def dies():  # arguments: n, how, [marker: only once]
    for line, record in lines():
        if record["n"] == int(arguments[0]) and (len(arguments) < 3 or first_time(arguments[2])):
            if arguments[1] == "exit":
                os._exit(3)
            os.kill(os.getpid(), signal.SIGSEGV)
        say(line)


def hangs():  # arguments: n, [marker]
    for line, record in lines():
        if record["n"] == int(arguments[0]) and (len(arguments) < 2 or first_time(arguments[1])):
            signal.pause()
        say(line)


def junk():  # arguments: n, what to print, [marker]
    for line, record in lines():
        bad = record["n"] == int(arguments[0]) and (len(arguments) < 3 or first_time(arguments[2]))
        say(arguments[1] if bad else line)


def endless_line():
    for _ in sys.stdin:
        while True:
            sys.stdout.write("x" * 65536)


def extra():  # one line too many after record n, in the same write; argument 2: marker
    for line, record in lines():
        more = record["n"] == int(arguments[0]) and first_time(arguments[1])
        say(line + "\n{}" if more else line)


def banner():
    say("Loading the model")
    echo()


def late():  # ready after a while, by a clock of its own
    time.sleep(float(arguments[0]))
    echo()


def slow():  # arguments: seconds a record; prints its pid into every answer
    for _ in sys.stdin:
        time.sleep(float(arguments[0]))
        say('{"pid":%d}' % os.getpid())


def one_each():  # a new process for every record
    say(sys.stdin.readline().rstrip("\n"))


def no_newline():
    sys.stdout.write(sys.stdin.readline().rstrip("\n"))


def facts():  # what it was started with
    for line in sys.stdin:
        blocked = ignored = ""
        for status in open("/proc/self/status"):
            if status.startswith("SigBlk"):
                blocked = status.split()[1]
            if status.startswith("SigIgn"):
                ignored = status.split()[1]
        facts = {
            "cwd": os.getcwd(),
            "fds": sorted(int(fd) for fd in os.listdir("/proc/self/fd")),
            "group": os.getpgrp() == os.getpid(),
            "blocked": int(blocked, 16),
            "ignored": bool(int(ignored, 16) & 1 << (signal.SIGUSR1 - 1)),
        }
        say(json.dumps(facts))


def closes_stdin():
    os.close(0)
    signal.pause()


def loses_stdin_and_dies():  # argument: marker
    for line, _ in lines():
        say(line)
        if first_time(arguments[0]):
            os.close(0)
            time.sleep(0.2)
            os.kill(os.getpid(), signal.SIGKILL)


globals()[mode]()
