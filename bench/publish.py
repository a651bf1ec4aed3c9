#!/usr/bin/env python3
"""publish.py - a batch of many files as one publish, then one file more in that repository.

There is no peer that does the same; beside it stand cp + sync + sha256sum of the same files, and the
parts of the time: until the last file is inspected, then signing, logging and writing. The bytes that
the second publish writes into metadata/ say whether it costs what it changes, not what is there.

usage: publish.py [FILES [BYTES]]     default 30000 files of 4000 bytes; one run
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "tools"))
from common import *  # noqa: E402
from cordontest import Site, check, filler, run  # noqa: E402


def metadata(site):
    found = {}
    for folder, _, names in os.walk(site.file("metadata")):
        for name in names:
            path = os.path.join(folder, name)
            found[path] = os.stat(path).st_mtime_ns
    return found


def publish(site, label, what, version):
    before = metadata(site)

    def work():
        done = site.run("admit", what, "--product", "p", "--version", version, "--json", seconds=3600)
        check(all(one["published"] for one in done.objects), "not all were published")
    took = seconds(work)
    new = [path for path, when in metadata(site).items() if before.get(path) != when]
    row(label, f"{took:.2f} s", f"{len(new)} files", f"{sum(map(os.path.getsize, new)) / 1e3:,.0f} kB")
    return took


def bench():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 30_000
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 4000
    for i in range(count):
        filler(f"files/{i % 100:02}/f{i}.bin", size, seed=i)
    site = Site("site", scan__engines="[yara, hashes, pe, unpack]")
    copy = seconds(lambda: run(["sh", "-c", "cp -r files copy && sync -f copy && "
                                "find copy -type f -print0 | xargs -0 sha256sum > sums"], seconds=3600))
    print(f"{count} files of {size} bytes")
    row("", "", "metadata", "")
    row("cp, sync, sha256sum", f"{copy:.2f} s")
    whole = publish(site, "admit all as one publish", "files", "1")
    row("  a file", f"{whole / count * 1000:.2f} ms")
    publish(site, "the same again (known: hashed, not scanned)", "files", "2")
    for i in range(3):
        publish(site, "one file more, server not running", filler(f"more{i}.bin", size, seed=-1 - i), f"3.{i}")
    with site.serve():
        for i in range(3, 6):
            publish(site, "one file more, server running", filler(f"more{i}.bin", size, seed=-1 - i), f"3.{i}")


if __name__ == "__main__":
    in_folder(bench)
