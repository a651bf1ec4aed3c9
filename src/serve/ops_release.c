/* ops_release.c - states of releases, and the retro-hunt. */
#include "serve/gate.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"

static int on_list(struct gate_call *c, json_t **answer, struct err *e)
{
    json_t *list = NULL;
    int r = release_list(c->g->release, &list, e);
    if (r == 0) {
        *answer = js_new();
        js_set(*answer, "releases", list);
    }
    return r;
}

static int product_version(struct gate_call *c, const char **product, const char **version,
                           struct err *e)
{
    int r = js_str(c->m->body, "product", product, e);
    return r < 0 ? r : js_str(c->m->body, "version", version, e);
}

static int on_show(struct gate_call *c, json_t **answer, struct err *e)
{
    const char *product = NULL, *version = NULL;
    int r = product_version(c, &product, &version, e);
    return r < 0 ? r : release_show(c->g->release, product, version, answer, e);
}

static int on_approve(struct gate_call *c, json_t **answer, struct err *e)
{
    const char *product = NULL, *version = NULL;
    int r = product_version(c, &product, &version, e);
    return r < 0 ? r : release_approve(c->g->release, product, version, c->who, answer, e);
}

static int what_reason(struct gate_call *c, const char **what, const char **reason, struct err *e)
{
    int r = js_str(c->m->body, "what", what, e);
    r = r < 0 ? r : js_str(c->m->body, "reason", reason, e);
    if (r == 0 && (*reason)[0] == 0) {
        r = err_set(e, ERR_FORMAT, "a reason is needed: it is what customers will read");
    }
    return r;
}

static int on_withhold(struct gate_call *c, json_t **answer, struct err *e)
{
    const char *what = NULL, *reason = NULL;
    int r = what_reason(c, &what, &reason, e);
    return r < 0 ? r : release_withhold(c->g->release, what, reason, c->who, answer, e);
}

static int on_recall(struct gate_call *c, json_t **answer, struct err *e)
{
    struct release_order o = {.replace = js_str_or(c->m->body, "replace", NULL), .who = c->who};
    int r = what_reason(c, &o.what, &o.reason, e);
    return r < 0 ? r : release_recall(c->g->release, &o, answer, e);
}

static int on_lift(struct gate_call *c, json_t **answer, struct err *e)
{
    const char *what = NULL, *reason = NULL;
    int r = what_reason(c, &what, &reason, e);
    return r < 0 ? r : release_lift(c->g->release, what, reason, c->who, answer, e);
}

static int on_stop_all(struct gate_call *c, json_t **answer, struct err *e)
{
    const char *reason = NULL;
    int r = js_str(c->m->body, "reason", &reason, e);
    return r < 0 ? r : release_stop_all(c->g->release, reason, c->who, answer, e);
}

static void on_step(void *ctx, uint64_t done, uint64_t all)
{
    gate_progress(ctx, "retro", done, all, NULL);
}

/* Rule files come as descriptors, opened with the rights of who asks; the pool wants paths. Each is
 * copied into a private folder; the double slash keeps that out of messages and of the record. */
struct rule_copies {
    char folder[32];
    char *path[IPC_FDS];
};

static void copies_clear(struct rule_copies *r)
{
    for (size_t i = 0; i < IPC_FDS && r->path[i] != NULL; i++) {
        unlink(r->path[i]);
        *strstr(r->path[i], "//") = 0;
        rmdir(r->path[i]);
        free(r->path[i]);
    }
    if (r->folder[0] != 0) {
        rmdir(r->folder);
    }
}

static int copy_rule(struct rule_copies *r, size_t i, const char *name, int fd, struct err *e)
{
    CLEANUP(buf_clear) struct buf text = BUF(LIMIT_RULE_FILE + 1);
    if (name == NULL || strchr(name, '/') != NULL || name[0] == '.' || name[0] == 0) {
        return err_set(e, ERR_FORMAT, "a rule file's name is a name without folder");
    }
    uint8_t *room = buf_room(&text, LIMIT_RULE_FILE + 1);
    ssize_t n = fd_pread(fd, room, LIMIT_RULE_FILE + 1, 0);
    if (n < 0) {
        return err_sys(e, "read %s", name);
    }
    if ((size_t)n > LIMIT_RULE_FILE) {
        return err_set(e, ERR_LIMIT, "%s is longer than %zu bytes", name, LIMIT_RULE_FILE);
    }
    CLEANUP(mem_free) char *sub = mem_printf("%s/%zu", r->folder, i);
    if (mkdir(sub, 0700) < 0) {
        return err_sys(e, "make %s", sub);
    }
    r->path[i] = mem_printf("%s//%s", sub, name);
    return file_write_lazy(AT_FDCWD, r->path[i], span_of(room, (size_t)n), 0600, e);
}

static int on_retro(struct gate_call *c, json_t **answer, struct err *e)
{
    const json_t *names = json_object_get(c->m->body, "names");
    CLEANUP(copies_clear) struct rule_copies copies = {0};
    char folder[] = "/tmp/cordon-retro-XXXXXX";
    int r = 0;
    if (c->m->n_fds == 0 || json_array_size(names) != c->m->n_fds) {
        return err_set(e, ERR_FORMAT, "name at least one rule file");
    }
    if (mkdtemp(folder) == NULL) {
        return err_sys(e, "make a folder for the rules");
    }
    memcpy(copies.folder, folder, sizeof folder);
    for (size_t i = 0; i < c->m->n_fds && r == 0; i++) {
        r = copy_rule(&copies, i, json_string_value(json_array_get(names, i)), c->m->fds[i], e);
    }
    struct release_hunt q = {.rules = (const char *const *)copies.path,
                             .n = c->m->n_fds,
                             .force = js_bool_or(c->m->body, "force", false),
                             .who = c->who,
                             .step = on_step,
                             .ctx = c};
    return r < 0 ? r : release_retro(c->g->release, &q, answer, e);
}

const struct gate_op gate_ops_release[] = {{"release.list", GATE_RELEASE | GATE_RESPONDER, on_list},
                                           {"release.show", GATE_RELEASE | GATE_RESPONDER, on_show},
                                           {"release.approve", GATE_RELEASE, on_approve},
                                           {"withhold", GATE_RELEASE | GATE_RESPONDER, on_withhold},
                                           {"recall", GATE_RELEASE, on_recall},
                                           {"lift", GATE_RELEASE, on_lift},
                                           {"stop.all", GATE_RELEASE | GATE_RESPONDER, on_stop_all},
                                           {"retro", GATE_LOCAL, on_retro},
                                           {0}};
