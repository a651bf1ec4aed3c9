/* help.c - help and manual pages from the table of commands. */
#include "cli/help.h"

#include "base/mem.h"
#include "base/text.h"

static void full_name(const struct command *c, char *out, size_t room)
{
    snprintf(out, room, "%s%s%s", c->group != NULL ? c->group : "", c->group != NULL ? " " : "",
             c->name);
}

#define WIDTH 80
#define MANUAL_DATE "2026-11-22"

/* Wrapped between options, so that "--name NAME" and "[--hold TIME]" stay whole. */
void help_usage(FILE *out, const struct command *c)
{
    char name[64];
    full_name(c, name, sizeof name);
    int at = fprintf(out, "usage: cordon %s", name), indent = 8;
    for (const char *s = c->usage; *s != 0;) {
        size_t n = strcspn(s, " ");
        while (s[n] == ' ' && s[n + 1] != '[' && s[n + 1] != '-' && s[n + 1] != '{') {
            n += 1 + strcspn(s + n + 1, " ");
        }
        if (at + 1 + (int)n > WIDTH - 1) {
            at = fprintf(out, "\n%*s", indent - 1, "") - 1;
        }
        at += fprintf(out, " %.*s", (int)n, s);
        s += n;
        s += *s == ' ';
    }
    fputc('\n', out);
}

static void row(FILE *out, const struct command *c)
{
    char name[64];
    full_name(c, name, sizeof name);
    fprintf(out, "  %-18s %s\n", name, c->summary);
}

void help_all(FILE *out)
{
    fputs("Cordon keeps a vendor's update channel from handing out an infected file,\n"
          "and says who is affected.\n\nusage: cordon COMMAND [OPTION...] [ARGUMENT...]\n\n",
          out);
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        if (!cli_commands[i]->hidden) {
            row(out, cli_commands[i]);
        }
    }
    fputs("\nOptions of every command:\n", out);
    size_t n = 0;
    const struct option_def *common = cli_common(&n);
    CLEANUP(buf_clear) struct buf b = BUF(16384);
    options_help(&b, common, n);
    fputs(buf_text(&b), out);
    fputs("\ncordon COMMAND --help says more. Exit status: 0 done, 1 something bad found or\n"
          "refused, 2 wrong usage, 3 could not do it, or only in part.\n",
          out);
}

void help_group(FILE *out, const char *group)
{
    fprintf(out, "usage: cordon %s COMMAND [OPTION...]\n\n", group);
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        if (cli_commands[i]->group != NULL && strcmp(cli_commands[i]->group, group) == 0) {
            row(out, cli_commands[i]);
        }
    }
}

/* At the end of a line: a blank, or an empty line if the next is empty. Returns what follows. */
static const char *line_end(FILE *out, const char *text, size_t *at)
{
    bool paragraph = text[1] == '\n';
    if (*at > 0) {
        fputs(paragraph ? "\n\n" : " ", out);
    }
    *at = paragraph ? 0 : *at;
    return text + (paragraph ? 2 : 1);
}

/* Words wrapped at 80 columns; an empty line parts paragraphs. */
static void wrapped(FILE *out, const char *text)
{
    size_t at = 0;
    while (*text != 0) {
        if (*text == '\n') {
            text = line_end(out, text, &at);
            continue;
        }
        size_t n = strcspn(text, " \n");
        if (at > 0 && at + 1 + n > 79) {
            fputc('\n', out);
            at = 0;
        }
        fprintf(out, "%s%.*s", at > 0 ? " " : "", (int)n, text);
        at += n + (at > 0);
        text += n;
        text += *text == ' ';
    }
    fputc('\n', out);
}

void help_command(FILE *out, const struct command *c)
{
    help_usage(out, c);
    fprintf(out, "\n%s.\n", c->summary);
    if (c->text != NULL) {
        fputc('\n', out);
        wrapped(out, c->text);
    }
    CLEANUP(buf_clear) struct buf b = BUF(16384);
    if (c->n_options > 0) {
        fputs("\nOptions:\n", out);
        options_help(&b, c->options, c->n_options);
        fputs(buf_text(&b), out);
        buf_reset(&b);
    }
    size_t n = 0;
    const struct option_def *common = cli_common(&n);
    fputs("\nOptions of every command:\n", out);
    options_help(&b, common, n);
    fputs(buf_text(&b), out);
}

char *help_nearest(const char *said)
{
    char best[64] = "";
    size_t distance = 4;
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        char name[64];
        full_name(cli_commands[i], name, sizeof name);
        size_t d = text_distance(said, name);
        if (d < distance && d < strlen(name)) {
            distance = d;
            memcpy(best, name, sizeof best);
        }
    }
    return best[0] != 0 ? mem_str(best) : NULL;
}

/* ---- manual pages ---- */

static void roff(FILE *out, const char *text)
{
    bool line_start = true;
    for (; *text != 0; text++) {
        if (line_start && (*text == '.' || *text == '\'')) {
            fputs("\\&", out);
        }
        if (*text == '\n' && text[1] == '\n') {
            fputs("\n.PP\n", out);
            text++;
        } else if (*text == '\\') {
            fputs("\\e", out);
        } else if (*text == '-') {
            fputs("\\-", out);
        } else {
            fputc(*text, out);
        }
        line_start = *text == '\n';
    }
    fputc('\n', out);
}

static void man_options(FILE *out, const struct option_def *o, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        fputs(".TP\n.B ", out);
        if (o[i].letter != 0) {
            fprintf(out, "\\-%c, ", o[i].letter);
        }
        fprintf(out, "\\-\\-%s", o[i].name);
        if (o[i].arg != NULL) {
            fprintf(out, " \\fI%s\\fR", o[i].arg);
        }
        fputc('\n', out);
        roff(out, o[i].help);
    }
}

static void man_command(FILE *out, const struct command *c, const char *section)
{
    char name[64];
    full_name(c, name, sizeof name);
    fprintf(out, "%s\n.B cordon %s\n", section, name);
    if (c->usage[0] != 0) {
        roff(out, c->usage);
    }
    fputs(".PP\n", out);
    fprintf(out, "%s.\n", c->summary);
    if (c->text != NULL) {
        fputs(".PP\n", out);
        roff(out, c->text);
    }
    man_options(out, c->options, c->n_options);
}

static void man_end(FILE *out)
{
    size_t n = 0;
    const struct option_def *common = cli_common(&n);
    fputs(".SH OPTIONS OF EVERY COMMAND\n", out);
    man_options(out, common, n);
    fputs(".SH EXIT STATUS\n0 done and nothing bad found; 1 something bad found, or refused; 2 "
          "wrong usage; 3 could not do it, or only in part.\n.SH ENVIRONMENT\n.TP\n.B CORDON_SITE\n"
          "the site when there is no \\-C\n.TP\n.B CORDON_PASSPHRASE_FILE\nholds the passphrase of "
          "the site\\(aqs keys\n.TP\n.B NO_COLOR\nhonoured: there are no colours\n",
          out);
}

void help_man(FILE *out, const struct command *c)
{
    fputs(".TH CORDON 1 \"" MANUAL_DATE "\" \"cordon " CORDON_VERSION
          "\" \"User Commands\"\n.SH NAME\n"
          "cordon \\- an update channel that never hands out an infected file\n",
          out);
    if (c != NULL) {
        man_command(out, c, ".SH SYNOPSIS");
    } else {
        fputs(".SH SYNOPSIS\n.B cordon\n.I COMMAND\n[\\fIOPTION\\fR...] [\\fIARGUMENT\\fR...]\n"
              ".SH COMMANDS\n",
              out);
        for (size_t i = 0; cli_commands[i] != NULL; i++) {
            char name[64];
            full_name(cli_commands[i], name, sizeof name);
            CLEANUP(mem_free) char *section = mem_printf(".SS %s", name);
            if (!cli_commands[i]->hidden) {
                man_command(out, cli_commands[i], section);
            }
        }
    }
    man_end(out);
}
