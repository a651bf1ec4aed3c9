#!/usr/bin/env python3
# needs: nginx
# time-out: 240
# alone
"""The story of April 2001, small: every number of its three acts has to match."""
import re

from cordontest import *


def april_2001_small():
    story = os.path.join(SOURCE, "tests", "replay", "april-2001")
    told = run([story, "--small", "--seed", "2001"], seconds=230)
    print(told.out)
    contains(told.out, " 0 did not match", "the summary")
    check(len(re.findall(r"^ *170 downloads of \d+ files by 26 organisations, 19 Apr", told.out, re.M)) == 2,
          "the story does not say 170 downloads by 26 organisations twice")


main(april_2001_small)
