/* options.c - options from a table. */
#include "base/options.h"

#include "base/mem.h"
#include "base/text.h"

#include <assert.h>

struct walk {
    int argc;
    char **argv;
    int at; /* the argument after the one being read */
    const struct option_def *defs;
    size_t n;
};

static int unknown(const struct walk *w, const char *name, struct err *e)
{
    const char *best = "help";
    for (size_t i = 0; i < w->n; i++) {
        if (text_distance(name, w->defs[i].name) < text_distance(name, best)) {
            best = w->defs[i].name;
        }
    }
    if (text_distance(name, best) > strlen(best) / 2) {
        return err_set(e, ERR_FORMAT, "there is no option --%.60s; see --help", name);
    }
    return err_set(e, ERR_FORMAT, "there is no option --%.60s; did you mean --%s?", name, best);
}

static int parse_number(const struct option_def *d, const char *text, struct err *e)
{
    bool minus = *text == '-';
    uint64_t n = 0;
    if (text_u64(span_str(text + (minus ? 1 : 0)), INT64_MAX, &n, NULL) < 0) {
        return err_set(e, ERR_FORMAT, "--%s takes a number, not \"%.60s\"", d->name, text);
    }
    *(int64_t *)d->into = minus ? -(int64_t)n : (int64_t)n;
    return 0;
}

/* `value` is what stood after '=' or the letter, NULL when the next argument is due. */
static int store(struct walk *w, const struct option_def *d, const char *value, struct err *e)
{
    if (d->kind == OPTION_FLAG) {
        if (value != NULL) {
            return err_set(e, ERR_FORMAT, "--%s takes no value", d->name);
        }
        *(bool *)d->into = true;
        return 0;
    }
    if (value == NULL) {
        if (w->at >= w->argc) {
            return err_set(e, ERR_FORMAT, "--%s needs %s after it", d->name,
                           d->arg != NULL ? d->arg : "a value");
        }
        value = w->argv[w->at++];
    }
    if (d->kind == OPTION_NUMBER) {
        return parse_number(d, value, e);
    }
    if (d->kind == OPTION_TEXT) {
        *(const char **)d->into = value;
        return 0;
    }
    struct option_list *l = d->into;
    l->item = mem_resize(l->item, l->n + 1, sizeof *l->item);
    l->item[l->n++] = value;
    return 0;
}

static int long_option(struct walk *w, const char *text, struct err *e)
{
    const char *eq = strchr(text, '=');
    size_t len = eq != NULL ? (size_t)(eq - text) : strlen(text);
    for (size_t i = 0; i < w->n; i++) {
        if (span_eq(span_of(text, len), span_str(w->defs[i].name))) {
            return store(w, &w->defs[i], eq != NULL ? eq + 1 : NULL, e);
        }
    }
    CLEANUP(mem_free) char *name = mem_text(text, len);
    return unknown(w, name, e);
}

static const struct option_def *by_letter(const struct walk *w, char c)
{
    for (size_t i = 0; i < w->n; i++) {
        if (w->defs[i].letter == c) {
            return &w->defs[i];
        }
    }
    return NULL;
}

/* "-qC" DIR, "-CDIR" */
static int letters(struct walk *w, const char *text, struct err *e)
{
    for (; *text != '\0'; text++) {
        const struct option_def *d = by_letter(w, *text);
        if (d == NULL) {
            CLEANUP(buf_clear) struct buf shown = BUF(64);
            text_escape(&shown, span_of(text, 1));
            return err_set(e, ERR_FORMAT, "there is no option -%s; see --help", buf_text(&shown));
        }
        if (d->kind != OPTION_FLAG) {
            return store(w, d, text[1] != '\0' ? text + 1 : NULL, e);
        }
        *(bool *)d->into = true;
    }
    return 0;
}

int options_parse(int argc, char **argv, const struct option_def *defs, size_t n, struct err *e)
{
    struct walk w = {.argc = argc, .argv = argv, .at = 1, .defs = defs, .n = n};
    int operands = 0;
    bool ended = false;
    while (w.at < argc) {
        char *arg = argv[w.at++];
        int r = 0;
        if (ended || arg[0] != '-' || arg[1] == '\0') {
            argv[++operands] = arg; /* never beyond what was read */
        } else if (strcmp(arg, "--") == 0) {
            ended = true;
        } else {
            r = arg[1] == '-' ? long_option(&w, arg + 2, e) : letters(&w, arg + 1, e);
        }
        if (r < 0) {
            return r;
        }
    }
    return operands;
}

static char *left_column(const struct option_def *d)
{
    char letter[] = {d->letter != 0 ? '-' : ' ', d->letter != 0 ? d->letter : ' ',
                     d->letter != 0 ? ',' : ' ', '\0'};
    return mem_printf("  %s --%s%s%s", letter, d->name, d->arg != NULL ? " " : "",
                      d->arg != NULL ? d->arg : "");
}

void options_help(struct buf *out, const struct option_def *defs, size_t n)
{
    enum { WIDTH = 80, LEFT_MAX = 34 };
    size_t left = 0;
    for (size_t i = 0; i < n; i++) {
        CLEANUP(mem_free) char *text = left_column(&defs[i]);
        size_t len = strlen(text);
        left = len > left && len <= LEFT_MAX ? len : left;
    }
    for (size_t i = 0; i < n; i++) {
        CLEANUP(mem_free) char *text = left_column(&defs[i]);
        struct span rest = span_str(defs[i].help), word;
        size_t column = strlen(text);
        buf_str(out, text);
        if (column > left) {
            column = WIDTH; /* the help begins on the next line */
        } else {
            buf_fmt(out, "%*s", (int)(left - column) + 1, "");
            column = left + 1;
        }
        while (span_cut(&rest, ' ', &word)) {
            if (column + 1 + word.len > WIDTH) {
                buf_fmt(out, "\n%*s", (int)left + 1, "");
                column = left + 1;
            }
            buf_char(out, ' ');
            buf_span(out, word);
            column += 1 + word.len;
        }
        buf_char(out, '\n');
    }
}
