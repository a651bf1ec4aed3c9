#!/usr/bin/env python3
"""Files and names that cannot be admitted, and files that change meanwhile."""
import threading

from cordontest import *


def refusal(site, *paths, options=(), expect=FOUND):
    """Everything `admit` said, as one text."""
    done = site.run("admit", *paths, "--product", "office", "--version", "1.0", *options, "--json", expect=expect)
    done.objects  # each line is an object
    check(not any(one.get("published") for one in done.objects), f"something was published: {done.out}")
    return done.out + done.err


def odd_names():
    site = Site()
    folder = os.path.abspath("in")
    with site.serve():
        cases = {"space": "a b.bin", "newline": "a\nb.bin", "hidden": ".hidden", "accent": "café.bin", "quote": "a'b\".bin",
                 "escape": "a\x1b[31mb", "dash and dots": "a..b/..c", "percent": "a%2fb", "colon": "a:b", "long": "n" * 255}
        for what, name in cases.items():
            filler(os.path.join(folder, what, name), 100, seed=1)
            said = refusal(site, os.path.join(folder, what)) if what not in ("long",) else ""
            check("\x1b" not in said and said.count("\n") <= 3, f"{what}: raw bytes in {said!r}")
            if what == "hidden":
                contains(said, "dot", f"{what}: the reason")
        os.makedirs(os.path.join(folder, "latin"), exist_ok=True)
        with open(os.fsencode(os.path.join(folder, "latin")) + b"/caf\xe9.bin", "wb") as file:
            file.write(b"x" * 100)
        refusal(site, os.path.join(folder, "latin"))
        # a path of 4,096 characters, in folders
        deep = folder
        os.makedirs(deep, exist_ok=True)
        here = os.getcwd()
        os.chdir(deep)
        for _ in range(16):
            os.mkdir("d" * 250)
            os.chdir("d" * 250)
        with open("file.bin", "wb") as file:
            file.write(b"x" * 100)
        os.chdir(here)
        said = refusal(site, os.path.join(folder, "d" * 250), expect=(FOUND, FAILED))
        check("long" in said or "1024" in said or "1,024" in said, f"a name of 4,096 characters: {said[:500]}")
        equal(site.events("published"), [], "published after all")


def a_suggested_name_is_taken_when_asked():
    site = Site()
    with site.serve() as server:
        file = filler("in/My Setup (1).exe", 100, seed=1)
        said = refusal(site, os.path.abspath("in"))
        results = site.admit(os.path.abspath("in"), product="office", version="1.0", options=("--rename",))
        target = results[0]["target"]
        check(results[0]["published"] and " " not in target, f"{results}")
        contains(said, target.split("/")[-1], "the refusal suggests the name that --rename takes")
        token = site.customer("acme", "office")
        equal(server.get("/d/" + target, token=token).body, read(file), "delivered under it")


def names_that_differ_only_by_case():
    site = Site()
    with site.serve():
        filler("in/Setup.exe", 100, seed=1)
        filler("in/setup.exe", 100, seed=2)
        results = site.admit(os.path.abspath("in"), product="office", version="1.0", expect=FOUND)
        equal(sorted(one["published"] for one in results), [False, True], "one of two")
        contains(json.dumps(results), "case", "the reason")
        results = site.admit(filler("later/SETUP.EXE", 100, seed=3), product="office", version="1.0", expect=FOUND)
        equal(results[0]["published"], False, "a later one")
        results = site.admit(filler("later/setup.exe", 100, seed=4), product="Office", version="1.0", expect=FOUND)
        equal(results[0]["published"], False, "a product that differs only by case")


def products_and_versions():
    site = Site()
    file = filler("x.bin", 10, seed=1)
    with site.serve():
        for product, version in (("", "1.0"), ("office", ""), ("..", "1.0"), ("office", ".."), ("a/b", "1.0"),
                                 ("office", "1/0"), ("latest", ".hidden"), ("off ice", "1.0"), ("office", "1.0\n"),
                                 ("n" * 5000, "1.0"), ("café", "1.0"), ("recall", "1.0"), ("office", "latest")):
            done = site.run("admit", file, f"--product={product}", f"--version={version}", "--json", expect=None)
            check(done.code in (FOUND, USAGE), f"{product[:20]!r} {version!r}: exit code {done.code}\n{done.out}{done.err}")
            check(not any(one.get("published") for one in done.objects), f"{product[:20]!r} {version!r} was published")
            check("published" in done.out or "error" in done.out, f"{product[:20]!r} {version!r}: nothing said")
        site.run("admit", file, "--product", "office", expect=USAGE)
        site.run("admit", "--product", "office", "--version", "1.0", expect=USAGE)
        site.run("admit", file, "--product", "office", "--version", "1.0", "--hold", "soon", expect=USAGE)
        site.run("admit", file, "--product", "office", "--version", "1.0", "--no-such-option", expect=USAGE)
        error = site.json("admit", "missing.bin", "--product", "office", "--version", "1.0", expect=FAILED)[-1]
        check(error.get("error") and "missing.bin" in error["path"] and error["message"], f"{error}")


def what_no_command_would_send():
    """Straight to the gate: names that climb, a NUL, wrong descriptors, frames that are no frames."""
    site = Site()
    with site.serve() as server:
        file = open(filler("x.bin", 1000, seed=1), "rb")
        control = site.control()
        begun = control.call("admit.begin", product="office", version="1.0")
        batch = begun["batch"]
        for name in ("../../etc/passwd", "..", ".", "", "/etc/passwd", "a//b", "a/../b", "a/./b", "a\0b", "a\nb", "a\\b",
                     "x" * 4096, "caf\u00e9", "\ud800", ".dot", "CON\u202eexe", "a/", "a" * 1025, 7, None, [], {}):
            answer = control.call("admit.files", [file.fileno()], batch=batch, files=[{"path": name, "source": "x"}])
            if answer is None:  # a frame that is no JSON ends the connection
                control = site.control()
                batch = control.call("admit.begin", product="office", version="1.0")["batch"]
                continue
            results = answer.get("results", [])
            check("error" in answer or not any(one["published"] or one["verdict"] == "clean" and not one.get("reason")
                                               for one in results), f"{name!r}: {answer}")
        for files, descriptors in (([], [file.fileno()]), ([{"path": "a", "source": "a"}], []),
                                   ("nonsense", [file.fileno()]), ([7], [file.fileno()])):
            answer = control.call("admit.files", descriptors, batch=batch, files=files)
            check("error" in answer or answer["results"][0]["state"] == "refused",
                  f"{files} with {len(descriptors)} descriptors: {answer}")
        control.close()
        control = site.control()
        check("error" in control.call("admit.files", batch=999, files=[]), "a batch that is not there")
        check("error" in control.call("admit.end", batch="x"), "a batch that is no number")
        check("error" in control.call("no.such.op"), "an unknown operation")
        check(control.call("admit.begin", product="a\0b", version="1.0") is None, "a NUL ends the connection")
        control = site.control()
        folder = os.open(".", os.O_RDONLY)
        batch = control.call("admit.begin", product="office", version="1.0")["batch"]
        answer = control.call("admit.files", [folder], batch=batch, files=[{"path": "f", "source": "f"}])
        check("clean" not in json.dumps(answer), f"a folder as a file: {answer}")
        reader, writer = os.pipe()
        answer = control.call("admit.files", [reader], batch=batch, files=[{"path": "p", "source": "p"}])
        check("clean" not in json.dumps(answer), f"a pipe as a file: {answer}")
        os.close(reader)
        os.close(writer)
        control.close()
        for frame in (b"", b"\0" * 12, b"\xff" * 12, os.urandom(4096), struct.pack(">IHHI", 5, 1, 0, 1) + b"[1,2]",
                      struct.pack(">IHHI", 4, 1, 3, 1) + b"{}  ", struct.pack(">IHHI", 1 << 30, 1, 0, 1) + b"{}",
                      struct.pack(">IHHI", 100_000, 1, 0, 1) + b"[" * 100_000):
            odd = site.control()
            with contextlib.suppress(OSError):
                odd.socket.sendall(frame)
                odd.socket.shutdown(socket.SHUT_WR)
                odd.receive()
            odd.close()
        equal(server.get("/healthz").status, 200, "the server answers")
        check(site.admit(file.name, product="office", version="1.0")[0]["published"], "and admits")
        equal(len(server.processes()) >= 6, True, "all its processes live")
        check("serve.died" not in server.log_text(), f"a process died:\n{server.log_text()[-2000:]}")


def what_is_no_file():
    """Symbolic links, pipes and devices are named and skipped; the rest goes out."""
    site = Site()
    with site.serve():
        filler("in/good.bin", 100, seed=1)
        os.symlink("/etc/passwd", "in/link")
        os.symlink("good.bin", "in/near")
        os.symlink(".", "in/loop")
        os.mkfifo("in/pipe")
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind("in/socket")
        with contextlib.suppress(OSError):
            os.mknod("in/device", 0o600 | 0o020000, os.makedev(1, 3))
        done = site.run("admit", os.path.abspath("in"), "--product", "office", "--version", "1.0", expect=(DONE, FAILED))
        for name in ("link", "near", "loop", "pipe", "socket"):
            contains(done.out + done.err, name, "skipped by name")
        equal([event["open"]["path"] for event in site.events("published")], ["office/1.0/good.bin"], "published")


def a_file_that_changes_while_it_is_admitted():
    """What is published is one moment of the file, all of it inspected; or it is refused."""
    site = Site()
    file = os.path.abspath("moving.bin")
    state = {"run": True, "seen": set()}
    marker = b"a marker of this test"
    clean, marked = b"a" * (4 << 20), marker + b" " * 100
    write(site.file("rules", "yara", "marker.yar"),
          'rule marker { strings: $a = "a marker of this test" condition: $a }\n')

    def mover():
        number = 0
        while state["run"]:
            number += 1
            with open(file, "r+b") as out:
                out.write((clean if number % 2 else marked + clean[len(marked):]))
                if number % 3 == 0:
                    out.truncate(len(clean) // 2)
            time.sleep(0.03 * (number % 5))

    write(file, clean)
    thread = threading.Thread(target=mover)
    thread.start()
    try:
        with site.serve() as server:
            token = site.customer("acme", "office")
            for number in range(12):
                done = site.run("admit", file, "--product", "office", "--version", str(number), "--json",
                                expect=(DONE, FOUND, FAILED))
                state["seen"].add(done.code)
                answer = server.get(f"/d/office/{number}/moving.bin", token=token)
                if done.code == DONE:
                    equal(answer.status, 200, "it was admitted")
                    equal(sha256(answer.body), done.objects[-1]["sha256"], "what was scanned is what is sent")
                    check(marker not in answer.body, "what was sent was not what was scanned")
                else:
                    equal(answer.status, 404, "it was refused")
                    contains(done.out + done.err, "moving.bin", "the refusal names it")
    finally:
        state["run"] = False
        thread.join()
    print(f"     exit codes {state['seen']}", flush=True)


main(odd_names, a_suggested_name_is_taken_when_asked, names_that_differ_only_by_case, products_and_versions,
     what_no_command_would_send, what_is_no_file, a_file_that_changes_while_it_is_admitted)
