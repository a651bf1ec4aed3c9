/* Files known by their hash: SHA-256, SHA-1 or MD5. Lines of a list:
 *     HEX  NAME            also "HEX,NAME", and what sha256sum prints
 *     HEX:SIZE:NAME        ClamAV's .hsb and .hdb; SIZE may be *
 * Blank lines and those that begin with # or ; are comments. Compiled, a list is three tables
 * sorted by hash and a heap of names, which each worker only maps. */
#include "base/limits.h"
#include "base/mem.h"
#include "base/reader.h"
#include "base/text.h"
#include "scan/engine.h"

#define KINDS 3
#define ANY_SIZE UINT64_MAX
#define NAME_MOST ((size_t)200)
#define TAIL ((size_t)12) /* size and place of the name behind each hash */

static const size_t widths[KINDS] = {32, 20, 16};

struct entry {
    uint8_t hash[32];
    uint64_t size;
    uint32_t name;
};
struct table {
    struct entry *entry;
    size_t n, room;
};
struct compiler {
    struct table table[KINDS];
    struct buf names;
};

static void compiler_clear(struct compiler *c)
{
    for (size_t k = 0; k < KINDS; k++) {
        free(c->table[k].entry);
    }
    buf_clear(&c->names);
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct span trim(struct span s)
{
    while (s.len > 0 && is_space(s.p[0])) {
        s = span_of(s.p + 1, s.len - 1);
    }
    while (s.len > 0 && is_space(s.p[s.len - 1])) {
        s.len--;
    }
    return s;
}

/* Hex digits at the front, either case. */
static size_t hex_run(struct span s)
{
    size_t n = 0;
    while (n < s.len && ((s.p[n] >= '0' && s.p[n] <= '9') || (s.p[n] >= 'a' && s.p[n] <= 'f') ||
                         (s.p[n] >= 'A' && s.p[n] <= 'F'))) {
        n++;
    }
    return n;
}

static int read_hex(struct span hex, struct entry *out, size_t *kind, const char *where,
                    struct err *e)
{
    for (size_t k = 0; k < KINDS; k++) {
        if (hex.len == 2 * widths[k]) {
            uint8_t lower[64];
            for (size_t i = 0; i < hex.len; i++) {
                lower[i] = hex.p[i] >= 'A' && hex.p[i] <= 'F' ? (uint8_t)(hex.p[i] + 32) : hex.p[i];
            }
            *kind = k;
            return text_unhex(span_of(lower, hex.len), out->hash, widths[k], e);
        }
    }
    return err_set(e, ERR_FORMAT,
                   "%s: %zu hex digits where 64 (SHA-256), 40 (SHA-1) or 32 (MD5) are due", where,
                   hex.len);
}

/* What follows the hash: ":SIZE:NAME", ",NAME" or " NAME". */
static int read_rest(struct span rest, struct entry *out, struct span *name, const char *where,
                     struct err *e)
{
    out->size = ANY_SIZE;
    if (rest.len > 0 && rest.p[0] == ':') {
        struct span size;
        rest = span_of(rest.p + 1, rest.len - 1);
        if (!span_cut(&rest, ':', &size) ||
            (!span_is(size, "*") && text_u64(size, INT64_MAX, &out->size, NULL) < 0)) {
            return err_set(e, ERR_FORMAT, "%s: no size or * behind the hash", where);
        }
        struct span level = rest; /* a functionality level may follow the name */
        if (!span_cut(&level, ':', name)) {
            return err_set(e, ERR_FORMAT, "%s: no name behind the size", where);
        }
    } else if (rest.len > 0 && rest.p[0] != ',' && !is_space(rest.p[0])) {
        return err_set(e, ERR_FORMAT, "%s: character %u behind the hash", where, rest.p[0]);
    } else {
        *name = rest.len > 0 ? span_of(rest.p + 1, rest.len - 1) : SPAN_NONE;
    }
    *name = trim(*name);
    if (name->len > 0 && name->p[0] == '*') { /* sha256sum's mark of binary mode */
        *name = span_of(name->p + 1, name->len - 1);
    }
    return 0;
}

static void table_add(struct table *t, const struct entry *en)
{
    if (t->n == t->room) {
        t->room = t->room == 0 ? 256 : t->room * 2;
        t->entry = mem_resize(t->entry, t->room, sizeof *t->entry);
    }
    t->entry[t->n++] = *en;
}

static int read_line(struct compiler *c, struct span line, const char *where, struct err *e)
{
    line = trim(line);
    if (line.len == 0 || line.p[0] == '#' || line.p[0] == ';') {
        return 0;
    }
    struct entry en = {.size = ANY_SIZE};
    size_t kind = 0, n = hex_run(line);
    struct span name = SPAN_NONE;
    int r = read_hex(span_of(line.p, n), &en, &kind, where, e);
    r = r < 0 ? r : read_rest(span_of(line.p + n, line.len - n), &en, &name, where, e);
    if (r < 0) {
        return r;
    }
    en.name = (uint32_t)c->names.len;
    if (name.len == 0) {
        buf_str(&c->names, "listed-hash");
    } else {
        text_escape(&c->names, span_of(name.p, name.len < NAME_MOST ? name.len : NAME_MOST));
    }
    buf_char(&c->names, '\0');
    table_add(&c->table[kind], &en);
    return buf_done(&c->names, "names of hash lists", e);
}

static int read_list(struct compiler *c, const struct rule_file *f, json_t *about, struct err *e)
{
    struct span text = f->text, line;
    size_t before = c->names.len;
    for (unsigned n = 1; span_cut(&text, '\n', &line); n++) {
        CLEANUP(mem_free) char *where = mem_printf("%s:%u", f->name, n);
        int r = read_line(c, line, where, e);
        if (r < 0) {
            return r;
        }
    }
    /* a list of a million hashes has a million names: only a short list shows them */
    json_t *names = json_object_get(about, f->name);
    for (size_t at = before, shown = 0; names != NULL && at < c->names.len && shown < 1000;
         shown++) {
        const char *name = (const char *)c->names.p + at;
        js_add_str(names, name);
        at += strlen(name) + 1;
    }
    return 0;
}

static int by_hash(const void *a, const void *b)
{
    return memcmp(a, b, sizeof((struct entry *)0)->hash);
}

static int hashes_compile(const struct rule_file *files, size_t n, struct buf *out, json_t *about,
                          struct err *e)
{
    CLEANUP(compiler_clear) struct compiler c = {.names = BUF(UINT32_MAX / 2)};
    for (size_t i = 0; i < n; i++) {
        int r = files[i].kind == RULE_HASHES ? read_list(&c, &files[i], about, e) : 0;
        if (r < 0) {
            return r;
        }
    }
    for (size_t k = 0; k < KINDS; k++) {
        struct table *t = &c.table[k];
        if (t->n > 1) {
            qsort(t->entry, t->n, sizeof *t->entry, by_hash);
        }
        buf_be64(out, t->n);
        for (size_t i = 0; i < t->n; i++) {
            buf_add(out, t->entry[i].hash, widths[k]);
            buf_be64(out, t->entry[i].size);
            buf_be32(out, t->entry[i].name);
        }
    }
    buf_span(out, buf_view(&c.names));
    return buf_done(out, "compiled hash lists", e);
}

/* ---- looking up ---- */

struct hashes {
    struct span table[KINDS]; /* rows of widths[k] + TAIL bytes */
    struct span names;
};

static int hashes_load(struct span compiled, void **state, struct err *e)
{
    struct hashes h = {0};
    struct reader r = reader_of(compiled);
    for (size_t k = 0; k < KINDS; k++) {
        uint64_t n = reader_be64(&r);
        if (n > reader_left(&r) / (widths[k] + TAIL)) {
            return err_set(e, ERR_FORMAT, "hashes: compiled lists are cut short");
        }
        h.table[k] = reader_take(&r, (size_t)n * (widths[k] + TAIL));
    }
    h.names = reader_take(&r, reader_left(&r));
    int fault = reader_done(&r, "compiled hash lists", e);
    if (fault < 0) {
        return fault;
    }
    if (h.names.len > 0 && h.names.p[h.names.len - 1] != '\0') {
        return err_set(e, ERR_FORMAT, "hashes: names do not end");
    }
    struct hashes *kept = mem_new(struct hashes);
    *kept = h;
    *state = kept;
    return 0;
}

/* The first row that is not less than `hash`. */
static size_t lower_bound(struct span table, size_t width, const uint8_t *hash)
{
    size_t low = 0, high = table.len / (width + TAIL);
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (memcmp(table.p + mid * (width + TAIL), hash, width) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static void look_up(const struct hashes *h, size_t k, const uint8_t *hash, struct scan_run *run,
                    const struct scan_object *o)
{
    static const char *const names[KINDS] = {"SHA-256", "SHA-1", "MD5"};
    size_t step = widths[k] + TAIL, n = h->table[k].len / step;
    for (size_t i = lower_bound(h->table[k], widths[k], hash); i < n; i++) {
        struct reader r = reader_of(span_of(h->table[k].p + i * step, step));
        if (memcmp(reader_take(&r, widths[k]).p, hash, widths[k]) != 0) {
            return;
        }
        uint64_t size = reader_be64(&r);
        uint32_t name = reader_be32(&r);
        if ((size == ANY_SIZE || size == o->bytes.len) && name < h->names.len) {
            scan_run_find(run, o, "hashes", (const char *)h->names.p + name, VERDICT_MALICIOUS, -1,
                          "its %s is in a list of known bad files", names[k]);
        }
    }
}

static int hashes_scan(void *state, struct scan_run *run, const struct scan_object *o,
                       struct err *e)
{
    (void)e;
    const struct hashes *h = state;
    look_up(h, 0, o->hash.sha256.b, run, o);
    look_up(h, 1, o->hash.sha1, run, o);
    look_up(h, 2, o->hash.md5, run, o);
    return 0;
}

static const char *hashes_version(void)
{
    return "1";
}

const struct engine engine_hashes = {.name = "hashes",
                                     .version = hashes_version,
                                     .kind = RULE_HASHES,
                                     .compile = hashes_compile,
                                     .load = hashes_load,
                                     .scan = hashes_scan,
                                     .free = free};
