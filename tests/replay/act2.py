"""act2.py - the same day, the same hand on the disk, but Cordon sends the files."""
import calendar
import time

import depot
from client import CHANGED, Clock, Crew, NEITHER, play, story_time
from plan import COUNTED
from story import infect_in_place


def microseconds(stamp):
    """Of an RFC 3339 time, or of a number that is one already."""
    if isinstance(stamp, (int, float)):
        return int(stamp)
    whole, _, part = stamp.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) * 1000000 + int((part + "000000")[:6])


def alarms_of(site, requests):
    """The first alarm of each blob in the newest part of the log, which holds the day: {digest: its part}."""
    found = {}
    for event in site.events("alarm", count=4 * requests + 1000):  # a grant, an end, an alarm, a withholding
        found.setdefault(event["site"]["blob"], event["site"])
    return found


def run(world, plan, site, pace, tell, proof):
    hits = {}

    def infection(file):
        def act(minute):
            hits[file] = infect_in_place(site.blob(world.digest(file)), hide=True)
            if len(hits) in (1, len(plan.since)):
                tell(f"{story_time(minute)}  {world.path(file)} is infected on Cordon's own disk, number {len(hits)}")
        return act
    with site.serve() as server:
        clock, crew = Clock(pace), Crew(world, server.port, "/d")
        seconds = play(plan, clock, crew, [(minute, infection(f)) for f, minute in plan.since.items()], tell)
        crew.end()
        alarms = alarms_of(site, len(plan.wants))
    tell(f"{story_time(clock.minutes[-1])}  {len(plan.wants)} requests in {seconds:.1f} s, "
         f"{len(hits)} files infected on the disk")
    bad = [line for line in crew.book.lines if line.minute >= plan.since.get(line.want.file, 1 << 30)]
    changed = [line for line in crew.book.lines if line.bytes_are in (CHANGED, NEITHER)]
    tried = {(w.account, w.file) for w in plan.wants
             if w.kind in COUNTED and w.minute >= plan.since.get(w.file, 1 << 30)}
    tell(f"{len(tried)} downloads of infected files were asked for, {len(changed)} changed bytes were delivered")
    proof("act 2: downloads of infected files that were tried", len(tried), 170)
    proof("act 2: answers with a changed byte", len(changed), 0)
    proof("act 2: requests for infected files that were served",
          [(l.want.kind, l.status) for l in bad if l.want.kind in COUNTED and l.status < 400 and l.got], [])
    depot.good_answers(world, crew, plan.since, proof, "act 2")
    _alarms(world, hits, alarms, clock, bad, tell, proof)


def _alarms(world, hits, alarms, clock, bad, tell, proof):
    asked = {line.want.file for line in bad if line.want.kind in COUNTED}
    missing, outside = [], []
    for file in asked:
        alarm = alarms.get(world.digest(file))
        if alarm is None:
            missing.append(world.path(file))
            continue
        before, after = hits[file][0] // 1000, hits[file][1] // 1000
        if not microseconds(alarm["last_good"]) <= after or not microseconds(alarm["seen"]) >= before:
            outside.append((world.path(file), alarm, before, after))
    first = min(asked, key=lambda f: hits[f][0])
    if not missing and not outside:
        alarm = alarms[world.digest(first)]
        good, seen = (clock.minute_of(microseconds(alarm[name]) / 1e6) for name in ("last_good", "seen"))
        tell(f"the first alarm: {world.path(first)} was good until {story_time(good)}, bad at {story_time(seen)}; "
             f"the hand was there at {story_time(clock.minute_of(hits[first][0] / 1e9))}")
    proof("act 2: files that grew and files that kept their length were noticed",
          {alarm["fault"] for alarm in alarms.values()}, {"length", "changed"})
    proof("act 2: infected files that were asked for and raised no alarm", missing, [])
    proof("act 2: alarms whose window is not round the true moment", outside[:2], [])
    proof("act 2: alarms for files that nobody changed",
          sorted(set(alarms) - {world.digest(file) for file in hits}), [])
