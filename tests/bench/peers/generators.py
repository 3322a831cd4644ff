"""The job as Python generators, one a stage: generators.py JOB json|orjson IN OUT LANG,LANG... [BEGIN END]

IN and OUT may be - for a pipe. With BEGIN and END (bytes), the lines that begin in that range: how one splits a file
by hand over processes.
"""
import sys

job, library, source, target, langs = sys.argv[1:6]
begin, end = map(int, sys.argv[6:8]) if len(sys.argv) > 6 else (0, None)
wanted = frozenset(langs.split(","))
if library == "orjson":
    from orjson import dumps, loads
else:
    import json

    loads = json.loads
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

    def dumps(record):
        return encode(record).encode()


def read(file):
    if end is None:
        yield from file
        return
    position = begin
    if begin:
        file.seek(begin - 1)
        position += len(file.readline()) - 1
    while position < end:
        line = file.readline()
        if not line:
            return
        position += len(line)
        yield line


def keep(lines):
    for line in lines:
        record = loads(line)
        if record["score"] < 0.5 and record["lang"] in wanted:
            yield line, record


def process(kept):
    for _, record in kept:
        del record["mtime"]
        record["source"] = record.pop("path")
        record["n"] = len(record["text"])
        yield dumps(record) + b"\n"


def write(lines, file):
    for line in lines:
        file.write(line)


with (sys.stdin.buffer if source == "-" else open(source, "rb", 1 << 18)) as input_file, \
        (sys.stdout.buffer if target == "-" else open(target, "wb", 1 << 18)) as output_file:
    kept = keep(read(input_file))
    write((line for line, _ in kept) if job == "J3" else process(kept), output_file)
