"""client.py - the customers: real requests over HTTP, and a book of what each of them got.

Standard library only, and on sockets: http.client cannot break off a download in the middle.
"""
import base64
import bisect
import collections
import contextlib
import queue
import socket
import struct
import threading
import time

from plan import ABORT, AGAIN, BACK, FRONT, HEAD, PART, PEEK, RESUMED, WRONG, middle
from story import MEBIBYTE, infected

Line = collections.namedtuple("Line", "minute want status first got size bytes_are")
CLEAN, CHANGED, SAME, NEITHER, NOTHING = "clean", "changed", "same", "neither", "nothing"
PATIENCE = 60


class Cut(Exception):
    """The server ended the connection before what it had promised; holds the answer so far."""


class Answer:
    def __init__(self, status, headers, body=b"", whole=True):
        self.status, self.headers, self.body, self.whole = status, headers, body, whole


class Connection:
    """One connection to one server, kept open between requests."""

    def __init__(self, port, prefix):
        self.port, self.prefix, self.socket, self.rest = port, prefix, None, b""

    def close(self, reset=False):
        if self.socket is not None:
            if reset:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.socket.close()
        self.socket, self.rest = None, b""

    def _open(self, receive=None):
        self.socket = socket.socket()
        if receive:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", self.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, method, path, headers, take=None):
        """One request. `take`: read so many bytes of the body, then break the connection."""
        text = f"{method} {self.prefix}{path} HTTP/1.1\r\nHost: depot.example\r\nUser-Agent: replay\r\n"
        text += "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
        if take is not None:
            self.close()
            self._open(receive=16384)  # so that little is on its way when the line goes dead
        for again in (True, False):
            fresh = self.socket is None
            if fresh:
                self._open()
            try:
                self.socket.sendall(text.encode())
                return self._answer(method, take)
            except (ConnectionError, Cut):
                self.close()
                if fresh or not again or take is not None:
                    raise
        raise AssertionError

    def _more(self):
        data = self.socket.recv(262144)
        if not data:
            raise Cut
        return data

    def _answer(self, method, take):
        head = self.rest
        while b"\r\n\r\n" not in head:
            head += self._more()
        head, body = head.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        answer = Answer(int(lines[0].split()[1]), headers)
        length = 0 if method == "HEAD" or answer.status in (204, 304) else int(headers.get("content-length", 0))
        if headers.get("transfer-encoding"):
            raise ValueError(f"{lines[0]}: {headers['transfer-encoding']}, but a file's length is known")
        parts, have = [body], len(body)
        while have < (length if take is None else min(length, take)):
            try:
                data = self._more()
            except (ConnectionError, Cut):
                answer.whole = False
                break
            parts.append(data)
            have += len(data)
        body = b"".join(parts)
        if take is not None and answer.status < 300:
            answer.body, answer.whole = body, False
            self.close(reset=True)
            return answer
        answer.body, self.rest = body[:length], body[length:]
        if not answer.whole or headers.get("connection", "").lower() == "close":
            self.close()
        return answer


class Book:
    """What every customer got, as seen by the customers. Each line is one answer."""

    def __init__(self, world):
        self.world, self.lines, self.lock, self.tags = world, [], threading.Lock(), {}

    def enter(self, minute, want, answer, first):
        size, what = 0, NOTHING
        if answer.status in (200, 206) and want.kind != HEAD:
            size = self._total(answer)
            what = self._compare(want.file, first, answer.body, size)
        with self.lock:
            self.lines.append(Line(minute, want, answer.status, first, len(answer.body) if size else 0, size, what))

    @staticmethod
    def _total(answer):
        span = answer.headers.get("content-range")
        return int(span.rsplit("/", 1)[1]) if span else int(answer.headers.get("content-length", 0))

    def _compare(self, file, first, body, size):
        """Every byte is compared with what the vendor made, and with what the infection makes of it."""
        clean = self.world.content(file)
        is_clean = body == clean[first:first + len(body)]
        changed = infected(clean) if clean[:2] == b"MZ" else b""
        is_changed = bool(changed) and body == changed[first:first + len(body)]
        if is_clean and is_changed:  # a part that the infection leaves alone: the length may tell
            return SAME if len(clean) == len(changed) else CLEAN if size == len(clean) else CHANGED
        return CLEAN if is_clean else CHANGED if is_changed else NEITHER


class Crew:
    """Customers at work: threads, each with a connection, fed minute by minute."""

    def __init__(self, world, port, prefix, threads=8):
        self.world, self.book, self.minute = world, Book(world), 0
        self.work, self.faults = queue.SimpleQueue(), []
        self.left, self.done = 0, threading.Condition()
        self.threads = [threading.Thread(target=self._run, args=(Connection(port, prefix),), daemon=True)
                        for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def begin(self, minute, wants):
        with self.done:
            self.left += len(wants)
        for want in wants:
            self.work.put((minute, want))

    def wait(self):
        with self.done:
            self.done.wait_for(lambda: self.left == 0)

    def end(self):
        self.wait()
        for _ in self.threads:
            self.work.put(None)
        for thread in self.threads:
            thread.join()

    def _run(self, connection):
        while True:
            task = self.work.get()
            if task is None:
                connection.close()
                return
            try:
                self._visit(connection, *task)
            except Exception as fault:  # a request that got no answer at all is a fault of the server
                connection.close()
                self.faults.append((task[0], task[1], repr(fault)))
            with self.done:
                self.left -= 1
                if self.left == 0:
                    self.done.notify_all()

    def _visit(self, connection, minute, want):
        secret = "wrong" if want.kind == WRONG else want.account.password
        headers = {"Authorization": "Basic " + base64.b64encode(f"{want.account.user}:{secret}".encode()).decode()}
        path, take = self.world.path(want.file), None
        tag = self.book.tags.get((want.account, want.file))
        if want.kind == AGAIN and tag:
            headers["If-None-Match"] = tag
        if want.kind == ABORT:
            take = want.file.size // 8
        for first, last in self._pieces(want):
            if first is not None:
                headers["Range"] = f"bytes={first}-{'' if last is None else last}"
            answer = connection.ask("HEAD" if want.kind == HEAD else "GET", "/" + path, headers, take)
            self.book.enter(minute, want, answer, (first or 0) if answer.status == 206 else 0)
            if answer.status == 200 and answer.whole and "etag" in answer.headers:
                self.book.tags[(want.account, want.file)] = answer.headers["etag"]
            if answer.status not in (200, 206):
                break

    @staticmethod
    def _pieces(want):
        cut = middle(want.file)
        return {RESUMED: [(0, cut - 1), (cut, None)], FRONT: [(0, cut - 1)], BACK: [(cut, None)],
                PART: [(MEBIBYTE, 2 * MEBIBYTE - 1)], PEEK: [(0, 511)]}.get(want.kind, [(None, None)])


class Clock:
    """The story's time: an hour takes `pace` seconds. It remembers when each minute began, so that a
    real time can be told as the story's afterwards."""

    def __init__(self, pace):
        self.pace, self.began, self.marks, self.minutes = pace, None, [], []

    def at(self, minute):
        """Waits until this minute of the story; the next begins a little after the last is done."""
        time.sleep(0.003)
        if self.began is None:
            self.began = time.monotonic() - minute * self.pace / 60
        with contextlib.suppress(ValueError):
            time.sleep(self.began + minute * self.pace / 60 - time.monotonic())
        self.marks.append(time.time() - 0.001)
        self.minutes.append(minute)

    def hold(self, seconds):
        """Something took so long; the story goes on from here."""
        self.began += seconds

    def minute_of(self, seconds):
        return self.minutes[max(bisect.bisect_right(self.marks, seconds) - 1, 0)]


def story_time(minute):
    day, rest = divmod(6 * 60 + minute, 24 * 60)
    return f"{19 + day} Apr {rest // 60:02}:{rest % 60:02}"


def play(plan, clock, crew, actions=(), tell=print):
    """Runs the day. `actions`: (minute, function of the minute), done before that minute's requests."""
    wants, acts = collections.defaultdict(list), collections.defaultdict(list)
    for want in plan.wants:
        wants[want.minute].append(want)
    for minute, act in actions:
        acts[minute].append(act)
    next_word, asked, began = 180, 0, time.monotonic()
    for minute in sorted(set(wants) | set(acts)):
        clock.at(minute)
        for act in acts[minute]:
            started = time.monotonic()
            act(minute)
            clock.hold(time.monotonic() - started)
        time.sleep(0.002 if acts[minute] else 0)
        crew.begin(minute, wants[minute])
        crew.wait()
        asked += len(wants[minute])
        if minute >= next_word:
            tell(f"{story_time(minute)}  {asked} requests so far")
            next_word += 240
    return time.monotonic() - began
