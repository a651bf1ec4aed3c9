#!/usr/bin/env python3
"""What is admitted is inspected to the last member, or refused (P1, P6)."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
import fixtures
from cordontest import *


def refused(site, name, data, verdicts, reason=""):
    results = site.admit(write(os.path.join("in", name), data), product="office", version="1.0", expect=FOUND)
    equal(len(results), 1, f"{name}: results")
    check(results[0]["verdict"] in verdicts and results[0]["published"] is False, f"{name}: {results}")
    contains(json.dumps(results[0]).lower(), reason, f"{name}: the reason")
    return results[0]


def what_is_refused():
    site = Site()
    with site.serve() as server:
        token = site.customer("acme", "office")
        found = refused(site, "eicar.com", fixtures.EICAR, ("malicious",), "eicar")
        equal(sorted(found), sorted(set(found) | {"path", "sha256", "size", "verdict", "findings", "target", "published"}),
              "members of the object")
        equal(sorted(found["findings"][0]) >= ["engine"], True, "a finding")
        refused(site, "funlove.exe", fixtures.funlove_like(), ("malicious", "suspicious"), "funlove")
        refused(site, "zip-in-tgz.tar.gz", fixtures.zip_in_tgz(), ("malicious",), "b.zip")
        refused(site, "bomb.zip", fixtures.zip_bomb(), ("uninspectable",))
        refused(site, "encrypted.zip", fixtures.encrypted_zip(), ("uninspectable",), "encrypted")
        refused(site, "truncated.cab", fixtures.truncated_cab(), ("uninspectable",))
        refused(site, "truncated.zip", fixtures.ALL["truncated.zip"](), ("uninspectable",))
        refused(site, "truncated.tar.gz", fixtures.ALL["truncated.tar.gz"](), ("uninspectable",))
        refused(site, "deep.zip", fixtures.nested_zips(12), ("uninspectable",))
        refused(site, "hidden.jpg", fixtures.ALL["both-sides.jpg"](), ("suspicious",), "zip")
        equal(site.events("published"), [], "published")
        for name in os.listdir("in"):
            equal(server.get(f"/d/office/1.0/{name}", token=token).status, 404, name)
        # what was refused is in quarantine, and cannot be run or found there
        kept = os.listdir(site.file("quarantine"))
        check(f"{sha256(fixtures.EICAR)}.sealed" in kept, f"quarantine: {kept}")
        for name in kept:
            data = read(site.file("quarantine", name))
            check(b"EICAR" not in data and b"MZ" != data[:2], f"{name} is readable")
        check(len(site.events("refused")) >= 9, "refusals are events")
        # nothing of them is anywhere else on the site
        for folder, _, names in os.walk(site.path):
            for name in names:
                with contextlib.suppress(OSError):
                    if os.path.isfile(os.path.join(folder, name)):
                        check(fixtures.EICAR not in read(os.path.join(folder, name)), f"{folder}/{name} holds EICAR")


def one_bad_file_among_good_ones():
    site = Site()
    for i in range(30):
        filler(f"in/{i:02}.bin", 5000, seed=i)
    write("in/bad.com", eicar())
    write("in/kept.zip", fixtures.zip_of(fixtures.INNER))
    with site.serve():
        results = site.admit(os.path.abspath("in"), product="office", version="1.0", expect=FOUND)
        equal(len(results), 32, "one object a file")
        bad = [one for one in results if not one["published"]]
        equal([one["target"] for one in bad], ["office/1.0/bad.com"], "refused")
        equal(len(site.events("published")), 31, "published")


def a_member_is_found_by_its_hash():
    """An archive that was clean when it was published; a member turns out to be bad."""
    site = Site()
    inner = b"a member that nobody suspected, " * 40
    archive = tar_gz_of({"readme.txt": b"nothing\n", "in/b.zip": zip_of({"setup.bin": inner})}, "update.tar.gz")
    with site.serve() as server:
        site.admit(archive, filler("other.bin", 100, seed=1), product="office", version="1.0")
        token = site.customer("acme", "office")
        server.get("/d/office/1.0/update.tar.gz", token=token)
        other = site.customer("zenith", "office")
        server.get("/d/office/1.0/other.bin", token=other)
        for digest in (sha256(inner), hashlib.sha1(inner).hexdigest(), hashlib.md5(inner).hexdigest()):
            scope = site.scope("--sha256", digest)
            equal([one["path"] for one in scope["targets"]], ["office/1.0/update.tar.gz"], f"targets of {digest}")
            equal([one["name"] for one in scope["organisations"]], ["acme"], f"organisations of {digest}")
        equal(site.scope("--sha256", sha256(b"unknown"))["organisations"], [], "nobody has an unknown one")
        rule = write("late.yar", 'rule late { strings: $a = "a member that nobody suspected" condition: $a }\n')
        equal(site.json("retro", rule, expect=FOUND)[-1]["withheld"], 0, "one of two is more than a per cent: it asks")
        site.json("retro", rule, "--force", expect=FOUND)
        equal(server.get("/d/office/1.0/update.tar.gz", token=token).status, 410, "after the forced one")
        site.become({"acme": "confirmed"}, "--rule", "late")


def a_rule_that_does_not_compile():
    """It is named with line and reason and stops the load, not the service."""
    site = Site()
    file = filler("setup.exe", 1000, seed=1)
    bad = 'rule fine { condition: false }\n\nrule broken {\n  condition: no_such_thing\n}\n'
    with site.serve() as server:
        site.admit(file, product="office", version="1.0")
        token = site.customer("acme", "office")
        write(site.file("rules", "yara", "bad.yar"), bad)
        doctor = site.run("doctor", expect=FOUND)
        contains(doctor.out + doctor.err, "bad.yar", "doctor names the file")
        contains(doctor.out + doctor.err, "4", "doctor names the line")
        equal(server.get("/d/office/1.0/setup.exe", token=token).status, 200, "it serves on")
    with site.serve() as server:
        equal(server.get("/d/office/1.0/setup.exe", token=token).status, 200, "it serves also after a start")
        # nothing is admitted that a rule which cannot be read might have found
        outcome = site.run("admit", filler("new.exe", 1000, seed=2), "--product", "office", "--version", "1.1",
                           expect=(FOUND, FAILED))
        contains(outcome.out + outcome.err, "bad.yar", "admit names the file")
        os.unlink(site.file("rules", "yara", "bad.yar"))
        until("the repaired rules are taken", 20,
              lambda: site.run("admit", "new.exe", "--product", "office", "--version", "1.1", expect=None).code == DONE)
    scan = cordon("scan", "new.exe", "--rules", write("loose.yar", bad), expect=FAILED)
    contains(scan.out + scan.err, "loose.yar", "scan names the file")


def scan_needs_no_site():
    write("in/eicar.com", eicar())
    write("in/a.zip", fixtures.zip_in_tgz())
    filler("in/clean.bin", 1000, seed=1)
    done = cordon("scan", "in", "--json", expect=FOUND)
    verdicts = {os.path.basename(one["path"]): one["verdict"] for one in done.objects}
    equal(verdicts, {"eicar.com": "malicious", "a.zip": "malicious", "clean.bin": "clean"}, "verdicts")
    equal(cordon("scan", "in/clean.bin", "--json").one["verdict"], "clean", "one file")
    cordon("scan", "nothing-here", expect=FAILED)
    cordon("scan", expect=USAGE)


def workers_are_caged():
    """While one parses it has no new rights, a filter, no network, and sees no site."""
    site = Site()
    with site.serve() as server:
        big = zip_of({f"{i}.bin": random.Random(i).randbytes(200_000) for i in range(40)}, "big.zip")
        command = start([CORDON, "-C", site.path, "admit", big, "--product", "office", "--version", "1.0"], "admit.log",
                        env=site.env)
        worker = until("a worker", 20, lambda: server.processes().get("worker"), pause=0.005)
        status = read(f"/proc/{worker}/status").decode()
        for line in ("NoNewPrivs:\t1", "Seccomp:\t2"):
            until(f"{line} in a worker", 5, lambda line=line: line in read(f"/proc/{worker}/status").decode()
                  if os.path.exists(f"/proc/{worker}/status") else True, pause=0.005)
        check(status, "status")
        links = []
        with contextlib.suppress(OSError):
            links = [os.readlink(f"/proc/{worker}/fd/{fd}") for fd in os.listdir(f"/proc/{worker}/fd")]
        check(not [link for link in links if "cordon.db" in link or "/keys" in link], f"a worker has open: {links}")
        equal(command.wait(60), DONE, "admit")


main(what_is_refused, one_bad_file_among_good_ones, a_member_is_found_by_its_hash, a_rule_that_does_not_compile,
     scan_needs_no_site, workers_are_caged)
