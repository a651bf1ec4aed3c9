#!/usr/bin/env python3
"""admit.py - `cordon admit` of this machine's own programs, beside the tools people use today.

  cordon admit   copies each file privately, hashes it (SHA-256, SHA-1, MD5, chunk hashes), identifies and
                 unpacks it, scans it and its members in caged processes (YARA rules, hash sets, PE
                 structure), signs a verdict for each, enters two events for each into the log and
                 signs the metadata; everything is on the disk at the end
  cp+sha256sum   copies and hashes; sync at the end. No inspection, no record
  yara           the same YARA rules over the same files, nothing unpacked, no cage
  clamscan       ClamAV with a signature base of one line: its unpacking and parsing without the cost
                 of its two million signatures

usage: admit.py [FILES [SOURCE...]]     default 2000 files of /usr/bin and /usr/lib; BENCH_RUNS=3
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "tools"))
from common import *  # noqa: E402
from common import SOURCE  # noqa: E402
from cordontest import Site, check, run, write  # noqa: E402

MOST = 8 << 20  # bytes of one file


def gather(count, sources):
    """Links to the real files would be skipped, so they are copied: {folder: names unlike in case too}."""
    found, seen = [], set()
    for source in sources:
        for folder, folders, names in os.walk(source):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(folder, name)
                plain = "".join(c if c.isalnum() or c in "._+-" else "_" for c in name).lstrip(".")
                if (os.path.isfile(path) and not os.path.islink(path) and 0 < os.path.getsize(path) <= MOST
                        and plain and plain.lower() not in seen):
                    seen.add(plain.lower())
                    found.append((path, plain))
    step = max(1, len(found) // count)  # spread over all of them
    picked = found[::step][:count]
    for number, (path, plain) in enumerate(picked):
        os.makedirs(f"files/{number % 20:02}", exist_ok=True)
        shutil.copyfile(path, f"files/{number % 20:02}/{plain}")
    return len(picked), sum(os.path.getsize(path) for path, _ in picked)


class Admit:
    def __init__(self, **settings):
        self.turn = 0
        self.settings = settings
        self.refused = 0

    def __call__(self):
        self.turn += 1
        name = f"site{self.turn}-{len(self.settings)}"
        site = Site(name, scan__engines="[yara, hashes, pe, unpack]", **self.settings)
        os.sync()

        def work():
            done = site.run("admit", "files", "--product", "p", "--version", "1", "--json", expect=(0, 1), seconds=600)
            self.refused = sum(not one["published"] for one in done.objects)
        took = seconds(work)
        shutil.rmtree(name)
        return took


def copy():
    took = seconds(lambda: run(["sh", "-c", "cp -r files copy && sync -f copy && "
                                "find copy -type f -print0 | xargs -0 sha256sum > sums"]))
    shutil.rmtree("copy")
    return took


def peers():
    works = {"cordon admit": Admit(), "cp, sync, sha256sum": copy}
    folder = os.path.join(SOURCE, "rules", "yara")
    rules = [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".yar")]
    if program("yara"):
        names = [word for name in ("filename", "filepath", "extension", "filetype", "owner") for word in ("-d", name + "=x")]
        works["yara -r, 2 threads"] = lambda: seconds(
            lambda: run([program("yara"), "-w", "-r", "-p", "2", *names, *rules, "files"], seconds=600))
    if program("clamscan"):
        write("base/one.hdb", "0" * 31 + "1:424242:Test.Nothing\n")
        works["clamscan, one signature"] = lambda: seconds(
            lambda: run([program("clamscan"), "-r", "-i", "--no-summary", "--database=base", "files"], expect=(0, 1),
                        seconds=600))
    return works


def bench():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    files, size = gather(count, sys.argv[2:] or ["/usr/bin", "/usr/lib"])
    check(files > 0, "no file was found")
    works = peers()
    print(f"{files} files, {size / 1e6:.0f} MB; medians of {RUNS} runs in turn")
    row("", "seconds", "files/s", "MB/s", "cordon takes", "spread")
    got = in_turn(works)
    cordon = middle(got["cordon admit"])
    for name, took in got.items():
        t = middle(took)
        row(name, f"{t:.2f}", f"{files / t:,.0f}", f"{size / 1e6 / t:,.0f}", f"{cordon / t:.2f} x", f"±{spread(took):.0f} %")
    print(f"  refused by cordon: {works['cordon admit'].refused}")


if __name__ == "__main__":
    in_folder(bench)
