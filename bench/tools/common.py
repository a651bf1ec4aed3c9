"""common.py - what the benchmarks in Python share: a folder of their own, runs in turn, medians, tables.

A benchmark states a claim beside a peer that does the same work. The machine is never quiet, so A and B
take turns and medians are compared; the ratio is what to quote. Nothing here asserts a time.
"""
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(SOURCE, "tests", "e2e"))
import cordontest  # noqa: E402

LOAD = os.path.join(SOURCE, "build", "bench", "tools", "load")
AT_END = []  # called before the folder is removed
RUNS = int(os.environ.get("BENCH_RUNS", "5"))


def program(name):
    """Where a peer is, or None: then its column is left out."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def in_folder(work):
    """Runs work() in a fresh directory below $TMPDIR and removes it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))  # so that all is ended and removed then too
    top = tempfile.mkdtemp(prefix="cordon-bench-")
    os.chmod(top, 0o755)  # peers may run as other users
    here = os.getcwd()
    try:
        os.chdir(top)
        work()
    except cordontest.Broken as broken:
        print(f"{sys.argv[0]}: {broken}", file=sys.stderr)
        sys.exit(3)
    finally:
        for end in AT_END:
            end()
        cordontest.stop_everything()
        os.chdir(here)
        shutil.rmtree(top, ignore_errors=True)


def seconds(work):
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def in_turn(works, runs=RUNS):
    """{name: work} -> {name: [what work() returned]}, run after run in turn; the order alternates."""
    found = {name: [] for name in works}
    for run in range(runs):
        for name in list(works)[:: 1 if run % 2 == 0 else -1]:
            found[name].append(works[name]())
    return found


def middle(values):
    return statistics.median(values)


def spread(values):
    """Half of what lies between the quarters, in per cent of the median."""
    if len(values) < 4:
        return 100 * (max(values) - min(values)) / 2 / middle(values)
    low, _, high = statistics.quantiles(values, n=4)
    return 100 * (high - low) / 2 / middle(values)


def row(name, *cells):
    print(f"  {name:<44}" + "".join(f"{cell:>16}" for cell in cells), flush=True)


def load(port, paths, connections, requests, authorization=""):
    """Our client; its JSON."""
    done = subprocess.run([LOAD, str(port), str(connections), str(requests), authorization],
                          input="\n".join(paths).encode(), stdout=subprocess.PIPE, timeout=600, check=False)
    cordontest.check(done.returncode == 0, f"load ended with {done.returncode}")
    return json.loads(done.stdout)


def forget(top):
    """Has the kernel drop its cached pages of all files below `top`."""
    os.sync()
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path):
                fd = os.open(path, os.O_RDONLY)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(fd)
