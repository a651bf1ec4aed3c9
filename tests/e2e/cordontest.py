"""cordontest.py - what end-to-end tests in Python share; the standard library only.

A test is an executable tests/e2e/NAME.py:

    #!/usr/bin/env python3
    # needs: venv                      (see tools/test.py for what a head may ask)
    from cordontest import *

    def a_published_file_is_delivered():
        site = Site()
        file = filler("setup.exe", 100_000, seed=1)
        site.admit(file, product="office", version="1.0")
        token = site.customer("acme", "office", user="jane")
        with site.serve() as server:
            answer = server.get("/d/office/1.0/setup.exe", token=token)
            equal(answer.status, 200, "status")
            equal(answer.body, read(file), "the file")

    main(a_published_file_is_delivered)

Each function runs in a fresh directory below the test's own; what it started is ended after it. All
files made here are inert: filler bytes, text, and headers in front of filler.
"""
import base64
import contextlib
import copy
import hashlib
import http.client
import io
import json
import os
import random
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import traceback
import zipfile

SOURCE = os.environ.get("SOURCE") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CORDON = os.environ.get("CORDON") or os.path.join(SOURCE, "build", "cordon")
VENV_PYTHON = os.path.join(SOURCE, ".deps", "venv", "bin", "python3")
NODE = os.path.join(SOURCE, ".deps", "bin", "node")
PATIENCE = float(os.environ.get("TEST_PATIENCE", "1"))
_first_port = int(os.environ.get("PORT", "0"))
_ports_taken = 0
_running = []  # Server objects and Popen, newest last

DONE, FOUND, USAGE, FAILED = 0, 1, 2, 3  # exit codes of every command


# ---- saying what is wrong

class Broken(AssertionError):
    """A test's expectation that did not hold."""


def check(ok, what):
    if not ok:
        raise Broken(what)


def equal(got, want, what):
    if got != want:
        raise Broken(f"{what}: got {shown(got)}, want {shown(want)}")


def contains(text, part, what):
    if part not in text:
        raise Broken(f"{what}: {shown(part)} is not in {shown(text)}")


def shown(value):
    text = repr(value)
    return text if len(text) < 600 else text[:300] + " ... " + text[-200:]


def not_run(reason):
    """This test cannot run on this machine; it then counts neither way."""
    stop_everything()
    print(reason, flush=True)
    os._exit(77)


def until(what, seconds, ask, pause=0.05):
    """Waits until ask() is true and returns its value."""
    deadline = time.monotonic() + seconds * PATIENCE
    while True:
        value = ask()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Broken(f"{what}: not within {seconds * PATIENCE:.0f} s")
        time.sleep(pause)


# ---- inert files

def filler(path, size, seed=0):
    """A file of random-looking bytes, the same for the same seed."""
    return write(path, random.Random(seed).randbytes(size))


def write(path, data):
    path = os.path.abspath(path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data.encode() if isinstance(data, str) else data)
    return path


def read(path):
    with open(path, "rb") as file:
        return file.read()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def eicar():
    """The industry's test string, in two parts so that this source is not taken for it."""
    return b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR" + b"-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


def pe_file(seed=0, code_size=1024):
    """A Windows program's headers before a section that holds only breakpoints and filler: whoever
    started it would stop at its first byte."""
    code_size = (code_size + 511) // 512 * 512
    header = bytearray(1024)
    header[0:2] = b"MZ"
    struct.pack_into("<I", header, 0x3C, 0x80)
    struct.pack_into("<4sHHIIIHH", header, 0x80, b"PE\0\0", 0x14C, 1, 0x3B000000, 0, 0, 0xE0, 0x0102)
    optional = 0x98
    struct.pack_into("<HBBIIIIII", header, optional, 0x10B, 6, 0, code_size, 0, 0, 0x1000, 0x1000, 0x2000)
    struct.pack_into("<IIIHHHHHHIIII", header, optional + 28, 0x400000, 0x1000, 512, 4, 0, 0, 0, 4, 0, 0,
                     0x1000 + (code_size + 4095) // 4096 * 4096, 1024, 0)
    struct.pack_into("<HHIIIIII", header, optional + 68, 3, 0, 0x100000, 0x1000, 0x100000, 0x1000, 0, 16)
    section = optional + 0xE0
    struct.pack_into("<8sIIIIIIHHI", header, section, b".text", code_size, 0x1000, code_size, 1024, 0, 0, 0, 0,
                     0x60000020)
    code = b"\xcc" * 256 + random.Random(seed).randbytes(code_size - 256)
    return bytes(header) + code


def zip_of(members, path=None):
    """{name: bytes} as a zip, in memory or at `path`."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2001, 4, 19, 9, 12, 0)), data, zipfile.ZIP_DEFLATED)
    return memory.getvalue() if path is None else write(path, memory.getvalue())


def tar_gz_of(members, path=None):
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return memory.getvalue() if path is None else write(path, memory.getvalue())


# ---- ports and programs

def free_port():
    """One of the twenty ports of this test, or any free one when it is run by hand."""
    global _ports_taken
    if _first_port and _ports_taken < 20:
        _ports_taken += 1
        return _first_port + _ports_taken - 1
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(arguments, log, **options):
    """A process of its own group that stop_everything() ends; output goes to the file `log`."""
    with open(log, "ab") as out:
        child = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                 start_new_session=True, **options)
    _running.append(child)
    return child


def end_group(child, how=signal.SIGKILL):
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, how)


def stop_everything():
    while _running:
        child = _running.pop()
        if child.poll() is None:
            end_group(child, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(5)
        end_group(child)
        child.wait()


def run(arguments, expect=DONE, seconds=120, text_input=None, env=None, cwd=None):
    """Any program to its end. `expect` is an exit code, a tuple of them, or None for any."""
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd, env=env,
                          input=text_input.encode() if text_input is not None else None,
                          stdin=subprocess.DEVNULL if text_input is None else None, timeout=seconds * PATIENCE)
    result = Result(arguments, done.returncode, done.stdout.decode(errors="replace"),
                    done.stderr.decode(errors="replace"))
    allowed = expect if isinstance(expect, tuple) else (expect,)
    if expect is not None and result.code not in allowed:
        raise Broken(f"{' '.join(map(str, arguments))} ended with {result.code}, not {expect}\n"
                     f"stdout: {result.out[-2000:]}\nstderr: {result.err[-2000:]}")
    return result


class Result:
    def __init__(self, arguments, code, out, err):
        self.arguments, self.code, self.out, self.err = arguments, code, out, err

    @property
    def objects(self):
        """stdout of --json: one object a line, nothing else."""
        found = []
        for line in self.out.splitlines():
            try:
                value = json.loads(line)
            except ValueError:
                raise Broken(f"{' '.join(map(str, self.arguments))}: this line of --json is no JSON: {line!r}") from None
            check(isinstance(value, dict), f"--json wrote {line!r}, which is no object")
            found.append(value)
        return found

    @property
    def one(self):
        found = self.objects
        check(len(found) == 1, f"{' '.join(map(str, self.arguments))} wrote {len(found)} objects, not one")
        return found[0]


def cordon(*arguments, expect=DONE, **options):
    """A command without a site."""
    return run([CORDON, *map(str, arguments)], expect, **options)


# ---- a site and its server

class Site:
    """A site made by `cordon init` in a fresh directory."""

    def __init__(self, path=None, **settings):
        self.path = os.path.abspath(path or tempfile.mkdtemp(prefix="s-", dir=os.getcwd()))
        self.passphrase = self.path + ".pass"
        self.env = dict(os.environ, CORDON_PASSPHRASE_FILE=self.passphrase)
        self.env.pop("CORDON_SITE", None)
        if os.path.isdir(self.path) and not os.listdir(self.path):
            os.rmdir(self.path)
        # a random passphrase needs no costly stretching, which every command would pay again; `init` warns
        # that the keyring has no second copy, and ends with 0
        self.created = run([CORDON, "init", self.path, "--random-passphrase", self.passphrase], env=self.env)
        for name, value in settings.items():
            self.set(name.replace("__", "."), value)

    def copy(self, path):
        """A second site with everything that this one has; no server may be running on it."""
        other = copy.copy(self)
        other.path = os.path.abspath(path)
        run(["cp", "-a", self.path, other.path], seconds=300)
        return other

    def file(self, *names):
        return os.path.join(self.path, *names)

    def set(self, name, value):
        """Changes a line of cordon.yaml, "clamd.max_age" for instance. Keyword arguments of Site()
        write the dot as two underscores."""
        path, group, key = self.file("cordon.yaml"), *([None] + name.split("."))[-2:]
        lines, at = read(path).decode().splitlines(), None
        inside = group is None
        for number, line in enumerate(lines):
            if line and not line.startswith((" ", "#")) and group is not None:
                inside = line.startswith(group + ":")
            if inside and line.strip().startswith(key + ":") and line.startswith(" ") == (group is not None):
                at = number
        check(at is not None, f"cordon.yaml has no line for {name}")
        lines[at] = lines[at][:lines[at].index(key)] + f"{key}: {value}"
        write(path, "\n".join(lines) + "\n")

    def run(self, *arguments, expect=DONE, **options):
        return run([CORDON, "-C", self.path, *map(str, arguments)], expect, env=self.env, **options)

    def json(self, *arguments, expect=DONE, **options):
        """Objects of a command with --json."""
        return self.run(*arguments, "--json", expect=expect, **options).objects

    def admit(self, *paths, product, version, expect=DONE, options=()):
        """One object for each file; `published` says whether it is out."""
        return self.json("admit", *paths, "--product", product, "--version", version, *options, expect=expect)

    def customer(self, organisation, *products, user="user", mail=None):
        """An organisation with grants and one account; gives the account's token."""
        self.run("org", "add", organisation, "--contact", mail or f"it@{organisation}.example")
        for product in products:
            self.run("org", "grant", organisation, product)
        return self.account(organisation, user)

    def account(self, organisation, user):
        found = self.json("account", "add", "--org", organisation, user)
        check(len(found) == 1 and found[0].get("token"), f"account add gave no token: {found}")
        return found[0]["token"]

    def blob(self, digest):
        """Where the store keeps these bytes."""
        return self.file("blobs", digest[:2], digest[2:])

    def events(self, kind=None, count=10_000):
        """What `log tail` shows: the newest events, oldest first, each with its parts."""
        found = self.json("log", "tail", "-n", count)
        return [event for event in found if kind is None or event["kind"] == kind]

    def scope(self, *criteria):
        return self.json("incident", "scope", *criteria)[-1]

    def holders(self, *criteria):
        """{organisation: holder} of a scope."""
        return {org["name"]: org["holder"] for org in self.scope(*criteria)["organisations"]}

    def become(self, want, *criteria):
        """Waits until the holders are these: what a peer acknowledged is entered a moment later."""
        until(f"holders become {want}", 5, lambda: self.holders(*criteria) == want)

    def target(self, path):
        """What `release show` says of one target."""
        product, version = path.split("/")[:2]
        shown = self.json("release", "show", product, version)
        found = [one for answer in shown for one in answer["targets"] if one["target"] == path]
        check(len(found) == 1, f"release show does not show {path}: {shown}")
        return found[0]

    def control(self):
        """A connection to the running server as commands have it; see Control."""
        return Control(self.file("run", "control.sock"))

    def serve(self, *options, seconds=20, tls=None):
        """A running server; use it as `with site.serve() as server`, or call stop() yourself. `tls` is a
        context of trust() when the options name a certificate."""
        return Server(self, options, seconds, tls)


class Server:
    def __init__(self, site, options=(), seconds=20, tls=None):
        self.site, self.port = site, free_port()
        self.log = site.path + ".log"
        self.tls = tls
        self.child = start([CORDON, "-C", site.path, "serve", "--listen", f"127.0.0.1:{self.port}",
                            *map(str, options)], self.log, env=site.env)
        self.wait_ready(seconds)

    def wait_ready(self, seconds=20):
        def ready():
            if self.child.poll() is not None:
                raise Broken(f"serve ended with {self.child.returncode}:\n{self.log_text()[-3000:]}")
            try:
                return self.get("/healthz").status == 200
            except OSError:
                return False
        try:
            until("/healthz answers 200", seconds, ready)
        except Broken as broken:
            raise Broken(f"{broken}\n{self.log_text()[-3000:]}") from None

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.stop()
        else:
            print(f"--- the server's log ends:\n{self.log_text()[-3000:]}", flush=True)
            self.kill()

    def log_text(self):
        return read(self.log).decode(errors="replace") if os.path.exists(self.log) else ""

    def stop(self, seconds=20):
        """An orderly stop; every process of the server must be gone after it."""
        self.child.send_signal(signal.SIGTERM)
        try:
            code = self.child.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Broken(f"serve did not stop within {seconds} s of SIGTERM:\n{self.log_text()[-3000:]}") from None
        until("all processes of the server are gone", 5, lambda: not group_members(self.child.pid))
        equal(code, 0, "exit code of serve after SIGTERM")

    def kill(self):
        """kill -9 of the supervisor alone; its processes must then go by themselves."""
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        try:
            until("processes outlive their supervisor", 5, lambda: not group_members(self.child.pid))
        finally:
            end_group(self.child)

    def processes(self):
        """{role: pid} of the server's processes; "worker" is one of the workers if there is any."""
        found, signers = {}, []
        for pid, words in group_commands(self.child.pid):
            role = words[1].removeprefix("serve-") if len(words) > 1 else ""
            if pid == self.child.pid:
                found["supervisor"] = pid
            elif role == "signer":
                signers.append(pid)
            else:
                found[role] = pid
        # they call themselves alike; the log's is started first
        for role, pid in zip(("signer-log", "signer-repository"), sorted(signers, key=started)):
            found[role] = pid
        return found

    def slow(self, path, token, first=4096):
        """A download whose client reads little: see Slow."""
        return Slow(self, path, token, first)

    def url(self, path):
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}{path}"

    def request(self, method, path, token=None, user=None, body=None, headers=None, seconds=60, address="127.0.0.1"):
        """One request, one Answer, whatever its status. `token` goes as Bearer, with `user` as Basic."""
        head = {"User-Agent": "cordontest", **(headers or {})}
        if user is not None:
            head["Authorization"] = "Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()
        elif token is not None:
            head["Authorization"] = "Bearer " + token
        if self.tls:
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=seconds, context=self.tls)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds,
                                                    source_address=(address, 0))
        with contextlib.closing(connection):
            connection.request(method, path, body=body, headers=head)
            answer = connection.getresponse()
            try:
                data = answer.read()
                whole = True
            except (http.client.IncompleteRead, ConnectionError) as cut:
                data = getattr(cut, "partial", b"")
                whole = False
            return Answer(answer.status, answer.headers, data, whole)

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def status(self, path, **options):
        """The status alone; 0 when the connection was reset, as a recall does."""
        try:
            return self.get(path, **options).status
        except (OSError, http.client.HTTPException):
            return 0


class Slow:
    """A GET through a small window: what is not read here is, but for a few hundred kB, not sent."""

    def __init__(self, server, path, token, first):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.socket.settimeout(30 * PATIENCE)
        self.socket.connect(("127.0.0.1", server.port))
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
                            "Connection: close\r\n\r\n".encode())
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.socket.recv(4096)
            check(more, f"no answer to {path}: {data!r}")
            data += more
        head, self.body = data.split(b"\r\n\r\n", 1)
        self.status = int(head.split()[1])
        self.cut = None  # why it ended before its time: "reset", or "closed"
        self.read(first)

    def read(self, size):
        """Until there are `size` bytes of the body, or it ends."""
        while len(self.body) < size and self.cut is None:
            try:
                more = self.socket.recv(min(65536, size - len(self.body)))
                if not more:
                    self.cut = "closed"
                self.body += more
            except (ConnectionResetError, BrokenPipeError):
                self.cut = "reset"
        return self.body

    def close(self):
        self.socket.close()


class Control:
    """The protocol between commands and a server, for what no command would ask."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60 * PATIENCE)
        here = os.getcwd()
        os.chdir(os.path.dirname(path))  # a socket's path has at most 107 characters
        try:
            self.socket.connect(os.path.basename(path))
        finally:
            os.chdir(here)
        self.sequence = 0

    def send(self, body, descriptors=()):
        """A frame; `body` is bytes, or an object."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.sequence += 1
        frame = struct.pack(">IHHI", len(data), 1, len(descriptors), self.sequence) + data
        if descriptors:
            sent = socket.send_fds(self.socket, [frame], list(descriptors))
            frame = frame[sent:]
        if frame:  # sending nothing would fail too when the other side has hung up meanwhile
            self.socket.sendall(frame)

    def receive(self):
        """The answer; progress is left out. None when the server hung up."""
        while True:
            head = self._exactly(12)
            if head is None:
                return None
            answer = json.loads(self._exactly(struct.unpack(">I", head[:4])[0]))
            if "progress" not in answer:
                return answer

    def _exactly(self, size):
        data = b""
        while len(data) < size:
            try:
                more = self.socket.recv(size - len(data))
            except ConnectionResetError:
                more = b""
            if not more:
                return None
            data += more
        return data

    def call(self, op, descriptors=(), **members):
        self.send({"op": op, **members}, descriptors)
        return self.receive()

    def close(self):
        self.socket.close()


class Answer:
    """`whole` is false when the server cut the connection before the promised length."""

    def __init__(self, status, headers, body, whole):
        self.status, self.headers, self.body, self.whole = status, headers, body, whole

    @property
    def text(self):
        return self.body.decode(errors="replace")

    @property
    def json(self):
        return json.loads(self.body)


# ---- operators over the network

def secret_text(added):
    """The line that `operator add` shows once, and a token file holds."""
    found = [value for value in added.values() if isinstance(value, str) and value.startswith("cordon-operator:")]
    check(len(found) == 1, f"operator add shows no secret: {added}")
    return found[0]


def secret_of(added):
    """(name, 32 bytes) of an operator."""
    _, name, seed = secret_text(added).split(":")
    return name, bytes.fromhex(seed)


def ed25519(seed, message):
    """A signature by the program openssl, so that it is not our own code that we ask."""
    with tempfile.TemporaryDirectory() as folder:
        der = bytes.fromhex("302e020100300506032b657004220420") + seed
        pem = b"-----BEGIN PRIVATE KEY-----\n" + base64.b64encode(der) + b"\n-----END PRIVATE KEY-----\n"
        key, text = write(os.path.join(folder, "key"), pem), write(os.path.join(folder, "text"), message)
        done = subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", text],
                              stdout=subprocess.PIPE, check=True)
        return done.stdout


def sign_request(secret, method, path, body, skew=0, nonce=None):
    """The headers of a signed request."""
    name, seed = secret
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + skew))
    nonce = nonce or os.urandom(16).hex()
    text = f"cordon-request/v1\n{method}\n{path}\n{at}\n{nonce}\n{sha256(body)}\n"
    return {"X-Cordon-Operator": name, "X-Cordon-Time": at, "X-Cordon-Nonce": nonce,
            "X-Cordon-Signature": base64.b64encode(ed25519(seed, text.encode())).decode()}


def signed(server, secret, method, path, body, skew=0, nonce=None, tamper=None):
    """A request as operators send it; `tamper` names what is changed after signing."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = sign_request(secret, method, path, data, skew, nonce)
    if tamper == "body":
        data = data[:-1] + b', "more": 1}'
    elif tamper == "path":
        path = path.replace("withhold", "recall")
    elif tamper == "name":
        headers["X-Cordon-Operator"] = "responder"
    elif tamper == "signature":
        headers["X-Cordon-Signature"] = base64.b64encode(bytes(64)).decode()
    return server.request(method, path, body=data, headers=headers)


def trust(certificate):
    """A TLS context that trusts this one certificate."""
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False
    return context


def group_members(group):
    """(pid, name) of all living processes of a process group."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, IndexError, ValueError):
            stat = read(f"/proc/{pid}/stat").decode(errors="replace")
            name, rest = stat[stat.index("(") + 1:stat.rindex(")")], stat[stat.rindex(")") + 2:].split()
            if int(rest[2]) == group and rest[0] != "Z":
                found.append((int(pid), name))
    return found


def group_commands(group):
    """(pid, words of its command line) of all living processes of a process group."""
    found = []
    for pid, _ in group_members(group):
        with contextlib.suppress(OSError):
            words = read(f"/proc/{pid}/cmdline").decode(errors="replace").split("\0")
            found.append((pid, words))
    return found


def started(pid):
    """When a process was started, in the kernel's ticks; later pids may have smaller numbers."""
    try:
        stat = read(f"/proc/{pid}/stat").decode(errors="replace")
        return int(stat[stat.rindex(")") + 2:].split()[19])
    except OSError:
        return 0


# ---- running the functions of a test

def main(*tests):
    """Runs each in a fresh directory; exit code 1 if one failed. An argument picks tests by name."""
    wanted = sys.argv[1:]
    top = os.environ.get("TMPDIR") if _first_port else None
    top = top or tempfile.mkdtemp(prefix="ct-")
    failed = ran = 0
    for test in tests:
        if wanted and not any(word in test.__name__ for word in wanted):
            continue
        ran += 1
        folder = os.path.join(top, str(ran))
        os.makedirs(folder)
        os.chdir(folder)
        begun = time.monotonic()
        try:
            test()
            print(f"ok   {test.__name__} {time.monotonic() - begun:.1f} s", flush=True)
        except Exception:
            failed += 1
            print(f"FAIL {test.__name__} in {folder}\n{traceback.format_exc()}", flush=True)
        finally:
            stop_everything()
    if ran == 0:
        print(f"no test named {wanted}")
    sys.exit(0 if failed == 0 and ran > 0 else 1)
