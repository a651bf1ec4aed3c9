#!/usr/bin/env python3
# time-out: 300
"""The log of a running server, read over HTTP and verified by Go's own note and tlog packages."""
from cordontest import *

CHECKER = os.path.join(SOURCE, "tests", "e2e", "gocheck")


def build_checker():
    """Debian's Go with Debian's packages; another Go may no longer take GO111MODULE=off."""
    places = ("/usr/lib/go-1.19/bin/go", "/usr/lib/go/bin/go", "/usr/bin/go")
    go = next((place for place in places if os.access(place, os.X_OK)), None)
    if go is None or not os.path.isdir("/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog"):
        not_run("needs Debian's golang-go and golang-golang-x-mod-dev")
    program = os.path.abspath("gocheck")
    env = dict(os.environ, GO111MODULE="off", GOPATH="/usr/share/gocode", GOFLAGS="", GOTOOLCHAIN="local")
    env.setdefault("GOCACHE", os.path.abspath("go-cache"))
    env.pop("GOROOT", None)
    run([go, "build", "-o", program, "main.go"], cwd=CHECKER, env=env, seconds=200)
    return program


def verifier_key(site):
    text = site.run("key", "vkey").out.split()
    return next(word for word in text if word.count("+") >= 2)


def size_of(server):
    """0 while a new site has no checkpoint yet."""
    answer = server.get("/log/checkpoint")
    check(answer.status in (200, 404), f"status {answer.status} of the checkpoint")
    return int(answer.text.split("\n")[1]) if answer.status == 200 else 0


def grown_to(server, size):
    """The checkpoint follows new entries within a second."""
    until(f"a checkpoint over {size} entries", 10, lambda: size_of(server) >= size)


def busy(server, site, token, files, version):
    folder = os.path.abspath(version)
    for number in range(files):
        filler(os.path.join(folder, f"f{number}.bin"), 700, seed=f"{version} {number}")
    site.admit(*[os.path.join(folder, name) for name in sorted(os.listdir(folder))], product="office", version=version)
    for number in range(files):
        equal(server.get(f"/d/office/{version}/f{number}.bin", token=token).status, 200, "a download")


def a_growing_log_is_verified_by_go():
    checker = build_checker()
    site = Site()
    with site.serve() as server:
        token = site.customer("acme", "office")
        key, kept = verifier_key(site), []
        for version, files in (("1.0", 3), ("1.1", 40), ("1.2", 150)):
            before = size_of(server)
            busy(server, site, token, files, version)
            grown_to(server, before + 2 * files)
            kept.append(write(f"checkpoint-{version}", server.get("/log/checkpoint").body))
        said = run([checker, "-vkey", key, *sum((["-old", old] for old in kept), []), server.url("/log")]).out
        contains(said, f"{len(kept)} older checkpoints: good", "what Go says")
        size = int(said.split()[0])
        check(size >= 400, f"the log has {size} entries only")
        wrong = key[:-6] + ("AAAAA=" if not key.endswith("AAAAA=") else "BBBBB=")
        run([checker, "-vkey", wrong, server.url("/log")], expect=FOUND)
    with site.serve() as server:  # the log of before must be a part of the log after a restart
        busy(server, site, token, 5, "1.3")
        grown_to(server, size + 10)
        run([checker, "-vkey", key, *sum((["-old", old] for old in kept), []), server.url("/log")])


def a_proof_of_ours_is_good_for_go():
    checker = build_checker()
    site = Site()
    with site.serve() as server:
        token = site.customer("acme", "office")
        busy(server, site, token, 20, "1.0")
        grown_to(server, 40)
        proof = write("one.tlog-proof", site.run("log", "prove", "7").out)
        run([checker, "-vkey", verifier_key(site), "-proof", proof, server.url("/log")])
        text = read(proof).decode()
        write(proof, text.replace("index 7", "index 8"))
        run([checker, "-vkey", verifier_key(site), "-proof", proof, server.url("/log")], expect=FOUND)


main(a_growing_log_is_verified_by_go, a_proof_of_ours_is_good_for_go)
