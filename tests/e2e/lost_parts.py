#!/usr/bin/env python3
"""Parts of a site that are lost, cut or old: what is lost is named, nothing is made up, and the log goes on (P9, P10)."""
import sqlite3

from cordontest import *

HEADER = 88  # bytes before the first record


def used_site():
    site = Site()
    files = [filler("setup.exe", 60_000, seed=1), filler("bad.exe", 5000, seed=2)]
    with site.serve() as server:
        site.admit(*files, product="office", version="1.0")
        for name in ("acme", "zenith"):
            token = site.customer(name, "office")
            for file in files:
                equal(server.get(f"/d/office/1.0/{os.path.basename(file)}", token=token).status, 200, "a download")
        site.run("recall", "office/1.0/bad.exe", "--reason", "test")
    return site, files


def a_keyring_without_the_sites_key_is_not_given_a_new_one():
    site, files = used_site()
    keyring = site.file("keyring")
    kept = read(keyring)
    equal(len(kept) % HEADER, 0, "records of 88 bytes")
    write(keyring, kept[:HEADER])
    serve = site.run("serve", "--listen", f"127.0.0.1:{free_port()}", expect=FAILED)
    contains(serve.err, "the keyring lacks the key of the site", "serve says what is wrong")
    equal(read(keyring), kept[:HEADER], "the keyring is as it was")
    doctor = site.run("doctor", expect=FOUND)
    contains(doctor.out, "the key of the site is lost", "doctor: the site's key")
    contains(doctor.out, "acme (2 deliveries)", "doctor: whose deliveries")
    contains(doctor.out, "zenith (2 deliveries)", "doctor: whose deliveries")
    site.run("doctor", "--rebuild", expect=FAILED)
    write(keyring, kept)
    equal(site.holders("--sha256", sha256(read(files[0]))), {"acme": "confirmed", "zenith": "confirmed"},
          "with the keyring again")


def an_old_keyring_is_named():
    site, files = used_site()
    keyring = site.file("keyring")
    write(keyring, read(keyring)[:-HEADER])  # before the last account was made
    doctor = site.run("doctor", expect=FOUND)
    contains(doctor.out, "account user (2 deliveries)", "doctor names the account")
    check("the key of the site" not in doctor.out, "and nothing that is there")


def the_site_goes_on_without():
    site, files = used_site()
    os.unlink(site.file("keyring"))
    site.run("doctor", "--rebuild", expect=FAILED)
    doctor = site.run("doctor", "--rebuild", "--new-keyring", expect=FOUND)
    contains(doctor.out, "the keys of 2 organisations and 2 accounts", "what is lost")
    contains(doctor.out, "whose 4 deliveries were", "and how much")
    contains(doctor.out, "the site's key before event", "and the site's")
    check(os.path.exists(site.file("cordon.db.before")), "the old database is kept")
    with site.serve() as server:
        equal(server.status("/d/office/1.0/bad.exe", token="0" * 64), 401, "no account is left")
        site.admit(filler("setup.exe", 60_000, seed=3), product="office", version="1.1")
        token = site.customer("acme again", "office", mail="a@acme.example", user="jane")
        equal(server.get("/d/office/1.1/setup.exe", token=token).status, 200, "a new release, a new account")
        equal(server.get("/d/office/1.0/bad.exe", token=token).status, 410, "the recall holds")
    site.run("log", "verify")
    site.become({"acme again": "confirmed"}, "--target", "office/1.1/setup.exe")


def damaged_records_are_found_by_number():
    site, files = used_site()
    details = site.file("details", "000", "000")
    good = read(details)
    contains(site.run("doctor", expect=(DONE, FOUND)).out, "records are those of the log, and open", "a good site")
    for name, bad in {"changed": good[:700] + bytes([good[700] ^ 1]) + good[701:], "cut": good[:len(good) // 2],
                      "empty": b""}.items():
        write(details, bad)
        doctor = site.run("doctor", expect=FOUND)
        contains(doctor.out, "are damaged", name)
        contains(doctor.out, "records ", name)
    os.unlink(details)
    contains(site.run("doctor", expect=FOUND).out, "records 0 to ", "gone")
    write(details, good)
    contains(site.run("doctor", expect=(DONE, FOUND)).out, "records are those of the log, and open", "good again")


def an_organisation_erased_in_the_middle_of_its_download():
    site = Site()
    site.admit(filler("large.exe", 6_000_000, seed=5), product="office", version="1.0")
    token, other = site.customer("acme", "office"), site.customer("zenith", "office", user="jane")
    with site.serve() as server:
        slow = server.slow("/d/office/1.0/large.exe", token)
        before = server.processes()
        site.run("org", "erase", "acme")
        slow.read(6_000_000)
        slow.close()
        equal(server.status("/d/office/1.0/large.exe", token=token), 401, "its token is nobody's")
        equal(server.get("/d/office/1.0/large.exe", token=other).status, 200, "the others go on")
        time.sleep(1.5)
        equal(server.processes()["recorder"], before["recorder"], "nothing had to start again")
    site.run("log", "verify")
    scope = json.dumps(site.scope("--target", "office/1.0/large.exe"))
    contains(scope, "erased", "the answer says that one is erased")
    check("acme" not in scope, "and not who")
    said = site.run("doctor", expect=(DONE, FOUND)).out
    check("are lost" not in said, f"an erased key is not a lost one: {said}")


def a_damaged_journal_is_mended():
    site, files = used_site()
    folder = site.file("journal")
    name = os.path.join(folder, os.listdir(folder)[0])
    good = read(name)
    for what, bad in {"changed": good[:900] + bytes([good[900] ^ 1]) + good[901:], "empty": b"", "gone": None}.items():
        copy = site.copy(site.path + "." + what)
        name = os.path.join(copy.file("journal"), os.path.basename(name))
        os.unlink(name) if bad is None else write(name, bad)
        copy.run("org", "list", expect=FAILED)
        doctor = copy.run("doctor", "--rebuild", expect=FOUND)
        contains(doctor.out, "no event is lost", what)
        equal(copy.holders("--sha256", sha256(read(files[0]))), {"acme": "confirmed", "zenith": "confirmed"}, what)
        with copy.serve() as server:
            copy.customer("third", "office")
        copy.run("log", "verify")


def folded(site):
    with contextlib.closing(sqlite3.connect(f"file:{site.file('cordon.db')}?mode=ro", uri=True)) as db:
        return db.execute("SELECT size FROM record_position").fetchone()[0]


def what_a_damaged_journal_lost_is_numbered():
    site, files = used_site()
    folder = site.file("journal")
    name = os.path.join(folder, os.listdir(folder)[0])
    for tries in range(20):  # a kill before the next checkpoint leaves events in the journal alone
        server = site.serve()
        site.run("org", "add", f"late-{tries}", "--contact", "a@late.example")
        server.kill()
        if int(read(site.file("log", "checkpoint")).split()[1]) < folded(site):
            break
    else:
        raise Broken("no kill came before the next checkpoint")
    good = read(name)
    write(name, good[:len(good) - 3])
    doctor = site.copy(site.path + ".cut").run("doctor", "--rebuild", expect=FOUND)
    contains(doctor.out, "are lost: look into", "a cut end that the database had seen")
    write(name, b"")
    doctor = site.run("doctor", "--rebuild", expect=FOUND)
    contains(doctor.out, "are lost: look into journal.damaged/", "what is lost")
    check(os.path.exists(site.file("journal.damaged")) and os.path.exists(site.file("cordon.db.before")), "both are kept")
    site.run("org", "add", "again", "--contact", "a@late.example")
    site.run("log", "verify")


main(a_damaged_journal_is_mended, what_a_damaged_journal_lost_is_numbered, an_organisation_erased_in_the_middle_of_its_download, damaged_records_are_found_by_number, a_keyring_without_the_sites_key_is_not_given_a_new_one, an_old_keyring_is_named, the_site_goes_on_without)
