#!/usr/bin/env python3
# needs: openssl
"""TLS, addresses behind a proxy, operators over the network, uploads by a build machine."""
from cordontest import *


def certificate():
    run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"])
    return write("both.pem", read("cert.pem") + read("key.pem"))


def tls():
    site = Site()
    file = filler("setup.exe", 3 << 20, seed=1)
    site.admit(file, product="office", version="1.0")
    token = site.customer("acme", "office")
    both = certificate()
    with site.serve("--tls-cert", both, tls=trust("cert.pem")) as server:
        answer = server.get("/d/office/1.0/setup.exe", token=token)
        equal((answer.status, answer.body), (200, read(file)), "over TLS")
        until("it is acknowledged", 5, lambda: site.holders("--sha256", sha256(read(file))) == {"acme": "confirmed"})
        with socket.create_connection(("127.0.0.1", server.port)) as plain:
            plain.settimeout(10)
            plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            got = b""
            with contextlib.suppress(OSError):
                got = plain.recv(1000)
            check(b"200 OK" not in got, "it answers without TLS")
        equal(server.get("/healthz").status, 200, "and still answers with it")
    for broken in (write("empty.pem", b""), write("noise.pem", os.urandom(500)), "cert.pem", "missing.pem"):
        error = site.run("serve", "--listen", f"127.0.0.1:{free_port()}", "--tls-cert", broken, expect=FAILED, seconds=20).err
        contains(error, os.path.basename(broken), "the error names the file")


def outside_needs_tls_or_a_proxy():
    site = Site()
    error = site.run("serve", "--listen", f"0.0.0.0:{free_port()}", expect=FAILED).err
    contains(error, "--tls-cert", "what to do")
    contains(error, "--behind-proxy", "what to do")
    for wrong in ("nonsense", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:x"):
        site.run("serve", "--listen", wrong, expect=(USAGE, FAILED), seconds=20)
    site.run("serve", "--listen", f"127.0.0.1:{free_port()}", "--behind-proxy", "nonsense", expect=(USAGE, FAILED))


def addresses_behind_a_proxy():
    site = Site()
    file = filler("setup.exe", 3000, seed=1)
    site.admit(file, product="office", version="1.0")
    token = site.customer("acme", "office")

    def recorded(server, forwarded, source="127.0.0.1"):
        before = len(site.events("grant"))
        headers = {"X-Forwarded-For": forwarded} if isinstance(forwarded, str) else forwarded or {}
        equal(server.get("/d/office/1.0/setup.exe", token=token, headers=headers, address=source).status, 200,
              f"with {forwarded}")
        grants = site.events("grant")
        equal(len(grants), before + 1, "grants")
        return json.dumps(grants[-1])

    with site.serve() as server:
        check("203.0.113.9" not in recorded(server, "203.0.113.9"), "a header is believed without a proxy")
    with site.serve("--behind-proxy", "127.0.0.1/32") as server:
        contains(recorded(server, "203.0.113.9"), "203.0.113.9", "the client that the proxy names")
        contains(recorded(server, "198.51.100.1, 203.0.113.9"), "203.0.113.9", "the last that no client could write")
        check("198.51.100.1" not in recorded(server, "198.51.100.1, 203.0.113.9"), "what a client could write")
        two = {"X-Forwarded-For": "198.51.100.1", "x-forwarded-for": "203.0.113.9"}
        contains(recorded(server, two), "203.0.113.9", "a proxy that adds a line of its own")
        check("198.51.100.1" not in recorded(server, two), "the line that a client could write")
        contains(recorded(server, "2001:db8::7"), "2001:db8::7", "IPv6")
        contains(recorded(server, None), "127.0.0.1", "none")
        for odd in ("nonsense", "", ",,,", "203.0.113.9" * 100, "1.2.3.4\t", '"; DROP TABLE'):
            check("DROP" not in recorded(server, odd), f"{odd[:20]!r} as an address")
        check("203.0.113.9" not in recorded(server, "203.0.113.9", source="127.0.0.2"),
              "a peer that is not the proxy is believed")


def operators_sign_their_requests():
    site = Site()
    file = filler("setup.exe", 3000, seed=1)
    with site.serve() as server:
        site.admit(file, product="office", version="1.0")
        keys = {role: secret_of(site.json("operator", "add", role, "--role", role)[-1])
                for role in ("build", "release", "responder")}
        ask = {"what": "office/1.0/setup.exe", "reason": "test"}

        def status(role, op, body=None, **options):
            return signed(server, keys[role], "POST", "/api/v1/" + op, body or {}, **options).status

        equal(status("release", "release.list"), 200, "a good request")
        equal(status("responder", "incident.scope", {"targets": ["office/1.0/setup.exe"]}), 200, "a responder's scope")
        equal(status("build", "recall", ask), 403, "build may not recall")
        equal(status("responder", "recall", ask), 403, "a responder may not recall")
        equal(status("build", "incident.scope", ask), 403, "build may not ask who has it")
        equal(status("release", "operator.add", {"name": "x", "role": "release", "public": "0" * 64}), 404,
              "nobody adds operators over the network")
        for role in keys:
            equal(status(role, "key.rotate", {"role": "root"}), 404, "nobody rotates keys over the network")

        equal(status("release", "withhold", ask, skew=-360), 403, "six minutes old")
        equal(status("release", "withhold", ask, skew=360), 403, "six minutes ahead")
        equal(status("release", "withhold", ask, tamper="body"), 403, "another body")
        equal(status("release", "withhold", ask, tamper="path"), 403, "another path")
        equal(status("release", "withhold", ask, tamper="name"), 403, "another name")
        equal(status("release", "withhold", ask, tamper="signature"), 403, "a wrong signature")
        equal(server.request("POST", "/api/v1/withhold", body=json.dumps(ask)).status in (401, 403), True, "unsigned")
        equal(site.target("office/1.0/setup.exe")["state"], "published", "state after all that")

        nonce = os.urandom(16).hex()
        equal(status("release", "withhold", ask, nonce=nonce), 200, "signed and new")
        equal(site.target("office/1.0/setup.exe")["state"], "withheld", "state")
        equal(status("release", "lift", ask), 200, "lifted again")
        equal(status("release", "withhold", ask, nonce=nonce), 403, "the same nonce again")
        equal(site.target("office/1.0/setup.exe")["state"], "published", "a replay changes nothing")
        check("release" in json.dumps(site.events("withheld")[-1]), "the event names the operator")

        equal(status("release", "no.such.thing"), 404, "an unknown operation")
        equal(signed(server, keys["release"], "POST", "/api/v1/release.show", b"[1,2]").status, 400, "no object")
        equal(signed(server, keys["release"], "POST", "/api/v1/release.show", b"{\"product\":").status, 400, "cut JSON")
        equal(signed(server, keys["release"], "POST", "/api/v1/release.show", b"[" * 100_000).status in (400, 413),
              True, "deep JSON")
        equal(signed(server, keys["release"], "POST", "/api/v1/release.show", b"{\"product\": \"a\\u0000b\"}").status,
              400, "a NUL in a name")
        equal(signed(server, keys["release"], "POST", "/api/v1/release.show", b" " * (2 << 20)).status, 413,
              "a body above the limit")


def a_replay_after_a_restart():
    """The memory of nonces is not on the disk; what was signed before the start must still not count."""
    site = Site()
    with site.serve() as server:
        site.admit(filler("setup.exe", 3000, seed=1), product="office", version="1.0")
        key = secret_of(site.json("operator", "add", "maria", "--role", "release")[-1])
        ask = {"what": "office/1.0/setup.exe", "reason": "test"}
        request = sign_request(key, "POST", "/api/v1/withhold", json.dumps(ask).encode())
        equal(server.request("POST", "/api/v1/withhold", body=json.dumps(ask), headers=request).status, 200, "first")
        site.run("lift", "office/1.0/setup.exe", "--reason", "test")
    with site.serve() as server:
        equal(server.request("POST", "/api/v1/withhold", body=json.dumps(ask), headers=request).status, 403,
              "the same request after a restart")


def a_build_machine_uploads():
    site = Site()
    folder = os.path.abspath("out")
    write("out/bin/setup.exe", pe_file(1))
    write("out/readme.txt", "hello\n")
    filler("out/large.bin", 20 << 20, seed=2)
    with site.serve() as server:
        key = site.json("operator", "add", "ci", "--role", "build")[-1]
        token_file = write("ci.key", secret_text(key) + "\n")
        to = ("--to", server.url(""), "--token-file", token_file)
        results = cordon("admit", folder, "--product", "office", "--version", "1.0", *to, "--json").objects
        equal({one["target"]: one["published"] for one in results if "target" in one},
              {f"office/1.0/{name}": True for name in ("bin/setup.exe", "readme.txt", "large.bin")}, "uploaded")
        token = site.customer("acme", "office")
        equal(server.get("/d/office/1.0/large.bin", token=token).body, read("out/large.bin"), "and delivered")
        admitted = [event for event in site.events("admitted") if event["site"]["path"].endswith("setup.exe")][-1]
        equal(admitted["site"]["who"], "ci", "who admitted it")
        # one infected file
        write("bad/eicar.com", eicar())
        results = cordon("admit", os.path.abspath("bad"), "--product", "office", "--version", "1.1", *to, "--json",
                         expect=FOUND).objects
        equal([one["verdict"] for one in results if "verdict" in one], ["malicious"], "an infected upload")
        # wrong secrets, a responder's secret, no server
        wrong = write("wrong.key", secret_text(key)[:-4] + "0000\n")
        cordon("admit", folder, "--product", "office", "--version", "1.2", "--to", server.url(""), "--token-file", wrong,
               expect=FAILED)
        responder = write("responder.key", secret_text(site.json("operator", "add", "r", "--role", "responder")[-1]))
        cordon("admit", folder, "--product", "office", "--version", "1.2", "--to", server.url(""), "--token-file",
               responder, expect=FAILED)
        cordon("admit", folder, "--product", "office", "--version", "1.2", "--to", f"http://127.0.0.1:{free_port()}",
               "--token-file", token_file, expect=FAILED)
        check(not [one for one in site.events("published") if "/1.2/" in json.dumps(one)], "something of 1.2 is out")


main(tls, outside_needs_tls_or_a_proxy, addresses_behind_a_proxy, operators_sign_their_requests,
     a_replay_after_a_restart, a_build_machine_uploads)
