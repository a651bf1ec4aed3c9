#!/usr/bin/env python3
"""serve.py - signed-in downloads from `cordon serve`, beside nginx sending the same files.

Both check the customer's password or token at every request and write down each download. nginx
writes a line into a log file and never waits for the disk; Cordon hashes what it sends, and answers
when the grant is on the disk. Cold: the kernel's cached pages are dropped and the server is new.

usage: serve.py [PATTERN]     only the lines that hold PATTERN; BENCH_RUNS=5
"""
import base64
import hashlib
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "tools"))
from common import *  # noqa: E402
from cordontest import Site, check, filler, free_port, start, until, write  # noqa: E402

# name, bytes, files, requests
SIZES = [("10 kB", 10_000, 200, 2000), ("1 MB", 1_000_000, 40, 400), ("64 MB", 64_000_000, 3, 12)]
CONF = """daemon off;
{user}worker_processes 2;
pid nginx.pid;
events {{ worker_connections 1024; }}
http {{
    log_format who '$msec $remote_addr $remote_user "$request" $status $body_bytes_sent "$http_user_agent"';
    access_log access.log who;
    client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
    keepalive_requests 1000000;
    sendfile on;
    tcp_nopush on;
    open_file_cache max=2000 inactive=1h;
    server {{
        listen 127.0.0.1:{port};
        root tree;
        auth_basic "updates";
        auth_basic_user_file htpasswd;
    }}
}}
"""


class Nginx:
    """The files of `tree`; the password in the cheapest form it knows, a bare SHA-1."""

    def __init__(self):
        self.port = free_port()
        secret = base64.b64encode(hashlib.sha1(b"secret").digest()).decode()
        write("nginx/htpasswd", "jane:{SHA}" + secret + "\n")
        write("nginx/nginx.conf", CONF.format(port=self.port, user="user root;\n" if os.geteuid() == 0 else ""))
        self.start()

    def start(self):
        self.child = start([program("nginx"), "-p", os.path.abspath("nginx"), "-c", "nginx.conf", "-e", "error.log"],
                           "nginx/out")

        def answers():
            check(self.child.poll() is None, "nginx ended; see its error.log")
            try:
                load(self.port, ["/d/bench/1.0/10-0.bin"], 1, 1, self.sign_in)
                return True
            except Exception:  # noqa: BLE001
                return False
        self.sign_in = "Basic " + base64.b64encode(b"jane:secret").decode()
        until("nginx answers", 20, answers)

    def again(self):
        self.child.terminate()
        self.child.wait()
        forget("nginx/tree")
        self.start()


class Cordon:
    def __init__(self, folder):
        self.site = Site("site", serve__account_rate=100000, serve__account_downloads=10000,
                         serve__hot_bytes="512M", scan__engines="[yara, hashes, pe, unpack]")
        self.site.admit(folder, product="bench", version="1.0")
        self.sign_in = "Bearer " + self.site.customer("acme", "bench", user="jane")
        self.server = self.site.serve()
        self.port = self.server.port

    def again(self):
        self.server.stop()
        forget(self.site.file("blobs"))
        self.server = self.site.serve()
        self.port = self.server.port


def make_files():
    for name, size, count, _ in SIZES:
        for i in range(count):
            filler(f"nginx/tree/d/bench/1.0/{name.split()[0]}-{i}.bin", size, seed=size + i)


def paths_of(name, count):
    return [f"/d/bench/1.0/{name.split()[0]}-{i}.bin" for i in range(count)]


def compare(label, nginx, cordon, work, unit, pattern):
    if pattern not in label:
        return
    got = in_turn({"nginx": lambda: work(nginx), "cordon": lambda: work(cordon)})
    value = {name: [(one["requests"] if unit == "/s" else one["bytes"] / 1e6) / one["seconds"] for one in runs]
             for name, runs in got.items()}
    a, b = middle(value["nginx"]), middle(value["cordon"])
    late = {name: middle([one["p50_ms"] for one in runs]) for name, runs in got.items()}
    row(label, f"{a:,.0f} {unit}", f"{b:,.0f} {unit}", f"{b / a:.3f}",
        f"{late['nginx']:.2f}", f"{late['cordon']:.2f}", f"±{spread(value['cordon']):.0f} %")


def bench():
    pattern = sys.argv[1] if len(sys.argv) > 1 else ""
    check(program("nginx") is not None, "nginx is not installed: apt-get install nginx-light")
    make_files()
    nginx, cordon = Nginx(), Cordon("nginx/tree/d/bench/1.0")
    print(f"downloads over loopback, medians of {RUNS} runs in turn")
    row("", "nginx", "cordon", "cordon/nginx", "nginx ms", "cordon ms", "spread")
    for name, _, count, requests in SIZES:
        paths = paths_of(name, count)
        for connections in [1, 8, 64] if requests > 100 else [1, 4]:
            n = requests if connections >= 8 or requests < 100 else requests // 8
            compare(f"{name}, hot, {connections} connections", nginx, cordon,
                    lambda peer, p=paths, c=connections, n=n: load(peer.port, p, c, n, peer.sign_in),
                    "/s" if name == "10 kB" else "MB/s", pattern)

        def cold(peer, p=paths, count=count):
            peer.again()
            return load(peer.port, p, min(4, count), count, peer.sign_in)
        compare(f"{name}, cold, each file once", nginx, cordon, cold, "/s" if name == "10 kB" else "MB/s", pattern)
    cordon.server.stop()


if __name__ == "__main__":
    in_folder(bench)
