#!/usr/bin/env python3
# needs: openssl
"""Moving in, bad lists, and erasing: scope by organisation stays exact, personal data stays home (P3, P10)."""
from cordontest import *


def delivered(site, server, files, people):
    """Each (organisation, account) fetches every file."""
    tokens = {}
    for organisation, user in people:
        if organisation not in [name for name, _ in tokens]:
            tokens[organisation, user] = site.customer(organisation, "office", user=user)
        else:
            tokens[organisation, user] = site.account(organisation, user)
        for file in files:
            answer = server.get(f"/d/office/1.0/{os.path.basename(file)}", token=tokens[organisation, user])
            equal(answer.status, 200, f"{organisation}/{user}")
    return tokens


def erasing():
    site = Site()
    file = filler("setup.exe", 50_000, seed=1)
    digest = sha256(read(file))
    with site.serve() as server:
        site.admit(file, product="office", version="1.0")
        people = [("acme-works", "jane-doe"), ("acme-works", "john-roe"), ("zenith-mills", "mary-major"),
                  ("third-house", "rich-miles")]
        tokens = delivered(site, server, [file], people)
        site.become({name: "confirmed" for name, _ in people}, "--sha256", digest)
        before = site.scope("--sha256", digest)
        equal(len(before["deliveries"]), 4, "deliveries")

        site.run("account", "erase", "--org", "acme-works", "jane-doe")
        scope = site.scope("--sha256", digest)
        equal({one["name"]: one["holder"] for one in scope["organisations"]},
              {name: "confirmed" for name, _ in people}, "organisations after an account was erased")
        check("jane-doe" not in json.dumps(scope), "the erased account is named")
        check("john-roe" in json.dumps(scope), "its colleague is")
        equal(server.get("/d/office/1.0/setup.exe", token=tokens["acme-works", "jane-doe"]).status, 401, "its token")

        site.run("org", "erase", "zenith-mills")
        scope = site.scope("--sha256", digest)
        named = {one["name"] for one in scope["organisations"]}
        check("zenith-mills" not in json.dumps(scope) and "mary-major" not in json.dumps(scope), "erased, but named")
        check({"acme-works", "third-house"} <= named, f"the others: {named}")
        contains(json.dumps(scope).lower(), "erased organisation", "the answer counts deliveries of erased ones")
        equal(server.get("/d/office/1.0/setup.exe", token=tokens["zenith-mills", "mary-major"]).status, 401, "its token")
        site.run("log", "verify")
    # nothing of the erased can be found in the site's files, nor anybody's name in the public log
    for folder, _, names in os.walk(site.path):
        for name in names:
            data = read(os.path.join(folder, name)) if os.path.isfile(os.path.join(folder, name)) else b""
            for word in (b"jane-doe", b"zenith-mills", b"mary-major"):
                check(word not in data, f"{word} is in {os.path.relpath(os.path.join(folder, name), site.path)}")
            if "/log" in folder:
                for word in (b"acme-works", b"john-roe", b"127.0.0.1"):
                    check(word not in data, f"{word} is in the public {name}")
    # a rebuild keeps the same answers
    site.run("doctor", "--rebuild", expect=(DONE, FOUND))
    again = site.scope("--sha256", digest)
    equal(again["organisations"], scope["organisations"], "organisations after a rebuild")
    check("jane-doe" not in json.dumps(again) and "zenith-mills" not in json.dumps(again), "a rebuild brings them back")
    contains(json.dumps(again).lower(), "erased organisation", "a rebuild counts them too")


def moving_in():
    site = Site()
    file = filler("setup.exe", 5000, seed=1)
    good = write("orgs.csv", "name,contact,manager,language,products\n"
                 'Acme Works,it@acme.example,Maria,en,office;reader\n"Müller, Söhne & Co",it@mueller.example,,de,office\n')
    with site.serve() as server:
        site.admit(file, product="office", version="1.0")
        for name, text, word in (("no header", "Acme,it@acme.example\n", "name"), ("short", "name,contact\nAcme\n", "2"),
                                 ("quote", 'name,contact\n"Acme,it@x.example\n', "2"),
                                 ("mail", "name,contact\nAcme,nonsense\n", "2"), ("twice", "name,contact\nA,a@b.example\nA,a@b.example\n", "3"),
                                 ("latin", b"name,contact\nM\xfcller,a@b.example\n", "2"), ("nul", b"name,contact\nA\0,a@b.example\n", ""),
                                 ("empty", "", ""), ("binary", os.urandom(5000), "")):
            done = site.run("org", "import", write("bad.csv", text), expect=(FOUND, FAILED))
            contains(done.out + done.err, word, f"{name}: the line is named")
        equal(organisations(site), set(), "after bad lists")
        site.run("org", "import", good)
        equal(organisations(site), {"Acme Works", "Müller, Söhne & Co"}, "imported")
        site.run("org", "import", good, expect=(FOUND, FAILED))
        equal(organisations(site), {"Acme Works", "Müller, Söhne & Co"}, "imported twice")
        passwords = write("htpasswd", "jane:" + run(["openssl", "passwd", "-apr1", "one"]).out.strip() + "\n"
                          "june:{SHA}" + base64.b64encode(hashlib.sha1(b"two").digest()).decode() + "\n"
                          "joan:" + run(["openssl", "passwd", "-6", "three"]).out.strip() + "\n")
        site.run("account", "import", passwords, "--org", "Acme Works")
        for user, password in (("jane", "one"), ("june", "two"), ("joan", "three")):
            equal(server.get("/d/office/1.0/setup.exe", user=user, token=password).status, 200, f"{user}'s old password")
            equal(server.get("/d/office/1.0/setup.exe", user=user, token=password + "x").status, 401, f"{user}, wrong")
        equal(server.get("/d/office/1.0/setup.exe", token="one").status, 401, "a password as a bearer token")
        for text in ("no-colon\n", "a:\n", ":x\n", "a:plaintext\n", "a\0b:x\n"):
            site.run("account", "import", write("bad.htpasswd", text), "--org", "Acme Works", expect=(FOUND, FAILED))
        equal(set(site.holders("--sha256", sha256(read(file)))), {"Acme Works"}, "who has it")


def organisations(site):
    listed = site.json("org", "list")
    rows = [row for one in listed for row in one.get("organisations", [one])]
    return {row["name"] for row in rows}


def bad_requests():
    site = Site()
    with site.serve():
        site.run("org", "add", "acme", "--contact", "it@acme.example")
        for words, codes in ((("org", "add", "acme", "--contact", "it@acme.example"), (FAILED,)),
                             (("org", "add", "x" * 300, "--contact", "it@acme.example"), (USAGE, FAILED)),
                             (("org", "add", "new\nline", "--contact", "it@acme.example"), (USAGE, FAILED)),
                             (("org", "add", b"caf\xe9", "--contact", "it@acme.example"), (USAGE, FAILED)),
                             (("org", "add", "", "--contact", "it@acme.example"), (USAGE, FAILED)),
                             (("org", "add", "b"), (USAGE,)),
                             (("org", "add", "b", "--contact", "it@acme.example", "--language", "no language"), (USAGE, FAILED)),
                             (("org", "grant", "nobody", "office"), (FAILED,)),
                             (("org", "erase", "nobody"), (FAILED,)),
                             (("account", "add", "--org", "nobody", "jane"), (FAILED,)),
                             (("account", "add", "jane"), (USAGE,)),
                             (("account", "add", "--org", "acme", "ja:ne"), (USAGE, FAILED)),
                             (("account", "disable", "--org", "acme", "nobody"), (FAILED,)),
                             (("account", "erase", "--org", "acme", "nobody"), (FAILED,)),
                             (("product", "set", "office", "--access", "everybody"), (USAGE, FAILED)),
                             (("operator", "add", "x", "--role", "king"), (USAGE, FAILED)),
                             (("incident", "scope"), (USAGE, FAILED)),
                             (("incident", "scope", "--sha256", "xyz"), (USAGE, FAILED)),
                             (("incident", "scope", "--sha256", "0" * 64, "--from", "yesterday-ish"), (USAGE, FAILED))):
            arguments = [CORDON.encode(), b"-C", site.path.encode()] + [w if isinstance(w, bytes) else w.encode() for w in words]
            done = run(arguments, codes, env=site.env)
            check(done.err.startswith("cordon: "), f"{words}: {done.err!r}")
        equal(organisations(site), {"acme"}, "after all that")
        site.account("acme", "jane")
        site.run("account", "add", "--org", "acme", "jane", expect=FAILED)
        # what an erased account was called may be used again
        site.run("account", "erase", "--org", "acme", "jane")
        site.account("acme", "jane")


main(erasing, moving_in, bad_requests)
