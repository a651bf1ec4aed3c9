#!/bin/sh
# text.sh - what must stand in no file of ours, and how long a file may be.
# usage: tools/text.sh     looks at all files that git knows or would add
set -eu
cd -- "$(dirname -- "$0")/.."
bad=0

# Foreign text and data are what they are.
files() {
    git ls-files --cached --others --exclude-standard |
        grep -vE '^(LICENSE|tests/(golden|data)/|tests/fuzz/seeds/|.*\.(png|ico|gz|zip|bin|svg)$|tests/e2e/package-lock\.json$)' |
        while IFS= read -r file; do
            if [ -f "$file" ]; then
                printf '%s\n' "$file"
            fi
        done
}

# ban PATTERN WHY: an extended regular expression, and why it may not stand there
ban() {
    found=$(files | tr '\n' '\0' | xargs -0 grep -nIE -e "$1" /dev/null || true)
    if [ -n "$found" ]; then
        printf '%s\n' "$found" | sed "s|\$|   <- $2|"
        bad=1
    fi
}

tab=$(printf '\t')
cr=$(printf '\r')
ban '[ '"$tab"']+$' 'white space at the end of a line'
ban "$cr" 'a carriage return'
# the brackets keep these lines from finding themselves
ban '(^|[^A-Za-z0-9_.~-])/[w]ork(/|\b)' 'a path of one machine'
ban '(^|[^A-Za-z0-9_.~$}-])/[h]ome/' 'a path of one person'
ban '\b(TOD[O]|FIXM[E]|XX[X])\b' 'finish it, or file an issue and say what is missing in docs/limits.md'
ban '<<<<<<[<]|>>>>>>[>]' 'a merge left open'

hosts=$(grep -oE '"resolved": *"https?://[^/"]+' tests/e2e/package-lock.json | grep -v '//registry\.npmjs\.org$' | sort -u || true)
if [ -n "$hosts" ]; then
    echo "tests/e2e/package-lock.json names a private registry: $hosts"
    bad=1
fi

for file in $(files | grep -E '\.(c|h|py|sh|js)$|^dev$'); do
    lines=$(wc -l <"$file")
    if [ "$lines" -gt 700 ]; then
        echo "$file: $lines lines; above 700 a file is split by idea"
        bad=1
    elif [ "$lines" -gt 500 ]; then
        echo "note: $file has $lines lines; above 500 it wants a second look"
    fi
done

for test in $(files | grep -E '^tests/(e2e|replay)/[^/]+\.(sh|py)$' | grep -vE '/(lib\.sh|cordontest\.py)$'); do
    if head -n 1 "$test" | grep -q '^#!' && [ ! -x "$test" ]; then
        echo "$test is a program but not executable, so it would never run"
        bad=1
    fi
done
exit "$bad"
