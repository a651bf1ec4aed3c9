#!/usr/bin/env python3
"""Corrupt, lost and rewritten files of a site: found, said, and where it can be, repaired (P4, P9)."""
import glob
import shutil

from cordontest import *


def used_site():
    """A site with customers, downloads, a recall and a withheld file; the server is stopped."""
    site = Site()
    files = [filler("setup.exe", 60_000, seed=1), filler("tool.exe", 5000, seed=2), filler("bad.exe", 5000, seed=3),
             filler("odd.exe", 5000, seed=4)]
    with site.serve() as server:
        site.admit(*files, product="office", version="1.0")
        tokens = {name: site.customer(name, "office", user=f"user of {name}".replace(" ", "-"))
                  for name in ("acme", "zenith", "third")}
        for name, token in tokens.items():
            for file in files[:3] if name != "third" else files[:1]:
                equal(server.get(f"/d/office/1.0/{os.path.basename(file)}", token=token).status, 200, "a download")
        site.run("recall", "office/1.0/bad.exe", "--reason", "test")
        site.run("withhold", "office/1.0/odd.exe", "--reason", "test")
        site.run("account", "disable", "--org", "third", "user-of-third")
    return site, files, tokens


def answers(site, files):
    """What the site knows, as far as it must be the same after a rebuild."""
    with site.serve():  # a command without a server starts processes of its own, which takes a second each
        return ask(site, files)


def ask(site, files):
    found = {}
    for words in (("org", "list"), ("account", "list"), ("release", "list"), ("product", "list"),
                  ("release", "show", "office", "1.0")):
        found[words] = site.json(*words)
    for file in files:
        scope = site.scope("--sha256", sha256(read(file)))
        found[file] = {name: scope[name] for name in ("targets", "deliveries", "organisations", "log")}
    return found


def damage(name):
    def first_page(path):
        with open(path, "r+b") as file:
            file.write(b"\0" * 4096)

    def middle(path):
        size = os.path.getsize(path)
        with open(path, "r+b") as file:
            for at in range(4096, size, 4096):
                file.seek(at)
                file.write(b"\xff" * 100)

    def half(path):
        os.truncate(path, os.path.getsize(path) // 2 + 100)

    def empty(path):
        os.truncate(path, 0)

    return {"first page": first_page, "every page": middle, "truncated": half, "empty": empty, "gone": os.unlink}[name]


def a_corrupt_database_is_rebuilt():
    site, files, tokens = used_site()
    before = answers(site, files)
    equal(site.run("doctor", expect=(DONE, FOUND)).code in (DONE, FOUND), True, "doctor on a good site")
    for name in ("first page", "every page", "truncated", "gone"):
        for extra in glob.glob(site.file("cordon.db-*")):
            os.unlink(extra)
        damage(name)(site.file("cordon.db"))
        doctor = site.run("doctor", expect=FOUND)
        contains(doctor.out + doctor.err, "cordon.db", f"{name}: doctor names it")
        contains(doctor.out + doctor.err, "--rebuild", f"{name}: and what to do")
        site.run("doctor", "--rebuild", expect=(DONE, FOUND))
        after = answers(site, files)
        for question, answer in before.items():
            equal(after[question], answer, f"{name}: {question}")
        site.run("log", "verify")
    with site.serve() as server:
        equal(server.get("/d/office/1.0/setup.exe", token=tokens["acme"]).body, read(files[0]), "it serves again")
        equal(server.get("/d/office/1.0/bad.exe", token=tokens["acme"]).status, 410, "the recall holds")
        equal(server.get("/d/office/1.0/setup.exe", token=tokens["third"]).status, 401, "disabled stays disabled")


def what_the_database_says_is_believed_only_as_far_as_the_log():
    """web.db lost: the server writes it anew."""
    site, files, tokens = used_site()
    for name in glob.glob(site.file("web.db*")):
        os.unlink(name)
    with site.serve() as server:
        equal(server.get("/d/office/1.0/setup.exe", token=tokens["acme"]).body, read(files[0]), "without web.db")
        equal(server.get("/d/office/1.0/bad.exe", token=tokens["acme"]).status, 410, "the recall holds")


def a_lost_keyring():
    site, files, tokens = used_site()
    keyring = site.file("keyring")
    kept = read(keyring)
    os.unlink(keyring)
    doctor = site.run("doctor", expect=(FOUND, FAILED))
    said = doctor.out + doctor.err
    contains(said, "keyring", "doctor names it")
    check("scope" in said or "organisation" in said or "who" in said, f"doctor says what is lost: {said[-1500:]}")
    write(keyring, kept[:len(kept) // 2])
    doctor = site.run("doctor", expect=(FOUND, FAILED))
    contains(doctor.out + doctor.err, "keyring", "a cut one")
    write(keyring, kept)
    site.run("doctor", expect=(DONE, FOUND))
    equal(site.holders("--sha256", sha256(read(files[0]))),
          {"acme": "confirmed", "zenith": "confirmed", "third": "confirmed"}, "with the keyring again")


def a_wrong_passphrase():
    site, files, tokens = used_site()
    wrong = write("wrong.pass", "not the passphrase\n")
    os.chmod(wrong, 0o600)
    for words in (("admit", files[0], "--product", "office", "--version", "9"), ("org", "list"),
                  ("serve", "--listen", f"127.0.0.1:{free_port()}"), ("doctor",)):
        done = run([CORDON, "-C", site.path, *words, "--passphrase-file", wrong], (FOUND, FAILED), env=site.env)
        contains((done.out + done.err).lower(), "passphrase", f"{words[0]}: what is wrong")
    done = run([CORDON, "-C", site.path, "org", "list", "--passphrase-file", "missing.pass"], FAILED, env=site.env)
    contains(done.err, "missing.pass", "a passphrase file that is not there")
    bare = {name: value for name, value in site.env.items() if name != "CORDON_PASSPHRASE_FILE"}
    done = run([CORDON, "-C", site.path, "org", "list"], FAILED, env=bare)
    contains(done.err.lower(), "passphrase", "no passphrase and no terminal")
    equal(len(site.json("org", "list")[-1].get("organisations", site.json("org", "list"))), 3, "with the right one")


def the_log_cannot_be_rewritten():
    site, files, tokens = used_site()
    site.run("log", "verify")
    checkpoint = read(site.file("log", "checkpoint"))
    tiles = [os.path.join(folder, name) for folder, _, names in os.walk(site.file("log", "tile")) for name in names]
    check(tiles, "no tiles")
    for path in tiles:
        good = read(path)
        if len(good) < 3:
            continue
        bad = bytearray(good)
        bad[len(bad) // 2] ^= 1
        os.chmod(path, 0o644)
        write(path, bytes(bad))
        done = site.run("log", "verify", expect=(FOUND, FAILED))
        equal(done.code, FOUND, f"log verify with {os.path.relpath(path, site.path)} changed: {done.out}{done.err}")
        write(path, good)
    site.run("log", "verify")
    for bad in (checkpoint.replace(b"\n", b"\nx", 1), checkpoint[:-10], b"", checkpoint.replace(b"\n\n", b"\n", 1)):
        write(site.file("log", "checkpoint"), bad)
        check(site.run("log", "verify", expect=(FOUND, FAILED)).code == FOUND, f"a checkpoint {bad[:40]!r}")
    write(site.file("log", "checkpoint"), checkpoint)
    site.run("log", "verify")
    # an older log put back: whoever kept a checkpoint sees it
    copy = site.path + ".old"
    shutil.copytree(site.file("log"), copy)
    with site.serve():
        site.admit(filler("new.exe", 100, seed=9), product="office", version="2.0")
    newer = write("newer", read(site.file("log", "checkpoint")))
    site.run("log", "verify", "--older", write("older", checkpoint))
    equal(site.run("log", "verify", "--dir", copy, "--older", newer, expect=(DONE, FOUND, FAILED)).code, FOUND,
          "an older log was taken for the whole")


def a_torn_journal_is_cut_and_a_rotten_one_is_named():
    site = Site()
    server = site.serve()
    site.admit(filler("a.bin", 100, seed=1), product="office", version="1.0")
    token = site.customer("acme", "office")
    for _ in range(5):
        server.get("/d/office/1.0/a.bin", token=token)
    server.kill()
    journals = [path for path in glob.glob(site.file("journal", "*")) if os.path.getsize(path) > 200]
    with open(sorted(journals)[-1] if journals else site.file("journal", "0"), "ab") as file:
        file.write(os.urandom(50))
    with site.serve() as again:
        equal(again.get("/d/office/1.0/a.bin", token=token).status, 200, "after a torn frame")
        equal(len(site.events("grant")), 6, "grants that were answered")
        site.run("log", "verify")


def settings_and_folders():
    """Mistakes in cordon.yaml, a folder that is no site, a site that is there already."""
    site = Site()
    good = read(site.file("cordon.yaml"))
    for line, word in (("serve:\n  lisen: x\n", "lisen"), ("scan:\n  time: soon\n", "scan.time"),
                       ("nonsense\n", "cordon.yaml"), ("scan: [1, 2\n", "cordon.yaml"), ("scan:\n  workers: 0\n", "workers"),
                       ("\0\0\0", "cordon.yaml")):
        write(site.file("cordon.yaml"), line)
        done = site.run("org", "list", expect=FAILED)
        contains(done.err, word, f"{line!r}")
    write(site.file("cordon.yaml"), good)
    done = run([CORDON, "-C", os.path.abspath("."), "org", "list"], FAILED, env=site.env)
    contains(done.err, "cordon init", "what to do without a site")
    before = read(site.file("keyring"))
    done = run([CORDON, "init", site.path], (USAGE, FAILED), env=site.env)
    equal(read(site.file("keyring")), before, "init over a site changes nothing")
    done = cordon("no-such-command", expect=USAGE)
    contains(done.err, "no-such-command", "an unknown command")
    error = cordon("org", "ad", "--json", expect=USAGE).one
    equal(sorted(error), ["error", "message"], "an error with --json")
    contains(error["message"], "org add", "what was meant")
    cordon(expect=USAGE)
    cordon("--help")
    with open("/dev/full", "w") as full:
        done = subprocess.run([CORDON, "--help"], stdout=full, stderr=subprocess.PIPE)
        check(done.returncode in (DONE, FAILED), "a full standard output")


main(a_corrupt_database_is_rebuilt, what_the_database_says_is_believed_only_as_far_as_the_log, a_lost_keyring,
     a_wrong_passphrase, the_log_cannot_be_rewritten, a_torn_journal_is_cut_and_a_rotten_one_is_named,
     settings_and_folders)
