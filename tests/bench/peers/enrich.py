"""A moderately heavy process_data(), and the whole job around it in one process: enrich.py IN OUT LANG,LANG..."""
import hashlib
import json
import re
import sys

WORD = re.compile(r"\w+")


def process_data(record):
    words = WORD.findall(record["text"][:2000].lower())
    counts = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    record["words"] = len(words)
    record["common"] = sorted(counts, key=lambda word: (-counts[word], word))[:3]
    record["digest"] = hashlib.sha256(record["text"].encode()).hexdigest()
    return record


def read(path):
    with open(path, "rb") as file:
        yield from file


def keep(lines, langs):
    for record in map(json.loads, lines):
        if record["score"] < 0.5 and record["lang"] in langs:
            yield record


def write(records, path):
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    with open(path, "wb", 1 << 18) as file:
        for record in records:
            file.write(encode(record).encode() + b"\n")


if __name__ == "__main__":
    source, target, wanted = sys.argv[1:]
    write(map(process_data, keep(read(source), frozenset(wanted.split(",")))), target)
