#!/usr/bin/env python3
# needs: root mount
"""A disk that fills up: refusals are clean, nothing acknowledged is lost, the reserve keeps recall and alarm
working, and room makes it go on (P9, P3)."""
from cordontest import *


class Disk:
    """A small file system in memory."""

    def __init__(self, megabytes):
        self.path = os.path.abspath("disk")
        os.makedirs(self.path)
        made = run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", self.path], None)
        if made.code != 0:
            not_run("this machine lets nobody mount a tmpfs")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        stop_everything()
        run(["umount", "-l", self.path], None)

    def fill(self, leave=0):
        """A file that takes all the room but `leave` bytes."""
        room = os.statvfs(self.path)
        with open(os.path.join(self.path, "filler"), "wb") as file:
            with contextlib.suppress(OSError):
                left = room.f_bavail * room.f_frsize - leave
                while left > 0:
                    left -= file.write(b"\0" * min(left, 1 << 20))
                file.flush()

    def free(self):
        os.unlink(os.path.join(self.path, "filler"))


def the_reserve_is_kept():
    with Disk(200) as disk:
        site = Site(os.path.join(disk.path, "site"))
        with site.serve() as server:
            small, large = filler("small.bin", 50_000, seed=1), filler("large.bin", 60 << 20, seed=2)
            site.admit(small, product="office", version="1.0")
            token = site.customer("acme", "office")
            disk.fill(leave=100 << 20)
            results = site.admit(large, product="office", version="1.1", expect=FOUND)
            equal(results[0]["published"], False, "what would eat the reserve")
            contains(results[0]["reason"], "disk.reserve", "the reason")
            equal(server.get("/d/office/1.0/small.bin", token=token).body, read(small), "what is there is served")
            disk.free()
            disk.fill(leave=20 << 20)
            results = site.admit(filler("tiny.bin", 10, seed=3), product="office", version="1.1", expect=FOUND)
            equal(results[0]["published"], False, "nothing is admitted within the reserve")
            site.run("recall", "office/1.0/small.bin", "--reason", "the reserve is for this")
            equal(server.get("/d/office/1.0/small.bin", token=token).status, 410, "the recall")
            site.become({"acme": "confirmed"}, "--sha256", sha256(read(small)))
            disk.free()
            check(site.admit("tiny.bin", product="office", version="1.1")[0]["published"], "with room again")
            site.run("log", "verify")


def not_one_byte_left():
    """Grants cannot be made durable any more, so nothing is sent; with room everything goes on."""
    with Disk(60) as disk:
        site = Site(os.path.join(disk.path, "site"), disk__reserve="1M")
        file = filler("setup.exe", 300_000, seed=1)
        with site.serve() as server:
            site.admit(file, product="office", version="1.0")
            token, path = site.customer("acme", "office"), "/d/office/1.0/setup.exe"
            equal(server.get(path, token=token).body, read(file), "before")
            disk.fill()
            sent = 1
            for _ in range(60):
                try:
                    answer = server.get(path, token=token, seconds=5)
                    sent += answer.status == 200 and answer.whole
                    check(answer.status in (200, 503), f"status {answer.status}")
                    if answer.status == 503:
                        break
                except (OSError, http.client.HTTPException):
                    break
            check(server.child.poll() is None, "the supervisor goes on trying")
            recall = start([CORDON, "-C", site.path, "recall", "office/1.0/setup.exe", "--reason", "test"], "recall.log",
                           env=site.env)
            time.sleep(2)
            disk.free()
            code = recall.wait(60 * PATIENCE)  # it waits for a server that answers
            check(code in (DONE, FAILED), f"recall ended with {code}:\n{read('recall.log').decode()}")
            until("it delivers or refuses for a reason", 40,
                  lambda: server.status(path, token=token) == (410 if code == DONE else 200), pause=0.5)
            check(len(site.events("grant")) >= sent, f"{sent} whole answers, {len(site.events('grant'))} grants")
            site.run("log", "verify")
            other = filler("other.bin", 1000, seed=2)
            check(site.admit(other, product="office", version="1.1")[0]["published"], "an admission afterwards")
            equal(server.get("/d/office/1.1/other.bin", token=token).body, read(other), "and its delivery")


main(the_reserve_is_kept, not_one_byte_left)
