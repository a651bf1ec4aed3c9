#!/usr/bin/env python3
"""What a web process that somebody has taken over may ask of the recorder, and how little it can hold up.

The test stops the real web process and speaks in its place, on its own socket."""
import ctypes

from cordontest import *

PIDFD_OPEN, PIDFD_GETFD = 434, 438


def unix_sockets(pid):
    names = {line.split()[6] for line in read("/proc/net/unix").decode().splitlines()[1:]}
    found = []
    for name in sorted(os.listdir(f"/proc/{pid}/fd"), key=int):
        with contextlib.suppress(FileNotFoundError):  # a file that it closed meanwhile
            target = os.readlink(f"/proc/{pid}/fd/{name}")
            if target.startswith("socket:[") and target[8:-1] in names:
                found.append(int(name))
    return found


def threads(pid):
    """The states of its threads: T is stopped."""
    return {read(f"/proc/{pid}/task/{task}/stat").decode().rsplit(")", 1)[1].split()[0]
            for task in os.listdir(f"/proc/{pid}/task")}


class Web:
    """In place of the web process, which is stopped: boot, recorder and gate are its sockets in that order."""

    def __init__(self, server):
        self.pid = server.processes()["web"]
        self.buffer, self.sequence = b"", 1 << 20
        try:
            numbers = unix_sockets(self.pid)
            libc = ctypes.CDLL(None, use_errno=True)
            pidfd = libc.syscall(PIDFD_OPEN, self.pid, 0)
            taken = libc.syscall(PIDFD_GETFD, pidfd, numbers[1], 0)
        except PermissionError:
            not_run("needs the right to take a descriptor of another process")
        if taken < 0:
            not_run("needs the right to take a descriptor of another process")
        os.kill(self.pid, signal.SIGSTOP)
        until("every thread of web stands still", 10, lambda: threads(self.pid) == {"T"})  # else it reads our answers
        self.socket = socket.socket(fileno=taken)
        self.socket.setblocking(True)
        self.socket.settimeout(20 * PATIENCE)

    def frame(self, body, length=None):
        self.sequence += 1
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return struct.pack(">IHHI", len(data) if length is None else length, 1, 0, self.sequence) + data

    def take(self, size):
        while len(self.buffer) < size:
            more = self.socket.recv(65536)
            check(more, "the recorder closed the connection")
            self.buffer += more
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def ask(self, **body):
        self.socket.sendall(self.frame(body))
        while True:
            length, _, _, sequence = struct.unpack(">IHHI", self.take(12))
            answer = json.loads(self.take(length))
            if sequence == self.sequence:
                return answer

    def go_on(self):
        self.socket.close()
        os.kill(self.pid, signal.SIGCONT)


def open_site():
    site = Site()
    file = filler("setup.exe", 100_000, seed=1)
    site.admit(file, product="office", version="1.0")
    return site, file, site.customer("acme", "office", user="jane")


@contextlib.contextmanager
def serving(site):
    with site.serve() as server:
        site.run("release", "list")  # the gate is ready too
        yield server


def it_may_ask_three_things():
    site, file, token = open_site()
    blob = sha256(read(file))
    with serving(site) as server:
        web = Web(server)
        for op in ("append", "head", "checkpoint", "event", "open_part", "api", "recall", "", None):
            contains(str(web.ask(op=op)), "error", f"{op} is refused")
        alarm = {"op": "alarm", "blob": blob, "first": 0, "last": 1, "seen": 1}
        equal(web.ask(**alarm, fault="fault of my own")["error"], "format", "an invented fault")
        contains(str(web.ask(**{**alarm, "blob": "0" * 64}, fault="changed")), "error", "a blob that is none")
        for bad in ({}, {"target": 7}, {"target": "office/1.0/setup.exe"},
                    {"target": "office/1.0/setup.exe", "secret": "0" * 64},
                    {"target": "x" * 60000, "secret": token}):
            contains(str(web.ask(op="grant", **bad)), "error", f"grant {str(bad)[:60]}")
        for first, last in ((0, 1 << 62), (1 << 62, 1 << 62), (5, 4), (-1, 3), (100_000, 100_000)):
            answer = web.ask(op="grant", target="office/1.0/setup.exe", secret=token, whole=False, first=first, last=last)
            if "error" not in answer:
                check(first == 0, f"range {first} to {last} is granted: {answer}")
        grant = web.ask(op="grant", target="office/1.0/setup.exe", secret=token, whole=True, address="9" * 5000,
                        agent="€" * 400)
        equal(grant["blob"], blob, "a grant")
        for first, acked in ((0, 1 << 62), (1 << 62, 1), (-1, 5), (100_000, 1)):
            contains(str(web.ask(op="end", grant=grant["grant"], first=first, acked=acked)), "error", "a wrong end")
        contains(str(web.ask(op="end", grant=1 << 60, first=0, acked=1)), "error", "the end of no grant")
        web.go_on()
        equal(server.get("/d/office/1.0/setup.exe", token=token).status, 200, "web again")
    entered = [event for event in site.events("grant")]
    check(all(len((event.get("account") or {}).get("address", "")) < 64 for event in entered), "an address is short")
    equal(site.events("alarm"), [], "no alarm was entered")
    site.run("log", "verify")


def end_of(server, before):
    return until("everything was started again", 15,
                 lambda: server.processes().get("recorder") not in (None, before["recorder"]) and
                 server.processes().get("web") not in (None, before["web"]))


def what_is_no_frame_ends_it():
    site, file, token = open_site()
    with serving(site) as server:
        for bad in (b"\xff" * 4096, "large", b"{", b"[]", struct.pack(">IHHI", 1 << 31, 1, 0, 1)):
            before = server.processes()
            web = Web(server)
            if bad == "large":
                bad = web.frame({"op": "grant", "target": "x" * 1_000_000})
            elif bad in (b"{", b"[]"):
                bad = web.frame(bad)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError, TimeoutError):
                web.socket.sendall(bad)
            end_of(server, before)
            web.socket.close()
            server.wait_ready()
            equal(server.get("/d/office/1.0/setup.exe", token=token).status, 200, "it serves again")
        contains(server.log_text(), "broke the protocol", "the log says why")
    site.run("log", "verify")


def half_a_frame_does_not_hold_up_a_recall():
    site, file, token = open_site()
    with serving(site) as server:
        web = Web(server)
        before = server.processes()
        web.socket.sendall(web.frame({"op": "grant"})[:7])
        begun = time.monotonic()
        site.run("recall", "office/1.0/setup.exe", "--reason", "test", expect=(DONE, FAILED))
        check(time.monotonic() - begun < 10 * PATIENCE, "a recall waits for nobody")
        end_of(server, before)
        web.socket.close()
        server.wait_ready()
        if site.target("office/1.0/setup.exe")["state"] != "recalled":
            site.run("recall", "office/1.0/setup.exe", "--reason", "test")
        equal(server.get("/d/office/1.0/setup.exe", token=token).status, 410, "it is recalled")


main(it_may_ask_three_things, what_is_no_frame_ends_it, half_a_frame_does_not_hold_up_a_recall)
