"""The programs that leat is measured against: what each needs, and its command for a job."""
import dataclasses
import functools
import json
import os
import re
import shlex
import shutil
import subprocess
import typing

import jobs

PROGRAMS = os.path.join(jobs.ROOT, "tests", "bench", "peers")
CACHE = os.path.join(jobs.ROOT, "bench-work")
NODE_MODULES = os.path.join(CACHE, "node_modules")
DUCKDB = "@duckdb/node-api"
DUCKDB_VERSION = "1.5.6-r.1"
LEAT = os.path.join(jobs.ROOT, "build", "bin", "leat")
LANG_LIST = ",".join(jobs.LANGS)
LANG_OBJECT = json.dumps(dict.fromkeys(jobs.LANGS, 1), separators=(",", ":"))


@dataclasses.dataclass
class Data:
    """One input in the forms that the peers want."""
    kind: str
    raw: str
    zst: str
    shards: list  # the halves of raw, as .zst
    middle: int   # where the second half begins, in bytes
    bytes: int
    folder: str   # outputs and scratch go here


@dataclasses.dataclass
class Peer:
    name: str
    title: str
    command: typing.Callable  # (job, data) -> argv
    missing: typing.Callable  # () -> what it lacks here, or an empty string
    version: typing.Callable  # () -> text
    outputs: typing.Callable = lambda job, data: [output(job, data)]
    env: typing.Callable = lambda data: {}
    note: str = ""


def output(job, data, part=""):
    return os.path.join(data.folder, f"out{part}.jsonl" + (".zst" if job == "J2" else ""))


def shell(text):
    return ["bash", "-c", "set -euo pipefail; " + text]


def through(job, data, program):
    """The job by a program that reads stdin and writes stdout, with the zstd program at both ends for J2."""
    out = shlex.quote(output(job, data))
    if job == "J2":
        return shell(f"zstd -dcq {shlex.quote(data.zst)} | {program} | zstd -q -3 -o {out}")
    return shell(f"{program} < {shlex.quote(data.raw)} > {out}")


def lacks(*programs):
    return lambda: ", ".join(f"no {program}" for program in programs if not shutil.which(program))


def says(*command):
    """The version number in what a command prints."""
    def version():
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        except OSError:
            return "?"
        found = re.search(r"\d+(\.\d+)+|\b\d{8}\b", done.stdout)
        return found[0] if found else "?"
    return version


# leat

KEEP = [{"field": "/score", "lt": jobs.LIMIT}, {"field": "/lang", "in": jobs.LANGS}]
STEPS = [{"drop": ["/mtime"]}, {"rename": {"/path": "/source"}}, {"length": {"from": "/text", "to": "/n"}}]


def leat(processors):
    def command(job, data):
        process = {} if job == "J3" else {"workers": processors, "steps": STEPS}
        return leat_run(data.folder, [data.zst if job == "J2" else data.raw], process, output(job, data))
    return command


def leat_run(folder, paths, process, sink, filters=None):
    """Writes the pipeline file and gives the command that runs it; `filters`: more keys of its filter section."""
    pipeline = {"version": 1, "name": "bench", "source": {"paths": paths}, "filter": {"keep": KEEP, **(filters or {})}, "sink": {"path": sink}}
    if process:
        pipeline["process"] = process
    if sink.endswith(".zst"):
        pipeline["sink"]["level"] = 3
    path = os.path.join(folder, "bench.yaml")
    with open(path, "w") as file:
        json.dump(pipeline, file, indent=2)  # JSON is YAML
    return [LEAT, "run", path, "--force", "--fresh"]


def leat_env(folder):
    """Empty folders of its own for state and sockets, so that a measurement neither meets nor leaves anything."""
    env = {name: os.path.join(folder, name.lower()) for name in ("XDG_STATE_HOME", "XDG_RUNTIME_DIR")}
    for path in env.values():
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path, mode=0o700)
    return env


# Python

@functools.cache
def python():
    """A Python that has orjson, or any: one for both, so that the library is the only difference.

    The interpreter itself: in front of it may stand a script of pyenv, which takes 50 ms that are not Python's.
    """
    found = [path for path in (shutil.which("python3"), "/usr/bin/python3") if path]
    chosen = next(filter(has_orjson, found), found[0])
    return subprocess.run([chosen, "-c", "import sys; print(sys.executable)"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def has_orjson(interpreter):
    return subprocess.run([interpreter, "-c", "import orjson"], stderr=subprocess.DEVNULL).returncode == 0


def no_orjson():
    return "" if has_orjson(python()) else "no Python module orjson"


def generators(job, library, *arguments):
    return shlex.join([python(), os.path.join(PROGRAMS, "generators.py"), job, library, *map(str, arguments)])


def python_generators(library):
    return lambda job, data: through(job, data, generators(job, library, "-", "-", LANG_LIST))


def python_halves(job, data):
    halves = []
    for number, (begin, end) in enumerate(((0, data.middle), (data.middle, data.bytes))):
        out = output(job, data, number)
        if job == "J2":
            program = generators(job, "orjson", "-", "-", LANG_LIST)
            halves.append(f"{{ zstd -dcq {shlex.quote(data.shards[number])} | {program} | zstd -q -3 -o {shlex.quote(out)}; }}")
        else:
            halves.append(generators(job, "orjson", data.raw, out, LANG_LIST, begin, end))
    return shell(f"{halves[0]} & first=$!; {halves[1]}; wait $first")


# The others

def jq(program, job):
    text = "select(.score < 0.5 and (.lang | in($langs)))"
    if job != "J3":
        text += " | del(.mtime) | .source = .path | del(.path) | .n = (.text | length)"
    return shlex.join([program, "-c", "--argjson", "langs", LANG_OBJECT, text])


def parallel_jq(job, data):
    command = f"--will-cite -k -j2 --tmpdir {shlex.quote(data.folder)} --block 16M {shlex.quote(jq('jq', job))}"
    if job == "J2":
        return through(job, data, f"parallel --pipe {command}")
    return shell(f"parallel --pipepart -a {shlex.quote(data.raw)} {command} > {shlex.quote(output(job, data))}")


def miller(job, data):
    text = f"begin {{ @langs = {LANG_OBJECT} }} filter $score < 0.5 && haskey(@langs, $lang);"
    then = []
    if job != "J3":
        text += " unset $mtime; $n = strlen($text);"
        then = ["then", "rename", "path,source"]
    return through(job, data, shlex.join(["mlr", "--ijsonl", "--ojsonl", "put", text, *then]))


def node(job, data):
    return through(job, data, shlex.join(["node", os.path.join(PROGRAMS, "readline.cjs"), job, "-", "-", LANG_LIST]))


def duckdb(job, data):
    program = os.path.join(PROGRAMS, "duckdb.cjs")
    return ["node", program, job, data.zst if job == "J2" else data.raw, output(job, data), LANG_LIST]


def no_duckdb():
    found = os.path.isdir(os.path.join(NODE_MODULES, DUCKDB))
    return lacks("node")() or ("" if found else f"no npm package {DUCKDB} in bench-work/")


def duckdb_version():
    with open(os.path.join(NODE_MODULES, DUCKDB, "package.json")) as file:
        return json.load(file)["version"]


def every_peer(processors):
    orjson_version = says(python(), "-c", "import orjson; print(orjson.__version__)")
    return [
        Peer("leat", f"**leat**, {processors} processors", leat(processors),
             lambda: "" if os.access(LEAT, os.X_OK) else "no build/bin/leat", says(LEAT, "--version"),
             env=lambda data: leat_env(data.folder), note="one filter; durable commits, exactly once"),
        Peer("duckdb", "DuckDB, typed columns", duckdb, no_duckdb, duckdb_version, env=lambda data: {"NODE_PATH": NODE_MODULES},
             note="one COPY, through its npm package; the start of node is included"),
        Peer("orjson-2", "Python + orjson, 2 processes by hand", python_halves, no_orjson, orjson_version,
             outputs=lambda job, data: [output(job, data, 0), output(job, data, 1)],
             note="each takes half of the bytes (J2: two .zst made beforehand); two outputs, not merged"),
        Peer("orjson", "Python generators + orjson", python_generators("orjson"), no_orjson, orjson_version),
        Peer("python", "Python generators + json", python_generators("json"), lacks("python3", "zstd"), says(python(), "--version"),
             note="a generator a stage, as in the blog post"),
        Peer("node", "Node.js readline", node, lacks("node", "zstd"), says("node", "--version")),
        Peer("parallel", "GNU parallel + jq, 2 jobs", parallel_jq, lacks("parallel", "jq", "zstd"), says("parallel", "--version"),
             note="blocks of 16 MB, order kept"),
        Peer("miller", "Miller", miller, lacks("mlr", "zstd"), says("mlr", "--version")),
        Peer("gojq", "gojq", lambda job, data: through(job, data, jq("gojq", job)), lacks("gojq", "zstd"), says("gojq", "--version")),
        Peer("jq", "jq", lambda job, data: through(job, data, jq("jq", job)), lacks("jq", "zstd"), says("jq", "--version")),
    ]


# Floors: what this machine needs for a part of the job alone. Their output is not judged.

FLOORS = {
    "J1": [("cat in > out", lambda data: f"cat {shlex.quote(data.raw)} > {shlex.quote(output('J1', data))}")],
    "J2": [("zstd -dc in > out", lambda data: f"zstd -dcq {shlex.quote(data.zst)} > {shlex.quote(output('J1', data))}"),
           ("zstd -3 of all the input", lambda data: f"zstd -q -3 {shlex.quote(data.raw)} -o {shlex.quote(output('J2', data))}")],
    "J3": [],
}


def floors(job):
    return [Peer(f"floor-{number}", f"floor: `{title}`", lambda _, data, text=text: shell(text(data)), lacks("zstd"), lambda: "",
                 outputs=lambda _, data: [output("J1", data), output("J2", data)])
            for number, (title, text) in enumerate(FLOORS[job])]


def install():
    """Debian's packages with apt-get (through sudo unless root), DuckDB with npm into bench-work/."""
    programs = {"zstd": "zstd", "gzip": "gzip", "jq": "jq", "gojq": "gojq", "parallel": "parallel", "miller": "mlr",
                "nodejs": "node", "npm": "npm"}
    wanted = [package for package, program in programs.items() if not shutil.which(program)]
    if wanted:
        sudo = [] if os.geteuid() == 0 else ["sudo"]
        subprocess.run([*sudo, "apt-get", "update", "-q"], check=True)
        subprocess.run([*sudo, "apt-get", "install", "-y", "-q", "--no-install-recommends", *wanted], check=True)
    if no_duckdb():
        os.makedirs(CACHE, exist_ok=True)
        subprocess.run(["npm", "install", "--no-fund", "--no-audit", "--prefix", CACHE, f"{DUCKDB}@{DUCKDB_VERSION}"], check=True)
