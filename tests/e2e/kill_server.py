#!/usr/bin/env python3
# alone
"""kill -9 of every process while downloads and an admission run: it answers again within ten seconds,
what was acknowledged is there, nothing is half there (P9, P3)."""
import threading

from cordontest import *

AGAIN = 10  # seconds


class Customers:
    """Clients that download all the time and compare each byte that came."""

    def __init__(self, server, token, files, count=3):
        self.server, self.token, self.files = server, token, files
        self.done, self.cut, self.wrong, self.stop = 0, 0, [], threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(number,)) for number in range(count)]
        for thread in self.threads:
            thread.start()

    def work(self, number):
        pick = random.Random(number)
        while not self.stop.is_set():
            path, data = pick.choice(self.files)
            try:
                answer = self.server.get(path, token=self.token, seconds=30)
            except (OSError, http.client.HTTPException):
                self.cut += 1
                time.sleep(0.05)
                continue
            if answer.status == 200 and (answer.body != data if answer.whole else not data.startswith(answer.body)):
                self.wrong.append((path, answer.status, len(answer.body)))
            elif answer.status not in (200, 503):
                self.wrong.append((path, answer.status, answer.text[:200]))
            elif answer.status == 200 and answer.whole:
                self.done += 1
            else:
                self.cut += 1

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(60)
        check(not self.wrong, f"wrong answers: {self.wrong[:3]}")


def answers_again(server, token, path, data):
    """Seconds until a download works."""
    begun = time.monotonic()

    def works():
        try:
            answer = server.get(path, token=token, seconds=AGAIN)
            return answer.status == 200 and answer.whole and answer.body == data
        except (OSError, http.client.HTTPException):
            return False
    until("a download works again", AGAIN, works, pause=0.1)
    return time.monotonic() - begun


def consistent(site, server, token, versions):
    """Every version is out as a whole or not at all, each file that is out is delivered, the log holds."""
    shown = {}
    for event in site.events("published"):
        product, version, name = event["open"]["path"].split("/", 2)
        shown.setdefault((product, version), set()).add(name)
    for version, files in versions.items():
        names = shown.get(("office", version), set())
        check(names in (set(), set(files)), f"{version} is half out: {sorted(names)} of {sorted(files)}")
        for name in files:
            answer = server.get(f"/d/office/{version}/{name}", token=token)
            if names:
                equal((answer.status, answer.body), (200, files[name]), f"{version}/{name}")
            else:
                equal(answer.status, 404, f"{version}/{name}, which was not published")
    site.run("log", "verify")
    return {version for version in versions if ("office", version) in shown}


def each_process_but_the_supervisor():
    site = Site()
    files = [filler("small.bin", 30_000, seed=1), filler("large.bin", 9 << 20, seed=2)]
    with site.serve() as server:
        site.admit(*files, product="office", version="1.0")
        token = site.customer("acme", "office")
        wanted = [(f"/d/office/1.0/{os.path.basename(file)}", read(file)) for file in files]
        customers = Customers(server, token, wanted)
        versions, acknowledged = {}, set()
        try:
            for number, role in enumerate(("web", "recorder", "gate", "signer-log", "signer-repository", "worker")):
                version = f"2.{number}"
                names = {f"{i}.bin": os.urandom(20_000) for i in range(12)}
                folder = os.path.abspath(version)
                for name, data in names.items():
                    write(os.path.join(folder, name), data)
                versions[version] = names
                command = start([CORDON, "-C", site.path, "admit", folder, "--product", "office", "--version", version],
                                f"admit-{role}.log", env=site.env)
                until(f"there is a {role}", 10, lambda role=role: role in server.processes() or command.poll() is not None,
                      pause=0.01)
                victim = server.processes().get(role)
                if victim is not None:
                    os.kill(victim, signal.SIGKILL)
                seconds = answers_again(server, token, *wanted[0])
                code = command.wait(60)
                check(code in (DONE, FOUND, FAILED), f"admit ended with {code} when the {role} was killed")
                if role == "worker":
                    equal(code, DONE, f"admit after its worker died: {read(f'admit-{role}.log').decode()}")
                if code == DONE:
                    acknowledged.add(version)
                print(f"     {role}: killed={victim is not None} again after {seconds:.1f} s, admit gave {code}", flush=True)
            check(server.child.poll() is None, "the supervisor lives")
        finally:
            customers.end()
        out = consistent(site, server, token, versions)
        check(acknowledged <= out, f"acknowledged but not out: {acknowledged - out}")
        for version in sorted(set(versions) - out):
            site.admit(os.path.abspath(version), product="office", version=version)
        equal(consistent(site, server, token, versions), set(versions), "all can be admitted again")
        check(customers.done > 5, f"only {customers.done} downloads ended well")
        site.become({"acme": "confirmed"}, "--sha256", sha256(wanted[0][1]))
    site.run("doctor", expect=(DONE, FOUND))


def the_supervisor():
    site = Site()
    files = [filler("small.bin", 30_000, seed=1), filler("large.bin", 9 << 20, seed=2)]
    server = site.serve()
    site.admit(*files, product="office", version="1.0")
    token = site.customer("acme", "office")
    wanted = [(f"/d/office/1.0/{os.path.basename(file)}", read(file)) for file in files]
    versions, acknowledged = {}, set()
    for number, pause in enumerate((0.2, 0.6, 1.2)):
        version = f"2.{number}"
        names = {f"{i}.bin": os.urandom(20_000) for i in range(12)}
        for name, data in names.items():
            write(os.path.join(version, name), data)
        versions[version] = names
        customers = Customers(server, token, wanted, count=2)
        command = start([CORDON, "-C", site.path, "admit", os.path.abspath(version), "--product", "office", "--version",
                         version], "admit.log", env=site.env)
        time.sleep(pause)
        server.kill()
        customers.end()
        code = command.wait(60)
        check(code in (DONE, FAILED), f"admit ended with {code}:\n{read('admit.log').decode()[-2000:]}")
        if code == DONE:
            acknowledged.add(version)
        begun = time.monotonic()
        server = site.serve(seconds=AGAIN)
        answers_again(server, token, *wanted[0])
        print(f"     killed after {pause} s: again after {time.monotonic() - begun:.1f} s, admit gave {code}", flush=True)
    with server:
        out = consistent(site, server, token, versions)
        check(acknowledged <= out, f"acknowledged but not out: {acknowledged - out}")


def every_grant_that_was_answered_is_there():
    """A client that got bytes is in the log, whenever the recorder or all of it dies (P3)."""
    site = Site()
    file = filler("large.bin", 24 << 20, seed=2)
    server = site.serve()
    site.admit(file, product="office", version="1.0")
    tokens = {f"org{i}": site.customer(f"org{i}", "office") for i in range(4)}
    for number, token in enumerate(tokens.values()):
        slow = server.slow("/d/office/1.0/large.bin", token, first=1000)
        equal(slow.status, 200, "answer")
        if number % 2:
            os.kill(server.processes()["recorder"], signal.SIGKILL)
            slow.read(len(read(file)))
            check(read(file).startswith(slow.body), "bytes of the file")
            answers_again(server, token, "/d/office/1.0/large.bin", read(file))
        else:
            server.kill()
            server = site.serve(seconds=AGAIN)
        slow.close()
    with server:
        held = site.holders("--sha256", sha256(read(file)))
        equal(set(held), set(tokens), f"organisations that got bytes: {held}")
        check(set(held.values()) <= {"possible", "confirmed"}, f"{held}")
        site.run("log", "verify")


main(each_process_but_the_supervisor, the_supervisor, every_grant_that_was_answered_is_there)
