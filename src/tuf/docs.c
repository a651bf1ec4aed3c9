#include "tuf/tuf_priv.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

void tuf_docs_clear(struct tuf_docs *docs)
{
    for (size_t i = 0; i < docs->n; i++) {
        free(docs->doc[i].name);
        buf_clear(&docs->doc[i].bytes);
    }
    free(docs->doc);
    *docs = (struct tuf_docs){NULL, 0, 0};
}

void tuf_docs_add(struct tuf_docs *docs, const char *name, struct buf *take)
{
    if (docs->n == docs->cap) {
        docs->cap = docs->cap == 0 ? 32 : 2 * docs->cap;
        docs->doc = mem_resize(docs->doc, docs->cap, sizeof docs->doc[0]);
    }
    docs->doc[docs->n++] = (struct tuf_doc){mem_str(name), *take};
    buf_init(take, take->max);
}

/* "12.bin-0.json" into its parts; false for anything else. */
bool tuf_file_name(const char *file, int64_t *version, char role[static TUF_ROLE_NAME])
{
    struct span rest = span_str(file), number, name;
    uint64_t v;
    if (!span_cut(&rest, '.', &number) || !span_cut(&rest, '.', &name) || !span_is(rest, "json") ||
        text_u64(number, (uint64_t)TUF_VERSION_MAX - 1, &v, NULL) < 0 || v == 0 || name.len == 0 ||
        name.len >= TUF_ROLE_NAME) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.p[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-') {
            return false;
        }
    }
    memcpy(role, name.p, name.len);
    role[name.len] = 0;
    *version = (int64_t)v;
    return true;
}

static bool recall_name(const char *name)
{
    struct span rest = span_str(name), folder, hex;
    struct digest d;
    return span_cut(&rest, '/', &folder) && span_is(folder, "recall") &&
           span_cut(&rest, '.', &hex) && digest_parse(hex, &d, NULL) == 0 && rest.p != NULL &&
           rest.len <= LIMIT_NAME + 5 && tuf_check_name(rest, NULL, NULL) == 0 &&
           memchr(rest.p, '/', rest.len) == NULL;
}

int tuf_docs_take(struct tuf_docs *docs, const char *name, struct buf *bytes, struct err *e)
{
    int64_t version;
    char role[TUF_ROLE_NAME];
    if (strcmp(name, "timestamp.json") != 0 && !tuf_file_name(name, &version, role) &&
        !recall_name(name)) {
        buf_clear(bytes);
        return err_set(e, ERR_FORMAT, "\"%.100s\" is not the name of a metadata file", name);
    }
    tuf_docs_add(docs, name, bytes);
    return 0;
}

/* ---- the order in which they become visible ---- */

static int rank(const char *name)
{
    static const char *const order[] = {"recalls", "releases", "targets", "snapshot", "root"};
    int64_t version;
    char role[TUF_ROLE_NAME];
    if (strcmp(name, "timestamp.json") == 0) {
        return 9;
    }
    if (!tuf_file_name(name, &version, role)) {
        return 0; /* recall/... */
    }
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        if (strcmp(role, order[i]) == 0) {
            return (int)i + 2;
        }
    }
    return 1; /* bins */
}

static int by_rank(const void *a, const void *b)
{
    const struct tuf_doc *x = a, *y = b;
    int d = rank(x->name) - rank(y->name);
    return d != 0 ? d : strcmp(x->name, y->name);
}

void tuf_docs_sort(struct tuf_docs *docs)
{
    qsort(docs->doc, docs->n, sizeof docs->doc[0], by_rank);
}
