"""story.py - the world of April 2001, made from a seed: files, organisations, accounts.

Nothing here is real and nothing runs: the "programs" are headers over breakpoints and filler, and an
"infection" moves a header field and appends filler with a marker text.
"""
import base64
import collections
import functools
import hashlib
import os
import random
import struct
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "tests", "tools"), os.path.join(ROOT, "tests", "e2e")]
sys.dont_write_bytecode = True

import fixtures  # noqa: E402 (the path is set just above)

MEBIBYTE = 1 << 20
PASSENGER = b"~Quiet " + b"Passenger~"  # the marker of act 3; no rule of ours knows it
RULE = "quiet_passenger"

FIRST, SECOND = ("amber basalt copper delta ember fjord granite harbor indigo juniper kestrel lumen meadow nimbus "
                 "orbit pebble quartz raven saffron tundra umber violet willow zephyr").split(), (
    "bakery bridge cargo cartage courier dairy dyeworks engineering foundry freight insurance laundry library "
    "logistics mill museum optics orchards paper pharmacy printing quarry shipping surveying textiles works").split()
THINGS = ("archive console desk exchange gateway ledger mail monitor office planner print proxy roster sync "
          "vault").split()

File = collections.namedtuple("File", "index product version name kind size big passenger twin")
Account = collections.namedtuple("Account", "user password org")


class Size:
    """How large a world is; the story's 170 downloads by 26 organisations are the same in both."""

    def __init__(self, small):
        self.files, self.orgs, self.accounts = (3000, 200, 1250) if small else (30000, 800, 5000)
        self.products, self.versions = (20, 1) if small else (60, 2)
        self.infected, self.passengers, self.big = (28, 24, 12) if small else (90, 60, 20)
        self.downloads = 2500 if small else 6000


VICTIMS, BAD_DOWNLOADS = 26, 170
PREMIUM = 6  # the products of premium support, which is where it happened


class World:
    def __init__(self, seed, small=False):
        self.seed, self.size = seed, Size(small)
        rng = random.Random(f"world {seed}")
        self.products = [f"{a}-{b}" for a, b in rng.sample([(a, b) for a in FIRST for b in THINGS], self.size.products)]
        self._make_files(rng)
        self._make_customers(rng)

    # ---- files

    def _make_files(self, rng):
        size = self.size
        shelves = [(p, f"{rng.randint(1, 7)}.{n}") for p in self.products for n in range(size.versions)]
        self.files = []
        for index in range(size.files):
            product, version = shelves[index % len(shelves)]
            kind = rng.choices(("exe", "dll", "ocx", "txt", "zip"), (60, 10, 5, 15, 10))[0]
            self.files.append(File(index, product, version, f"q{100000 + index}.{kind}", kind,
                                   int(1000 * 30 ** rng.random()), False, False, None))
        premium = [f.index for f in self.files if f.product in self.products[:PREMIUM] and f.kind in ("exe", "ocx")]
        rng.shuffle(premium)
        take = iter(premium)
        for number in range(size.big):
            index = next(take)
            self._change(index, big=True, kind="exe", name=f"servicepack-{number + 1}.exe",
                         size=rng.randint(5 * MEBIBYTE // 2, 7 * MEBIBYTE // 2))
        big = premium[:size.big]
        third = size.big // 3
        self.infected = [self.files[i] for i in big[:third] + [next(take) for _ in range(size.infected - third)]]
        for index in big[third:2 * third]:
            self._change(index, passenger=True)
        plain = [next(take) for _ in range(size.passengers - third)]
        for index in plain[3:]:
            self._change(index, passenger=True)
        for twin, original in zip(plain[:3], plain[3:6]):  # the same bytes under a second name
            self._change(twin, passenger=True, twin=original, size=self.files[original].size,
                         kind=self.files[original].kind)
        self.passengers = [f for f in self.files if f.passenger]

    def _change(self, index, **what):
        self.files[index] = self.files[index]._replace(**what)

    @functools.lru_cache(maxsize=256)
    def content(self, file):
        """The bytes of a file as its vendor made them."""
        if file.twin is not None:
            return self.content(self.files[file.twin])
        rng = random.Random(f"file {self.seed} {file.index}")
        if file.kind == "txt":
            line = f"Fix {file.name} for {file.product} {file.version}. Read this before you install it.\n".encode()
            return line + rng.randbytes(file.size // 2).hex().encode()
        if file.kind == "zip":
            return fixtures.zip_of({"readme.txt": f"{file.name}\n".encode(), "data.bin": rng.randbytes(file.size)})
        data = rng.randbytes(file.size)
        if file.passenger:
            data = PASSENGER + data
        return fixtures.pe([fixtures.TEXT, fixtures.DATA[:3] + (b"\0" * 16 + data,)], 0x1000)

    def path(self, file):
        return f"{file.product}/{file.version}/{file.name}"

    def digest(self, file):
        return hashlib.sha256(self.content(file)).hexdigest()

    def write_tree(self, top):
        for file in self.files:
            folder = os.path.join(top, file.product, file.version)
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, file.name), "wb") as out:
                out.write(self.content(file))

    def shelves(self):
        """(product, version) of everything, each once."""
        return list(dict.fromkeys((f.product, f.version) for f in self.files))

    # ---- customers

    def _make_customers(self, rng):
        size = self.size
        names = [f"{a.title()} {b.title()} {n}" for n in (1, 2) for a in FIRST for b in SECOND]
        self.orgs = rng.sample(names, size.orgs)
        numbers = rng.sample(range(1, size.accounts + 1), size.accounts)
        self.accounts = []
        for at, number in enumerate(numbers):
            org = self.orgs[at] if at < size.orgs else self.orgs[int(size.orgs * rng.random() ** 2)]
            self.accounts.append(Account(f"ops{number}", rng.randbytes(8).hex(), org))
        self.staff = collections.defaultdict(list)
        for account in self.accounts:
            self.staff[account.org].append(account)
        able = [org for org in self.orgs if len(self.staff[org]) >= 3]
        self.victims, self.later_victims = (rng.sample(able, VICTIMS) for _ in range(2))
        self.products_of = {}
        for org in self.orgs:
            own = set(rng.sample(self.products, min(9, len(self.products) // 2)))
            if org in self.victims or org in self.later_victims:
                own.update(self.products[:PREMIUM])
            self.products_of[org] = sorted(own)

    def htpasswd(self, with_org=False):
        """The accounts as a web server of the time had them."""
        lines = []
        for account in self.accounts:
            digest = base64.b64encode(hashlib.sha1(account.password.encode()).digest()).decode()
            before = account.org + "\\" if with_org else ""
            lines.append(f"{before}{account.user}:{{SHA}}{digest}\n")
        return "".join(lines)

    def accounts_csv(self):
        return "user,organisation\n" + "".join(f"{a.user},{a.org}\n" for a in self.accounts)


# ---- what happens to a file

ENTRY_AT = 40  # of AddressOfEntryPoint, behind "PE\0\0"
CAVITY = fixtures.HEADERS + 64  # in the breakpoints of .text


def _entry_moved(clean):
    changed = bytearray(clean)
    at = struct.unpack_from("<I", clean, 60)[0] + ENTRY_AT
    struct.pack_into("<I", changed, at, struct.unpack_from("<I", clean, at)[0] + 0x10)
    return changed


@functools.lru_cache(maxsize=256)
def infected(clean):
    """What an infection makes of a file, without anything that could run: the field moved that says where
    the program starts, and the marker put in. Most files grow by filler, as FunLove let them; of the small
    ones a part keeps its length, so that only who reads every byte can notice."""
    changed = _entry_moved(clean)
    if len(clean) < MEBIBYTE and len(clean) // fixtures.SECTOR % 3 == 0:
        changed[CAVITY:CAVITY + len(fixtures.FUNLOVE_MARK)] = fixtures.FUNLOVE_MARK
        return bytes(changed)
    return bytes(changed) + (b"\xcc" * 64 + fixtures.FUNLOVE_MARK).ljust(fixtures.FUNLOVE_BYTES, b"\xcc")


def infect_in_place(path, hide=False):
    """Changes the file on disk as a process with the right to do so would; gives the time before and after.
    `hide` puts the times of the file back, as far as a file system lets anybody."""
    if not os.access(path, os.W_OK):
        os.chmod(path, 0o644)
    before, state = time.time_ns(), os.stat(path)
    with open(path, "r+b") as file:
        changed = infected(file.read())
        file.seek(0)
        file.write(changed)
    if hide:
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    return before, time.time_ns()
