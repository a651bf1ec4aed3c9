#!/usr/bin/env python3
"""test.py - runs what ./dev test built: unit tests and fuzz seeds of both builds, then tests/e2e.

usage: tools/test.py [--with DIR] [NAME...]

One line a test, the end of its output where it failed, and `N passed, N failed` as the last line.
An end-to-end test is an executable tests/e2e/NAME.sh or NAME.py. It gets a fresh directory (its
working directory and TMPDIR), twenty ports of its own (PORT, the first of them), CORDON (the program)
and SOURCE (this tree), and ends with 0, with 77 and a last line that says why it cannot run here, or
with anything else when it failed. Comment lines at its head may say:
    needs: node venv      foreign clients that tools/node.sh fetches (no network: `not run`)
    needs: root NAME      root, or a program NAME
    time-out: 600         seconds, instead of 300
    alone                 not beside another test, because it measures time
"""
import concurrent.futures
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOGS = os.path.join(ROOT, "build", "test-logs")
BUILDS = (("unit", "build"), ("asan", "build/asan"))
NOT_RUN = 77
PORTS_EACH = 20
TAIL = 60
SPEED = float(os.environ.get("TEST_PATIENCE", "1"))  # stretches every time-out on a slow machine


class Tally:
    """Counts and prints; the only writer of standard output."""

    def __init__(self):
        self.passed = self.failed = 0
        self.lock = threading.Lock()

    def line(self, ok, name, seconds, why="", output=""):
        with self.lock:
            self.passed += ok
            self.failed += not ok
            print(f"{'ok  ' if ok else 'FAIL'} {name} {seconds:.1f} s{' ' + why if why else ''}")
            if not ok:
                for text in output.splitlines()[-TAIL:]:
                    print("    " + text)
            sys.stdout.flush()

    def not_run(self, name, why):
        with self.lock:
            print(f"not run: {name} {why}", flush=True)


def wanted(name, words):
    return not words or any(word in name for word in words)


# ---- unit tests and fuzz seeds, through meson

def sanitizer_environment():
    env = dict(os.environ)
    env.setdefault("ASAN_OPTIONS", "detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
    env.setdefault("ASAN_SYMBOLIZER_PATH", shutil.which("llvm-symbolizer-14") or "")
    return env


def meson_names(build, words):
    listed = json.loads(subprocess.check_output(["meson", "introspect", "--tests", build], cwd=ROOT))
    return [test["name"] for test in listed if wanted(test["name"], words)]


def run_meson(kind, build, words, tally):
    names = meson_names(build, words)
    if not names:
        return
    command = ["meson", "test", "-C", build, "--no-rebuild", "--num-processes", jobs(),
               "--timeout-multiplier", str(SPEED), *names]
    log = os.path.join(ROOT, build, "meson-logs", "testlog.json")
    if os.path.exists(log):
        os.unlink(log)
    run = subprocess.run(command, cwd=ROOT, env=sanitizer_environment(), stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    seen = 0
    if os.path.exists(log):
        with open(log, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                seen += 1
                report_meson(kind, json.loads(line), tally)
    if seen < len(names):
        tally.line(False, f"{kind}: {len(names) - seen} tests gave no result", 0, output=run.stdout)


def report_meson(kind, record, tally):
    name = f"{kind}/{record['name'].split(' / ')[-1]}"
    output = (record.get("stdout") or "") + (record.get("stderr") or "")
    if record["result"] == "SKIP":
        tally.not_run(name, last_line(output) or "it says so")
        return
    ok = record["result"] in ("OK", "EXPECTEDFAIL")
    tally.line(ok, name, record["duration"], "" if ok else record["result"].lower(), output)


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


# ---- end-to-end tests

class Story:
    """One executable of tests/e2e, and what the comments at its head ask for."""

    def __init__(self, path, group):
        self.path = path
        self.name = f"{group}/{os.path.splitext(os.path.basename(path))[0]}"
        self.needs, self.limit, self.alone = [], 300, False
        with open(path, encoding="utf-8", errors="replace") as text:
            for line in text.readlines()[:20]:
                found = re.match(r"#\s*(needs|time-out|alone)(?::\s*(.*))?$", line.strip())
                if found is None:
                    continue
                if found[1] == "needs":
                    self.needs += (found[2] or "").split()
                elif found[1] == "time-out":
                    self.limit = int(found[2])
                else:
                    self.alone = True


def stories(folder, group, words):
    found = []
    for entry in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        path = os.path.join(folder, entry)
        if entry.endswith((".sh", ".py")) and os.path.isfile(path) and os.access(path, os.X_OK):
            story = Story(path, group)
            if wanted(story.name, words):
                found.append(story)
    return found


class Ports:
    """Hands out ranges that nobody listens on, below the ports the kernel gives to clients."""

    def __init__(self):
        self.next = random.randrange(10000, 28000, PORTS_EACH)
        self.lock = threading.Lock()

    def take(self):
        with self.lock:
            for _ in range(200):
                first = self.next
                self.next = 10000 + (first - 10000 + PORTS_EACH) % 18000
                if all(is_free(port) for port in range(first, first + PORTS_EACH)):
                    return first
        raise RuntimeError("no twenty free ports in a row between 10000 and 28000")


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Clients:
    """The foreign clients of tools/node.sh, fetched once and only if a test asks for them."""

    def __init__(self):
        self.lock = threading.Lock()
        self.answers = {}

    def missing(self, what):
        with self.lock:
            if what not in self.answers:
                run = subprocess.run(["sh", "tools/node.sh", what], cwd=ROOT, stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                     errors="replace", timeout=900)
                self.answers[what] = "" if run.returncode == 0 else last_line(run.stdout) or "tools/node.sh failed"
            return self.answers[what]


def unmet(story, clients):
    for need in story.needs:
        if need in ("node", "venv"):
            why = clients.missing(need)
            if why:
                return why
        elif need == "root":
            if os.geteuid() != 0:
                return "needs root"
        elif shutil.which(need, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None:
            return f"needs the program {need}"
    return ""


def story_environment(story, folder, port, mark):
    env = dict(os.environ)
    deps = os.path.join(ROOT, ".deps")
    env.update(TMPDIR=folder, HOME=folder, PORT=str(port), CORDON=os.path.join(ROOT, "build", "cordon"),
               SOURCE=ROOT, CORDON_TEST=mark, NODE_PATH=os.path.join(deps, "node", "node_modules"),
               PYTHONPATH=os.path.join(ROOT, "tests", "e2e"), PYTHONDONTWRITEBYTECODE="1",
               GOCACHE=os.path.join(deps, "go-cache"), LC_ALL="C.UTF-8", TZ="UTC", NO_COLOR="1",
               PATH=f"{deps}/bin:{ROOT}/build:{env['PATH']}:/usr/sbin:/sbin")
    for name in ("CORDON_SITE", "CORDON_PASSPHRASE_FILE"):
        env.pop(name, None)
    return env


def marked_processes(mark):
    """All processes of one test, also those that left its process group."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as data:
                if f"CORDON_TEST={mark}".encode() not in data.read().split(b"\0"):
                    continue
            with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as data:
                found.append((int(pid), data.read().strip()))
        except OSError:
            continue  # it ended meanwhile, or is somebody else's
    return found


def end_left_over(mark):
    """Ends what a test left running and returns its names; a second of grace, then SIGKILL."""
    deadline = time.monotonic() + 1
    left = marked_processes(mark)
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = marked_processes(mark)
    for pid, _ in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return sorted({name for _, name in left})


def run_story(story, ports, clients, tally):
    why = unmet(story, clients)
    if why:
        tally.not_run(story.name, why)
        return
    folder = tempfile.mkdtemp(prefix="ct-")  # short: a UNIX socket's path has 107 characters
    mark = f"{os.getpid()}-{os.path.basename(folder)}"
    log_path = os.path.join(LOGS, story.name.replace("/", "-") + ".log")
    start, timed_out = time.monotonic(), False
    limit = story.limit * SPEED
    with open(log_path, "wb") as log:
        child = subprocess.Popen([story.path], cwd=folder, stdin=subprocess.DEVNULL, stdout=log,
                                 stderr=subprocess.STDOUT, start_new_session=True,
                                 env=story_environment(story, folder, ports.take(), mark))
        try:
            status = child.wait(limit)
        except subprocess.TimeoutExpired:
            timed_out = True
            os.killpg(child.pid, signal.SIGKILL)
            status = child.wait()
    left = end_left_over(mark)
    seconds = time.monotonic() - start
    with open(log_path, encoding="utf-8", errors="replace") as log:
        output = log.read()
    if timed_out:
        why = f"time-out after {limit:.0f} s"
    elif status == NOT_RUN:
        tally.not_run(story.name, last_line(output))
        shutil.rmtree(folder, ignore_errors=True)
        return
    elif status != 0:
        why = f"ended by signal {-status}" if status < 0 else f"exit code {status}"
    elif left:
        why = "left running: " + " ".join(left)
    if why:
        why += f"; files in {folder}, log in {os.path.relpath(log_path, ROOT)}"
    else:
        shutil.rmtree(folder, ignore_errors=True)
    tally.line(not why, story.name, seconds, why, output)


def run_stories(found, tally):
    ports, clients = Ports(), Clients()

    def one(story):
        try:
            run_story(story, ports, clients, tally)
        except Exception as error:  # a fault of this program must count as a failed test, not vanish
            tally.line(False, story.name, 0, f"could not be run: {error}")

    with concurrent.futures.ThreadPoolExecutor(int(jobs())) as pool:
        list(pool.map(one, [story for story in found if not story.alone]))
    for story in found:
        if story.alone:
            one(story)


def jobs():
    return str(max(1, min(int(os.environ.get("JOBS", "2")), 2)))


def main(arguments):
    extra = None
    if arguments[:1] == ["--with"]:
        if len(arguments) < 2:
            print("test.py: --with needs a directory", file=sys.stderr)
            return 2
        extra, arguments = os.path.abspath(arguments[1]), arguments[2:]
    os.makedirs(LOGS, exist_ok=True)
    tally = Tally()
    for kind, build in BUILDS:
        run_meson(kind, build, arguments, tally)
    found = stories(os.path.join(ROOT, "tests", "e2e"), "e2e", arguments)
    if extra is not None:
        found += stories(extra, "with", arguments)
    run_stories(found, tally)
    if tally.passed + tally.failed == 0:
        print("test.py: no test ran" + (f" whose name holds {' or '.join(arguments)}" if arguments else ""),
              file=sys.stderr)
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 0 if tally.failed == 0 and tally.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
