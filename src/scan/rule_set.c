/* From rule files to a set in force: read, compile in a cage, seal, prove with one worker. */
#include "scan/scan_priv.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "scan/bundle.h"

void rule_set_free(struct rule_set *s)
{
    if (s != NULL) {
        fd_close(&s->compiled);
        js_free(&s->files);
        js_free(&s->engines);
        js_free(&s->denied);
        free(s);
    }
}

static void free_set(struct rule_set **s)
{
    rule_set_free(*s);
}

/* Only what can change a verdict is in it, so that other settings do not cause a new scan. */
static struct digest set_digest(const struct scan_config *c, struct span bundle,
                                const json_t *engines)
{
    CLEANUP(buf_clear) struct buf b = BUF((size_t)1 << 20);
    struct digest rules = digest_of(bundle);
    const struct scan_limits *l = &c->limits;
    buf_add(&b, rules.b, sizeof rules.b);
    buf_fmt(&b, "\n%s\n", CORDON_VERSION);
    js_write(&b, engines);
    const uint64_t numbers[] = {l->memory,  (uint64_t)l->time, l->max_file, l->unpacked,
                                l->members, l->depth,          l->ratio};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        buf_be64(&b, numbers[i]);
    }
    for (size_t i = 0; i < c->n_required; i++) {
        buf_fmt(&b, "\nrequired %s", c->required[i]);
    }
    for (size_t i = 0; i < c->n_names; i++) {
        buf_fmt(&b, "\nonly %s", c->names[i]);
    }
    return digest_of(buf_view(&b));
}

/* Nobody may change it any more, the worker that wrote it included (it has ended). */
static int seal(struct rule_set *s, struct err *e)
{
    off_t size = lseek(s->compiled, 0, SEEK_END);
    if (size < 0 || (uint64_t)size > BUNDLE_MOST) {
        return err_set(e, ERR_LIMIT, "compiled rules are too large");
    }
    if (fcntl(s->compiled, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) !=
        0) {
        return err_sys(e, "seal compiled rules");
    }
    s->size = (uint64_t)size;
    return 0;
}

static int compile(const struct scan_config *c, struct buf *bundle, struct rule_set *s,
                   struct err *e)
{
    CLEANUP(rule_list_clear) struct rule_list list = {0};
    CLEANUP(fd_close) int texts = -1;
    int r = rule_list_read(c, &list, e);
    if (r < 0) {
        return r;
    }
    bundle_write(bundle, &list);
    r = buf_done(bundle, "rule files", e);
    r = r < 0 ? r : fd_sealed("cordon-rules", buf_view(bundle), &texts, e);
    if (r < 0) {
        return r;
    }
    s->compiled = memfd_create("cordon-compiled-rules", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (s->compiled < 0) {
        return err_sys(e, "make room for compiled rules");
    }
    r = caged_compile(c, texts, s->compiled, &s->files, e);
    return r < 0 ? r : seal(s, e);
}

int rule_set_make(const struct scan_config *c, struct rule_set **out, struct err *e)
{
    CLEANUP(free_set) struct rule_set *s = mem_new(struct rule_set);
    CLEANUP(buf_clear) struct buf bundle = BUF(BUNDLE_MOST);
    CLEANUP(caged_stop) struct caged first = CAGED_NONE;
    s->compiled = -1;
    int r = compile(c, &bundle, s, e);
    r = r < 0 ? r : caged_start(c, s, &first, e);
    if (r < 0) {
        return r;
    }
    s->engines = json_incref(json_object_get(first.ready, "engines"));
    s->denied = json_incref(json_object_get(first.ready, "denied"));
    s->landlock = (int)js_int_or(first.ready, "landlock", 0);
    s->digest = set_digest(c, buf_view(&bundle), s->engines);
    *out = s;
    s = NULL;
    return 0;
}
