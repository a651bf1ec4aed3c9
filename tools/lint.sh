#!/bin/sh
# lint.sh - all checks that need no run of the programs; ./dev lint configures the build and calls it.
# usage: tools/lint.sh [--quick]    --quick: clang-tidy and clang-format only over files changed since main
#
# One line a check, findings below a failed one, `N checks passed, N failed` at the end.
set -eu
cd -- "$(dirname -- "$0")/.."
JOBS=${JOBS:-2}
OUT=build/lint
mkdir -p "$OUT" build/cppcheck
quick=0
case ${1:-} in
--quick) quick=1 ;;
'') ;;
*)
    echo "usage: ./dev lint [--quick]" >&2
    exit 2
    ;;
esac
passed=0 failed=0

# check NAME COMMAND...: runs it, prints its output if it fails, or if it says "note:"
check() {
    name=$1
    shift
    begun=$(date +%s)
    if "$@" >"$OUT/$name" 2>&1; then
        passed=$((passed + 1))
        printf 'ok   lint/%s %s s\n' "$name" $(($(date +%s) - begun))
        grep '^note:' "$OUT/$name" | sed 's/^/    /' || true
    else
        failed=$((failed + 1))
        printf 'FAIL lint/%s %s s\n' "$name" $(($(date +%s) - begun))
        head -n 200 "$OUT/$name" | sed 's/^/    /'
    fi
}

c_files() {
    find src tests bench -name '*.[ch]' 2>/dev/null | sort
}

changed() {
    base=$(git merge-base HEAD main 2>/dev/null || git rev-parse HEAD)
    { git diff --name-only "$base" && git ls-files --others --exclude-standard; } | sort -u |
        while IFS= read -r file; do
            if [ -f "$file" ]; then
                printf '%s\n' "$file"
            fi
        done
}

selected() {
    if [ "$quick" -eq 1 ]; then
        changed | grep -E '^(src|tests|bench)/.*\.[ch]$' || true
    else
        c_files
    fi
}

layers() {
    # shellcheck disable=SC2046 # names without blanks
    awk -f tools/layers.awk src/layers $(find src -name '*.[ch]')
}

layout() {
    selected | xargs -r clang-format-14 --dry-run -Werror
}

# Its own build folder remembers unchanged files.
cpp_check() {
    # shellcheck disable=SC2046 # names without blanks
    cppcheck --quiet -j "$JOBS" --enable=warning,performance,portability,style --inline-suppr \
        --error-exitcode=1 --std=c11 -D_GNU_SOURCE -DCORDON_VERSION='"0"' -Isrc -Itests/unit -Itests/fuzz \
        --cppcheck-build-dir=build/cppcheck --suppressions-list=tools/cppcheck.txt \
        --template='{file}:{line}: {severity}: {message} [{id}]' $(find src tests bench -name '*.c' 2>/dev/null)
}

tidy() {
    if [ "$quick" -eq 1 ]; then
        files=$(selected | grep '\.c$' || true)
        [ -n "$files" ] || return 0
        # shellcheck disable=SC2086 # names without blanks
        python3 tools/tidy.py build/asan $files
    else
        python3 tools/tidy.py build/asan
    fi
}

shell() {
    # what `source`s lib.sh is checked with it
    find dev .ci/run tools tests packaging -type f \( -name '*.sh' -o -name dev -o -name run \) -exec shellcheck -x -P SCRIPTDIR {} +
}

python() {
    find tools tests -name '*.py' -exec \
        python3 -c 'import ast, sys; [ast.parse(open(f).read(), f) for f in sys.argv[1:]]' {} +
}

check layers layers
check layout layout
check text sh tools/text.sh
check parsers sh tools/parsers.sh
check packages sh tools/deps-table.sh --check
check shell shell
check python python
check cppcheck cpp_check
check tidy tidy
echo "$passed checks passed, $failed failed"
[ "$failed" -eq 0 ]
