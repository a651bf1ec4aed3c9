"""depot.py - a site of Cordon filled with the story's files and customers."""
import collections
import os
import time

import cordontest


def fill(world, folder, tell, proof):
    """Everything is admitted as what it is, product by product and version by version."""
    site = cordontest.Site(os.path.join(folder, "site"), scan__engines="[yara, hashes, pe, unpack]")
    people = "name,contact,products\n" + "".join(
        f"{org},it@{org.lower().replace(' ', '-')}.example,{';'.join(world.products_of[org])}\n" for org in world.orgs)
    org_file = cordontest.write(os.path.join(folder, "organisations.csv"), people)
    account_file = cordontest.write(os.path.join(folder, "accounts.htpasswd"), world.htpasswd(with_org=True))
    with site.serve() as server:
        begun = time.monotonic()
        site.run("org", "import", org_file, seconds=300)
        site.run("account", "import", account_file, seconds=300)
        customers = time.monotonic() - begun
        begun, verdicts = time.monotonic(), collections.Counter()
        for product, version in world.shelves():
            for answer in site.admit(os.path.join(folder, "tree", product, version), product=product, version=version):
                verdicts[answer["verdict"], answer["published"]] += 1
        seconds = time.monotonic() - begun
    del server
    tell(f"{len(world.orgs)} organisations and {len(world.accounts)} accounts moved in within {customers:.1f} s")
    tell(f"{len(world.files)} updates in {len(world.shelves())} releases: inspected, signed and published in "
         f"{seconds:.1f} s, {len(world.files) / seconds:.0f} a second")
    proof("before: verdicts", dict(verdicts), {("clean", True): len(world.files)})
    accounts = site.json("account", "list")
    proof("before: accounts", len(accounts), len(world.accounts))
    return site


def good_answers(world, crew, bad_at, proof, act):
    """Whoever asked for a file that was not bad got it, every byte; whoever was to be refused was."""
    wrong = collections.Counter()
    for line in crew.book.lines:
        want = line.want
        if line.minute >= bad_at.get(want.file, 1 << 30):
            continue
        expected = {"wrong": (401,), "again": (200, 304), "resumed": (206,), "part": (206,), "peek": (206,),
                    "front": (206,), "back": (206,)}.get(want.kind, (200,))
        if line.status not in expected or line.bytes_are not in ("clean", "same", "nothing"):
            wrong[want.kind, line.status, line.bytes_are] += 1
        if want.kind == "whole" and line.got != len(world.content(want.file)):
            wrong["short", line.got] += 1
    proof(f"{act}: answers for good files that were not right", dict(wrong), {})
    proof(f"{act}: good requests without an answer",
          [fault for minute, want, fault in crew.faults if minute < bad_at.get(want.file, 1 << 30)][:3], [])
