"""client.py - one visit of python-tuf: refresh, then look each path up and download it.

usage: client.py STATE METADATA_URL TARGETS_URL ROOT_FILE FOLDER [PATH...]
STATE keeps what the client trusts between visits. One JSON line a path: {path, file} with file null when
there is no such target. A refusal ends with 1 and its reason as the last line on stderr.
"""
import json
import os
import sys

from tuf.ngclient import Updater


def visit(state, metadata, targets, root, folder, paths):
    os.makedirs(state, exist_ok=True)
    os.makedirs(folder, exist_ok=True)
    with open(root, "rb") as file:
        trusted = file.read()
    first = not os.path.exists(os.path.join(state, "root.json"))
    updater = Updater(metadata_dir=state, metadata_base_url=metadata, target_dir=folder, target_base_url=targets,
                      bootstrap=trusted if first else None)
    updater.refresh()
    for path in paths:
        info = updater.get_targetinfo(path)
        found = updater.download_target(info) if info is not None else None
        print(json.dumps({"path": path, "file": found}), flush=True)


try:
    visit(*sys.argv[1:6], sys.argv[6:])
except Exception as error:
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    sys.exit(1)
