#include "scan/bundle.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/reader.h"

#define MOST_FILES 100000U

void rule_list_clear(struct rule_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free((void *)(uintptr_t)l->file[i].name);
        free((void *)(uintptr_t)l->file[i].text.p);
    }
    free(l->file);
    *l = (struct rule_list){0};
}

/* True, and *kind, for a file name that the engines take. */
static bool kind_of(const char *name, enum rule_kind *kind)
{
    static const struct {
        const char *suffix;
        enum rule_kind kind;
    } known[] = {{".yar", RULE_YARA},   {".yara", RULE_YARA},  {".txt", RULE_HASHES},
                 {".hsb", RULE_HASHES}, {".hdb", RULE_HASHES}, {".csv", RULE_HASHES}};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot != NULL && i < ARRAY_LEN(known); i++) {
        if (strcmp(dot, known[i].suffix) == 0) {
            *kind = known[i].kind;
            return true;
        }
    }
    return false;
}

static void list_add(struct rule_list *l, enum rule_kind kind, const char *name, struct span text,
                     uint64_t updated)
{
    l->file = mem_resize(l->file, l->n + 1, sizeof *l->file);
    l->file[l->n++] = (struct rule_file){.kind = kind,
                                         .name = mem_str(name),
                                         .text = span_of(mem_text(text.p, text.len), text.len),
                                         .updated = updated};
}

struct reading {
    struct rule_list *list;
    const char *dir;
    struct err *e;
    int depth;
};

static int read_path(struct rule_list *l, const char *path, int depth, struct err *e);

static int read_entry(void *ctx, const char *name)
{
    struct reading *r = ctx;
    enum rule_kind kind;
    CLEANUP(mem_free) char *path = mem_printf("%s/%s", r->dir, name);
    struct stat st;
    if (name[0] == '.' || stat(path, &st) != 0 ||
        !(S_ISDIR(st.st_mode) || (S_ISREG(st.st_mode) && kind_of(name, &kind)))) {
        return 0; /* a README beside rules is no rule */
    }
    return read_path(r->list, path, r->depth, r->e);
}

/* What people know a rule file by: behind a double slash, if there is one, so that "/tmp/x//a.yar"
 * is a.yar and "SITE//rules" gives names from the site on. */
static const char *known_as(const char *path)
{
    const char *cut = strstr(path, "//");
    return cut != NULL ? cut + 2 : path;
}

static int read_file(struct rule_list *l, const char *path, const struct stat *st, struct err *e)
{
    enum rule_kind kind;
    if (!kind_of(path, &kind)) {
        return err_set(e, ERR_FORMAT,
                       "%s: not a rule file by its name; YARA ends in .yar or .yara, hash lists in "
                       ".txt, .csv, .hsb or .hdb",
                       known_as(path));
    }
    CLEANUP(buf_clear) struct buf text = BUF(LIMIT_RULE_FILE);
    int r = file_read(AT_FDCWD, path, LIMIT_RULE_FILE, &text, e);
    if (r < 0) {
        return err_wrap(e, r, "read rules");
    }
    list_add(l, kind, known_as(path), buf_view(&text), (uint64_t)st->st_mtime);
    return 0;
}

static int read_path(struct rule_list *l, const char *path, int depth, struct err *e)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        return err_sys(e, "read rules %s", path);
    }
    if (!S_ISDIR(st.st_mode)) {
        return read_file(l, path, &st, e);
    }
    if (depth == 0) {
        return err_set(e, ERR_LIMIT, "%s: rule folders are nested too deeply", path);
    }
    struct reading r = {.list = l, .dir = path, .e = e, .depth = depth - 1};
    return file_each(AT_FDCWD, path, read_entry, &r, e);
}

int rule_list_read(const struct scan_config *c, struct rule_list *out, struct err *e)
{
    CLEANUP(rule_list_clear) struct rule_list l = {0};
    for (size_t i = 0; c->own_rules && i < scan_n_embedded; i++) {
        enum rule_kind kind;
        if (kind_of(scan_embedded[i].name, &kind)) {
            list_add(&l, kind, scan_embedded[i].name,
                     span_of(scan_embedded[i].text, scan_embedded[i].len), 0);
        }
    }
    for (size_t i = 0; i < c->n_rules; i++) {
        int r = read_path(&l, c->rules[i], 4, e);
        if (r < 0) {
            return r;
        }
    }
    if (l.n > MOST_FILES) {
        return err_set(e, ERR_LIMIT, "%zu rule files; at most %u are taken", l.n, MOST_FILES);
    }
    *out = l;
    l = (struct rule_list){0};
    return 0;
}

static void put_bytes(struct buf *out, struct span s)
{
    buf_be64(out, s.len);
    buf_span(out, s);
}

static struct span take_bytes(struct reader *r)
{
    uint64_t n = reader_be64(r);
    if (n > reader_left(r)) {
        r->bad = true;
        return SPAN_NONE;
    }
    return reader_take(r, (size_t)n);
}

void bundle_write(struct buf *out, const struct rule_list *l)
{
    buf_be32(out, (uint32_t)l->n);
    for (size_t i = 0; i < l->n; i++) {
        buf_be32(out, (uint32_t)l->file[i].kind);
        buf_be64(out, l->file[i].updated);
        put_bytes(out, span_str(l->file[i].name));
        put_bytes(out, l->file[i].text);
    }
}

int bundle_parse(struct span bundle, struct rule_list *out, struct err *e)
{
    CLEANUP(rule_list_clear) struct rule_list l = {0};
    struct reader r = reader_of(bundle);
    uint32_t n = reader_be32(&r);
    for (uint32_t i = 0; i < n && !r.bad; i++) {
        uint32_t kind = reader_be32(&r);
        uint64_t updated = reader_be64(&r);
        struct span name = take_bytes(&r), text = take_bytes(&r);
        if (r.bad || kind > RULE_HASHES || (name.len > 0 && memchr(name.p, 0, name.len) != NULL)) {
            break;
        }
        CLEANUP(mem_free) char *copy = mem_text(name.p, name.len);
        list_add(&l, (enum rule_kind)kind, copy, text, updated);
    }
    int fault = reader_done(&r, "rule bundle", e);
    if (fault < 0 || l.n != n) {
        return fault < 0 ? fault
                         : err_set(e, ERR_FORMAT, "rule bundle: file %zu has no name or kind", l.n);
    }
    *out = l;
    l = (struct rule_list){0};
    return 0;
}

void compiled_add(struct buf *out, const char *engine, struct span bytes)
{
    put_bytes(out, span_str(engine));
    put_bytes(out, bytes);
}

int compiled_find(struct span all, const char *engine, struct span *out, struct err *e)
{
    struct reader r = reader_of(all);
    struct span found = SPAN_NONE;
    while (!r.bad && reader_left(&r) > 0) {
        struct span name = take_bytes(&r), bytes = take_bytes(&r);
        if (!r.bad && span_is(name, engine)) {
            found = bytes;
        }
    }
    int fault = reader_done(&r, "compiled rules", e);
    if (fault == 0) {
        *out = found;
    }
    return fault;
}
