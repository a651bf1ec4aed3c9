/* ops_admit.c - admission over the control socket: begin, files, end. */
#include "serve/gate.h"

#include "base/mem.h"

struct gate_batch {
    struct gate_batch *next;
    uint64_t id;
    struct release_batch *batch;
};

void gate_batches_drop(struct gate_batch **list)
{
    while (*list != NULL) {
        struct gate_batch *b = *list;
        *list = b->next;
        release_drop(&b->batch);
        free(b);
    }
}

static struct gate_batch **find(struct gate_call *c, struct err *e)
{
    uint64_t id = 0;
    if (js_u64(c->m->body, "batch", &id, e) < 0) {
        return NULL;
    }
    for (struct gate_batch **b = c->batches; *b != NULL; b = &(*b)->next) {
        if ((*b)->id == id) {
            return b;
        }
    }
    err_set(e, ERR_NOTFOUND, "no batch %llu on this connection", (unsigned long long)id);
    return NULL;
}

static int on_begin(struct gate_call *c, json_t **answer, struct err *e)
{
    struct release_batch *batch = NULL;
    js_set_str(c->m->body, "who", c->who);
    gate_rules_fresh(c->g); /* a rule that was just put there counts for these files */
    int r = release_begin(c->g->release, c->m->body, &batch, e);
    if (r < 0) {
        return r;
    }
    struct gate_batch *b = mem_new(struct gate_batch);
    pthread_mutex_lock(&c->g->lock);
    *b = (struct gate_batch){*c->batches, ++c->g->batch_next, batch};
    pthread_mutex_unlock(&c->g->lock);
    *c->batches = b;
    *answer = js_new();
    js_set_int(*answer, "batch", (int64_t)b->id);
    return 0;
}

static int on_files(struct gate_call *c, json_t **answer, struct err *e)
{
    struct gate_batch **b = find(c, e);
    json_t *files = NULL, *results = NULL;
    if (b == NULL) {
        return e->code;
    }
    int r = js_arr(c->m->body, "files", &files, e);
    if (r == 0 && json_array_size(files) != c->m->n_fds) {
        r = err_set(e, ERR_FORMAT, "%zu files with %zu descriptors", json_array_size(files),
                    c->m->n_fds);
    }
    r = r < 0 ? r : release_files((*b)->batch, files, c->m->fds, c->m->n_fds, &results, e);
    if (r == 0) {
        *answer = js_new();
        js_set(*answer, "results", results);
    }
    return r;
}

static int on_end(struct gate_call *c, json_t **answer, struct err *e)
{
    struct gate_batch **b = find(c, e);
    json_t *results = NULL;
    if (b == NULL) {
        return e->code;
    }
    struct gate_batch *gone = *b;
    *b = gone->next;
    int r = release_end(&gone->batch, &results, e);
    release_drop(&gone->batch);
    free(gone);
    if (r == 0) {
        int64_t published = 0;
        for (size_t i = 0; i < json_array_size(results); i++) {
            published += js_bool_or(json_array_get(results, i), "published", false);
        }
        *answer = js_new();
        js_set(*answer, "results", results);
        js_set_int(*answer, "published", published);
    }
    return r;
}

const struct gate_op gate_ops_admit[] = {{"admit.begin", GATE_BUILD, on_begin},
                                         {"admit.files", GATE_LOCAL, on_files},
                                         {"admit.end", GATE_BUILD, on_end},
                                         {0}};
