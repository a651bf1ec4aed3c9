#!/usr/bin/env python3
"""A blob changes on the disk: never a wrong byte reaches a client, and an alarm brackets the moment (P2)."""
import mmap

from cordontest import *

SMALL, LARGE = 200_000, 24 << 20


def flip(path, at):
    """One byte, in place, as another program with rights would."""
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def rename_over(path, at):
    data = bytearray(read(path))
    data[at] ^= 1
    write(path + ".new", bytes(data))
    os.rename(path + ".new", path)


def flip_keeping_times(path, at):
    """Size, inode and mtime as before; only ctime tells."""
    was = os.stat(path)
    flip(path, at)
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))


def through_a_mapping(path, at):
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[at] ^= 1


def truncated(path, at):
    os.truncate(path, at)


def longer(path, at):
    with open(path, "ab") as file:
        file.write(b"more")


def directory(path, at):
    os.unlink(path)
    os.mkdir(path)


def link(path, at):
    data = read(path)
    os.unlink(path)
    os.symlink(write(path + ".elsewhere", data[:at] + b"\0" + data[at + 1:]), path)


def pipe(path, at):
    os.unlink(path)
    os.mkfifo(path)


def gone(path, at):
    os.unlink(path)


ALL = (flip, rename_over, flip_keeping_times, through_a_mapping, truncated, longer, directory, link, pipe, gone)


REFUSED = (0, 410, 500, 503)  # 0: reset, because it was withheld in that moment


def fetched(server, path, token, headers=None):
    """An answer to a request for a changed file, which a withholding may cut off at any moment."""
    try:
        return server.get(path, token=token, headers=headers)
    except (OSError, http.client.HTTPException):
        return Answer(0, {}, b"", False)


def micros(value):
    """A time as the commands write it, in microseconds."""
    if isinstance(value, str):
        import datetime
        return int(datetime.datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp() * 1e6)
    return value


def alarm_of(site, digest):
    """The alarm event's part; it is entered before the client learns of the fault, or soon after."""
    def found():
        for event in site.events("alarm"):
            part = event.get("site", event)
            if digest in (part.get("blob"), part.get("sha256")):
                return part
        return None
    return until(f"an alarm of {digest[:12]}", 10, found)


def small_files_after_they_were_hot():
    site = Site()
    files = [filler(f"{change.__name__}.bin", SMALL, seed=number) for number, change in enumerate(ALL)]
    with site.serve() as server:
        site.admit(*files, product="office", version="1.0")
        token = site.customer("acme", "office")
        for change, file in zip(ALL, files):
            digest, path = sha256(read(file)), f"/d/office/1.0/{os.path.basename(file)}"
            for _ in range(2):
                equal(server.get(path, token=token).body, read(file), f"{change.__name__}: before")
            good = time.time_ns() // 1000
            change(site.blob(digest), 1234)
            answer = fetched(server, path, token)
            check(answer.status in REFUSED, f"{change.__name__}: status {answer.status}")
            check(len(answer.body) < 2000, f"{change.__name__}: {len(answer.body)} bytes came")
            alarm = alarm_of(site, digest)
            check(0 < micros(alarm["last_good"]) <= good, f"{change.__name__}: last good in {alarm}")
            check(good <= micros(alarm["seen"]) <= time.time_ns() // 1000, f"{change.__name__}: first bad in {alarm}")
            contains(("changed", "length", "missing", "unreadable"), alarm["fault"], f"{change.__name__}: fault")
            until(f"{change.__name__}: it is withheld", 10,
                  lambda: server.status(path, token=token) == 410)
        # the scrub may find one in the same moment as a client; then both say so
        equal(len({event["site"]["blob"] for event in site.events("alarm")}), len(ALL), "blobs with an alarm")
        check(len(site.events("alarm")) <= 2 * len(ALL), "more alarms than finders")
        equal(server.get("/healthz").status, 200, "the server can deliver the rest")
        site.become({"acme": "confirmed"}, "--sha256", sha256(read(files[0])))


def cold_files():
    """Nobody read them since the start; the first reader must not get them."""
    site = Site()
    site.admit(*[filler(f"{change.__name__}.bin", SMALL, seed=number) for number, change in enumerate(ALL)],
               product="office", version="1.0")
    token = site.customer("acme", "office")
    for change in ALL:
        change(site.blob(sha256(read(f"{change.__name__}.bin"))), SMALL - 1)
    with site.serve() as server:
        for change in ALL:
            answer = fetched(server, f"/d/office/1.0/{change.__name__}.bin", token)
            check(answer.status in REFUSED, f"{change.__name__}: status {answer.status}")
            check(len(answer.body) < 2000, f"{change.__name__}: {len(answer.body)} bytes came")
        faults = {sha256(read(f"{change.__name__}.bin")) for change in ALL}
        until("an alarm for each", 10, lambda: faults <= {event.get("site", event).get("blob")
                                                          for event in site.events("alarm")})


def large_files_during_a_download():
    site = Site()
    changes = (flip, rename_over, flip_keeping_times, through_a_mapping, truncated, directory, gone)
    files = [filler(f"{change.__name__}.bin", LARGE, seed=number) for number, change in enumerate(changes)]
    with site.serve() as server:
        site.admit(*files, product="office", version="1.0")
        token = site.customer("acme", "office")
        for change, file in zip(changes, files):
            data, path = read(file), f"/d/office/1.0/{os.path.basename(file)}"
            slow = server.slow(path, token, first=100_000)
            equal(slow.status, 200, f"{change.__name__}: the answer's beginning")
            change(site.blob(sha256(data)), LARGE - 1000)
            got = slow.read(LARGE)
            check(data.startswith(got), f"{change.__name__}: a wrong byte among {len(got)}")
            check(len(got) < LARGE and slow.cut, f"{change.__name__}: {len(got)} of {LARGE} bytes, {slow.cut}")
            alarm_of(site, sha256(data))
            slow.close()
            status = server.status(path, token=token)
            check(status in (0, 410, 503), f"{change.__name__}: a later request gets {status}")
            equal(site.holders("--sha256", sha256(data)), {"acme": "possible"}, f"{change.__name__}: holders")


def a_range_of_good_chunks_beside_a_bad_one():
    """The bad chunk is refused; what is good may be sent, as long as it is not withheld."""
    site = Site()
    file = filler("large.bin", LARGE, seed=9)
    data, digest = read(file), sha256(read(file))
    with site.serve() as server:
        site.admit(file, product="office", version="1.0")
        token = site.customer("acme", "office")
        flip(site.blob(digest), 20 << 20)
        answer = fetched(server, "/d/office/1.0/large.bin", token, {"Range": "bytes=0-99"})
        check(answer.status == 206 and answer.body == data[:100] or answer.status in REFUSED,
              f"a good chunk: {answer.status}")
        answer = fetched(server, "/d/office/1.0/large.bin", token,
                         {"Range": f"bytes={(20 << 20) - 10}-{(20 << 20) + 10}"})
        check((20 << 20) - 10 + len(answer.body) <= 20 << 20 or answer.status != 206, "the bad byte was sent")
        alarm = alarm_of(site, digest)
        equal((alarm["first"] <= 20 << 20, alarm["last"] >= 20 << 20), (True, True), "the place of the change")


def chunk_hashes_are_bound():
    """A forged list of chunk hashes beside forged bytes is not believed."""
    site = Site()
    file = filler("large.bin", LARGE, seed=9)
    digest = sha256(read(file))
    with site.serve() as server:
        site.admit(file, product="office", version="1.0")
        token = site.customer("acme", "office")
        flip(site.blob(digest), 0)
        forged = bytearray(read(site.blob(digest) + ".chunks"))
        at = bytes(forged).index(hashlib.sha256(read(file)[:1 << 20]).digest())
        forged[at:at + 32] = hashlib.sha256(read(site.blob(digest))[:1 << 20]).digest()
        write(site.blob(digest) + ".chunks", bytes(forged))
        answer = fetched(server, "/d/office/1.0/large.bin", token)
        check(answer.status in REFUSED or answer.body == b"", f"{answer.status}, {len(answer.body)} bytes")
        alarm_of(site, digest)


def what_nobody_fetches_the_scrub_finds():
    site = Site()
    file, other = filler("setup.exe", SMALL, seed=1), filler("other.exe", SMALL, seed=2)
    digest = sha256(read(file))
    site.admit(file, other, product="office", version="1.0")
    token = site.customer("acme", "office")
    flip(site.blob(digest), 100)
    with site.serve() as server:
        alarm = alarm_of(site, digest)
        equal((alarm["first"] <= 100, alarm["last"] >= 100), (True, True), "the place of the change")
        until("it is withheld", 10, lambda: server.status("/d/office/1.0/setup.exe", token=token) == 410)
        equal(server.get("/d/office/1.0/other.exe", token=token).status, 200, "its neighbour")
        equal(site.target("office/1.0/setup.exe")["state"], "withheld", "state")


def a_mapping_that_was_there_before():
    """Writes through a page that is mapped and dirty already do not touch the file's times."""
    site = Site()
    file = filler("setup.exe", SMALL, seed=1)
    data, digest = read(file), sha256(read(file))
    with site.serve() as server:
        site.admit(file, product="office", version="1.0")
        token = site.customer("acme", "office")
        with open(site.blob(digest), "r+b") as disk, mmap.mmap(disk.fileno(), 0) as memory:
            memory[500] = data[500]
            equal(server.get("/d/office/1.0/setup.exe", token=token).body, data, "before")
            memory[500] ^= 1
            for _ in range(5):
                answer = fetched(server, "/d/office/1.0/setup.exe", token)
                check(answer.body == data or answer.status in REFUSED, "a wrong byte was sent")


def a_repaired_file_goes_out_again():
    site = Site()
    file = filler("setup.exe", SMALL, seed=1)
    digest, path = sha256(read(file)), "/d/office/1.0/setup.exe"
    with site.serve() as server:
        site.admit(file, product="office", version="1.0")
        token = site.customer("acme", "office")
        flip(site.blob(digest), 100)
        fetched(server, path, token)
        alarm_of(site, digest)
        until("it is withheld", 10, lambda: server.status(path, token=token) == 410)
        site.admit(file, product="office", version="1.0", expect=(DONE, FOUND))
        equal(sha256(read(site.blob(digest))), digest, "admitting it again repairs the copy")
        if site.target("office/1.0/setup.exe")["state"] == "withheld":
            site.run("lift", digest, "--reason", "repaired from the build machine")
        equal(server.get(path, token=token).body, read(file), "after the repair")
        before = len(site.events("alarm"))
        flip(site.blob(digest), 100)
        check(server.status(path, token=token) in (0, 410, 503), "a second change is refused too")
        until("it is withheld again", 10, lambda: server.status(path, token=token) == 410)
        check(len(site.events("alarm")) > before, "and has an alarm of its own")


main(small_files_after_they_were_hot, cold_files, large_files_during_a_download,
     a_range_of_good_chunks_beside_a_bad_one, chunk_hashes_are_bound, what_nobody_fetches_the_scrub_finds,
     a_mapping_that_was_there_before, a_repaired_file_goes_out_again)
