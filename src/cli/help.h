/* help.h - help and manual pages from the table of commands. */
#pragma once
#include "cli/cli.h"

void help_all(FILE *out);
void help_group(FILE *out, const char *group);
void help_command(FILE *out, const struct command *c);
void help_usage(FILE *out, const struct command *c); /* one line */
char *help_nearest(const char *said);                /* a command's full name, or NULL; free() it */
/* roff of cordon.1: all commands, or with `c` that one. */
void help_man(FILE *out, const struct command *c);
const struct option_def *cli_common(size_t *n);
