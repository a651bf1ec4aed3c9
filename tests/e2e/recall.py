#!/usr/bin/env python3
# needs: openssl
"""Withheld, recalled, lifted, stopped: what goes out no more, at once and under every name (P5)."""
from cordontest import *


def shop(*files, version="1.0"):
    site = Site()
    server = site.serve()
    site.admit(*files, product="office", version=version)
    return site, server, site.customer("acme", "office")


def a_recall_stops_what_is_running():
    file = filler("large.bin", 48 << 20, seed=1)
    data = read(file)
    site, server, token = shop(file, filler("other.bin", 1000, seed=2))
    with server:
        path = "/d/office/1.0/large.bin"
        slow = [server.slow(path, token, first=100_000) for _ in range(3)]
        ranged = server.get(path, token=token, headers={"Range": "bytes=0-99"})
        equal(ranged.status, 206, "a range before")
        begun = time.monotonic()
        answer = site.json("recall", "office/1.0/large.bin", "--reason", "carries a test marker")[-1]
        check(time.monotonic() - begun < 10 * PATIENCE, "the recall took longer than ten seconds")
        equal((answer["state"], answer["sha256"]), ("recalled", sha256(data)), "answer")
        for one in slow:
            got = one.read(len(data))
            check(data.startswith(got) and len(got) < len(data) // 2, f"{len(got)} bytes came after the recall")
            equal(one.cut, "reset", "how the download ended: what the kernel held must be thrown away")
            one.close()
        for what in ({}, {"Range": "bytes=0-99"}, {"If-None-Match": '"x"'}):
            equal(server.get(path, token=token, headers=what).status, 410, f"afterwards, with {what}")
        equal(server.request("HEAD", path, token=token).status, 410, "HEAD afterwards")
        equal(server.get(path).status, 410, "a recall is public, so it is said to everybody")
        equal(server.get(path, token="0" * 64, address="127.0.0.9").status, 401, "but not to a wrong token")
        equal(server.get(f"/targets/office/1.0/{sha256(data)}.large.bin", token=token).status, 410, "the TUF path")
        contains(server.get(path, token=token).text, "carries a test marker", "the reason for the customer")
        equal(server.get("/d/office/1.0/other.bin", token=token).status, 200, "its neighbour")
        event = site.events("recalled")[-1]
        contains(json.dumps(event), sha256(data), "the public entry")
        equal(site.holders("--sha256", sha256(data)), {"acme": "possible"}, "who has it")
        check("large.bin" not in server.get("/metadata/timestamp.json").text, "sane")


def recalled_bytes_never_come_back():
    file = filler("setup.exe", 50_000, seed=1)
    site, server, token = shop(file)
    with server:
        digest = sha256(read(file))
        site.run("recall", digest, "--reason", "test", "--replace", "office/1.1/setup.exe", expect=FAILED)
        equal(server.get("/d/office/1.0/setup.exe", token=token).status, 200, "its replacement must be there")
        site.admit(filler("1.1/setup.exe", 50_000, seed=2), product="office", version="1.1")
        answer = site.json("recall", digest, "--reason", "test", "--replace", "office/1.1/setup.exe")[-1]
        equal(answer["targets"], ["office/1.0/setup.exe"], "targets of a recall by digest")
        for name, product, version in (("setup.exe", "office", "1.0"), ("setup.exe", "office", "2.0"),
                                       ("innocent.txt", "reader", "1.0")):
            again = write(os.path.join("again", version, name), read(file))
            results = site.admit(again, product=product, version=version, expect=FOUND)
            check(not any(one.get("published") for one in results), f"{results}")
            contains(json.dumps(results), "recalled", "the reason")
        results = site.admit(write("again/new/setup.exe", read(file)), product="office", version="3.0", expect=FOUND,
                             options=("--emergency",))
        check(not any(one.get("published") for one in results), "not even in an emergency")
        contains(server.get("/d/office/1.0/setup.exe", token=token).text, "office/1.1/setup.exe", "the replacement")
        # inside an archive they are the same bytes
        site.run("lift", digest, "--reason", "false alarm")
        equal(server.get("/d/office/1.0/setup.exe", token=token).body, read(file), "after the lift")
        site.run("lift", digest, "--reason", "twice", expect=FAILED)
        kinds = [event["kind"] for event in site.events() if event["kind"] in ("recalled", "lifted")]
        equal(kinds, ["recalled", "lifted"], "entries of the log")
        site.run("log", "verify")


def a_digest_may_be_recalled_before_it_comes():
    site, server, token = shop(filler("a.bin", 1000, seed=1))
    with server:
        bad = filler("b.bin", 1000, seed=2)
        site.run("recall", sha256(read(bad)), "--reason", "known from elsewhere")
        results = site.admit(bad, product="office", version="1.0", expect=FOUND)
        check(not results[0]["published"], "it was published")


def withheld_is_reversible():
    file = filler("setup.exe", 50_000, seed=1)
    site, server, token = shop(file)
    with server:
        size = len(site.events())
        site.run("withhold", "office/1.0/setup.exe", "--reason", "looking into it")
        equal(server.get("/d/office/1.0/setup.exe", token=token).status, 410, "withheld")
        equal(site.target("office/1.0/setup.exe")["state"], "withheld", "state")
        check(not [event for event in site.events("recalled")], "a public entry says recalled")
        site.run("lift", "office/1.0/setup.exe", "--reason", "it is good")
        equal(server.get("/d/office/1.0/setup.exe", token=token).body, read(file), "lifted")
        check(len(site.events()) >= size + 2, "both are entries")
        for words in (("withhold", "office/9.9/none.exe", "--reason", "x"), ("recall", "no such", "--reason", "x"),
                      ("lift", "0" * 64, "--reason", "x")):
            error = site.run(*words, expect=(FAILED, USAGE)).err
            check(error.startswith("cordon: "), f"{words}: {error!r}")
        site.run("withhold", "office/1.0/setup.exe", expect=USAGE)
        site.run("recall", expect=USAGE)


def names_are_immutable():
    file = filler("setup.exe", 50_000, seed=1)
    site, server, token = shop(file)
    with server:
        other = write("other/setup.exe", b"other bytes" * 100)
        results = site.admit(other, product="office", version="1.0", expect=FOUND)
        check(not results[0]["published"], f"published over it: {results}")
        contains(json.dumps(results), "immutable" if "immutable" in json.dumps(results) else "other bytes", "the reason")
        equal(server.get("/d/office/1.0/setup.exe", token=token).body, read(file), "what is out")
        results = site.admit(file, product="office", version="1.0")
        equal(results[0]["published"], True, "the same bytes under the same name are no change")
        results = site.admit(filler("new.exe", 100, seed=3), product="office", version="1.0")
        equal(results[0]["published"], True, "a new name joins a version")
        # also after a recall the name stays taken
        site.run("recall", "office/1.0/setup.exe", "--reason", "test")
        results = site.admit(other, product="office", version="1.0", expect=FOUND)
        check(not results[0]["published"], "a recalled name got other bytes")
        for version in ("latest", "recall"):
            site.run("admit", other, "--product", "office", "--version", version, expect=(FOUND, USAGE))
        site.run("admit", other, "--product", "recall", "--version", "1.0", expect=(FOUND, USAGE))


def stop_all_is_the_big_switch():
    files = [filler(f"{i}.bin", 3000, seed=i) for i in range(5)]
    site, server, token = shop(*files)
    with server:
        site.run("stop", expect=USAGE)
        answer = site.json("stop", "--all", "--reason", "the build machine was broken into")[-1]
        equal(answer["withheld"], 5, "withheld")
        for i in range(5):
            equal(server.get(f"/d/office/1.0/{i}.bin", token=token).status, 410, f"{i}.bin")
        equal(server.get("/d/office/latest/0.bin", token=token).status in (404, 410), True, "latest")
        equal(server.get("/healthz").status, 200, "the server answers")
        site.run("lift", "office/1.0/3.bin", "--reason", "checked")
        equal(server.get("/d/office/1.0/3.bin", token=token).body, read(files[3]), "one lifted")


def a_second_person_approves():
    site = Site(release__approve="yes")
    file = filler("setup.exe", 50_000, seed=1)
    with site.serve() as server:
        results = site.admit(file, product="office", version="1.0")
        equal(results[0]["published"], False, "published at once")
        token = site.customer("acme", "office")
        equal(server.get("/d/office/1.0/setup.exe", token=token).status, 404, "before the approval")
        equal(site.target("office/1.0/setup.exe")["state"], "waiting", "state")
        # the one who admitted it is the one who asks here
        error = site.run("release", "approve", "office", "1.0", expect=(FOUND, FAILED)).err
        contains(error, "second person", "why not")
        secret = site.json("operator", "add", "maria", "--role", "release")[-1]
        answer = signed(server, secret_of(secret), "POST", "/api/v1/release.approve",
                        {"product": "office", "version": "1.0"})
        equal(answer.status, 200, f"approval by another: {answer.text}")
        until("it is published", 10, lambda: server.get("/d/office/1.0/setup.exe", token=token).status == 200)
        results = site.admit(filler("hotfix.exe", 500, seed=2), product="office", version="1.1",
                             options=("--emergency",))
        equal(results[0]["published"], True, "an emergency waits for nobody")
        results = site.admit(write("bad.com", eicar()), product="office", version="1.2", options=("--emergency",),
                             expect=FOUND)
        equal((results[0]["published"], results[0]["verdict"]), (False, "malicious"), "but it is inspected")


def a_hold_ends_with_todays_rules():
    site = Site()
    marker = b"a marker that no rule knows yet"
    bad, good = write("bad.bin", marker * 50), filler("good.bin", 1000, seed=1)
    with site.serve() as server:
        results = site.admit(bad, good, product="office", version="1.0", options=("--hold", "6s"))
        equal([one["published"] for one in results], [False, False], "held")
        token = site.customer("acme", "office")
        equal(server.get("/d/office/1.0/good.bin", token=token).status, 404, "while it is held")
        equal(site.target("office/1.0/good.bin")["state"], "held", "state")
    write(site.file("rules", "yara", "new.yar"),
          'rule new_marker { strings: $a = "a marker that no rule knows yet" condition: $a }\n')
    with site.serve() as server:
        until("the good one is published", 30, lambda: server.get("/d/office/1.0/good.bin", token=token).status == 200)
        time.sleep(2)
        check(server.get("/d/office/1.0/bad.bin", token=token).status in (404, 410), "the bad one went out")
        check(site.target("office/1.0/bad.bin")["state"] != "published", "its state")
        results = site.admit(filler("later.bin", 10, seed=5), product="office", version="1.1",
                             options=("--hold", "1h", "--emergency"))
        equal(results[0]["published"], True, "an emergency waives the hold")


def retro_withholds_and_asks():
    """A rule that matches more than a few of what is published withholds nothing and asks."""
    site = Site(retro__max_share=10)
    files = [write(f"{i}.bin", b"common words %d" % i + (b" a rare marker" if i == 7 else b"")) for i in range(20)]
    with site.serve() as server:
        site.admit(*files, product="office", version="1.0")
        token = site.customer("acme", "office")
        equal(server.get("/d/office/1.0/7.bin", token=token).status, 200, "before")
        rare = write("rare.yar", 'rule rare { strings: $a = "a rare marker" condition: $a }\n')
        common = write("common.yar", 'rule common { strings: $a = "common words" condition: $a }\n')
        broken = write("broken.yar", 'rule fine { condition: false }\nrule broken {\n condition: nonsense\n}\n')
        error = site.run("retro", broken, expect=FAILED).err
        contains(error, "broken.yar", "the rule file's name")
        contains(error, "3", "its line")
        answer = site.json("retro", rare, expect=FOUND)[-1]
        equal((answer["scanned"], answer["withheld"]), (20, 1), "the rare rule")
        equal(server.get("/d/office/1.0/7.bin", token=token).status, 410, "what it found")
        answer = site.json("retro", common, expect=FOUND)[-1]
        equal((answer["withheld"], bool(answer["asked"])), (0, True), "the common rule")
        equal(server.get("/d/office/1.0/8.bin", token=token).status, 200, "what it would have stopped")
        site.become({"acme": "confirmed"}, "--rule", "rare")
        answer = site.json("retro", common, "--force", expect=FOUND)[-1]
        equal(server.get("/d/office/1.0/8.bin", token=token).status, 410, "forced")


main(a_recall_stops_what_is_running, recalled_bytes_never_come_back, a_digest_may_be_recalled_before_it_comes,
     withheld_is_reversible, names_are_immutable, stop_all_is_the_big_switch, a_second_person_approves,
     a_hold_ends_with_todays_rules, retro_withholds_and_asks)
