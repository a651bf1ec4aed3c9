/* web_sums.c - SHA256SUMS of a version, signed by the repository's signer through the gate.
 *
 * Asked once for each state of the metadata: until timestamp.json changes, nothing was published or
 * recalled. */
#include "serve/web.h"

#include <sys/stat.h>

#include "base/mem.h"

#define KEPT 64u

struct state {
    dev_t dev;
    ino_t ino;
    struct timespec mtime;
};

struct kept {
    char *release; /* PRODUCT/VERSION */
    struct state state;
    json_t *answer; /* {sums, signature, public} */
};

static struct {
    pthread_mutex_t lock;
    struct kept kept[KEPT];
    size_t next;
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct wanted {
    char *release, *file;
    struct state state;
    json_t *answer;
    struct err fault;
    bool failed;
};

static void wanted_free(void *state)
{
    struct wanted *s = state;
    free(s->release);
    free(s->file);
    js_free(&s->answer);
    free(s);
}

static bool state_now(int metadata, struct state *out)
{
    struct stat st;
    if (fstatat(metadata, "timestamp.json", &st, 0) < 0) {
        return false;
    }
    *out = (struct state){st.st_dev, st.st_ino, st.st_mtim};
    return true;
}

static bool same(const struct state *a, const struct state *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->mtime.tv_sec == b->mtime.tv_sec &&
           a->mtime.tv_nsec == b->mtime.tv_nsec;
}

/* A new reference, or NULL. */
static json_t *recall(const char *release, const struct state *state)
{
    json_t *found = NULL;
    pthread_mutex_lock(&cache.lock);
    for (size_t i = 0; i < KEPT; i++) {
        struct kept *k = &cache.kept[i];
        if (k->release != NULL && strcmp(k->release, release) == 0 && same(&k->state, state)) {
            found = json_deep_copy(k->answer); /* reference counts are not for several threads */
        }
    }
    pthread_mutex_unlock(&cache.lock);
    return found;
}

static void keep(const struct wanted *s)
{
    pthread_mutex_lock(&cache.lock);
    struct kept *k = &cache.kept[cache.next++ % KEPT];
    free(k->release);
    js_free(&k->answer);
    *k = (struct kept){mem_str(s->release), s->state, json_deep_copy(s->answer)};
    pthread_mutex_unlock(&cache.lock);
}

static void reply_sums(struct visit *v, const struct wanted *s)
{
    const char *member = strcmp(s->file, "SHA256SUMS.sig") == 0   ? "signature"
                         : strcmp(s->file, "SHA256SUMS.pub") == 0 ? "public"
                                                                  : "sums";
    reply_public(v, "text/plain; charset=utf-8", "no-cache",
                 span_str(js_str_or(s->answer, member, "")));
}

static void on_sums(void *ctx, const json_t *body, const struct err *fault, int fd)
{
    struct visit *v = ctx;
    struct wanted *s = v->state;
    (void)fd;
    pthread_mutex_lock(&v->lock);
    s->failed = fault != NULL;
    if (fault != NULL) {
        s->fault = *fault;
    } else {
        s->answer = json_deep_copy(body);
    }
    pthread_mutex_unlock(&v->lock);
    visit_resume(v);
    visit_unref(v);
}

static void answered(struct visit *v)
{
    struct wanted *s = v->state;
    if (!s->failed && s->answer != NULL) {
        keep(s);
        reply_sums(v, s);
    } else if (s->fault.code == ERR_NOTFOUND) {
        reply_error(v, 404, "no version %s is published", s->release);
    } else {
        reply_unavailable(v, &s->fault);
    }
}

void serve_sums(struct visit *v, const char *product, const char *version, const char *file)
{
    struct err e;
    struct wanted *s = mem_new(struct wanted);
    s->release = mem_printf("%s/%s", product, version);
    s->file = mem_str(file);
    err_set(&s->fault, ERR_UNAVAIL, "the server is stopping");
    v->state = s;
    v->state_free = wanted_free;
    if (state_now(v->w->metadata, &s->state) &&
        (s->answer = recall(s->release, &s->state)) != NULL) {
        reply_sums(v, s);
        return;
    }
    CLEANUP(js_free) json_t *q = js_new();
    js_set_str(q, "op", "sums");
    js_set_str(q, "product", product);
    js_set_str(q, "version", version);
    v->again = answered;
    if (visit_ask(v, v->w->gate, q, WEB_PATIENCE, on_sums, &e) < 0) {
        reply_unavailable(v, &e);
    }
}
