/* options.h - command-line options from a table, which also prints the help. */
#pragma once
#include "base/buf.h"

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_LIST, OPTION_NUMBER };

struct option_def {
    const char *name; /* "listen"; used as --listen */
    char letter;      /* 'C' or 0 */
    enum option_kind kind;
    const char *arg; /* "ADDR"; NULL for a flag */
    const char *help;
    void *into; /* bool *, const char **, struct option_list *, int64_t * */
};
struct option_list {
    const char **item; /* borrowed texts; free(item) */
    size_t n;
};

/* Reads options anywhere before "--", moves operands to the front of argv (after argv[0]) and
 * returns how many there are, or ERR_FORMAT with the option and the nearest known one. Both
 * --name value and --name=value work, and -C value and -Cvalue; the last of several counts. */
int options_parse(int argc, char **argv, const struct option_def *defs, size_t n, struct err *e);

/* Two columns, an option a row, within 80 columns; appended. */
void options_help(struct buf *out, const struct option_def *defs, size_t n);
