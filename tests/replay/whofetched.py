"""whofetched.py - who fetched an infected file, from a web server's access log and nothing else.

What somebody could have written in April 2001: the tree is searched for the marker, a file is bad from
its last change on, users are looked up in the accounts list. Requests of one user for one file that
follow each other within an hour are one download.
"""
import collections
import csv
import os
import re

Row = collections.namedtuple("Row", "time user path status first sent size")
Download = collections.namedtuple("Download", "user organisation path first last complete")

# log_format replay '$msec\t$remote_user\t$request\t$status\t$body_bytes_sent\t$sent_http_content_range'
SPAN = re.compile(r"bytes (\d+)-(\d+)/(\d+)$")


def rows(log):
    """The rows of the log, and how many lines could not be read."""
    found, unread = [], 0
    with open(log, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                time, user, request, status, sent, span = line.rstrip("\n").split("\t")
                method, path, _ = request.split(" ")
                time, status, sent, part = float(time), int(status), int(sent), SPAN.match(span)
            except ValueError:
                unread += 1
                continue
            if method == "GET" and user != "-" and status in (200, 206):
                found.append(Row(time, user, path.lstrip("/"), status, int(part[1]) if part else 0, sent,
                                 int(part[3]) if part else None))
    return found, unread


def bad_files(tree, marker):
    """{path: (time of last change, size)} of the files that hold the marker."""
    found = {}
    for folder, _, names in os.walk(tree):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                if marker in file.read():
                    state = os.stat(path)
                    found[os.path.relpath(path, tree)] = (state.st_mtime, state.st_size)
    return found


def covered(spans, size):
    """Whether these (first, length) hold every byte of the file."""
    end = 0
    for first, length in sorted(spans):
        if first > end:
            return False
        end = max(end, first + length)
    return end >= size


def downloads(log, tree, accounts, marker, hour):
    """`hour` in seconds of the log. Gives the downloads, the bad files and the count of unread lines."""
    with open(accounts, newline="", encoding="utf-8") as table:
        org_of = {row["user"]: row["organisation"] for row in csv.DictReader(table)}
    bad = bad_files(tree, marker)
    kept, unread = rows(log)
    groups = collections.defaultdict(list)
    for row in sorted(kept):
        if row.path in bad and row.time >= bad[row.path][0]:
            visits = groups[(row.user, row.path)]
            if not visits or row.time > visits[-1][-1].time + hour:
                visits.append([])
            visits[-1].append(row)
    found = []
    for (user, path), visits in groups.items():
        for visit in visits:
            complete = covered([(row.first, row.sent) for row in visit], bad[path][1])
            found.append(Download(user, org_of.get(user, "?"), path, visit[0].time, visit[-1].time, complete))
    return found, bad, unread
