#!/usr/bin/env python3
"""Writes test files: mkfixture.py NAME [OUT], or mkfixture.py --all DIR [STAMP]."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fixtures  # noqa: E402


def main(args):
    if len(args) >= 2 and args[0] == "--all":
        os.makedirs(args[1], exist_ok=True)
        for name, make in fixtures.ALL.items():
            with open(os.path.join(args[1], name), "wb") as f:
                f.write(make())
        if len(args) > 2:
            open(args[2], "w").close()
        return 0
    if len(args) in (1, 2) and args[0] in fixtures.ALL:
        out = open(args[1], "wb") if len(args) == 2 else sys.stdout.buffer
        with out:
            out.write(fixtures.ALL[args[0]]())
        return 0
    print(__doc__ + "\n" + " ".join(fixtures.ALL), file=sys.stderr)
    return 2


sys.exit(main(sys.argv[1:]))
