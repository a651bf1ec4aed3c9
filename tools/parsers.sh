#!/bin/sh
# parsers.sh - every parser of bytes from outside has a fuzz target, and every target has seeds.
# usage: tools/parsers.sh     rules and exceptions: tests/fuzz/parsers.txt
set -eu
cd -- "$(dirname -- "$0")/.."
LIST=tests/fuzz/parsers.txt
bad=0

complain() {
    echo "$1"
    bad=1
}

targets() {
    find tests/fuzz -maxdepth 1 -name 'fuzz_*.c'
}

declared() {
    find src -name '*.h' -exec cat {} + | grep -oE '\b[a-z0-9_]+_parse\(struct span\b' | sed 's/(.*//'
}

for parser in $({
    declared || true
    sed -n 's/^+ *\([a-z0-9_]*\).*/\1/p' "$LIST"
} | sort -u); do
    if grep -qE "^- *$parser .*[a-z]" "$LIST"; then
        continue
    fi
    # shellcheck disable=SC2046 # names without blanks
    grep -qE "\b$parser\(" /dev/null $(targets) ||
        complain "$parser() reads bytes from outside but no tests/fuzz/fuzz_*.c calls it ($LIST has the rules)"
done

for target in $(targets); do
    name=${target##*/fuzz_}
    name=${name%.c}
    [ -n "$(find "tests/fuzz/seeds/$name" -type f 2>/dev/null | head -n 1)" ] ||
        complain "$target has no seed in tests/fuzz/seeds/$name"
done
exit "$bad"
