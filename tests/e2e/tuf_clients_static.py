#!/usr/bin/env python3
# needs: node venv
# time-out: 600
"""What the repository side of src/tuf writes, read by python-tuf and tuf-js from a plain web server."""
import functools
import glob
import http.server
import shutil
import threading

from cordontest import *

MKREPO = os.path.join(SOURCE, "build", "tests", "tools", "mkrepo")
HERE = os.path.join(SOURCE, "tests", "e2e", "tufclient")


def name_of(number):
    return f"hotfix/7.{number % 10}/update-{number}.exe"


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def translate_path(self, path):
        """The advisories of recalls lie in metadata/recall and are targets for clients."""
        parts = path.split("?")[0].strip("/").split("/")
        if parts[:2] == ["targets", "recall"]:
            parts[0] = "metadata"
        return os.path.join(self.directory, *parts)

    def log_request(self, *_):
        self.server.requests.append(self.path)

    def log_message(self, *_):
        pass


class Repo:
    """A repository that mkrepo made, its web server, and two clients that come back to it."""

    def __init__(self, number, seed="", ago=None):
        self.path = tempfile.mkdtemp(prefix="r-", dir=os.getcwd())
        self.seed = seed
        self.make("create", number, ago=ago)
        self.first_root = shutil.copy(self.file("1.root.json"), self.path)
        self.start()
        self.visits = 0

    def start(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()),
                                                      functools.partial(Handler, directory=self.path))
        self.server.requests = []
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def file(self, name):
        return os.path.join(self.path, "metadata", name)

    def make(self, *arguments, ago=None, content="0"):
        env = dict(os.environ, MKREPO_SEED=self.seed, MKREPO_CONTENT=content)
        if ago:
            env["MKREPO_AGO"] = ago
        return run([MKREPO, self.path, *map(str, arguments)], env=env, seconds=300).one

    def visit(self, program, *paths, state=None, expect=DONE):
        self.visits += 1
        state = os.path.join(self.path, f"state-{state or 'kept'}-{os.path.basename(program[-1])}")
        folder = os.path.join(self.path, f"got-{self.visits}")
        return run([*program, state, self.url + "/metadata/", self.url + "/targets/", self.first_root, folder, *paths],
                   expect=expect, seconds=200)

    def both(self, *numbers, content="0", absent=(), state=None):
        """Both clients must get these targets with the right text, and not find `absent`."""
        wanted = {name_of(n): f"update {n} of generation {content}\n" for n in numbers}
        for program in CLIENTS:
            answers = {a["path"]: a["file"] for a in self.visit(program, *wanted, *absent, state=state).objects}
            for path, text in wanted.items():
                check(answers[path], f"{program[-1]} found no {path}")
                equal(read(answers[path]).decode(), text, f"{program[-1]}: {path}")
            for path in absent:
                equal(answers[path], None, f"{program[-1]}: {path}")

    def refused(self, what, *paths, state=None, because=()):
        for program in CLIENTS:
            answer = self.visit(program, *paths, state=state, expect=FOUND)
            reason = answer.err.strip().splitlines()[-1]
            check(not because or any(word in reason for word in because), f"{program[-1]}: {what}: {reason}")

    def save(self, name):
        kept = os.path.join(self.path, name)
        shutil.copytree(self.file(""), kept)
        return kept

    def put_back(self, kept):
        shutil.rmtree(self.file(""))
        shutil.copytree(kept, self.file(""))


CLIENTS = ([VENV_PYTHON, os.path.join(HERE, "client.py")], [NODE, os.path.join(HERE, "client.js")])


def thirty_thousand_targets_in_512_bins():
    repo = Repo(0)
    repo.both(absent=[name_of(1)])
    made = repo.make("publish", 0, 30000)
    equal((made["targets"], made["bins"]), (30000, 512), "targets and bins")
    picked = random.Random(2001).sample(range(30000), 40)
    repo.both(*picked, absent=[name_of(30000), "hotfix", "recall/none.json"])
    for program in CLIENTS:
        repo.server.requests.clear()
        repo.visit(program)
        equal(repo.server.requests, ["/metadata/2.root.json", "/metadata/timestamp.json"], "an idle visit")
    before = set(os.listdir(repo.file("")))
    repo.make("publish", 30000, 30001)
    equal(len(set(os.listdir(repo.file(""))) - before), 2, "new files for one more target")
    repo.both(30000, picked[0])


def a_growing_repository_divides_its_bins_again():
    repo = Repo(10)
    repo.both(3)
    bins = []
    for first, last in ((10, 1000), (1000, 1100), (1100, 4200)):
        bins.append(repo.make("publish", first, last)["bins"])
        repo.both(0, first, last - 1, absent=[name_of(last)])
    equal(bins, [16, 32, 128], "bins")
    repo.both(5, 4000, state="new")
    repo.make("publish", 0, 3, content="1")
    repo.both(0, 2, content="1")
    repo.make("remove", 7)
    repo.both(6, absent=[name_of(7)])


def every_key_can_be_rotated():
    repo = Repo(100)
    repo.both(1)
    for number, role in enumerate(("root", "targets", "recalls", "releases", "bins", "snapshot", "timestamp", "root")):
        repo.make("rotate", role)
        repo.both(2)  # the client that was here before
        repo.make("publish", 100 + number, 101 + number)
        repo.both(1, 100 + number)
    repo.make("publish", 200, 3000)
    repo.both(3, 2999)
    repo.both(3, 2999, state="new")  # one that knows the first root only


def a_recall_is_found_by_clients():
    repo = Repo(100)
    repo.both(5)
    repo.make("recall", 5)
    repo.both(6, absent=[name_of(5)])
    for program in CLIENTS:
        answers = repo.visit(program, "recall/index.json", "recall/2026-5.json").objects
        index, advisory = (json.loads(read(answer["file"])) for answer in answers)
        digest = sha256(b"update 5 of generation 0\n")
        equal(index["entries"][0]["sha256"], [digest], "the index")
        equal(advisory["paths"], [name_of(5)], "the advisory")


def replace_in(path, old, new):
    text = read(path).decode()
    contains(text, old, path)
    write(path, text.replace(old, new, 1))


def a_changed_file_is_refused():
    repo = Repo(100)
    other = Repo(100, seed="somebody else")
    for name in ("timestamp.json", "2.snapshot.json", "1.targets.json", "1.releases.json"):
        kept = repo.save("kept-" + name)
        replace_in(repo.file(name), '"expires":"20', '"expires":"21')
        repo.refused(name, name_of(1), state=name)
        repo.put_back(kept)
    for bins in glob.glob(repo.file("*.bin-*.json")):
        replace_in(bins, '"expires":"20', '"expires":"21')
    repo.refused("bins", name_of(1), state="bins")
    repo.put_back(kept)
    for file in glob.glob(os.path.join(repo.path, "targets", "hotfix", "7.1", "*.update-1.exe")):
        write(file, "Update 1 of generation 0\n")
    repo.refused("target", name_of(1), state="target")
    repo.both(2, state="target")
    shutil.copy(other.file("1.root.json"), repo.file("2.root.json"))
    repo.refused("another's root", state="root")
    repo.put_back(kept)
    repo.put_back(other.save("copy"))  # another's whole repository
    repo.refused("another's repository", name_of(2), state="other")


def a_rolled_back_repository_is_refused():
    repo = Repo(100)
    kept = repo.save("kept")
    repo.make("publish", 100, 200)
    repo.both(150)
    newest = repo.save("newest")
    repo.put_back(kept)
    repo.refused("all of it older")
    repo.put_back(newest)
    repo.both(150)


def versions_rise_after_a_restored_backup():
    """The attack above and an honest restore look alike to clients, but for the signer's state."""
    repo = Repo(100)
    kept = repo.save("kept")
    repo.make("publish", 100, 200)
    repo.make("publish", 0, 100, content="1")
    repo.both(150)
    repo.put_back(kept)
    repo.make("refresh")
    repo.both(50, absent=[name_of(150)])
    repo.make("publish", 100, 120)
    repo.both(50, 110)


def a_frozen_repository_is_refused():
    repo = Repo(100, ago="40d")
    repo.refused("expired timestamp", because=("expired", "Expired"))
    repo.make("refresh")
    repo.both(1)
    kept = repo.save("kept")
    repo.make("publish", 100, 110, ago="2d")
    repo.refused("a timestamp of two days ago", state="new", because=("expired", "Expired"))
    repo.put_back(kept)
    repo.both(1)


def mixed_and_matched_metadata_is_refused():
    repo = Repo(100)
    old = repo.save("old")
    repo.make("publish", 0, 100, content="1")
    new = repo.save("new")
    for role in ("snapshot", "bin"):
        for path in glob.glob(os.path.join(old, f"*.{role}*.json")):
            version, name = os.path.basename(path).split(".", 1)
            shutil.copy(path, repo.file(f"{int(version) + 1}.{name}"))
        repo.refused(f"an older {role} under the new name", name_of(1), state=role)
        repo.put_back(new)
    shutil.copy(os.path.join(old, "timestamp.json"), repo.file("timestamp.json"))
    for path in glob.glob(repo.file("*.snapshot.json")):
        version, name = os.path.basename(path).split(".", 1)
        if int(version) > 1:
            shutil.copy(path, repo.file(f"{int(version) - 1}.{name}"))
    repo.refused("a newer snapshot under the old name", name_of(1), state="newer")


main(thirty_thousand_targets_in_512_bins, a_growing_repository_divides_its_bins_again, every_key_can_be_rotated,
     a_recall_is_found_by_clients, a_changed_file_is_refused, a_rolled_back_repository_is_refused,
     versions_rise_after_a_restored_backup, a_frozen_repository_is_refused, mixed_and_matched_metadata_is_refused)
