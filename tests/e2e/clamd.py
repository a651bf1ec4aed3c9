#!/usr/bin/env python3
# needs: clamd
"""clamd as an engine: the real one for the good case, and a socket that misbehaves for all others."""
import threading

from cordontest import *


class Clamd:
    """Debian's clamd with a database of one signature that the test writes."""

    def __init__(self, signature=True):
        folder = os.path.abspath("clamd")
        os.makedirs(os.path.join(folder, "db"))
        data = b"a file that only the signature of this test finds"
        self.bad = write("only-clamd.bin", data)
        line = f"{hashlib.md5(data).hexdigest()}:{len(data)}:Test.Marker\n" if signature else ""
        write(os.path.join(folder, "db", "test.hdb"), line or "0" * 32 + ":1:Nothing\n")
        self.socket = os.path.join(folder, "s")
        conf = write(os.path.join(folder, "conf"), f"Foreground yes\nLocalSocket {self.socket}\n"
                     f"DatabaseDirectory {folder}/db\nTemporaryDirectory {folder}\nUser root\nStreamMaxLength 100M\n"
                     "MaxThreads 2\nDisableCache yes\n")
        self.child = start(["clamd", "--config-file", conf], "clamd.log")
        until("clamd listens", 30, lambda: os.path.exists(self.socket))

    def stop(self):
        self.child.terminate()
        self.child.wait(30)


class Odd:
    """A socket where clamd should be; `how` is what it does with each command."""

    def __init__(self, how):
        self.how, self.path = how, os.path.abspath("odd")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(self.path)
        self.socket.listen(50)
        self.held = []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with contextlib.suppress(OSError):
            data, descriptors, _, _ = socket.recv_fds(client, 4096, 4)
            for fd in descriptors:
                os.close(fd)
            version = b"VERSION" in data and self.how != "dead"
            if version:
                day = time.strftime("%a %b %d %H:%M:%S %Y", time.gmtime(time.time() - (30 * 86400 if self.how == "old" else 0)))
                client.sendall(b"ClamAV 1.0.7/27000/" + day.encode() + b"\0")
            elif self.how == "hangs":
                self.held.append(client)
                return
            elif self.how == "dies":
                client.sendall(b"fd[10]: ")
            elif self.how == "errors":
                client.sendall(b"fd[10]: lstat() failed: Permission denied. ERROR\0")
            elif self.how == "noise":
                client.sendall(os.urandom(9000))
            elif self.how == "endless":
                while True:
                    client.sendall(b"x" * 65536)
            elif self.how in ("old", "clean"):
                client.sendall(b"fd[10]: OK\0")
        with contextlib.suppress(OSError):
            client.close()

    def end(self):
        self.socket.close()
        for client in self.held:
            client.close()


def demand(site, socket_path, **more):
    site.set("clamd.socket", socket_path)
    site.set("scan.engines", "yara,hashes,pe,unpack,clamd")
    for name, value in more.items():
        site.set(name.replace("__", "."), value)


def a_real_clamd():
    clamd = Clamd()
    site = Site(clamd__socket=clamd.socket)
    demand(site, clamd.socket, clamd__max_age="none")
    with site.serve() as server:
        results = site.admit(filler("good.bin", 5000, seed=1), product="office", version="1.0")
        equal((results[0]["verdict"], results[0]["published"]), ("clean", True), "a clean file")
        results = site.admit(clamd.bad, product="office", version="1.0", expect=FOUND)
        equal(results[0]["verdict"], "malicious", "what only clamd finds")
        contains(json.dumps(results[0]["findings"]), "Test.Marker", "its finding")
        # inside an archive too
        inside = tar_gz_of({"a.zip": zip_of({"x.bin": read(clamd.bad)})}, "inside.tar.gz")
        equal(site.admit(inside, product="office", version="1.0", expect=FOUND)[0]["verdict"], "malicious", "a member")
        # it goes away, and comes back
        clamd.stop()
        results = site.admit(filler("later.bin", 5000, seed=2), product="office", version="1.0", expect=FOUND)
        equal((results[0]["verdict"], results[0]["published"]), ("none", False), "without clamd")
        contains(json.dumps(results[0]).lower(), "clamd", "the reason")
        token = site.customer("acme", "office")
        equal(server.get("/d/office/1.0/good.bin", token=token).status, 200, "what is published is served")
        os.rename("clamd", "clamd.old")
        again = Clamd()
        equal(site.admit("later.bin", product="office", version="1.0")[0]["published"], True, "when it is back")
        again.stop()


def one_that_misbehaves():
    site = Site()
    for how, word in (("dead", "clamd"), ("hangs", "clamd"), ("dies", "clamd"), ("errors", "clamd"), ("noise", "clamd"),
                      ("endless", "clamd"), ("old", "clamd")):
        odd = Odd(how)
        demand(site, odd.path, clamd__time="3s", clamd__max_age="7d")
        begun = time.monotonic()
        done = site.run("admit", filler(f"{how}.bin", 500, seed=len(how)), "--product", "office", "--version", "1.0",
                        "--json", expect=(FOUND, FAILED), seconds=60)
        check(time.monotonic() - begun < 40 * PATIENCE, f"{how}: it took {time.monotonic() - begun:.0f} s")
        contains((done.out + done.err).lower(), word, f"{how}: the reason")
        check(not any(one.get("published") for one in done.objects), f"{how}: published: {done.out}")
        odd.end()
    odd = Odd("clean")
    demand(site, odd.path, clamd__max_age="7d")
    check(site.admit("hangs.bin", product="office", version="1.0")[0]["published"], "one that answers")
    odd.end()
    os.unlink(odd.path)
    done = site.run("admit", filler("absent.bin", 10, seed=9), "--product", "office", "--version", "1.0", "--json",
                    expect=(FOUND, FAILED))
    contains((done.out + done.err).lower(), "clamd", "absent: the reason")
    doctor = site.run("doctor", expect=FOUND)
    contains(doctor.out + doctor.err, "clamd", "doctor names the missing engine")
    equal([event["open"]["path"] for event in site.events("published")], ["office/1.0/hangs.bin"], "published")


def a_hang_does_not_stop_the_server():
    site = Site()
    file = filler("good.bin", 5000, seed=1)
    site.admit(file, product="office", version="1.0")
    token = site.customer("acme", "office")
    odd = Odd("hangs")
    demand(site, odd.path, clamd__time="8s")
    with site.serve(seconds=60) as server:
        command = start([CORDON, "-C", site.path, "admit", filler("new.bin", 10, seed=2), "--product", "office",
                         "--version", "1.1"], "admit.log", env=site.env)
        time.sleep(1)
        begun = time.monotonic()
        equal(server.get("/d/office/1.0/good.bin", token=token).body, read(file), "meanwhile")
        site.run("recall", "office/1.0/good.bin", "--reason", "meanwhile")
        check(time.monotonic() - begun < 5 * PATIENCE, "a recall waited for the scan")
        equal(server.get("/d/office/1.0/good.bin", token=token).status, 410, "after it")
        check(command.poll() is None, "the scan still waits")
        equal(command.wait(60), FOUND, "admit in the end")
    odd.end()


main(a_real_clamd, one_that_misbehaves, a_hang_does_not_stop_the_server)
