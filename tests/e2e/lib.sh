# lib.sh - what end-to-end tests in shell share. A test begins so:
#
#     #!/bin/sh
#     . "$(dirname "$0")/lib.sh"
#     new_site
#     cordon admit setup.exe --product office --version 1.0
#     token=$(new_customer acme office jane)
#     serve
#     get /d/office/1.0/setup.exe "$token" >copy
#     same copy setup.exe "what was delivered"
#     stop
#
# The working directory is the test's own. The first thing that goes wrong ends the test; everything it
# started ends with it. tools/test.py sets PORT, CORDON, SOURCE and TMPDIR; by hand they have defaults.
# shellcheck shell=sh
set -eu

SOURCE=${SOURCE:-$(cd -- "$(dirname -- "$0")/../.." && pwd)}
CORDON=${CORDON:-$SOURCE/build/cordon}
if [ -z "${PORT:-}" ]; then
    PORT=$((20000 + $$ % 10000))
    cd -- "$(mktemp -d)"
fi
HERE=$PWD
SITE=$HERE/site
SERVER=
export CORDON_PASSPHRASE_FILE="$HERE/passphrase"
unset CORDON_SITE
(umask 077 && printf 'correct horse battery staple\n' >"$CORDON_PASSPHRASE_FILE")

fail() {
    printf 'FAIL: %s\n' "$*" >&2
    if [ -s "$HERE/serve.log" ]; then
        echo "--- the server's log ends:" >&2
        tail -n 30 "$HERE/serve.log" >&2
    fi
    exit 1
}

not_run() {
    printf '%s\n' "$*"
    exit 77
}

leave() {
    code=$?
    trap - EXIT
    if [ -n "$SERVER" ]; then
        kill -TERM "$SERVER" 2>/dev/null || true
        wait "$SERVER" 2>/dev/null || true
    fi
    exit "$code"
}
trap leave EXIT
trap 'exit 1' INT TERM HUP

# cordon ARGUMENT...: with the test's site, once there is one
cordon() {
    if [ -d "$SITE" ]; then
        "$CORDON" -C "$SITE" "$@"
    else
        "$CORDON" "$@"
    fi
}

# ends CODE COMMAND...: the command must end with this exit code; its output is in $HERE/out and err
ends() {
    want=$1
    shift
    got=0
    "$@" >"$HERE/out" 2>"$HERE/err" || got=$?
    if [ "$got" -ne "$want" ]; then
        cat "$HERE/out" "$HERE/err" >&2
        fail "$* ended with $got, not $want"
    fi
}

# field NAME: of each JSON line on stdin
field() {
    python3 -c 'import json, sys
for line in sys.stdin:
    value = json.loads(line).get(sys.argv[1])
    print(value if isinstance(value, str) else json.dumps(value))' "$1"
}

# same FILE FILE WHAT
same() {
    cmp -- "$1" "$2" >&2 || fail "$3: $1 and $2 differ"
}

# holds FILE TEXT WHAT: a fixed text in a file
holds() {
    grep -qF -e "$2" -- "$1" || {
        tail -n 40 -- "$1" >&2
        fail "$3: $1 does not hold \"$2\""
    }
}

new_site() {
    "$CORDON" init "$SITE" >"$HERE/init.log" 2>&1 || {
        cat "$HERE/init.log" >&2
        fail "cordon init $SITE"
    }
}

# new_customer ORGANISATION PRODUCT USER: prints the token
new_customer() {
    cordon org add "$1" --contact "it@$1.example" >/dev/null
    cordon org grant "$1" "$2" >/dev/null
    cordon account add --org "$1" "$3" --json | field token
}

# serve [OPTION...]: returns when /healthz answers
serve() {
    "$CORDON" -C "$SITE" serve --listen "127.0.0.1:$PORT" "$@" >>"$HERE/serve.log" 2>&1 &
    SERVER=$!
    tries=0
    until curl -fsS -o /dev/null "http://127.0.0.1:$PORT/healthz" 2>/dev/null; do
        kill -0 "$SERVER" 2>/dev/null || fail "serve ended before it answered"
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || fail "serve did not answer within 20 s"
        sleep 0.1
    done
}

# get PATH [TOKEN [curl option...]]: the body on stdout; fails unless the status is 2xx
get() {
    path=$1
    token=${2:-}
    shift
    [ $# -eq 0 ] || shift
    curl -fsS --max-time 60 ${token:+-H "Authorization: Bearer $token"} "$@" "http://127.0.0.1:$PORT$path"
}

# status PATH [TOKEN [curl option...]]: prints the status code; 000 when there was no answer
status() {
    path=$1
    token=${2:-}
    shift
    [ $# -eq 0 ] || shift
    curl -sS --max-time 60 -o "$HERE/body" -w '%{http_code}\n' ${token:+-H "Authorization: Bearer $token"} "$@" \
        "http://127.0.0.1:$PORT$path" 2>/dev/null || true
}

stop() {
    kill -TERM "$SERVER" 2>/dev/null || fail "the server is gone already"
    code=0
    wait "$SERVER" || code=$?
    SERVER=
    [ "$code" -eq 0 ] || fail "serve ended with $code after SIGTERM"
}
