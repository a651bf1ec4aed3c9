#!/bin/sh
# log_go.sh - logs of many sizes are verified by Go's note and tlog packages, and a changed byte in
# any kind of file is refused by them. Skips without Debian's golang-go and golang-golang-x-mod-dev.
set -eu
: "${SOURCE:=$(cd "$(dirname "$0")/../.." && pwd)}"
mklog=${MKLOG:-$SOURCE/build/tests/tools/mklog}
work=$(mktemp -d "${TMPDIR:-/tmp}/log_go.XXXXXX")
trap 'rm -rf "$work"' EXIT

# Another Go in front of PATH may no longer take GO111MODULE=off; Debian's does.
go=
for try in /usr/lib/go-1.19/bin/go /usr/lib/go/bin/go /usr/bin/go; do
    [ -x "$try" ] && go=$try && break
done
if [ -z "$go" ] || [ ! -d /usr/share/gocode/src/golang.org/x/mod/sumdb/tlog ]; then
    echo "needs Debian's golang-go and golang-golang-x-mod-dev"
    exit 77
fi
unset GOROOT
export GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE="$work/cache" GOFLAGS='' GOTOOLCHAIN=local
(cd "$SOURCE/tests/e2e/gocheck" && "$go" build -o "$work/gocheck" main.go)

fail() {
    echo "log_go: $*"
    exit 1
}

# Each log grows through the sizes; Go checks the last and that it grew from each before.
good() {
    every=$1
    shift
    rm -rf "$work"/log*
    vkey=$("$mklog" "$work/log" "$@")
    old=
    for size in "$@"; do
        old="$old -old $work/log.checkpoint.$size"
        last=$size
    done
    # shellcheck disable=SC2086 # a list of options
    said=$("$work/gocheck" -vkey "$vkey" $old -proof "$work/log.tlog-proof" -every "$every" "$work/log") ||
        fail "sizes $*"
    case $said in
    "$last entries, "*": good") echo "$said" ;;
    *) fail "sizes $*: $said" ;;
    esac
}

good 1 1
good 1 1 2 3 7 8
good 1 255 256 257
good 1 100 200 300 512 513 1000
good 97 65535 65536 65537 70000

# The last log, with one byte changed in each kind of file: Go has to notice.
for file in checkpoint tile/0/000 tile/0/273.p/112 tile/1/000 tile/1/001.p/17 tile/2/000.p/1 \
    tile/entries/000 tile/entries/273.p/112; do
    cp "$work/log/$file" "$work/kept"
    at=$(($(stat -c %s "$work/kept") / 2))
    byte=$(od -An -tu1 -j "$at" -N 1 "$work/kept" | tr -d ' ')
    # shellcheck disable=SC2059 # the format is the byte
    printf "\\$(printf %o $((byte ^ 1)))" | dd of="$work/log/$file" bs=1 seek="$at" conv=notrunc status=none
    cmp -s "$work/kept" "$work/log/$file" && fail "$file was not changed"
    if "$work/gocheck" -vkey "$vkey" -every 997 "$work/log" >"$work/out" 2>&1; then
        fail "a changed $file was taken"
    fi
    cp "$work/kept" "$work/log/$file"
done
"$work/gocheck" -vkey "$vkey" -every 9973 "$work/log" >/dev/null || fail "the healed log"

# A checkpoint of another tree under the same key, then another key.
"$mklog" "$work/other" 300 >"$work/otherkey"
if "$work/gocheck" -vkey "$(cat "$work/otherkey")" -every 997 "$work/log" >/dev/null 2>&1; then
    fail "another key was taken"
fi
echo "every changed file was noticed"
