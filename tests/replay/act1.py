"""act1.py - April 2001 as it was: a plain web server, and infected files on its own disk."""
import collections
import os
import shutil

import cordontest
import fixtures
import whofetched
from client import CHANGED, CLEAN, Clock, Crew, NEITHER, SAME, play, story_time
from plan import COUNTED
from story import infect_in_place

CONF = """daemon off;
{user}worker_processes 1;
pid nginx.pid;
error_log error.log warn;
events {{ worker_connections 256; }}
http {{
    log_format replay '$msec\\t$remote_user\\t$request\\t$status\\t$body_bytes_sent\\t$sent_http_content_range';
    access_log access.log replay;
    client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
    keepalive_requests 100000;
    sendfile on;
    server {{
        listen 127.0.0.1:{port} sndbuf=64k;
        root tree;
        auth_basic "premium support";
        auth_basic_user_file htpasswd;
    }}
}}
"""


def start_nginx(folder):
    program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if program is None:
        raise cordontest.Broken("nginx is not installed: ./dev deps installs nginx-light")
    port = cordontest.free_port()
    cordontest.write(os.path.join(folder, "nginx.conf"),
                     CONF.format(port=port, user="user root;\n" if os.geteuid() == 0 else ""))
    child = cordontest.start([program, "-p", folder, "-c", "nginx.conf", "-e", "error.log"],
                             os.path.join(folder, "nginx.out"))

    def answers():
        cordontest.check(child.poll() is None, f"nginx ended; see {folder}/error.log and nginx.out")
        try:
            return cordontest.socket.create_connection(("127.0.0.1", port), 1).close() is None
        except OSError:
            return False
    cordontest.until("nginx answers", 20, answers)
    return child, port


def book_downloads(book, bad_at):
    """The same question to the customers' own book: {(user, path): [lines]} of what was bad then."""
    found = collections.defaultdict(list)
    for line in book.lines:
        if line.want.kind in COUNTED and line.got and line.minute >= bad_at.get(line.want.file, 1 << 30):
            found[(line.want.account.user, book.world.path(line.want.file))].append(line)
    return found


def complete(lines):
    return whofetched.covered([(line.first, line.got) for line in lines], lines[0].size)


def headline(count, files, orgs, first, last):
    return (f"{count} downloads of {files} files by {orgs} organisations, "
            f"{story_time(first)} - {story_time(last)}")


def run(world, plan, folder, pace, tell, proof):
    """`proof(name, got, want)` notes a number that has to match."""
    tell(f"{len(world.files)} updates for {len(world.orgs)} organisations with {len(world.accounts)} accounts; "
         "a plain nginx sends them, nobody looks at its disk")
    tree = os.path.join(folder, "tree")
    cordontest.write(os.path.join(folder, "htpasswd"), world.htpasswd())
    accounts = cordontest.write(os.path.join(folder, "accounts.csv"), world.accounts_csv())
    child, port = start_nginx(folder)
    clock, crew, hits = Clock(pace), Crew(world, port, ""), {}

    def infection(file):
        def act(minute):
            hits[file] = infect_in_place(os.path.join(tree, world.path(file)))
            if len(hits) in (1, len(plan.since)):
                tell(f"{story_time(minute)}  {world.path(file)} is infected where it lies, number {len(hits)}")
        return act
    seconds = play(plan, clock, crew, [(minute, infection(file)) for file, minute in plan.since.items()], tell)
    crew.end()
    child.send_signal(cordontest.signal.SIGQUIT)
    child.wait(20)
    tell(f"{story_time(clock.minutes[-1])}  somebody sees it. {len(plan.wants)} requests in {seconds:.1f} s; "
         "the log is read")

    found, bad, unread = whofetched.downloads(os.path.join(folder, "access.log"), tree, accounts,
                                              fixtures.FUNLOVE_MARK, 3600 * pace / 60)
    book = book_downloads(crew.book, plan.since)
    first, last = (clock.minute_of(pick(times)) for pick, times in
                   ((min, [d.first for d in found]), (max, [d.last for d in found])))
    tell(headline(len(found), len({d.path for d in found}), len({d.organisation for d in found}), first, last))
    whole = sum(d.complete for d in found)
    tell(f"    {whole} of them whole, {len(found) - whole} in part; found in a log of {len(plan.wants)} requests and "
         "a disk that had to be searched")
    proof("act 1: requests without an answer", crew.faults[:3], [])
    proof("act 1: log lines that could not be read", unread, 0)
    proof("act 1: infected files on the disk", set(bad), {world.path(f) for f in plan.since})
    proof("act 1: downloads, log and book", sorted({(d.user, d.path) for d in found}), sorted(book))
    proof("act 1: number of downloads", len(found), 170)
    proof("act 1: organisations", sorted({d.organisation for d in found}), sorted(world.victims))
    proof("act 1: whole downloads, log and book", {(d.user, d.path) for d in found if d.complete},
          {pair for pair, lines in book.items() if complete(lines)})
    proof("act 1: first and last moment", (first, last), (plan.first, plan.last))
    proof("act 1: every byte of a bad download was the infection's",
          {line.bytes_are for lines in book.values() for line in lines} - {SAME}, {CHANGED})
    others = {line.bytes_are for line in crew.book.lines
              if line.got and line.minute < plan.since.get(line.want.file, 1 << 30)}
    proof("act 1: other downloads were clean", others - {SAME}, {CLEAN})
    proof("act 1: bytes that are neither", sum(line.bytes_are == NEITHER for line in crew.book.lines), 0)
    return len(found)
