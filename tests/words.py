#!/usr/bin/env python3
"""Words that leat does not use, as the field has others (docs/GLOSSARY.md), where a user or another program reads them:
string literals of the programs (messages, JSON keys, names of events), man pages, README, docs, units and completion; and
names in the code that had such a word. Prints each place with the word to use, and exits 1 if there is one.
scripts/check runs it.
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# In text: pattern, what to say instead.
TEXT = [
    (r"\bused up\b(?! to)", "end of input; read"),
    (r"\b(?:go|goes|going|gone|went) on\b", "continue, resume"),
    (r"\b(?:left|leave|leaves|taken?|takes?) (?:it |them |\S+ key )?out\b", "skipped; remove"),
    (r"\btak(?:e|es|en) \S+ out\b(?! of)", "remove"),
    (r"\bin trouble\b|\btroubled?\b", "failing"),
    (r"\b(?:is|are|was|were|be|been|stays?|stayed|being) away\b|-away\b", "unavailable"),
    (r"\b(?:is|are|was|were) back\b(?! in)|\bcomes? back\b|\bcame back\b|-back\b", "recovered; there again"),
    (r"\bheed\w*|\bhear[sd]?\b|\b(?:un)?told\b", "handled, received, reported"),
    (r"\btakes its place\b|\banew\b", "restarted; again"),
    (r"\bow(?:e|es|ed|ing)\b", "unanswered; draining, drained"),
    (r"\b(?:is|are|was|were) to go\b|\btold to (?:leave|go)\b", "draining, leaving"),
    (r"\bwhat is slow\b|\bbrought nothing\b|\bholds? it back\b", "bottleneck; gave no speed-up"),
    (r"\baccount of\b", "run summary"),
    (r"\b(?:nobody|somebody|everybody|everyone|he|his|him)\b", "it; no process, another user"),
    (r"\blook(?:s|ed|ing)? (?:at|for|into|whether)\b|\b(?:a|last|next|daily) look\b", "scan, stat, poll, check"),
    (r"\bseats?\b|\ball places\b|\bwithout a place\b", "slot, index"),
    (r"\b1 (?:sources|files|records|processors|workers|batches|outputs|threads|bytes|letters|pipelines|lines)\b", "singular"),
    (r"\bcondemn\w*|\bverdict\b", "quarantine"),
]
# Literals that are a JSON key or a type of message as a whole.
KEYS = {"at": "activity", "for_s": "state_seconds", "since_s": "state_seconds", "says": "message", "back": "present",
        "pool": "member_added, member_draining, member_removed", "again": "resend", "verdict": "quarantine",
        "retired": "member_drained", "look": "presence"}
# In code.
NAMES = [
    (r"proto::(?:Pool|Again|Verdict|Retired)\b", "MemberAdded ..., Resend, Quarantine, MemberDrained"),
    (r"\bheed\w*|\bhear(?:s|d)?_\w+|\b(?:un)?told_?\b(?=[;(.\s]*[=;()])|\btell_\w+", "handle_control, drain_acks, report, dirty"),
    (r"\b\w*_?[Ss]eats?(?:_\w*)?\b", "slot, index"),
    (r"\blook_(?:at|for|now)\w*|\bk\w*Looks?\w*\b|\bDailyLook\b", "scan, stat, poll, check, sample"),
    (r"\b\w*troubled?_?(?:since)?_?\b(?=[;(.\s]*[=;()])", "failing, fault"),
    (r"\bow(?:ed|ing)_?\b(?=[;(.\s]*[=;()])", "unanswered"),
]
# A whole line of text in which one of the words means something else.
ALLOWED = [
    r"^\s*(?:SELECT|UPDATE|DELETE|INSERT|ALTER|PRAGMA)\b",
]
LITERAL = re.compile(r'R"\((.*?)\)"|"((?:[^"\\\n]|\\.)*)"', re.S)


def files(*patterns):
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in listed.stdout.splitlines() if os.path.exists(os.path.join(ROOT, path))]


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def without_comments(text):
    return re.sub(r"^\s*//.*$", "", text, flags=re.M)


def literals(text):
    """Line and content; those that only white space parts are one."""
    start, words, end = 0, None, 0
    for found in LITERAL.finditer(text):
        content = found.group(1) if found.group(1) is not None else found.group(2)
        if words is not None and not text[end:found.start()].strip():
            words += content
        else:
            if words is not None:
                yield text.count("\n", 0, start) + 1, words
            start, words = found.start(), content
        end = found.end()
    if words is not None:
        yield text.count("\n", 0, start) + 1, words


def findings():
    for path in files("proto/*.cc", "proto/*.h", "config/*.cc", "config/*.h", "workers/*.cc", "workers/*.h", "daemon/*.cc", "daemon/*.h"):
        source = re.sub(r"^#include.*$", "", without_comments(read(path)), flags=re.M)
        for line, words in literals(source):
            if words in KEYS:
                yield path, line, words, KEYS[words]
            if any(re.search(allowed, words) for allowed in ALLOWED):
                continue
            for pattern, better in TEXT:
                for found in re.finditer(pattern, words):
                    yield path, line, found.group(), better
        code = re.sub(r"//.*$", "", LITERAL.sub(lambda found: '""' + "\n" * found.group().count("\n"), source), flags=re.M)
        for pattern, better in NAMES:
            for found in re.finditer(pattern, code):
                yield path, code.count("\n", 0, found.start()) + 1, found.group(), better
    pages = files("docs/man/*", "README.md", "docs/*.md", "proto/PROTOCOL.md", "systemd/*", "config/*.json", "config/examples/*")
    for path in pages:
        if path.endswith(".svg"):
            continue
        text = read(path).replace("\\-", "-")
        if path == "proto/PROTOCOL.md":
            text = text[:text.index("## Versions")]  # names of old versions stay
        if path == "docs/DECISIONS.md":
            text = re.sub(r"\*\*The control messages say one thing each\.?\*\*.*?(?=\n- |\n\n)", "", text, flags=re.S)
            text = re.sub(r"The control messages say one thing each.*?(?=\n\n|\Z)", "", text, flags=re.S)
        for number, line in enumerate(text.splitlines(), 1):
            for pattern, better in TEXT:
                for found in re.finditer(pattern, line):
                    yield path, number, found.group(), better


def main():
    bad = False
    for path, line, word, better in findings():
        print(f"{path}:{line}: '{word}': {better}")
        bad = True
    sys.exit(bad)


if __name__ == "__main__":
    main()
