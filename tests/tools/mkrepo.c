/* mkrepo.c - makes and changes an update repository, for tests with other people's clients.
 *
 * usage: mkrepo DIR create N          targets 0 to N-1 (DIR must exist)
 *        mkrepo DIR publish FROM TO   adds or replaces targets FROM to TO-1
 *        mkrepo DIR remove I          takes a target away
 *        mkrepo DIR recall I          the same, and lists its digest below recall/
 *        mkrepo DIR rotate ROLE       gives the role a new key
 *        mkrepo DIR refresh
 * DIR gets metadata/, targets/, state.json and generations.json. Target I is
 * hotfix/7.D/update-I.exe with the text "update I of generation G" (MKREPO_CONTENT, 0). Keys follow
 * from MKREPO_SEED, the role and its generation: they protect nothing. MKREPO_AGO=40d signs as if
 * that long ago. */
#include <fcntl.h>
#include <sodium.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "tuf/tuf.h"

#define ROOT_KEYS 3
#define HELD (2 * ROOT_KEYS) /* this generation and the one before */

struct maker {
    int dir, metadata;
    uint8_t secret[TUF_ROLES][HELD][crypto_sign_SECRETKEYBYTES];
    struct sig_by by[TUF_ROLES][HELD];
    struct tuf_keyset keys[TUF_ROLES];
    struct tuf_sign sign;
    json_t *generations, *state;
    struct tuf_repo *repo;
};

static int sign(void *ctx, struct span message, uint8_t out[SIG_LEN], struct err *e)
{
    return crypto_sign_detached(out, NULL, message.p, message.len, ctx) == 0
               ? 0
               : err_set(e, ERR_BUG, "sign");
}

static size_t keys_of(int role)
{
    return role == TUF_ROOT ? ROOT_KEYS : 1;
}

static void make_key(struct maker *m, int role, size_t slot, int64_t generation, size_t number)
{
    const char *seed = getenv("MKREPO_SEED");
    CLEANUP(mem_free)
    char *text =
        mem_printf("%s %d %lld %zu", seed != NULL ? seed : "", role, (long long)generation, number);
    struct digest d = digest_of(span_str(text));
    struct sig_by *by = &m->by[role][slot];
    *by = (struct sig_by){.sign = sign, .ctx = m->secret[role][slot]};
    crypto_sign_seed_keypair(by->key.b, m->secret[role][slot], d.b);
}

/* Present keys first, then those of the generation before, which a rotation needs too. */
static void make_keys(struct maker *m)
{
    for (int r = 0; r < TUF_ROLES; r++) {
        int64_t g = js_int_or(m->generations, tuf_role_name((enum tuf_role)r), 0);
        size_t n = keys_of(r);
        for (size_t i = 0; i < n; i++) {
            make_key(m, r, i, g, i);
            make_key(m, r, n + i, g - 1, i);
            m->keys[r].key[i] = m->by[r][i].key;
        }
        m->keys[r].n = n;
        m->keys[r].threshold = n == ROOT_KEYS ? 2 : 1;
        m->sign.role[r].by = m->by[r];
        m->sign.role[r].n = 2 * n;
    }
}

static int save_json(const struct maker *m, const char *name, const json_t *j, struct err *e)
{
    CLEANUP(buf_clear) struct buf b = BUF(LIMIT_JSON);
    js_write(&b, j);
    return file_write(m->dir, name, buf_view(&b), 0600, e);
}

static int load_json(const struct maker *m, const char *name, json_t **out, struct err *e)
{
    CLEANUP(buf_clear) struct buf b = BUF(LIMIT_JSON + ((size_t)1 << 17));
    int r = file_read(m->dir, name, LIMIT_JSON, &b, e);
    return r < 0 ? r : js_parse(buf_view(&b), LIMIT_JSON, name, out, e);
}

static int store(struct maker *m, struct tuf_docs *docs, struct err *e)
{
    if (m->repo != NULL) {
        js_free(&m->state);
        m->state = tuf_state(m->repo);
    }
    int r = save_json(m, "state.json", m->state, e);
    r = r < 0 ? r : save_json(m, "generations.json", m->generations, e);
    r = r < 0 ? r : tuf_write(m->metadata, docs, e);
    tuf_docs_clear(docs);
    return r;
}

static char *target_path(long i)
{
    return mem_printf("hotfix/7.%ld/update-%ld.exe", i % 10, i);
}

static int write_target(struct maker *m, long i, struct tuf_target *t, struct err *e)
{
    const char *content = getenv("MKREPO_CONTENT");
    CLEANUP(mem_free)
    char *text = mem_printf("update %ld of generation %s\n", i, content != NULL ? content : "0");
    char hex[DIGEST_TEXT + 1];
    t->path = target_path(i);
    t->length = strlen(text);
    t->sha256 = digest_of(span_str(text));
    digest_text(&t->sha256, hex);
    CLEANUP(mem_free)
    char *file = mem_printf("targets/hotfix/7.%ld/%s.update-%ld.exe", i % 10, hex, i);
    CLEANUP(mem_free) char *folder = mem_printf("targets/hotfix/7.%ld", i % 10);
    int r = file_mkdirs(m->dir, folder, 0755, e);
    return r < 0 ? r : file_write_lazy(m->dir, file, span_str(text), 0644, e);
}

static int publish(struct maker *m, long from, long to, struct err *e)
{
    size_t n = to > from ? (size_t)(to - from) : 0;
    struct tuf_target *t = mem_array(struct tuf_target, n + 1);
    CLEANUP(js_free) json_t *custom = js_new();
    json_t *mine = js_new();
    js_set_str(mine, "st", "ok");
    js_set(custom, "cordon", mine);
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        t[i].custom = custom;
        r = write_target(m, from + (long)i, &t[i], e);
    }
    struct tuf_docs docs = {NULL, 0, 0};
    struct tuf_change change = {.add = t, .n_add = n};
    r = r < 0 ? r : tuf_publish(m->repo, &m->sign, &change, &docs, e);
    r = r < 0 ? r : store(m, &docs, e);
    for (size_t i = 0; i < n; i++) {
        free((void *)(uintptr_t)t[i].path);
    }
    free(t);
    return r;
}

static int take_away(struct maker *m, long i, bool recall, struct err *e)
{
    const char *path = target_path(i);
    const json_t *entry = NULL;
    struct digest d;
    CLEANUP(mem_free) char *id = mem_printf("2026-%ld", i);
    int r = tuf_find(m->repo, path, &entry, e);
    r = r < 0 ? r : js_sha256(json_object_get(entry, "hashes"), "sha256", &d, e);
    if (r == 0) {
        struct tuf_docs docs = {NULL, 0, 0};
        struct tuf_recall what = {.id = id,
                                  .sha256 = &d,
                                  .n = 1,
                                  .paths = &path,
                                  .n_paths = 1,
                                  .reason = "test",
                                  .time = m->sign.now,
                                  .log = 7};
        struct tuf_change change = {
            .remove = &path, .n_remove = 1, .recall = &what, .n_recall = recall ? 1 : 0};
        r = tuf_publish(m->repo, &m->sign, &change, &docs, e);
        r = r < 0 ? r : store(m, &docs, e);
    }
    free((void *)(uintptr_t)path);
    return r;
}

static int rotate(struct maker *m, const char *name, struct err *e)
{
    enum tuf_role role;
    struct tuf_docs docs = {NULL, 0, 0};
    int r = tuf_role_of(name, &role, e);
    if (r < 0) {
        return r;
    }
    js_set_int(m->generations, name, js_int_or(m->generations, name, 0) + 1);
    make_keys(m);
    r = tuf_rotate(m->repo, &m->sign, role, &m->keys[role], &docs, e);
    return r < 0 ? r : store(m, &docs, e);
}

static int refresh(struct maker *m, struct err *e)
{
    struct tuf_docs docs = {NULL, 0, 0};
    int r = tuf_refresh(m->repo, &m->sign, &docs, e);
    return r < 0 ? r : store(m, &docs, e);
}

static int create(struct maker *m, struct err *e)
{
    struct tuf_docs docs = {NULL, 0, 0};
    m->generations = js_new();
    make_keys(m);
    int r = file_mkdirs(m->dir, "metadata", 0755, e);
    r = r < 0 ? r : file_open_dir(m->dir, "metadata", &m->metadata, e);
    r = r < 0 ? r : tuf_create(m->keys, &m->sign, &docs, &m->state, e);
    r = r < 0 ? r : store(m, &docs, e);
    return r < 0 ? r : tuf_open(m->metadata, m->state, &m->repo, e);
}

static int load(struct maker *m, struct err *e)
{
    struct tuf_repaired repaired;
    int r = file_open_dir(m->dir, "metadata", &m->metadata, e);
    r = r < 0 ? r : load_json(m, "generations.json", &m->generations, e);
    r = r < 0 ? r : load_json(m, "state.json", &m->state, e);
    r = r < 0 ? r : tuf_repair(m->metadata, &repaired, e);
    r = r < 0 ? r : tuf_open(m->metadata, m->state, &m->repo, e);
    if (r == 0) {
        make_keys(m);
    }
    return r;
}

static int run(struct maker *m, int argc, char **argv, struct err *e)
{
    const char *verb = argc > 2 ? argv[2] : "";
    long a = argc > 3 ? strtol(argv[3], NULL, 10) : 0, b = argc > 4 ? strtol(argv[4], NULL, 10) : 0;
    bool creates = strcmp(verb, "create") == 0;
    int r = creates ? create(m, e) : load(m, e);
    if (r < 0) {
        return r;
    }
    if (creates) {
        return a > 0 ? publish(m, 0, a, e) : 0;
    }
    if (strcmp(verb, "publish") == 0) {
        return publish(m, a, b, e);
    }
    if (strcmp(verb, "remove") == 0 || strcmp(verb, "recall") == 0) {
        return take_away(m, a, verb[2] == 'c', e);
    }
    if (strcmp(verb, "rotate") == 0 && argc > 3) {
        return rotate(m, argv[3], e);
    }
    return strcmp(verb, "refresh") == 0 ? refresh(m, e)
                                        : err_set(e, ERR_FORMAT, "no verb %s", verb);
}

int main(int argc, char **argv)
{
    static struct maker m = {.dir = -1, .metadata = -1};
    struct err e = {0};
    int64_t ago = 0;
    const char *text = getenv("MKREPO_AGO");
    int r = text != NULL ? clock_duration(span_str(text), &ago, &e) : 0;
    m.sign.now = clock_now() - ago;
    r = r < 0 ? r : file_open_dir(AT_FDCWD, argc > 1 ? argv[1] : ".", &m.dir, &e);
    r = r < 0 ? r : run(&m, argc, argv, &e);
    if (r < 0) {
        fprintf(stderr, "mkrepo: %s\n", e.text);
    } else {
        printf("{\"targets\":%zu,\"bins\":%u,\"root\":%lld,\"snapshot\":%lld}\n", tuf_count(m.repo),
               1u << tuf_bits(m.repo), (long long)tuf_version(m.repo, "root"),
               (long long)tuf_version(m.repo, "snapshot"));
    }
    tuf_close(&m.repo);
    js_free(&m.state);
    js_free(&m.generations);
    return r < 0 ? 3 : 0;
}
