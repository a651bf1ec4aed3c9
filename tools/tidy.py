#!/usr/bin/env python3
"""tidy.py - clang-tidy over the tree, remembering what was found clean.

usage: tools/tidy.py BUILD [FILE...]

A file is checked again only if what the compiler would see of it, comments included, or the
configuration has changed: build/tidy holds one empty file for each clean state. Findings are never
remembered. Without FILEs: every C file that the compile commands of BUILD name below src, tests, bench.
TIDY_NODES (40000) is how far the analyser follows one function; its own 225000 takes five times as long
and has found nothing more so far.
"""
import concurrent.futures
import hashlib
import json
import os
import shlex
import subprocess
import sys

TIDY, CLANG = "clang-tidy-14", "clang-14"
CACHE = "build/tidy"
NODES = os.environ.get("TIDY_NODES", "40000")
# without __NO_CTYPE, tolower() and its kin are macros that count as nested blocks
EXTRA = ["-D__NO_CTYPE", "-Xclang", "-analyzer-config", "-Xclang", f"max-nodes={NODES}"]
OURS = ("src/", "tests/", "bench/")


def commands(build):
    """path below the tree -> (directory, arguments)"""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        entries = json.load(file)
    found = {}
    for entry in entries:
        path = os.path.relpath(os.path.join(entry["directory"], entry["file"]))
        if path.startswith(OURS):
            found.setdefault(path, (entry["directory"], shlex.split(entry["command"])))
    return found


def seen_by_compiler(directory, arguments, path):
    """The preprocessed text. Only -I, -D, -U, -std, -isystem and -include matter to it."""
    kept, take = [], False
    for argument in arguments:
        if take or argument.startswith(("-I", "-D", "-U", "-std", "-isystem", "-include")):
            kept.append(argument)
            take = not take and argument in ("-I", "-D", "-U", "-isystem", "-include")
        else:
            take = False
    run = subprocess.run([CLANG, "-E", "-C", "-w", *kept, os.path.abspath(path)], cwd=directory,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return run.stdout if run.returncode == 0 else os.urandom(16)


def key(directory, arguments, path, config):
    state = hashlib.sha256(config)
    state.update(path.encode() + b"\0" + seen_by_compiler(directory, arguments, path))
    return state.hexdigest()


def check(build, path, command, config):
    mark = os.path.join(CACHE, key(*command, path, config))
    if os.path.exists(mark):
        os.utime(mark)
        return path, 0, ""
    run = subprocess.run([TIDY, "--quiet", *(f"--extra-arg={word}" for word in EXTRA), "-p", build, path],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")
    if run.returncode == 0 and "warning:" not in run.stdout:
        with open(mark, "w", encoding="utf-8"):
            pass
        return path, 0, ""
    # its own count of suppressed warnings is on stderr; keep that only when nothing else speaks
    return path, 1, run.stdout or run.stderr


def readable(text, build):
    """Paths from the top of the tree, however the tool came to them."""
    for prefix in (os.getcwd() + "/", build + "/../../", build + "/../", "../../"):
        text = text.replace(prefix, "")
    return text.rstrip()


def forget_old(keep=4000):
    marks = sorted((os.path.join(CACHE, name) for name in os.listdir(CACHE)), key=os.path.getmtime)
    for mark in marks[:-keep]:
        os.unlink(mark)


def main(arguments):
    if not arguments:
        print("usage: tools/tidy.py BUILD [FILE...]", file=sys.stderr)
        return 2
    build, wanted = arguments[0], arguments[1:]
    os.makedirs(CACHE, exist_ok=True)
    known = commands(build)
    config = " ".join(EXTRA).encode()
    for path in (".clang-tidy", "tests/.clang-tidy"):
        with open(path, "rb") as file:
            config += file.read()
    config += subprocess.check_output([TIDY, "--version"])
    paths = sorted(path for path in known if not wanted or path in wanted)
    bad = 0
    jobs = int(os.environ.get("JOBS", "2"))
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for _, failed, text in pool.map(lambda path: check(build, path, known[path], config), paths):
            bad += failed
            if text:
                print(readable(text, build), flush=True)
    forget_old()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
