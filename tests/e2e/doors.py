#!/usr/bin/env python3
"""Every way to a file passes the same door: who may fetch what, and what of it is recorded (P1, P3)."""
import urllib.parse

from cordontest import *


def shop(**settings):
    """A site with three products, and a customer of the first."""
    site = Site(**settings)
    file = filler("setup.exe", 300_000, seed=1)
    with_server = site.serve()
    for product in ("office", "private-fix", "reader"):
        site.admit(file if product == "office" else filler(f"{product}.bin", 5000, seed=len(product)),
                   product=product, version="1.0")
    site.run("product", "set", "private-fix", "--access", "private")
    site.run("product", "set", "reader", "--access", "anyone")
    return site, with_server, file, site.customer("acme", "office", user="jane")


def who_may_fetch():
    site, started_server, file, token = shop()
    with started_server as server:
        path = "/d/office/1.0/setup.exe"
        answer = server.get(path, token=token)
        equal((answer.status, answer.body), (200, read(file)), "with its token")
        equal(server.get(path, token=token, user="jane").body, read(file), "as HTTP Basic")
        equal(server.get(path, token=token, user="john").status, 401, "another's user name")
        for what, secret in (("no", None), ("a wrong", "0" * 64), ("a short", "abc"), ("an odd", "\"' OR 1=1 --"),
                             ("a long", "f" * 6000)):
            answer = server.get(path, token=secret)
            equal(answer.status, 401, f"{what} token on a published address")
            contains(answer.headers.get("WWW-Authenticate", ""), "Basic", "the question for a name")
            check(read(file)[:64] not in answer.body, "no byte of the file")
        equal(server.get("/d/office/1.0/nothing.exe", token=token).status, 404, "a file that is not there")
        equal(server.get("/d/private-fix/1.0/private-fix.bin", token=token).status, 403, "a product not granted")
        equal(server.get("/d/private-fix/1.0/private-fix.bin").status, 401, "private, without token")
        equal(server.get("/d/reader/1.0/reader.bin").body, read("reader.bin"), "a product for anyone")
        digest = sha256(read(file))
        equal(server.get(f"/targets/office/1.0/{digest}.setup.exe").status, 401, "the TUF path asks too")
        equal(server.get(f"/targets/office/1.0/{digest}.setup.exe", token=token).body, read(file), "the TUF path")
        equal(server.get("/targets/office/1.0/" + "0" * 64 + ".setup.exe", token=token).status, 404,
              "a TUF path with another digest")

        site.run("account", "disable", "--org", "acme", "jane")
        equal(server.get(path, token=token).status, 401, "a disabled account's token")
        other = site.account("acme", "june")
        equal(server.get(path, token=other).status, 200, "the organisation's next account")
        site.run("org", "grant", "acme", "private-fix")
        equal(server.get("/d/private-fix/1.0/private-fix.bin", token=other).status, 200, "after the grant")

        anonymous = [event for event in site.events("grant") if "reader" in json.dumps(event)]
        check(anonymous, "a download by anyone is recorded")
        contains(json.dumps(anonymous[-1]), "127.0.0.1", "with its address")


def a_token_in_an_address_is_refused():
    site, started_server, file, token = shop()
    with started_server as server:
        for query in (f"?token={token}", f"?access_token={token}", f"?{token}", f"?x=1&auth={token}"):
            answer = server.get("/d/office/1.0/setup.exe" + query)
            equal(answer.status, 400, f"a token in {query[:14]}")
            contains(answer.text.lower(), "authorization", "the advice")
            check(token not in answer.text, "the answer does not repeat the token")
        check(token not in server.log_text(), "the server's log does not hold the token")


def odd_addresses():
    site, started_server, file, token = shop()
    with started_server as server:
        for path in ("/d/office/1.0/../../../../etc/passwd", "/d/office/1.0/%2e%2e/%2e%2e/keys/kek",
                     "/targets/../cordon.yaml", "/log/../keyring", "/metadata/%2e%2e/keyring", "/log//etc/passwd",
                     "/d/office/1.0/setup.exe%00.txt", "/d/office/1.0/setup%0a.exe", "/d/office//setup.exe",
                     "/d/office/1.0/" + "a" * 4096, "/d/" + "a/" * 500, "/d/office/1.0/caf%e9.exe",
                     "/d/office/1.0/.hidden", "/d/office/1.0/SETUP.EXE", "/d/office", "/d/", "/d",
                     "/d/office/latest/../1.0/setup.exe", "//d/office/1.0/setup.exe", "/d/office/1.0/setup.exe/"):
            answer = server.get(path, token=token)
            check(answer.status in (400, 404, 414), f"{path[:60]}: {answer.status}")
            check(read(file)[:64] not in answer.body and b"root:" not in answer.body, f"{path[:60]} leaks")
        equal(server.request("DELETE", "/d/office/1.0/setup.exe", token=token).status, 405, "DELETE")
        equal(server.request("POST", "/d/office/1.0/setup.exe", token=token, body=b"x" * 100_000).status, 405, "POST")
        for garbage in (b"\r\n" * 50, b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01" + b"\0" * 300, b"GET / HTTP/9.9\r\n\r\n",
                        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
                        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n"):
            with socket.create_connection(("127.0.0.1", server.port)) as raw:
                raw.settimeout(5)
                with contextlib.suppress(OSError):
                    raw.sendall(garbage)
                    raw.shutdown(socket.SHUT_WR)
                    while raw.recv(65536):
                        pass
        equal(server.get("/d/office/1.0/setup.exe", token=token).status, 200, "afterwards it serves")
        check(server.child.poll() is None, "the server runs")


def parts_of_a_file():
    site, started_server, _, token = shop()
    with started_server as server:
        size = 5 << 20
        file = filler("large.bin", size, seed=3)
        site.admit(file, product="office", version="2.0")
        data, path = read(file), "/d/office/2.0/large.bin"

        head = server.request("HEAD", path, token=token)
        equal((head.status, head.headers["Content-Length"], head.body), (200, str(size), b""), "HEAD")
        contains(head.headers.get("Cache-Control", ""), "private, no-store", "HEAD's Cache-Control")
        etag = head.headers["ETag"]
        equal(server.get(path, token=token, headers={"If-None-Match": etag}).status, 304, "If-None-Match")
        equal(server.get(path, token=token, headers={"If-None-Match": '"x", ' + etag}).status, 304, "in a list")
        equal(server.get(path, token=token, headers={"If-None-Match": '"other"'}).status, 200, "another ETag")
        equal(server.get(path, headers={"If-None-Match": etag}).status, 401, "304 needs the same rights")
        equal(server.request("HEAD", path).status, 401, "HEAD needs the same rights")

        for ask, first, last in (("bytes=0-0", 0, 0), ("bytes=100-199", 100, 199), ("bytes=-5", size - 5, size - 1),
                                 (f"bytes={size - 1}-", size - 1, size - 1), ("bytes=3000000-9999999999", 3000000, size - 1)):
            answer = server.get(path, token=token, headers={"Range": ask})
            equal((answer.status, answer.body), (206, data[first:last + 1]), ask)
            equal(answer.headers["Content-Range"], f"bytes {first}-{last}/{size}", ask)
        answer = server.get(path, token=token, headers={"Range": f"bytes={size}-"})
        equal((answer.status, answer.headers["Content-Range"]), (416, f"bytes */{size}"), "behind the end")
        for several in ("bytes=0-1,4-5", "bytes=0-1, -1", "lines=1-2", "bytes=5-2", "bytes=a-b"):
            answer = server.get(path, token=token, headers={"Range": several})
            check(answer.status == 200 and answer.body == data, f"Range: {several} gets all of it, not {answer.status}")
        answer = server.get(path, token=token, headers={"Range": "bytes=0-9", "If-Range": '"other"'})
        check(answer.status == 200 and answer.body == data, "If-Range of another file gets all of it")
        answer = server.get(path, token=token, headers={"Range": "bytes=0-9", "If-Range": etag})
        equal((answer.status, answer.body), (206, data[:10]), "If-Range of this file")


def what_is_recorded():
    site, started_server, _, token = shop()
    with started_server as server:
        file = filler("large.bin", 4 << 20, seed=3)
        site.admit(file, product="office", version="2.0")
        path = "/d/office/2.0/large.bin"

        def grants():
            return len([event for event in site.events("grant") if "large.bin" in json.dumps(event)])

        def part(first, last):
            answer = server.get(path, token=token, headers={"Range": f"bytes={first}-{last}"})
            equal((answer.status, answer.body), (206, read(file)[first:last + 1]), f"{first}-{last}")

        equal(grants(), 0, "grants before")
        server.request("HEAD", path, token=token)
        server.get(path, token=token, headers={"Range": "bytes=99999999-"})
        server.get(path, headers={"Range": "bytes=1-2"})
        equal(grants(), 0, "grants of what sends no byte")
        part(10, 20)
        equal(grants(), 1, "grants of a first range")
        for i in range(40):
            part(i * 1000, i * 1000 + 10)
        equal(grants(), 1, "grants of ranges inside the same chunk")
        part(1 << 20, (1 << 20) + 5)
        equal(grants(), 2, "grants of a range in the next chunk")
        part((1 << 20) - 5, (1 << 20) + 5)
        equal(grants(), 2, "grants of a range over two granted chunks")
        for i in range(3):
            server.get(path, token=token)
            equal(grants(), 3 + i, "each whole request is a grant of its own")
        part(10, 20)
        equal(grants(), 5, "a range inside a whole one")
        other = site.account("acme", "june")
        server.get(path, token=other, headers={"Range": "bytes=10-20"})
        equal(grants(), 6, "another account's range")
        site.become({"acme": "confirmed"}, "--sha256", sha256(read(file)))


def holders_are_derived():
    """Two accounts of one organisation, each with a half: the organisation holds the file."""
    site, started_server, _, token = shop()
    with started_server as server:
        file = filler("large.bin", 4 << 20, seed=3)
        digest = sha256(read(file))
        site.admit(file, product="office", version="2.0")
        path = "/d/office/2.0/large.bin"
        halves = {"Range": "bytes=0-2097151"}, {"Range": "bytes=2097152-4194303"}
        equal(site.holders("--sha256", digest), {}, "nobody at first")
        server.get(path, token=token, headers=halves[0])
        equal(site.holders("--sha256", digest), {"acme": "partial"}, "after half of it")
        second = site.account("acme", "june")
        server.get(path, token=second, headers=halves[1])
        until("both halves are acknowledged", 5, lambda: site.holders("--sha256", digest) == {"acme": "confirmed"})
        # one that never reads what it asked for
        third = site.customer("zenith", "office")
        slow = server.slow(path, third)
        slow.close()
        site.become({"acme": "confirmed", "zenith": "possible"}, "--sha256", digest)  # one that left
        scope = site.scope("--sha256", digest)
        equal({row["account"] for row in scope["deliveries"]} >= {"jane", "june"}, True, "accounts of the scope")
        equal(site.holders("--target", "office/2.0/large.bin", "--org", "zenith"), {"zenith": "possible"}, "by target")
        equal(site.holders("--sha256", digest, "--from", "2100-01-01"), {}, "in a window without downloads")


def latest_is_the_newest_version_that_can_be_had():
    site, started_server, file, token = shop()
    with started_server as server:
        newer = filler("setup.exe", 10_000, seed=77)
        first = server.get("/d/office/latest/setup.exe", token=token)
        equal(first.status, 200, "latest of one version")
        site.admit(newer, product="office", version="1.1")
        equal(server.get("/d/office/latest/setup.exe", token=token).body, read(newer), "latest of two")
        equal(server.get("/d/office/latest/setup.exe").status, 401, "latest needs the same rights")
        site.run("recall", "office/1.1/setup.exe", "--reason", "test")
        equal(server.get("/d/office/latest/setup.exe", token=token).body, first.body, "latest after a recall")
        equal(server.get("/d/nothing/latest/setup.exe", token=token).status, 404, "latest of no product")


main(who_may_fetch, a_token_in_an_address_is_refused, odd_addresses, parts_of_a_file, what_is_recorded,
     holders_are_derived, latest_is_the_newest_version_that_can_be_had)
