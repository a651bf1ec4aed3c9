"""plan.py - who asks for what at which minute of the story's day, so that the numbers are hard to get right.

Exactly 170 downloads of bad files by 26 organisations, among thousands of others: whole, resumed in
pieces, shared by two users, broken off, a part only. Beside them what must not count: the same file
before it was bad, HEAD, a wrong password, "not modified".
"""
import collections
import random

from story import BAD_DOWNLOADS, MEBIBYTE, VICTIMS

WHOLE, RESUMED, PART, PEEK, ABORT, FRONT, BACK = "whole resumed part peek abort front back".split()
HEAD, AGAIN, WRONG, LATE = "head again wrong late".split()
COUNTED = (WHOLE, RESUMED, PART, PEEK, ABORT, FRONT, BACK)

Want = collections.namedtuple("Want", "minute account file kind")
DAY = 26 * 60  # minutes, from 19 April 06:00 to 20 April 08:00


class Plan:
    """`since` says from which minute a file is bad; the first and the last bad download are at the two
    minutes of `window`; wants are in order of time."""

    def __init__(self, world, name, files, victims, since, window):
        self.world, self.rng = world, random.Random(f"plan {name} {world.seed}")
        self.since = since
        self.files, self.victims = files, victims
        self.first, self.last = window
        self.pairs = set()
        self.wants = []
        self._bad()
        self._around()
        self._clean()
        self.wants.sort(key=lambda want: want.minute)

    def _time(self, file):
        return self.rng.randint(max(self.since[file], self.first) + 1, self.last - 1)

    def _add(self, account, file, kind, minute=None):
        if (account, file) in self.pairs or (file.twin, account) in self.pairs or (file.index, account) in self.pairs:
            return False
        self.pairs.add((account, file))
        self.pairs.add((file.index if file.twin is None else file.twin, account))
        self.wants.append(Want(self._time(file) if minute is None else minute, account, file, kind))
        return True

    def _try(self, org, files, kind, minute=None):
        while not self._add(self.rng.choice(self.world.staff[org]), self.rng.choice(files), kind, minute):
            pass

    def _bad(self):
        """26 organisations: two with a part only, three that may have it whole, the others have it."""
        open_files = [f for f in self.files if self.since[f] < self.last - 120]
        big, small = [f for f in open_files if f.big], [f for f in open_files if not f.big]
        part, maybe, sure = self.victims[:2], self.victims[2:5], self.victims[5:]
        earliest = min(small, key=lambda f: (self.since[f], f.index))
        self._try(sure[0], [earliest], WHOLE, self.first)
        self._try(sure[1], small, WHOLE, self.last)
        for org in part:
            self._try(org, big, PART)
        self._try(maybe[0], big, ABORT)
        self._try(maybe[1], small, PEEK)
        self._try(maybe[2], big, ABORT)
        for org in sure[2:]:
            self._try(org, small, WHOLE)
        self._split(sure[:2], big)
        kinds = [RESUMED] * 16 + [ABORT] * 6 + [PART] * 4 + [PEEK] * 4
        for kind in kinds:
            self._try(self.rng.choice(sure), big if kind in (ABORT, PART) else open_files, kind)
        while len(self.wants) < BAD_DOWNLOADS:
            self._try(self.rng.choice(sure), open_files, WHOLE)
        assert len({w.account.org for w in self.wants}) == VICTIMS and len(self.wants) == BAD_DOWNLOADS

    def _split(self, orgs, big):
        """Two users of one organisation, a half each: together they have it."""
        for org in orgs:
            file = self.rng.choice(big)
            free = [a for a in self.world.staff[org] if (a, file) not in self.pairs]
            for account, kind in zip(free[:2], (FRONT, BACK)):
                self._add(account, file, kind)

    def _around(self):
        """Requests for the same files that are no download of a bad one."""
        bad, rng = list(self.wants), self.rng
        others = [org for org in self.world.orgs if org not in self.victims]
        premium = [org for org in others if set(self.world.products_of[org]) & {f.product for f in self.files}]
        for _ in range(40):
            want = rng.choice(bad)
            if want.kind == WHOLE and want.minute < self.last:
                self.wants.append(Want(rng.randint(want.minute + 1, self.last + 1), want.account, want.file, AGAIN))
            file, account = rng.choice(self.files), rng.choice(self.world.staff[rng.choice(others)])
            self.wants.append(Want(rng.randint(self.first, self.last), account, file, WRONG))
            account = rng.choice(self.world.staff[rng.choice(premium)])
            mine = [f for f in self.files if f.product in self.world.products_of[account.org]]
            self.wants.append(Want(rng.randint(0, self.last), account, rng.choice(mine), HEAD))
            file = rng.choice(mine)
            if self.since[file] > 1:
                self.wants.append(Want(rng.randint(0, self.since[file] - 1), account, file, WHOLE))
            if self.since[want.file] > 1:  # clean for this user, and bad when the user came again
                self.wants.append(Want(rng.randint(0, self.since[want.file] - 1), want.account, want.file, WHOLE))

    def late(self, first, count=30):
        """Attempts after the files were withheld."""
        orgs = self.world.victims + self.world.later_victims
        for _ in range(count):
            account = self.rng.choice(self.world.staff[self.rng.choice(orgs)])
            self.wants.append(Want(self.rng.randint(first, DAY - 1), account, self.rng.choice(self.files), LATE))
        self.wants.sort(key=lambda want: want.minute)

    def _clean(self):
        """The rest of the day: more by day than by night, popular files more often than others."""
        rng, bad = self.rng, set(self.since)
        of_product = collections.defaultdict(list)
        for file in self.world.files:
            if file not in bad:
                of_product[file.product].append(file)
        hours = [3 if (6 + h) % 24 < 7 else 10 if (6 + h) % 24 < 19 else 5 for h in range(DAY // 60)]
        while len(self.wants) < self.world.size.downloads:
            account = rng.choice(self.world.accounts)
            shelf = of_product[rng.choice(self.world.products_of[account.org])]
            file = shelf[int(len(shelf) * rng.random() ** 3)]
            hour = rng.choices(range(len(hours)), hours)[0]
            kind = rng.choices((WHOLE, RESUMED, PART if file.big else PEEK, ABORT if file.big else WHOLE, HEAD),
                               (80, 8, 5, 4, 3))[0]
            self.wants.append(Want(hour * 60 + rng.randrange(60), account, file, kind))


def outbreak(world):
    """Acts 1 and 2: file after file is infected where it lies, from one morning to the next."""
    rng = random.Random(f"outbreak {world.seed}")
    begin = 3 * 60 + rng.randint(0, 20)  # from about nine
    first, end = begin + rng.randint(2, 9), 25 * 60 + rng.randint(20, 50)  # to twenty past seven and later
    since = {file: rng.randint(first + 1, end - 180) for file in world.infected}
    since[next(f for f in world.infected if not f.big)] = begin
    for file in world.infected:
        if file.big:
            since[file] = rng.randint(first + 1, first + 600)
    return Plan(world, "outbreak", world.infected, world.victims, since, (first, end))


def sleepers(world):
    """Act 3: the files were bad before they came; twenty hours after the first download there is a rule."""
    rng = random.Random(f"sleepers {world.seed}")
    first = rng.randint(5, 60)
    plan = Plan(world, "sleepers", world.passengers, world.later_victims, {f: -1 for f in world.passengers},
                (first, first + 20 * 60 - rng.randint(2, 9)))
    plan.rule_at = first + 20 * 60
    plan.late(plan.rule_at + 1)
    return plan


def middle(file):
    return min(file.size // 2, MEBIBYTE + 12345)
