#!/usr/bin/env python3
# needs: node venv faketime
# time-out: 900
"""python-tuf and tuf-js against a running server, and against a network that tampers with what it sends.

TUF_TARGETS in the environment asks for another number of targets than 3,000.
"""
import http.server
import re
import shutil
import threading

from cordontest import *

HERE = os.path.join(SOURCE, "tests", "e2e", "tufclient")
CLIENTS = ([VENV_PYTHON, os.path.join(HERE, "client.py")], [NODE, os.path.join(HERE, "client.js")])
os.environ.setdefault("NODE_PATH", os.path.join(SOURCE, ".deps", "node", "node_modules"))
TARGETS = int(os.environ.get("TUF_TARGETS", "3000"))
DISTRUST = r"version|hash|length|signature|signed by|threshold|expired|verif"  # words of both clients
ROLES = ("timestamp", "snapshot", "bins", "releases", "recalls", "targets", "root")


def text_of(number):
    return f"update {number}, which does nothing\n"


def name_of(number):
    return f"update-{number}.txt"


def publish(site, version, first, end):
    folder = os.path.abspath(f"files-{version}")
    for number in range(first, end):
        write(os.path.join(folder, name_of(number)), text_of(number))
    found = site.admit(folder, product="hotfix", version=version)
    equal((len(found), all(a["published"] for a in found)), (end - first, True), "files published")
    return {f"hotfix/{version}/{name_of(n)}": text_of(n) for n in range(first, end)}


class Network:
    """What lies between client and server. It lends the clients a customer's token, which they cannot
    send, and serves `metadata` (name: bytes) instead of the server's own where that is set."""

    def __init__(self, server, token):
        self.port, self.token, self.metadata, self.targets = server.port, token, None, {}
        network = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                status, body = network.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, path):
        name = path.removeprefix("/metadata/")
        if self.metadata is not None and name != path:
            return (200, self.metadata[name]) if name in self.metadata else (404, b"")
        for part, body in self.targets.items():
            if part in path:
                return 200, body
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
            answer = connection.getresponse()
            return answer.status, answer.read()


class Visitors:
    """Both clients, each with the state it keeps; `state` names another pair."""

    def __init__(self, site, url):
        self.root = shutil.copy(site.file("metadata", "1.root.json"), os.path.abspath("first-root.json"))
        self.url, self.visits = url, 0

    def visit(self, program, paths, state, expect, ahead=None):
        self.visits += 1
        state = os.path.abspath(f"state-{state}-{os.path.basename(program[-1])}")
        command = ["faketime", "-f", ahead, *program] if ahead else program
        return run([*command, state, self.url + "/metadata/", self.url + "/targets/", self.root,
                    os.path.abspath(f"got-{self.visits}"), *paths], expect=expect, seconds=200)

    def get(self, wanted, absent=(), state="kept"):
        for program in CLIENTS:
            answers = {a["path"]: a["file"] for a in self.visit(program, [*wanted, *absent], state, DONE).objects}
            for path, text in wanted.items():
                check(answers[path], f"{program[-1]} found no {path}")
                equal(read(answers[path]).decode(), text, f"{program[-1]}: {path}")
            for path in absent:
                equal(answers[path], None, f"{program[-1]}: {path}")

    def refused(self, what, *paths, state="kept", because=DISTRUST, ahead=None):
        for program in CLIENTS:
            answer = self.visit(program, paths, state, FOUND, ahead)
            reason = answer.err.strip().splitlines()[-1]
            check(re.search(because, reason, re.I), f"{program[-1]}: {what}: {reason}")


def metadata_of(site):
    folder = site.file("metadata")
    return {name: read(os.path.join(folder, name)) for name in os.listdir(folder)
            if os.path.isfile(os.path.join(folder, name))}


def bins_of(site):
    """The prefix of the newest bins: how many there are shows in it."""
    newest = max((int(n.split(".")[0]), n) for n in metadata_of(site) if n.endswith(".releases.json"))[1]
    return json.loads(metadata_of(site)[newest])["signed"]["delegations"]


def some(published, count):
    return dict(random.Random(2001).sample(sorted(published.items()), count))


def many_targets_before_and_after_new_keys_and_bins():
    site = Site()
    with site.serve() as server:
        site.run("product", "set", "hotfix", "--access", "anyone", "--channel", "recorded")
        visitors = Visitors(site, server.url(""))
        known = publish(site, "1.0", 0, 40)
        visitors.get(some(known, 5), absent=["hotfix/1.0/none.txt"])
        few_bins = bins_of(site)
        known.update(publish(site, "2.0", 40, TARGETS))
        check(bins_of(site) != few_bins, f"the bins are still those of 40 targets at {TARGETS}")
        visitors.get(some(known, 30), absent=["hotfix/2.0/none.txt", "hotfix", "recall/none.json"])
    for number, role in enumerate(ROLES):
        site.run("key", "rotate", role)
        with site.serve() as server:
            visitors.url = server.url("")
            known.update(publish(site, f"3.{number}", TARGETS + number, TARGETS + number + 1))
            visitors.get({**some(known, 3), **dict([list(known.items())[-1]])})
    with site.serve() as server:
        visitors.url = server.url("")
        visitors.get(some(known, 5))
        visitors.get(some(known, 5), state="new")  # one that knows the first root only


def a_recall_reaches_the_clients():
    site = Site()
    with site.serve() as server:
        known = publish(site, "1.0", 0, 5)
        network = Network(server, site.customer("acme", "hotfix"))
        visitors = Visitors(site, network.url)
        visitors.get(known)
        gone = f"hotfix/1.0/{name_of(3)}"
        site.run("recall", gone, "--reason", "a test of recalls", "--replace", f"hotfix/1.0/{name_of(4)}")
        text = known.pop(gone)
        visitors.get(known, absent=[gone])
        for program in CLIENTS:
            index = json.loads(read(visitors.visit(program, ["recall/index.json"], "kept", DONE).one["file"]))
            contains(json.dumps(index), sha256(text.encode()), f"{program[-1]}: the index of recalls")


def a_changed_byte_is_refused():
    site = Site()
    with site.serve() as server:
        known = publish(site, "1.0", 0, 60)
        network = Network(server, site.customer("acme", "hotfix"))
        visitors, good = Visitors(site, network.url), metadata_of(site)
        path = f"hotfix/1.0/{name_of(7)}"
        newest = {}
        for name in good:
            version, _, role = name.partition(".")
            if version.isdigit() and int(version) > int(newest.get(role, "0.").split(".")[0]):
                newest[role] = name
        bins = [name for role, name in newest.items() if role.startswith("bin")]
        for names in (["timestamp.json"], [newest["snapshot.json"]], [newest["targets.json"]],
                      [newest["releases.json"]], bins):
            bad = dict(good)
            for name in names:
                changed = bad[name].replace(b'"expires":"20', b'"expires":"21', 1)
                check(changed != bad[name], f"{name} has no date to change")
                bad[name] = changed
            network.metadata = bad
            visitors.refused(names[0], path, state=names[0])
        network.metadata = None
        network.targets = {f".{name_of(7)}": text_of(7).replace("nothing", "NOTHING").encode()}
        visitors.refused("a target", path, state="target")
        network.targets = {}
        visitors.get({path: known[path]}, state="target")


def somebody_elses_repository_is_refused():
    site, other = Site(), Site()
    with site.serve() as server:
        known = publish(site, "1.0", 0, 3)
        publish(other, "9.0", 0, 3)
        network = Network(server, site.customer("acme", "hotfix"))
        visitors = Visitors(site, network.url)
        network.metadata = metadata_of(other)
        visitors.refused("another's repository", f"hotfix/1.0/{name_of(1)}", state="other")
        roots = [n for n in metadata_of(site) if n.endswith(".root.json")]
        forged = {**metadata_of(site), f"{len(roots) + 1}.root.json": metadata_of(other)["1.root.json"]}
        network.metadata = forged
        visitors.refused("another's root", state="root")
        network.metadata = None
        visitors.get(known)


def old_metadata_is_refused():
    site = Site()
    with site.serve() as server:
        known = publish(site, "1.0", 0, 20)
        network = Network(server, site.customer("acme", "hotfix"))
        visitors, old = Visitors(site, network.url), metadata_of(site)
        known.update(publish(site, "1.1", 20, 40))
        visitors.get(some(known, 3))
        network.metadata = old
        visitors.refused("all of it older")
        network.metadata = None
        visitors.get(some(known, 3))
        network.metadata = metadata_of(site)
        visitors.get(some(known, 3))
        visitors.refused("frozen for two months", ahead="+60d", because="expired", state="new")
        visitors.refused("frozen for two months", ahead="+60d", because="expired")


def mixed_and_matched_metadata_is_refused():
    site = Site()
    with site.serve() as server:
        publish(site, "1.0", 0, 60)
        network = Network(server, site.customer("acme", "hotfix"))
        visitors, old = Visitors(site, network.url), metadata_of(site)
        publish(site, "1.1", 60, 120)
        new, path = metadata_of(site), f"hotfix/1.1/{name_of(61)}"
        for role in ("snapshot", "bin"):
            mixed = dict(new)
            pattern = re.compile(rf"(\d+)\.({role}[^/]*\.json)$")
            latest = {}
            for found in filter(None, map(pattern.match, new)):
                latest[found[2]] = max(int(found[1]), latest.get(found[2], 0))
            for name, version in latest.items():
                before = [n for n in range(1, version) if f"{n}.{name}" in old]
                if before:
                    mixed[f"{version}.{name}"] = old[f"{before[-1]}.{name}"]
            check(mixed != new, f"nothing of {role} to mix")
            network.metadata = mixed
            visitors.refused(f"an older {role} under the new name", path, state=role)
        network.metadata = {**new, "timestamp.json": old["timestamp.json"]}
        snapshots = sorted((int(n.split(".")[0]), n) for n in new if n.endswith(".snapshot.json"))
        network.metadata[json_snapshot(old)] = new[snapshots[-1][1]]
        visitors.refused("a newer snapshot under the old name", path, state="newer")
        network.metadata = None
        visitors.get({path: text_of(61)}, state="newer")


def json_snapshot(metadata):
    """The name of the snapshot that this timestamp asks for."""
    return f"{json.loads(metadata['timestamp.json'])['signed']['meta']['snapshot.json']['version']}.snapshot.json"


main(many_targets_before_and_after_new_keys_and_bins, a_recall_reaches_the_clients, a_changed_byte_is_refused,
     somebody_elses_repository_is_refused, old_metadata_is_refused, mixed_and_matched_metadata_is_refused)
