/* zipcheck.h - does everybody see the same members in this zip file?
 *
 * A zip says what it holds twice: in a directory at its end and before each member. Programs differ
 * in which they believe, so a file can be made to show one thing to a scanner and another to a
 * customer. Here the two must agree, and every byte must belong to something. Pure; no state. */
#pragma once
#include "base/span.h"

enum zip_state {
    ZIP_DAMAGED,   /* zero is closed: cut short, split, or contradicting itself */
    ZIP_AMBIGUOUS, /* readable, but different programs would see different things */
    ZIP_LIMIT,     /* more members than the caller takes */
    ZIP_PLAIN,
};

struct zip_report {
    enum zip_state state;
    char text[200];   /* why it is not plain, for a person; a part of a sentence */
    uint64_t offset;  /* where in the file */
    uint64_t members; /* in the directory */
    uint64_t prefix;  /* bytes before the first member: a self-extractor's program */
};

/* Bytes before the first member are reported in `prefix` and are the caller's to judge. */
void zip_check(struct span file, uint64_t max_members, struct zip_report *out);
