#!/bin/sh
# deps-table.sh - packaging/deps.txt as the table of docs/dependencies.md.
# usage: tools/deps-table.sh          prints the table
#        tools/deps-table.sh --write  puts it between the two marks of the document
#        tools/deps-table.sh --check  ends with 1 if the document's table is another one
set -eu
cd -- "$(dirname -- "$0")/.."
DOC=docs/dependencies.md
BEGIN='<!-- packages: made by tools/deps-table.sh -->'
END='<!-- end of packages -->'

table() {
    printf '| package | for | licence | why |\n|---|---|---|---|\n'
    awk -F' *[|] *' '!/^#/ && NF { printf "| `%s` | %s | %s | %s |\n", $1, $2, $3, $4 }' packaging/deps.txt
}

in_document() {
    awk -v begin="$BEGIN" -v end="$END" '$0 == end { on = 0 } on { print } $0 == begin { on = 1 }' "$DOC"
}

case ${1:-} in
'') table ;;
--check)
    [ "$(table)" = "$(in_document)" ] || {
        echo "$DOC does not show packaging/deps.txt: run tools/deps-table.sh --write"
        exit 1
    }
    ;;
--write)
    new=$(mktemp)
    table >"$new.table"
    awk -v begin="$BEGIN" -v end="$END" -v table="$new.table" '
        $0 == end { off = 0 }
        !off { print }
        $0 == begin { off = 1; while ((getline row <table) > 0) print row }' "$DOC" >"$new"
    cat "$new" >"$DOC"
    rm -f "$new" "$new.table"
    ;;
*)
    echo "usage: tools/deps-table.sh [--write|--check]" >&2
    exit 2
    ;;
esac
