#!/usr/bin/env python3
"""scope.py - who has these 170 files? In a record of a million downloads, beside what one would use else.

  cordon         `incident scope` against a running server: deliveries joined within the hour, holders by
                 union of ranges, accounts, organisations, who is ruled out; printed as JSON
  postgresql     the same rows and indexes in PostgreSQL, analyzed; psql runs the one query that gives
                 the same deliveries with organisation and account, and prints them. Nothing is derived
  zgrep          the same downloads as lines of a compressed nginx log; finds lines, knows no organisation

The rows are made by SQL in cordon.db; 800 organisations, 5,000 accounts, 30,000 files. 170 deliveries a
million rows more or less: the files that are asked for were fetched rarely, as in April 2001.

usage: scope.py [GRANTS...]     default 1000000; BENCH_RUNS=5
"""
import glob
import gzip
import os
import pwd
import sqlite3
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "tools"))
from common import *  # noqa: E402
from common import RUNS  # noqa: E402
from cordontest import CORDON, Site, check, equal, filler, run, write  # noqa: E402

ASKED, FILES, ORGS, ACCOUNTS = 170, 30_000, 800, 5_000
START = 987_000_000_000_000  # microseconds: April 2001

# one formula for both databases; {n} rows, each a file, an account and its organisation
ROWS = """SELECT 1000000 + 2 * i AS idx, {start} + i * 86400 AS time, 1 + (i * 48271 % 5000) % 800 AS org,
 1000 + i * 48271 % 5000 AS account,
 CASE WHEN i % 5882 = 0 THEN 1 + (i / 5882) % 170 ELSE 171 + i * 7919 % 29830 END AS item,
 'origin' AS node, 0 AS first, 99 AS last, 1 AS whole FROM ({series}) s"""
SQLITE_SERIES = "WITH RECURSIVE t(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM t WHERE i + 1 < {n}) SELECT i FROM t"
QUERY = """SELECT g.idx, g.time, o.name, a.login, i.target, encode(i.blob, 'hex'), g.first, g.last, k.time, k.acked
 FROM delivered i JOIN granted g ON g.item = i.id LEFT JOIN ack k ON k.granted = g.idx JOIN org o ON o.id = g.org
 LEFT JOIN account a ON a.id = g.account WHERE i.blob IN ({blobs}) ORDER BY g.org, g.account, g.time, g.idx, k.idx"""


def fill(site, n):
    blobs = {}
    db = sqlite3.connect(site.file("cordon.db"))
    db.execute("PRAGMA synchronous = OFF")
    db.execute("PRAGMA cache_size = -400000")
    for one in site.json("release", "show", "p", "1"):
        for target in one["targets"]:
            blobs[target["target"]] = target["sha256"]
    db.executemany("INSERT INTO delivered VALUES (?, ?, ?, 100)",
                   [(i + 1, bytes.fromhex(sha), path) for i, (path, sha) in enumerate(sorted(blobs.items()))])
    db.execute(f"""WITH RECURSIVE t(i) AS (SELECT {ASKED + 1} UNION ALL SELECT i + 1 FROM t WHERE i < {FILES})
        INSERT INTO delivered SELECT i, CAST(printf('%032d', i) AS BLOB), 'p/0/' || i, 100 FROM t""")
    db.executemany("INSERT INTO org VALUES (?, ?, ?, NULL, 'en', 0, 0, 0)",
                   [(i, f"organisation {i}", f"it@{i}.example") for i in range(1, ORGS + 1)])
    db.executemany("INSERT INTO org_product VALUES (?, 'p')", [(i,) for i in range(1, ORGS + 1)])
    db.executemany("INSERT INTO account VALUES (?, ?, ?, NULL, NULL, 0, 0, 0)",
                   [(1000 + i, 1 + i % ORGS, f"user{i}") for i in range(ACCOUNTS)])
    db.execute("INSERT INTO granted " + ROWS.format(start=START, series=SQLITE_SERIES.format(n=n)))
    db.execute("INSERT INTO ack SELECT idx + 1, idx, time + 100000, 0, 100 FROM granted")
    db.commit()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return blobs


class Postgres:
    """A server of our own, in a folder of its own, on a socket only."""

    def __init__(self):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/pg_ctl"))
        self.bin = os.path.dirname(found[-1]) if found else None
        self.top = os.path.abspath("pg")

    def as_owner(self, *arguments, **options):
        front = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        return run([*front, *arguments], seconds=1200, **options)

    def sql(self, text, **options):
        write("pg.sql", text)
        os.chmod("pg.sql", 0o644)
        return self.as_owner(f"{self.bin}/psql", "-h", self.top, "-At", "-q", "-v", "ON_ERROR_STOP=1", "-f",
                             os.path.abspath("pg.sql"), "postgres", **options)

    def start(self):
        os.mkdir(self.top)
        if os.geteuid() == 0:
            os.chown(self.top, *pwd.getpwnam("postgres")[2:4])
        AT_END.append(lambda: os.path.isdir(self.top) and self.stop())
        self.as_owner(f"{self.bin}/initdb", "-D", self.top + "/data", "-A", "trust", "-E", "UTF8")
        self.as_owner(f"{self.bin}/pg_ctl", "-D", self.top + "/data", "-w", "-l", self.top + "/log", "-o",
                      f"-c listen_addresses= -k {self.top} -c shared_buffers=256MB -c fsync=off", "start")

    def stop(self):
        self.as_owner(f"{self.bin}/pg_ctl", "-D", self.top + "/data", "-m", "fast", "stop", expect=None)
        shutil.rmtree(self.top)

    def fill(self, n, blobs):
        rows = "".join(f"INSERT INTO delivered VALUES ({i + 1}, '\\x{sha}', '{path}', 100);\n"
                       for i, (path, sha) in enumerate(sorted(blobs.items())))
        make = ROWS.format(start=START, series=f"SELECT generate_series(0::bigint, {n - 1}) AS i")
        self.sql(f"""
CREATE TABLE org (id bigint PRIMARY KEY, name text);
CREATE TABLE account (id bigint PRIMARY KEY, org bigint, login text);
CREATE TABLE delivered (id bigint PRIMARY KEY, blob bytea NOT NULL, target text NOT NULL, size bigint, UNIQUE (blob, target));
CREATE TABLE granted (idx bigint PRIMARY KEY, time bigint NOT NULL, org bigint NOT NULL, account bigint NOT NULL,
 item bigint, node text NOT NULL, first bigint NOT NULL, last bigint NOT NULL, whole bigint NOT NULL);
CREATE TABLE ack (idx bigint PRIMARY KEY, granted bigint NOT NULL, time bigint, first bigint, acked bigint);
INSERT INTO org SELECT i, 'organisation ' || i FROM generate_series(1, {ORGS}) i;
INSERT INTO account SELECT 1000 + i, 1 + i % {ORGS}, 'user' || i FROM generate_series(0, {ACCOUNTS - 1}) i;
{rows}
INSERT INTO delivered SELECT i, sha256(i::text::bytea), 'p/0/' || i, 100 FROM generate_series({ASKED + 1}, {FILES}) i;
INSERT INTO granted {make};
INSERT INTO ack SELECT idx + 1, idx, time + 100000, 0, 100 FROM granted;
CREATE INDEX ON granted (item, time); CREATE INDEX ON granted (org, time); CREATE INDEX ON ack (granted);
VACUUM ANALYZE;""")

    def ask(self, blobs):
        listed = ", ".join(f"'\\x{sha}'" for sha in blobs.values())
        return len(self.sql(QUERY.format(blobs=listed)).out.splitlines())


def write_log(n, blobs):
    """As nginx would have written it."""
    paths = sorted(blobs)
    with gzip.open("access.log.gz", "wt", compresslevel=6) as log:
        for i in range(n):
            path = paths[i // 5882 % ASKED] if i % 5882 == 0 else f"p/0/{171 + i * 7919 % 29830}"
            log.write(f'10.{i % 5000 // 250}.{i % 250}.7 - user{i * 48271 % 5000} [17/Apr/2001:{i // 3600 % 24:02}:{i // 60 % 60:02}:'
                      f'{i % 60:02} +0200] "GET /d/{path} HTTP/1.0" 200 100 "-" "Updater/1.0"\n')
    write("paths", "".join(f"/d/{path} \n" for path in paths))


def compare(n):
    site = Site(f"site{n}", scan__engines="[yara, hashes, pe, unpack]")
    site.admit("files", product="p", version="1")
    blobs = fill(site, n)
    postgres = Postgres()
    works = {}
    with site.serve():
        digests = [word for sha in blobs.values() for word in ("--sha256", sha)]

        def cordon():
            return seconds(lambda: site.run("incident", "scope", *digests, "--json", seconds=600))
        scope = site.scope(*digests)
        found = len(scope["deliveries"])
        works["cordon incident scope"] = cordon
        if postgres.bin:
            postgres.start()
            postgres.fill(n, blobs)
            equal(postgres.ask(blobs), found, "deliveries by PostgreSQL")
            works["postgresql, psql"] = lambda: seconds(lambda: postgres.ask(blobs))
            works["  of which starting psql"] = lambda: seconds(lambda: postgres.sql("SELECT 1"))
        write_log(n, blobs)
        works["zgrep -F"] = lambda: seconds(lambda: run(["zgrep", "-c", "-F", "-f", "paths", "access.log.gz"], seconds=600))
        equal(int(run(["zgrep", "-c", "-F", "-f", "paths", "access.log.gz"], seconds=600).out), found, "lines by zgrep")
        got = in_turn(works)
        if postgres.bin:
            postgres.stop()
    size = os.path.getsize(site.file("cordon.db")) / 1e6
    print(f"{n:,} downloads ({size:,.0f} MB of cordon.db): {found} of {ASKED} files, "
          f"{len(scope['organisations'])} organisations")
    mine = middle(got["cordon incident scope"])
    for name, took in got.items():
        row(name, f"{middle(took) * 1000:,.0f} ms", f"{mine / middle(took):.2f}", f"±{spread(took):.0f} %")
    row("of cordon's time, starting the command", f"{middle([seconds(lambda: run([CORDON, 'version'])) for _ in range(5)]) * 1000:.0f} ms")
    shutil.rmtree(site.path)


def bench():
    for i in range(ASKED):
        filler(f"files/f{i:03}.bin", 100, seed=i)
    print(f"medians of {RUNS} runs in turn; second column: time of cordon / time of this")
    for n in [int(word) for word in sys.argv[1:]] or [1_000_000]:
        compare(n)


if __name__ == "__main__":
    in_folder(bench)
