# layers.awk - checks every #include between modules against src/layers.
# usage: awk -f tools/layers.awk src/layers src/*/*.[ch] src/*.c
# A line of src/layers: `release: base db blob`. A file src/NAME/x.c belongs to module NAME, the program
# src/NAME.c to the line NAME. Headers *_priv.h stay inside their module.

FILENAME == ARGV[1] {
    if ($0 ~ /^#/ || NF == 0) {
        next
    }
    if ($1 !~ /:$/) {
        complain("a line is \"module: what it may use\"")
        next
    }
    module = substr($1, 1, length($1) - 1)
    if (module in line) {
        complain(module " has two lines")
    }
    line[module] = FNR
    may[module, module]
    for (i = 2; i <= NF; i++) {
        if (!($i in line)) {
            complain(module " names " $i ", which is not above it")
        }
        may[module, $i]
    }
    next
}

FNR == 1 {
    depth = split(FILENAME, part, "/")
    owner = part[depth - 1]
    if (owner == "src") {
        owner = part[depth]
        sub(/\.[ch]$/, "", owner)
    }
    if (!(owner in line)) {
        complain(owner " has no line in src/layers")
    }
}

/^[ \t]*#[ \t]*include[ \t]*"[a-z0-9_]+\// {
    path = $0
    sub(/^[^"]*"/, "", path)
    sub(/".*/, "", path)
    target = path
    sub(/\/.*/, "", target)
    if (!((owner, target) in may)) {
        complain(owner " may not use " path)
    } else if (owner != target && path ~ /_priv\.h$/) {
        complain(path " is private to " target)
    }
}

function complain(what)
{
    print FILENAME ":" FNR ": " what
    bad = 1
}

END {
    exit bad
}
