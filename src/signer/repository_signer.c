/* repository_signer.c - signs update metadata, and only what attestations clear. */
#include "signer/signer_priv.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#include <fcntl.h>

/* ---- keys ---- */

struct loading {
    struct signer *s;
    struct err *e;
};

/* Loads a key if its subkey is here; others (root, without the root command) are passed over. */
static int load_one(void *ctx, const struct key_info *info)
{
    struct loading *l = ctx;
    struct signer *s = l->s;
    const struct key_sub *sub = info->purpose == KEY_REPOSITORY                   ? &s->boot->sub
                                : info->purpose == KEY_ROOT && s->boot->with_root ? &s->boot->root
                                                                                  : NULL;
    if (sub == NULL) {
        return 0;
    }
    struct key *k = NULL;
    int r = key_load(s->keys, sub, info->name, &k, l->e);
    if (r < 0) {
        return r;
    }
    if (strcmp(info->role, "sums") == 0) {
        key_free(&s->sums);
        s->sums = k;
        return 0;
    }
    s->role_key = mem_resize(s->role_key, s->n_keys + 1, sizeof *s->role_key);
    s->role_key[s->n_keys++] = k;
    return 0;
}

void signer_drop_roles(struct signer *s)
{
    for (size_t i = 0; i < s->n_keys; i++) {
        key_free(&s->role_key[i]);
    }
    mem_free(&s->role_key);
    mem_free(&s->by);
    s->n_keys = 0;
    key_free(&s->sums);
}

int signer_load_roles(struct signer *s, struct err *e)
{
    struct loading l = {s, e};
    signer_drop_roles(s);
    int r = key_each(s->keys, load_one, &l, e);
    s->by = mem_array(struct sig_by, s->n_keys);
    if (r == 0 && s->sums == NULL) {
        r = err_set(e, ERR_NOTFOUND, "keys/ lacks the key of the SHA256SUMS files");
    }
    return r;
}

/* Who signs what; s->by is filled role by role. */
static struct tuf_sign who_signs(struct signer *s)
{
    struct tuf_sign sign = {.now = clock_now()};
    size_t n = 0;
    for (size_t role = 0; role < TUF_ROLES; role++) {
        sign.role[role].by = s->by + n;
        sign.role[role].life = s->boot->life[role];
        for (size_t i = 0; i < s->n_keys; i++) {
            if (strcmp(key_about(s->role_key[i])->role, tuf_role_name((enum tuf_role)role)) == 0) {
                s->by[n++] = key_signer(s->role_key[i]);
                sign.role[role].n++;
            }
        }
    }
    return sign;
}

/* ---- state ---- */

static int save_state(struct signer *s, struct err *e)
{
    CLEANUP(js_free) json_t *state = tuf_state(s->repo);
    CLEANUP(buf_clear) struct buf b = BUF(SIGNER_STATE_MAX);
    js_write(&b, state);
    int r = buf_done(&b, "the signer's state", e);
    return r < 0 ? r : file_write(s->boot->site, SIGNER_STATE_REPOSITORY, buf_view(&b), 0600, e);
}

int signer_open_repository(struct signer *s, struct err *e)
{
    CLEANUP(buf_clear) struct buf b = BUF(SIGNER_STATE_MAX);
    CLEANUP(js_free) json_t *state = NULL;
    CLEANUP(fd_close) int metadata = -1;
    int r = signer_load_roles(s, e);
    r = r < 0 ? r : key_public(s->keys, "verdict", &s->verdict_key, e);
    r = r < 0 ? r : file_open_dir(s->boot->site, "metadata", &metadata, e);
    r = r < 0 ? r : file_read(s->boot->site, SIGNER_STATE_REPOSITORY, SIGNER_STATE_MAX, &b, e);
    r = r < 0 ? r : js_parse(buf_view(&b), SIGNER_STATE_MAX, SIGNER_STATE_REPOSITORY, &state, e);
    r = r < 0 ? r : tuf_open(metadata, state, &s->repo, e);
    return r < 0 ? err_wrap(e, r, "open the repository's signer") : 0;
}

/* State first, then the documents may leave. */
static int give_docs(struct signer *s, int r, struct tuf_docs *docs, json_t **answer, struct err *e)
{
    r = r < 0 || docs->n == 0 ? r : save_state(s, e);
    if (r == 0) {
        json_t *list = js_list();
        for (size_t i = 0; i < docs->n; i++) {
            json_t *d = js_new();
            js_set_str(d, "name", docs->doc[i].name);
            js_set(d, "bytes",
                   json_stringn((const char *)docs->doc[i].bytes.p, docs->doc[i].bytes.len));
            js_add(list, d);
        }
        *answer = js_new();
        js_set(*answer, "docs", list);
    }
    tuf_docs_clear(docs);
    return r;
}

/* ---- publish ---- */

static int by_digest(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct digest));
}

struct publish {
    struct signer_cleared *cleared;
    size_t n_cleared;
    struct tuf_target *add;
    json_t **custom;
    size_t n_add;
    const char **remove;
    size_t n_remove;
};

static void publish_clear(struct publish *p)
{
    for (size_t i = 0; i < p->n_add; i++) {
        js_free(&p->custom[i]);
    }
    free(p->custom);
    free(p->add);
    free(p->cleared);
    free(p->remove);
}

static int read_envelopes(struct signer *s, const json_t *body, struct publish *p, struct err *e)
{
    json_t *list = NULL;
    int r = js_arr(body, "envelopes", &list, e);
    for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        r = text == NULL
                ? err_set(e, ERR_FORMAT, "an envelope is a text")
                : signer_cleared(span_str(text), &s->verdict_key, &p->cleared, &p->n_cleared, e);
    }
    if (p->n_cleared > 0) {
        qsort(p->cleared, p->n_cleared, sizeof *p->cleared, by_digest);
    }
    return r;
}

static int read_target(const json_t *j, struct publish *p, struct err *e)
{
    struct tuf_target *t = &p->add[p->n_add];
    struct digest chunks;
    int64_t log = -1;
    int r = js_str(j, "path", &t->path, e);
    r = r < 0 ? r : js_u64(j, "length", &t->length, e);
    r = r < 0 ? r : js_sha256(j, "sha256", &t->sha256, e);
    r = r < 0 ? r : js_sha256(j, "chunks", &chunks, e);
    r = r < 0 ? r : js_int(j, "log", &log, e);
    if (r < 0) {
        return r;
    }
    const struct signer_cleared *c =
        p->n_cleared == 0
            ? NULL
            : bsearch(&t->sha256, p->cleared, p->n_cleared, sizeof *p->cleared, by_digest);
    if (c == NULL) {
        return err_set(e, ERR_DENIED, "no attestation says that %s is clean: it is not signed",
                       t->path);
    }
    json_t *custom = js_new(), *ours = js_new();
    js_set_sha256(ours, "chunks", &chunks);
    js_set_int(ours, "log", log);
    js_set_sha256(ours, "verdict", &c->envelope);
    js_set(custom, "cordon", ours);
    t->custom = p->custom[p->n_add++] = custom;
    return 0;
}

static int read_removes(const json_t *body, struct publish *p, struct err *e)
{
    const json_t *list = json_object_get(body, "remove");
    p->remove = mem_array(const char *, json_array_size(list));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *path = json_string_value(json_array_get(list, i));
        if (path == NULL) {
            return err_set(e, ERR_FORMAT, "a path is a text");
        }
        p->remove[p->n_remove++] = path;
    }
    return 0;
}

static int on_publish(void *ctx, struct ipc_peer *peer, struct ipc_msg *m, json_t **answer,
                      struct err *e)
{
    (void)peer;
    struct signer *s = ctx;
    CLEANUP(publish_clear) struct publish p = {0};
    json_t *targets = NULL;
    struct tuf_docs docs = {0};
    int r = read_envelopes(s, m->body, &p, e);
    r = r < 0 ? r : js_arr(m->body, "targets", &targets, e);
    p.add = mem_array(struct tuf_target, json_array_size(targets));
    p.custom = mem_array(json_t *, json_array_size(targets));
    for (size_t i = 0; r == 0 && i < json_array_size(targets); i++) {
        r = read_target(json_array_get(targets, i), &p, e);
    }
    r = r < 0 ? r : read_removes(m->body, &p, e);
    if (r == 0) {
        struct tuf_sign sign = who_signs(s);
        struct tuf_change change = {
            .add = p.add, .n_add = p.n_add, .remove = p.remove, .n_remove = p.n_remove};
        r = tuf_publish(s->repo, &sign, &change, &docs, e);
    }
    return give_docs(s, r, &docs, answer, e);
}

/* ---- recall ---- */

struct recall {
    struct tuf_recall r;
    struct digest sha256;
    const char **paths;
};

static int read_recall(const json_t *j, struct recall *out, struct err *e)
{
    json_t *paths = NULL;
    int r = js_str(j, "id", &out->r.id, e);
    r = r < 0 ? r : js_sha256(j, "sha256", &out->sha256, e);
    r = r < 0 ? r : js_str(j, "reason", &out->r.reason, e);
    r = r < 0 ? r : js_int(j, "time", &out->r.time, e);
    r = r < 0 ? r : js_int(j, "log", &out->r.log, e);
    r = r < 0 ? r : js_arr(j, "paths", &paths, e);
    if (r < 0) {
        return r;
    }
    out->paths = mem_array(const char *, json_array_size(paths));
    for (size_t i = 0; i < json_array_size(paths); i++) {
        const char *path = json_string_value(json_array_get(paths, i));
        if (path == NULL) {
            return err_set(e, ERR_FORMAT, "a path is a text");
        }
        out->paths[out->r.n_paths++] = path;
    }
    out->r.lift = js_bool_or(j, "lift", false);
    out->r.replacement = js_str_or(j, "replacement", NULL);
    out->r.sha256 = &out->sha256;
    out->r.n = 1;
    out->r.paths = out->paths;
    return 0;
}

static int on_recall(void *ctx, struct ipc_peer *peer, struct ipc_msg *m, json_t **answer,
                     struct err *e)
{
    (void)peer;
    struct signer *s = ctx;
    CLEANUP(publish_clear) struct publish p = {0};
    json_t *entries = NULL;
    struct tuf_docs docs = {0};
    int r = js_arr(m->body, "entries", &entries, e);
    size_t n = json_array_size(entries);
    CLEANUP(mem_free) struct recall *list = mem_array(struct recall, n);
    CLEANUP(mem_free) struct tuf_recall *recalls = mem_array(struct tuf_recall, n);
    for (size_t i = 0; i < n && r == 0; i++) {
        r = read_recall(json_array_get(entries, i), &list[i], e);
        recalls[i] = list[i].r;
    }
    r = r < 0 ? r : read_removes(m->body, &p, e);
    if (r == 0) {
        struct tuf_sign sign = who_signs(s);
        struct tuf_change change = {
            .recall = recalls, .n_recall = n, .remove = p.remove, .n_remove = p.n_remove};
        r = tuf_publish(s->repo, &sign, &change, &docs, e);
    }
    for (size_t i = 0; i < n; i++) {
        free(list[i].paths);
    }
    return give_docs(s, r, &docs, answer, e);
}

/* ---- refresh, rotate, state ---- */

static int on_refresh(void *ctx, struct ipc_peer *peer, struct ipc_msg *m, json_t **answer,
                      struct err *e)
{
    (void)peer;
    (void)m;
    struct signer *s = ctx;
    struct tuf_docs docs = {0};
    struct tuf_sign sign = who_signs(s);
    return give_docs(s, tuf_refresh(s->repo, &sign, &docs, e), &docs, answer, e);
}

/* The first unused name ROLE-2, ROLE-3, ... */
static int fresh_key(struct signer *s, enum tuf_role role, struct key_info *out, struct err *e)
{
    bool root = role == TUF_ROOT || role == TUF_TARGETS;
    for (unsigned n = 2; n < 10000; n++) {
        char name[KEY_NAME + 1];
        snprintf(name, sizeof name, "%s-%u", tuf_role_name(role), n);
        int r = key_make(s->keys, root ? &s->boot->root : &s->boot->sub,
                         root ? KEY_ROOT : KEY_REPOSITORY, name, tuf_role_name(role), out, e);
        if (r != ERR_CONFLICT) {
            return r;
        }
    }
    return err_set(e, ERR_LIMIT, "keys/ holds too many keys of %s", tuf_role_name(role));
}

static int on_rotate(void *ctx, struct ipc_peer *peer, struct ipc_msg *m, json_t **answer,
                     struct err *e)
{
    (void)peer;
    struct signer *s = ctx;
    const char *name = NULL;
    enum tuf_role role = TUF_ROOT;
    struct key_info info;
    struct tuf_keyset keys = {.n = 1, .threshold = 1};
    struct tuf_docs docs = {0};
    int r = js_str(m->body, "role", &name, e);
    r = r < 0 ? r : tuf_role_of(name, &role, e);
    if (r == 0 && !s->boot->with_root && role != TUF_BINS) {
        r = err_set(e, ERR_DENIED,
                    "new keys for %s need the root key: stop the server and run the command again",
                    name);
    }
    r = r < 0 ? r : fresh_key(s, role, &info, e);
    r = r < 0 ? r : signer_load_roles(s, e);
    if (r == 0) {
        struct tuf_sign sign = who_signs(s);
        keys.key[0] = info.public;
        r = tuf_rotate(s->repo, &sign, role, &keys, &docs, e);
    }
    return give_docs(s, r, &docs, answer, e);
}

static int on_state(void *ctx, struct ipc_peer *peer, struct ipc_msg *m, json_t **answer,
                    struct err *e)
{
    (void)peer;
    (void)m;
    (void)e;
    const struct signer *s = ctx;
    json_t *roles = js_new();
    for (size_t i = 0; i < TUF_ROLES; i++) {
        const char *name = tuf_role_name((enum tuf_role)i);
        json_t *j = js_new();
        js_set_int(j, "version", tuf_version(s->repo, name));
        js_set_time(j, "expires", tuf_expires(s->repo, (enum tuf_role)i));
        js_set(roles, name, j);
    }
    *answer = js_new();
    js_set(*answer, "roles", roles);
    js_set_int(*answer, "targets", (int64_t)tuf_count(s->repo));
    js_set_int(*answer, "bits", (int64_t)tuf_bits(s->repo));
    js_set_int(*answer, "due", tuf_due(s->repo));
    return 0;
}

/* ---- SHA256SUMS ---- */

/* The format of signify: "Ed", key number, then key or signature. */
static void signify(struct buf *out, const char *comment, const struct sig_public *key,
                    const uint8_t *body, size_t n)
{
    CLEANUP(buf_clear) struct buf raw = BUF(200);
    struct digest number = digest_of(span_of(key->b, sizeof key->b));
    buf_str(&raw, "Ed");
    buf_add(&raw, number.b, 8);
    buf_add(&raw, body, n);
    buf_fmt(out, "untrusted comment: %s\n", comment);
    text_base64(out, buf_view(&raw));
    buf_char(out, '\n');
}

static int add_line(struct signer *s, const char *folder, const char *file, struct buf *out,
                    struct err *e)
{
    const json_t *entry = NULL;
    CLEANUP(mem_free) char *path = mem_printf("%s/%s", folder, file);
    int r = tuf_find(s->repo, path, &entry, e);
    if (r == 0) {
        buf_fmt(out, "%s  %s\n", js_str_or(json_object_get(entry, "hashes"), "sha256", ""), file);
    }
    return r;
}

static int on_sums(void *ctx, struct ipc_peer *peer, struct ipc_msg *m, json_t **answer,
                   struct err *e)
{
    (void)peer;
    struct signer *s = ctx;
    const char *product = NULL, *version = NULL;
    json_t *files = NULL;
    CLEANUP(buf_clear) struct buf sums = BUF((size_t)32 << 20);
    CLEANUP(buf_clear) struct buf sig = BUF(1000);
    CLEANUP(buf_clear) struct buf public = BUF(1000);
    int r = js_str(m->body, "product", &product, e);
    r = r < 0 ? r : js_str(m->body, "version", &version, e);
    r = r < 0 ? r : js_arr(m->body, "files", &files, e);
    CLEANUP(mem_free) char *folder = r < 0 ? NULL : mem_printf("%s/%s", product, version);
    for (size_t i = 0; r == 0 && i < json_array_size(files); i++) {
        const char *file = json_string_value(json_array_get(files, i));
        r = file == NULL ? err_set(e, ERR_FORMAT, "a file name is a text")
                         : add_line(s, folder, file, &sums, e);
    }
    r = r < 0 ? r : buf_done(&sums, "SHA256SUMS", e);
    if (r < 0) {
        return r;
    }
    uint8_t raw[SIG_LEN];
    const struct sig_public *key = &key_about(s->sums)->public;
    key_sign(s->sums, buf_view(&sums), raw);
    signify(&sig, "verify with SHA256SUMS.pub", key, raw, sizeof raw);
    signify(&public, "SHA256SUMS public key", key, key->b, sizeof key->b);
    *answer = js_new();
    js_set_str(*answer, "sums", buf_text(&sums));
    js_set_str(*answer, "signature", buf_text(&sig));
    js_set_str(*answer, "public", buf_text(&public));
    return 0;
}

const struct ipc_op signer_ops_repository[] = {{"publish", on_publish}, {"recall", on_recall},
                                               {"refresh", on_refresh}, {"rotate", on_rotate},
                                               {"state", on_state},     {"sums", on_sums}};
const size_t signer_ops_repository_n = ARRAY_LEN(signer_ops_repository);
