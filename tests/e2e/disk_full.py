#!/usr/bin/env python3
"""A site's disk fills up: what can wait stops first, what protects others still works, and nothing acknowledged is
lost (P9)."""
from cordontest import *

MIB = 1 << 20


class Disk:
    """A small file system of its own. What fills it is a file in it."""

    def __init__(self, size):
        self.path = tempfile.mkdtemp(prefix="disk-", dir=os.getcwd())
        try:
            done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", self.path],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except FileNotFoundError:
            not_run("needs mount")
        if done.returncode != 0:
            not_run("needs the right to mount a small file system")
        self.ballast = os.path.join(self.path, "ballast")

    def free(self):
        about = os.statvfs(self.path)
        return about.f_bavail * about.f_frsize

    def leave(self, wanted):
        """Fills the disk, or empties it, until so many bytes are free."""
        with open(self.ballast, "ab") as file:
            more = self.free() - wanted
            if more < 0:
                file.truncate(max(0, file.tell() + more))
            while more > 0:
                try:
                    more -= file.write(bytes(min(more, MIB)))
                    file.flush()
                except OSError:
                    break

    def __enter__(self):
        return self

    def __exit__(self, *error):
        stop_everything()
        subprocess.run(["umount", "-l", self.path], check=False)


def full_site(disk):
    site = Site(os.path.join(disk.path, "site"), disk__reserve="40M")
    files = [filler(f"file-{n}.exe", 200_000, seed=n) for n in range(4)]
    site.admit(*files, product="office", version="1.0")
    return site, files, site.customer("acme", "office")


def what_can_wait_stops_first():
    with Disk(160 * MIB) as disk:
        site, files, token = full_site(disk)
        with site.serve() as server:
            big = filler("big.exe", 30 * MIB, seed=9)
            disk.leave(60 * MIB)
            refused = site.admit(big, product="office", version="1.1", expect=(FOUND, FAILED))
            contains(str(refused), "disk.reserve", "an admission into the reserve")
            disk.leave(30 * MIB)
            equal(server.get("/d/office/1.0/file-0.exe", token=token).status, 200, "a download still goes")
            disk.leave(15 * MIB)
            until("downloads stop", 5, lambda: server.status("/d/office/1.0/file-0.exe", token=token) == 503)
            contains(server.get("/d/office/1.0/file-0.exe", token=token).body.decode(), "disk is full", "and say why")
            equal(server.request("HEAD", "/d/office/1.0/file-0.exe", token=token).status, 200, "HEAD enters nothing")
            site.run("recall", "office/1.0/file-1.exe", "--reason", "on a full disk")
            equal(server.get("/d/office/1.0/file-1.exe", token=token).status, 410, "a recall works")
            site.run("withhold", "office/1.0/file-2.exe", "--reason", "on a full disk")
            equal(server.get("/d/office/1.0/file-2.exe", token=token).status, 410, "withholding works")
            doctor = site.run("doctor", expect=FOUND)
            contains(doctor.out, "disk.reserve keeps", "doctor says it")
            disk.leave(100 * MIB)
            until("downloads go on", 5, lambda: server.status("/d/office/1.0/file-0.exe", token=token) == 200)
            site.admit(big, product="office", version="1.1")
        site.run("log", "verify")


def nothing_is_lost_on_a_disk_without_a_free_byte():
    with Disk(160 * MIB) as disk:
        site, files, token = full_site(disk)
        with site.serve() as server:
            good = 0
            for n in range(20):
                good += server.get(f"/d/office/1.0/file-{n % 4}.exe", token=token).status == 200
            equal(good, 20, "downloads")
            time.sleep(1)  # ends are entered a moment later; nobody waits for them
            disk.leave(0)
            for n in range(4):
                check(server.status(f"/d/office/1.0/file-{n}.exe", token=token) in (0, 503), "no download without its entry")
            late = site.run("recall", "office/1.0/file-1.exe", "--reason", "too late", expect=(DONE, FAILED))
            if late.code == FAILED:
                check(late.err.strip(), "a refusal says why")
            disk.leave(100 * MIB)
            until("it serves again", 60, lambda: server.status("/d/office/1.0/file-0.exe", token=token) == 200)
            until("and takes a recall", 60, lambda: site.run("recall", "office/1.0/file-1.exe", "--reason", "now",
                                                             expect=None).code == DONE)
            equal(server.get("/d/office/1.0/file-1.exe", token=token).status, 410, "it is recalled")
        site.run("log", "verify")
        grants = site.events("grant")
        check(len(grants) >= 21, f"{len(grants)} grants of 21 are there")
        site.become({"acme": "confirmed"}, "--target", "office/1.0/file-3.exe")
        site.run("doctor", expect=(DONE, FOUND))


main(what_can_wait_stops_first, nothing_is_lost_on_a_disk_without_a_free_byte)
