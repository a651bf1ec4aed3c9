"""act3.py - the files were bad before they came in and no rule knew it; twenty hours later one does."""
import collections
import os
import time

import act2
import cordontest
import depot
from client import Clock, Crew, play, story_time
from plan import ABORT, COUNTED, LATE, PART
from story import MEBIBYTE, PASSENGER, RULE
from whofetched import covered

CONFIRMED, POSSIBLE, PARTIAL = "confirmed", "possible", "partial"


def rule_file(folder):
    mark = " ".join(f"{byte:02x}" for byte in PASSENGER)
    return cordontest.write(os.path.join(folder, "rule.yar"), f"""rule {RULE}
{{
    meta:
        description = "an inert marker, made for this story"
        severity = "malicious"
    strings:
        $mark = {{ {mark} }}
    condition:
        $mark
}}
""")


def granted(line):
    """Which bytes a request is a grant for: whole chunks of one MiB."""
    if line.status == 200:
        return 0, line.size
    end = line.first + line.got
    if line.want.kind == PART:
        end = 2 * MEBIBYTE
    first = line.first // MEBIBYTE * MEBIBYTE
    return first, min((end + MEBIBYTE - 1) // MEBIBYTE * MEBIBYTE, line.size) - first


def holders(world, lines):
    """What the book says of each organisation: has it, may have it, has a part; the strongest counts."""
    got, may = collections.defaultdict(list), collections.defaultdict(list)
    for line in lines:
        key = line.want.account.org, world.digest(line.want.file), line.size
        got[key].append((line.first, line.got))
        may[key].append(granted(line))
    found = {}
    for key, spans in got.items():
        size = key[2]
        holder = CONFIRMED if covered(spans, size) else POSSIBLE if covered(may[key], size) else PARTIAL
        order = (PARTIAL, POSSIBLE, CONFIRMED)
        found[key[0]] = max(found.get(key[0], PARTIAL), holder, key=order.index)
    return found


def run(world, plan, site, pace, tell, proof):
    rule, timing = rule_file(os.path.dirname(site.path)), {}
    tell(f"{len(plan.files)} of the {len(world.files)} updates carry a marker that no rule knows; they were admitted")

    def rule_comes(minute):
        tell(f"{story_time(minute)}  somebody finds the marker, a rule arrives: cordon retro rule.yar")
        begun = time.monotonic()
        timing["retro"] = site.json("retro", rule, expect=cordontest.FOUND)
        timing["seconds"] = time.monotonic() - begun
    with site.serve() as server:
        clock, crew = Clock(pace), Crew(world, server.port, "/d")
        seconds = play(plan, clock, crew, [(plan.rule_at, rule_comes)], tell)
        crew.end()
        begun = time.monotonic()
        scope = site.json("incident", "scope", "--rule", RULE)
        scope_seconds = time.monotonic() - begun
    tell(f"{story_time(clock.minutes[-1])}  {len(plan.wants)} requests in {seconds:.1f} s")
    _retro(world, plan, timing, crew, tell, proof)
    check_scope(world, plan, clock, crew, scope[-1], scope_seconds, tell, proof)


def _retro(world, plan, timing, crew, tell, proof):
    answer = timing["retro"][-1]
    found = {item["sha256"] for item in answer["found"]}
    tell(f"    {answer['scanned']} files scanned again in {timing['seconds']:.1f} s, {len(found)} found and withheld")
    blobs = {world.digest(file) for file in plan.files}
    proof("act 3: files that the rule found", found, blobs)
    proof("act 3: names that they had", {path for item in answer["found"] for path in item["targets"]},
          {world.path(file) for file in plan.files})
    proof("act 3: withheld", answer["withheld"], len(blobs))
    late = [line for line in crew.book.lines if line.want.kind == LATE]
    refused = [line for line in late if line.status >= 400 and line.got == 0]
    tell(f"    {len(refused)} of {len(late)} later requests for them were refused")
    proof("act 3: later requests that were refused", len(refused), len(late))
    proof("act 3: there were later requests", len(late) > 0, True)
    barred = {file: plan.rule_at + 1 for file in plan.files}
    depot.good_answers(world, crew, barred, proof, "act 3")


def check_scope(world, plan, clock, crew, scope, seconds, tell, proof):
    since = plan.since
    lines = [line for line in crew.book.lines if line.want.kind in COUNTED and line.want.file in since and line.got]
    book = {(line.want.account.user, world.path(line.want.file)) for line in lines}
    named = [(d["account"], d["target"]) for d in scope["deliveries"]]
    orgs = {o["name"]: o["holder"] for o in scope["organisations"]}
    window = [clock.minute_of(pick(act2.microseconds(d[end]) for d in scope["deliveries"]) / 1e6)
              for pick, end in ((min, "from"), (max, "from"))]
    count = collections.Counter(orgs.values())
    tell(f"{len(named)} downloads of {len({target for _, target in named})} files by {len(orgs)} organisations, "
         f"{story_time(window[0])} - {story_time(window[1])}")
    tell(f"    {count[CONFIRMED]} organisations have one, {count[POSSIBLE]} may have one, {count[PARTIAL]} a part; "
         f"answered in {seconds:.2f} s, from a log of {scope['log']['size']} entries")
    proof("act 3: deliveries, Cordon and book", sorted(named), sorted(book))
    proof("act 3: number of deliveries", len(named), 170)
    proof("act 3: organisations, Cordon and book", set(orgs), {line.want.account.org for line in lines})
    proof("act 3: number of organisations", len(orgs), 26)
    proof("act 3: holders, Cordon and book", sorted(orgs.items()), sorted(holders(world, lines).items()))
    proof("act 3: holders are of all three kinds", set(orgs.values()), {CONFIRMED, POSSIBLE, PARTIAL})
    proof("act 3: first and last moment", tuple(window), (plan.first, plan.last))
    proof("act 3: the files", {t["path"] for t in scope["targets"]}, {world.path(f) for f in plan.files})
    proof("act 3: some were broken off", any(line.want.kind == ABORT for line in lines), True)
