/* table.c - columns as wide as what they hold, sizes for people, one line of progress. */
#include "base/table.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"

#include <assert.h>
#include <locale.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

struct table {
    size_t n, rows;
    char **cell; /* n * (rows + 1); the heads are row 0 */
    bool *right;
};

/* ---- width ---- */

/* One character of valid UTF-8; its length in bytes. */
static size_t decode(const char *s, wchar_t *out)
{
    const uint8_t *p = (const uint8_t *)s;
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    uint32_t c = n == 1 ? p[0] : p[0] & (0xFFU >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        c = c << 6 | (p[i] & 0x3FU);
    }
    *out = (wchar_t)c;
    return n;
}

static size_t char_width(wchar_t c)
{
    int w = wcwidth(c);
    return w < 0 ? 1 : (size_t)w;
}

/* wcwidth() knows only the characters of its thread's locale, and main() may have set none. */
static locale_t utf8_on(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static locale_t utf8;
    pthread_mutex_lock(&lock);
    if (utf8 == (locale_t)0) {
        utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    }
    pthread_mutex_unlock(&lock);
    return utf8 == (locale_t)0 ? utf8 : uselocale(utf8);
}

static void utf8_off(locale_t before)
{
    if (before != (locale_t)0) {
        uselocale(before);
    }
}

static size_t width(const char *s)
{
    size_t w = 0;
    wchar_t c;
    while (*s != '\0') {
        s += decode(s, &c);
        w += char_width(c);
    }
    return w;
}

/* How many bytes of `s` fit into `room` columns. */
static size_t fitting(const char *s, size_t room)
{
    size_t at = 0, w = 0;
    wchar_t c;
    while (s[at] != '\0') {
        size_t n = decode(s + at, &c);
        w += char_width(c);
        if (w > room) {
            break;
        }
        at += n;
    }
    return at;
}

/* Columns of the terminal, 0 when `out` is none. */
static size_t terminal(FILE *out)
{
    struct winsize ws = {0};
    int fd = fileno(out);
    if (fd < 0 || !isatty(fd)) {
        return 0;
    }
    return ioctl(fd, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0 ? ws.ws_col : 80;
}

/* ---- table ---- */

static char *escaped(const char *s)
{
    CLEANUP(buf_clear) struct buf b = BUF((size_t)1 << 20);
    text_escape(&b, span_str(s != NULL ? s : ""));
    return buf_steal(&b); /* a cell beyond the ceiling is cut, by buf's first fault */
}

struct table *table_new(const char *const *heads, size_t n)
{
    struct table *t = mem_new(struct table);
    t->n = n;
    t->cell = mem_array(char *, n);
    t->right = mem_array(bool, n);
    for (size_t i = 0; i < n; i++) {
        t->right[i] = heads[i][0] == '>';
        t->cell[i] = escaped(heads[i] + (t->right[i] ? 1 : 0));
    }
    return t;
}

void table_free(struct table **t)
{
    for (size_t i = 0; *t != NULL && i < (*t)->n * ((*t)->rows + 1); i++) {
        free((*t)->cell[i]);
    }
    if (*t != NULL) {
        free((*t)->cell);
        free((*t)->right);
    }
    mem_free(t);
}

void table_row(struct table *t, const char *const *cells)
{
    size_t at = t->n * (t->rows + 1);
    t->cell = mem_resize(t->cell, at + t->n, sizeof *t->cell);
    for (size_t i = 0; i < t->n; i++) {
        t->cell[at + i] = escaped(cells[i]);
    }
    t->rows++;
}

static void print_last(FILE *out, const char *text, size_t room)
{
    if (room == 0 || width(text) <= room) {
        fputs(text, out);
        return;
    }
    fwrite(text, 1, fitting(text, room - 1), out);
    fputs("…", out);
}

static void print_row(const struct table *t, size_t row, const size_t *wide, FILE *out, size_t term)
{
    size_t used = 0;
    for (size_t i = 0; i < t->n; i++) {
        const char *text = t->cell[row * t->n + i];
        bool last = i + 1 == t->n;
        int pad = (int)(wide[i] - width(text));
        if (t->right[i]) {
            fprintf(out, "%*s", pad, "");
        }
        if (last && !t->right[i]) {
            print_last(out, text, term > used ? term - used : 0);
        } else {
            fputs(text, out);
        }
        if (!last) {
            fprintf(out, "%*s", t->right[i] ? 2 : pad + 2, "");
        }
        used += wide[i] + 2;
    }
    fputc('\n', out);
}

void table_print(const struct table *t, FILE *out)
{
    locale_t before = utf8_on();
    size_t term = terminal(out);
    CLEANUP(mem_free) size_t *wide = mem_array(size_t, t->n);
    for (size_t i = 0; i < t->n * (t->rows + 1); i++) {
        size_t w = width(t->cell[i]);
        if (w > wide[i % t->n]) {
            wide[i % t->n] = w;
        }
    }
    for (size_t row = 0; row <= t->rows; row++) {
        print_row(t, row, wide, out, term);
    }
    utf8_off(before);
}

const char *table_bytes(uint64_t n, char out[static 16])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    size_t u = 0;
    uint64_t rest = 0;
    while (n >= 1000) {
        rest = n % 1000;
        n /= 1000;
        u++;
    }
    unsigned whole = (unsigned)n, tenth = (unsigned)(rest / 100);
    if (u == 0 || n >= 100) {
        snprintf(out, 16, "%u %s", whole, units[u]);
    } else {
        snprintf(out, 16, "%u.%u %s", whole, tenth, units[u]);
    }
    return out;
}

/* ---- progress ---- */

static pthread_mutex_t progress_lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t progress_last;
static bool progress_shown;

void progress(const char *what, uint64_t done, uint64_t all, const char *detail)
{
    size_t term = terminal(stderr);
    if (term == 0) {
        return;
    }
    pthread_mutex_lock(&progress_lock);
    int64_t now = clock_boot();
    if (!progress_shown || done == all || now - progress_last >= CLOCK_SECOND / 10) {
        bool more = detail != NULL && *detail != '\0';
        CLEANUP(mem_free)
        char *line = mem_printf("%s %llu of %llu%s%s", what, (unsigned long long)done,
                                (unsigned long long)all, more ? " · " : "", more ? detail : "");
        CLEANUP(mem_free) char *clean = escaped(line);
        locale_t before = utf8_on();
        fprintf(stderr, "\r%.*s\x1b[K", (int)fitting(clean, term - 1), clean);
        utf8_off(before);
        fflush(stderr);
        progress_last = now;
        progress_shown = true;
    }
    pthread_mutex_unlock(&progress_lock);
}

void progress_end(void)
{
    pthread_mutex_lock(&progress_lock);
    if (progress_shown) {
        fputs("\r\x1b[K", stderr);
        fflush(stderr);
        progress_shown = false;
    }
    pthread_mutex_unlock(&progress_lock);
}
