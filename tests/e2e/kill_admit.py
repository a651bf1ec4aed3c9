#!/usr/bin/env python3
# alone
"""kill -9 of `admit` and of the processes it started; several commands and a server at once (P9)."""
import threading

from cordontest import *

FILES = 40


def tree(folder, seed, count=FILES, size=60_000):
    """{name: bytes} of a folder of files."""
    made = {}
    for i in range(count):
        made[f"{i:03}.bin"] = read(filler(os.path.join(folder, f"{i:03}.bin"), size, seed=seed * 1000 + i))
    return made


def published(site, version):
    return {event["open"]["path"].split("/", 2)[2] for event in site.events("published")
            if event["open"]["path"].split("/")[1] == version}


def whole_or_nothing(site, version, names, code):
    out = published(site, version)
    check(out in (set(), set(names)), f"{version} is half out: {len(out)} of {len(names)}")
    if code == DONE:
        equal(out, set(names), f"{version} was acknowledged")
    return bool(out)


def admit_itself():
    """Without a server: the command and all that it started die, at several instants."""
    site = Site()
    site.customer("acme", "office")
    begun = time.monotonic()
    names = tree("0", 0)
    site.admit(os.path.abspath("0"), product="office", version="0")
    whole = time.monotonic() - begun
    for number, part in enumerate((0.05, 0.3, 0.55, 0.75, 0.9), start=1):
        version = str(number)
        names = tree(version, number)
        command = start([CORDON, "-C", site.path, "admit", os.path.abspath(version), "--product", "office", "--version",
                         version], "admit.log", env=site.env)
        time.sleep(whole * part)
        if number % 2:
            command.kill()  # the processes it started notice by themselves
        else:
            kill_all_of(site, command)
        code = command.wait(30)
        until("nobody works on the site", 20, lambda: not workers_on(site))
        out = whole_or_nothing(site, version, names, code)
        print(f"     killed after {whole * part:.2f} s: {'out' if out else 'not out'}", flush=True)
        site.run("log", "verify")
        if not out:
            results = site.admit(os.path.abspath(version), product="office", version=version)
            check(all(one["published"] for one in results), "it can be admitted again")
    check(not staged(site), f"left in staging: {staged(site)}")
    equal(site.run("doctor", expect=(DONE, FOUND)).code in (DONE, FOUND), True, "doctor")
    with site.serve() as server:
        token = site.account("acme", "second")
        answer = server.get("/d/office/3/001.bin", token=token)
        equal((answer.status, answer.body), (200, read("3/001.bin")), "delivered")


def staged(site):
    """Private copies that nobody needs any more."""
    return [os.path.join(folder, name) for folder, _, names in os.walk(site.file("staging")) for name in names]


def workers_on(site):
    """Processes of this program that have the site's lock open."""
    found, lock = [], site.file("run", "lock")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if any(os.readlink(f"/proc/{pid}/fd/{fd}") == lock for fd in os.listdir(f"/proc/{pid}/fd")):
                found.append(int(pid))
    return found


def kill_all_of(site, command):
    """The command and every process below it, at once."""
    victims = set(workers_on(site)) | {pid for pid, _ in group_members(command.pid)}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if f"CORDON_PASSPHRASE_FILE={site.passphrase}".encode() in read(f"/proc/{pid}/environ"):
                victims.add(int(pid))
    for pid in victims - {os.getpid()}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def the_client_of_a_server():
    """With a server: a killed command leaves nothing behind, and the server goes on."""
    site = Site()
    with site.serve() as server:
        token = site.customer("acme", "office")
        for number, pause in enumerate((0.02, 0.1, 0.3, 0.6, 1.0), start=1):
            version = str(number)
            names = tree(version, number, count=20)
            command = start([CORDON, "-C", site.path, "admit", os.path.abspath(version), "--product", "office",
                             "--version", version], "admit.log", env=site.env)
            time.sleep(pause)
            command.kill()
            command.wait(30)
            until("the server answers", 10, lambda: server.get("/healthz").status == 200)
            time.sleep(0.5)
            whole_or_nothing(site, version, names, None)
        results = site.admit(os.path.abspath("1"), product="office", version="1")
        check(all(one["published"] for one in results), "it can be admitted again")
        until("nothing is left in staging", 10, lambda: not staged(site))
        equal(server.get("/d/office/1/000.bin", token=token).body, read("1/000.bin"), "delivered")


def two_admits_and_a_serve_at_once():
    """All three start at the same moment on a site that nobody works on."""
    site = Site()
    trees = {version: tree(version, int(version), count=15) for version in ("1", "2")}
    commands = [start([CORDON, "-C", site.path, "admit", os.path.abspath(version), "--product", "office", "--version",
                       version], f"admit{version}.log", env=site.env) for version in trees]
    try:
        server = site.serve(seconds=40)
    except Broken as broken:
        # a server may say that another process works on the site; it must not do so for long
        contains(str(broken), "another", "why serve ended")
        for command in commands:
            command.wait(60)
        server = until("serve starts", 20, lambda: site.serve())
    with server:
        for command, version in zip(commands, trees):
            code = command.wait(90)
            equal(code, DONE, f"admit {version}: {read(f'admit{version}.log').decode()[-1500:]}")
            equal(published(site, version), set(trees[version]), f"version {version}")
        site.run("log", "verify")
        second = run([CORDON, "-C", site.path, "serve", "--listen", f"127.0.0.1:{free_port()}"], FAILED, env=site.env)
        contains(second.err, "a server runs", "a second server's error")


def many_at_once():
    """Thirty admissions and downloads beside each other."""
    site = Site()
    with site.serve() as server:
        base = filler("base.bin", 2 << 20, seed=1)
        site.admit(base, product="office", version="base")
        token = site.customer("acme", "office")
        faults = []

        def admit(number):
            try:
                file = filler(f"n{number}/file.bin", 40_000, seed=number)
                results = site.admit(file, product="office", version=f"v{number}")
                check(results[0]["published"], f"{results}")
                equal(server.get(f"/d/office/v{number}/file.bin", token=token).body, read(file), f"v{number}")
            except Exception as fault:
                faults.append(fault)

        def fetch(number):
            try:
                for _ in range(3):
                    answer = server.get("/d/office/base/base.bin", token=token)
                    equal((answer.status, answer.body == read(base)), (200, True), "base.bin")
            except Exception as fault:
                faults.append(fault)

        threads = [threading.Thread(target=admit if i % 2 else fetch, args=(i,)) for i in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        check(not faults, f"{len(faults)} failed, the first: {faults[:1]}")
        equal(len([event for event in site.events("grant") if "base.bin" in json.dumps(event)]), 45, "grants of base.bin")
        site.run("log", "verify")


main(admit_itself, the_client_of_a_server, two_admits_and_a_serve_at_once, many_at_once)
