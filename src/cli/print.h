/* print.h - answers for people: lines and tables, with names from outside escaped. */
#pragma once
#include "cli/cli.h"

/* One line on stdout; control characters in it are escaped. */
void print_line(const char *fmt, ...) PRINTF(1, 2);
/* One line on stderr, "cordon: ..."; for what was skipped or deserves care. */
void print_warning(const char *fmt, ...) PRINTF(1, 2);

enum print_kind { PRINT_PLAIN, PRINT_BYTES, PRINT_TIME, PRINT_SHORT };

/* One column: a member of each object, whatever its type. PRINT_TIME turns microseconds into
 * UTC, PRINT_SHORT cuts a digest to 12 digits. A head that starts with '>' aligns right. */
struct print_column {
    const char *head, *member;
    enum print_kind kind;
};
/* The text of a value as a cell; free() it. */
char *print_cell(const json_t *value, enum print_kind kind);
void print_table(const json_t *list, const struct print_column *columns, size_t n);
/* With --json an object a line, else the table, or the sentence `none` when it is empty. */
void print_list(const struct app *app, const json_t *list, const struct print_column *columns,
                size_t n, const char *none);
const char *print_count(size_t n, const char *one, const char *many, char out[static 64]);
