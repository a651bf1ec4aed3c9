#!/usr/bin/env python3
# needs: clamd
# time-out: 300
"""Debian's clamav-testfiles hold one harmless program in every container and packer there is. A real
clamd with one line, that program's hash, beside our own engines: not one of the files may get in."""
import hashlib
import shutil

from cordontest import *

FILES = "/usr/share/clamav-testfiles"


def start_clamd():
    """A clamd of our own with a database of one line; gives its socket."""
    folder = tempfile.mkdtemp(prefix="c-", dir=os.getcwd())
    program = read(os.path.join(FILES, "clam.exe"))
    write(os.path.join(folder, "db", "one.hdb"), f"{hashlib.md5(program).hexdigest()}:{len(program)}:Test-File\n")
    control = os.path.join(folder, "ctl")
    config = write(os.path.join(folder, "clamd.conf"),
                   f"Foreground yes\nLocalSocket {control}\nDatabaseDirectory {folder}/db\nLogFile {folder}/log\n"
                   f"MaxThreads 2\nConcurrentDatabaseReload no\n{'User root' if os.geteuid() == 0 else ''}\n")
    found = shutil.which("clamd", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    child = start([found, f"--config-file={config}"], os.path.join(folder, "out"))

    def answers():
        check(child.poll() is None, f"clamd ended, see {folder}")
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(control)
            probe.sendall(b"zPING\0")
            return probe.recv(16) == b"PONG\0"
        return False
    until("clamd answers", 30, answers)
    return control


def site_with(control):
    return Site(clamd__socket=control, clamd__max_age="none", scan__engines="[yara, hashes, pe, unpack, clamd]")


def every_container_is_refused():
    if not os.path.isdir(FILES):
        not_run("needs Debian's clamav-testfiles")
    site = site_with(start_clamd())
    names = sorted(os.listdir(FILES))
    check(len(names) > 30, f"{FILES} holds {len(names)} files only")
    with site.serve() as server:
        token = site.customer("acme", "office")
        answers = site.admit(FILES, product="office", version="1.0", expect=FOUND)
        equal(sorted(os.path.basename(a["path"]) for a in answers), names, "files that were answered for")
        inside = [(a["path"], a["verdict"]) for a in answers if a["published"] or a["verdict"] in ("none", "clean")]
        equal(inside, [], "files that got in")
        for name in names:
            check(server.get(f"/d/office/1.0/{name}", token=token).status == 404, f"{name} can be fetched")
        by_clamd = [a for a in answers if any(f["engine"] == "clamd" for f in a["findings"])]
        check(len(by_clamd) >= 20, f"clamd found its signature in {len(by_clamd)} files only")
        good = filler("good.bin", 5000, seed=3)
        equal([a["published"] for a in site.admit(good, product="office", version="1.0")], [True], "a clean file")


def a_clamd_that_is_gone_means_no():
    control = start_clamd()
    site = site_with(control)
    file = filler("good.bin", 5000, seed=3)
    equal(site.admit(file, product="office", version="1.0")[0]["published"], True, "with clamd")
    stop_everything()
    other = filler("other.bin", 5000, seed=4)
    answers = site.admit(other, product="office", version="1.1", expect=(FOUND, FAILED))
    check(not any(a.get("published") for a in answers), f"published without an engine that must answer: {answers}")


main(every_container_is_refused, a_clamd_that_is_gone_means_no)
