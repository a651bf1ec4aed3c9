#!/bin/sh
# fuzz.sh - runs the fuzz targets that ./dev fuzz built, each for FUZZ_SECONDS (60).
# usage: tools/fuzz.sh [NAME]
#
# What a target learns stays in build/fuzz/corpus/NAME; an input that breaks it is kept in
# build/fuzz/found, to become a seed beside its fix. Ends with 1 if something was found.
set -eu
cd -- "$(dirname -- "$0")/.."
SECONDS_EACH=${FUZZ_SECONDS:-60}
FOUND=build/fuzz/found
wanted=${1:-}
ran=0 bad=0
mkdir -p "$FOUND"
ASAN_SYMBOLIZER_PATH=$(command -v llvm-symbolizer-14 || true)
export ASAN_SYMBOLIZER_PATH

for target in build/fuzz/tests/fuzz/fuzz_*; do
    if [ ! -f "$target" ] || [ ! -x "$target" ]; then
        continue
    fi
    name=${target##*/fuzz_}
    if [ -n "$wanted" ] && [ "$wanted" != "$name" ]; then
        continue
    fi
    ran=$((ran + 1))
    mkdir -p "build/fuzz/corpus/$name" "tests/fuzz/seeds/$name"
    log=build/fuzz/$name.log
    if "$target" -max_total_time="$SECONDS_EACH" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
        -artifact_prefix="$FOUND/$name-" "build/fuzz/corpus/$name" "tests/fuzz/seeds/$name" >"$log" 2>&1; then
        printf 'ok   fuzz/%s %s\n' "$name" "$(grep -E '^Done ' "$log" | tail -n 1)"
    else
        bad=$((bad + 1))
        printf 'FAIL fuzz/%s, input kept as %s/%s-*\n' "$name" "$FOUND" "$name"
        tail -n 40 "$log" | sed 's/^/    /'
    fi
done
if [ "$ran" -eq 0 ]; then
    echo "fuzz.sh: no target named ${wanted:-at all} in tests/fuzz" >&2
    exit 2
fi
echo "$((ran - bad)) passed, $bad failed"
[ "$bad" -eq 0 ]
