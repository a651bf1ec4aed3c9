#include "scan/worker.h"

#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/ipc.h"
#include "base/limits.h"
#include "base/mem.h"
#include "scan/bundle.h"
#include "scan/cage.h"
#include "scan/proof.h"
#include "scan/run.h"
#include "scan/yara_init.h"

#define COPY_MOST ((uint64_t)64 << 20)

struct worker {
    const struct engine *const *engines;
    size_t n_engines;
    struct run_setup setup;
    bool strict;
};

/* Bytes of a descriptor. Small ones are copied, so that nobody can change what was hashed before
 * it is scanned; large ones are mapped from a file that the blob store lets nobody write. A map
 * that shrinks under us ends this process, which the gate takes for what it is. */
struct view {
    struct span bytes;
    void *map;
};

static void view_clear(struct view *v)
{
    if (v->map != NULL) {
        munmap(v->map, v->bytes.len);
    }
    *v = (struct view){0};
}

static int map_fd(int fd, int flags, int prot, size_t n, void **out, struct err *e)
{
    *out = mmap(NULL, n, prot, MAP_PRIVATE | flags, fd, 0);
    if (*out == MAP_FAILED) {
        *out = NULL;
        return err_sys(e, "worker: map %zu bytes", n);
    }
    return 0;
}

static int view_fd(int fd, bool may_copy, struct view *out, struct err *e)
{
    off_t size = lseek(fd, 0, SEEK_END);
    if (size < 0) {
        return err_sys(e, "worker: ask for the size of the file");
    }
    struct view v = {0};
    if (size == 0) {
        *out = v;
        return 0;
    }
    bool copy = may_copy && (uint64_t)size <= COPY_MOST;
    int r = map_fd(copy ? -1 : fd, copy ? MAP_ANONYMOUS : 0,
                   copy ? PROT_READ | PROT_WRITE : PROT_READ, (size_t)size, &v.map, e);
    if (r < 0) {
        return r;
    }
    v.bytes = span_of(v.map, (size_t)size);
    if (copy && fd_pread(fd, v.map, (size_t)size, 0) != (ssize_t)size) {
        view_clear(&v);
        return err_set(e, ERR_FORMAT, "worker: the file became shorter while it was read");
    }
    *out = v;
    return 0;
}

/* ---- start ---- */

static int read_start(const json_t *m, struct worker *w, struct cage_limits *cage, struct err *e)
{
    struct scan_limits *l = &w->setup.limits;
    const struct {
        const char *name;
        uint64_t *into;
    } numbers[] = {{"memory", &cage->memory}, {"mapped", &cage->mapped},  {"cpu", &cage->cpu},
                   {"write", &cage->write},   {"unpacked", &l->unpacked}, {"members", &l->members},
                   {"depth", &l->depth},      {"ratio", &l->ratio}};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        int r = js_u64(m, numbers[i].name, numbers[i].into, e);
        if (r < 0) {
            return r;
        }
    }
    l->memory = cage->memory;
    l->ratio = l->ratio == 0 ? 1 : l->ratio;
    cage->without_landlock = js_bool_or(m, "without_landlock", false);
    w->strict = js_bool_or(m, "strict", true);
    w->setup.names = json_object_get(m, "names");
    return js_int(m, "time", &l->time, e);
}

static void quiet_stdio(void)
{
#ifndef CAGE_SANITIZED
    CLEANUP(fd_close) int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null >= 0 && fd <= 2; fd++) {
        dup2(null, fd);
    }
#endif
}

/* Everything that libraries want from the file system once, before there is none. */
static int warm_up(struct err *e)
{
    quiet_stdio();
    signal(SIGXFSZ, SIG_IGN); /* RLIMIT_FSIZE then shows as an error */
    setlocale(LC_ALL, "C.UTF-8");
    tzset();
    CLEANUP(hasher3_clear) struct hasher3 h;
    hasher3_init(&h);
    (void)hasher3_end(&h);
    return yara_init(e);
}

/* ---- compiling ---- */

static json_t *file_entry(const struct rule_file *f)
{
    json_t *o = js_new();
    struct digest d = digest_of(f->text);
    js_set_str(o, "name", f->name);
    js_set_str(o, "kind", f->kind == RULE_YARA ? "yara" : "hashes");
    js_set_sha256(o, "sha256", &d);
    return o;
}

static json_t *lists_by_file(const struct rule_list *l, enum rule_kind kind)
{
    json_t *about = js_new();
    for (size_t i = 0; i < l->n; i++) {
        if (l->file[i].kind == kind) {
            js_set(about, l->file[i].name, js_list());
        }
    }
    return about;
}

static void add_rules(json_t *files, const json_t *about)
{
    size_t i;
    json_t *f;
    json_array_foreach(files, i, f)
    {
        json_t *rules = json_object_get(about, js_str_or(f, "name", ""));
        if (rules != NULL) {
            js_set(f, "rules", json_incref(rules));
        }
    }
}

static int compile_rules(struct worker *w, int bundle_fd, int out_fd, json_t *files, struct err *e)
{
    CLEANUP(view_clear) struct view bundle = {0};
    CLEANUP(rule_list_clear) struct rule_list list = {0};
    CLEANUP(buf_clear) struct buf all = BUF(BUNDLE_MOST);
    int r = view_fd(bundle_fd, false, &bundle, e);
    r = r < 0 ? r : bundle_parse(bundle.bytes, &list, e);
    for (size_t i = 0; r == 0 && i < list.n; i++) {
        js_add(files, file_entry(&list.file[i]));
    }
    for (size_t i = 0; r == 0 && i < w->n_engines; i++) {
        const struct engine *en = w->engines[i];
        if (en->compile == NULL) {
            continue;
        }
        CLEANUP(buf_clear) struct buf one = BUF(BUNDLE_MOST);
        CLEANUP(js_free) json_t *about = lists_by_file(&list, en->kind);
        r = en->compile(list.file, list.n, &one, about, e);
        if (r == 0) {
            add_rules(files, about);
            compiled_add(&all, en->name, buf_view(&one));
        }
    }
    r = r < 0 ? r : buf_done(&all, "compiled rules", e);
    return r < 0 ? r : fd_write(out_fd, buf_view(&all), e);
}

static int run_compiler(struct worker *w, struct ipc_msg *m, struct err *e)
{
    if (m->n_fds != 2) {
        return err_set(e, ERR_FORMAT, "worker: the compiler needs two descriptors");
    }
    CLEANUP(js_free) json_t *answer = js_new();
    json_t *files = js_list();
    js_set_str(answer, "op", "compiled");
    js_set(answer, "files", files);
    int r = compile_rules(w, m->fds[0], m->fds[1], files, e);
    return r < 0 ? r : ipc_send(WORKER_SOCKET, m->seq, answer, NULL, 0, e);
}

/* ---- scanning ---- */

static bool wanted(const json_t *list, const char *name)
{
    size_t i;
    json_t *v;
    json_array_foreach(list, i, v)
    {
        if (strcmp(json_string_value(v) != NULL ? json_string_value(v) : "", name) == 0) {
            return true;
        }
    }
    return list == NULL || strcmp(name, "eicar") == 0; /* the proof needs it */
}

static int load_engines(struct worker *w, const json_t *only, struct span compiled, json_t *engines,
                        struct err *e)
{
    w->setup.engines = mem_array(struct loaded_engine, w->n_engines + 1);
    for (size_t i = 0; i < w->n_engines; i++) {
        const struct engine *en = w->engines[i];
        if (!wanted(only, en->name)) {
            continue;
        }
        struct loaded_engine *l = &w->setup.engines[w->setup.n_engines];
        struct span mine = SPAN_NONE;
        int r = compiled_find(compiled, en->name, &mine, e);
        r = r < 0 || en->load == NULL ? r : en->load(mine, &l->state, e);
        if (r < 0) {
            return err_wrap(e, r, "load engine %s", en->name);
        }
        l->engine = en;
        w->setup.n_engines++;
        json_t *o = js_new();
        js_set_str(o, "name", en->name);
        js_set_str(o, "version", en->version());
        js_add(engines, o);
    }
    return 0;
}

static int answer_scan(struct worker *w, struct ipc_msg *m, struct err *e)
{
    const char *name;
    int r = js_str(m->body, "name", &name, e);
    if (r == 0 && m->n_fds != 1) {
        r = err_set(e, ERR_FORMAT, "worker: a scan needs one descriptor, not %zu", m->n_fds);
    }
    CLEANUP(view_clear) struct view v = {0};
    r = r < 0 ? r : view_fd(m->fds[0], true, &v, e);
    if (r < 0) {
        return r;
    }
    CLEANUP(js_free) json_t *answer = scan_run_file(&w->setup, name, v.bytes);
    r = ipc_send(WORKER_SOCKET, m->seq, answer, NULL, 0, e);
    if (r == ERR_LIMIT) {
        scan_run_shorten(answer);
        r = ipc_send(WORKER_SOCKET, m->seq, answer, NULL, 0, e);
    }
    return r;
}

static int run_scanner(struct worker *w, struct ipc_msg *start, int landlock, struct err *e)
{
    if (start->n_fds != 1) {
        return err_set(e, ERR_FORMAT, "worker: the scanner needs one descriptor");
    }
    CLEANUP(js_free) json_t *ready = js_new();
    json_t *engines = js_list(), *denied = js_list();
    js_set_str(ready, "op", "ready");
    js_set_int(ready, "landlock", landlock);
    js_set(ready, "engines", engines);
    js_set(ready, "denied", denied);
    struct view rules = {0}; /* for the life of the process */
    int r = view_fd(start->fds[0], false, &rules, e);
    const json_t *only = json_object_get(start->body, "engines");
    r = r < 0 ? r : load_engines(w, only, rules.bytes, engines, e);
    r = r < 0 ? r : proof_run(&w->setup, w->strict, denied, e);
    r = r < 0 ? r : ipc_send(WORKER_SOCKET, start->seq, ready, NULL, 0, e);
    while (r == 0) {
        CLEANUP(ipc_msg_clear) struct ipc_msg m = {0};
        if (ipc_recv(WORKER_SOCKET, &m, e) < 0) {
            return 0; /* the gate is done with us */
        }
        r = answer_scan(w, &m, e);
    }
    return r;
}

static int run_mode(struct worker *w, struct ipc_msg *start, struct err *e)
{
    struct cage_limits cage = {0};
    const char *mode;
    int landlock = 0, r = js_str(start->body, "mode", &mode, e);
    r = r < 0 ? r : read_start(start->body, w, &cage, e);
    r = r < 0 ? r : warm_up(e);
    r = r < 0 ? r : cage_enter(&cage, &landlock, e);
    if (r < 0) {
        return r;
    }
    bool compile = strcmp(mode, "compile") == 0;
    return compile ? run_compiler(w, start, e) : run_scanner(w, start, landlock, e);
}

int scan_worker_run(const struct engine *const *engines, size_t n)
{
    struct worker w = {.engines = engines, .n_engines = n};
    struct ipc_msg start = {0};
    struct err e = {0};
    if (ipc_recv(WORKER_SOCKET, &start, &e) < 0) {
        return 3; /* nobody to tell */
    }
    int r = run_mode(&w, &start, &e);
    if (r < 0) {
        CLEANUP(js_free) json_t *sorry = ipc_error(&e);
        struct err lost;
        if (ipc_send(WORKER_SOCKET, start.seq, sorry, NULL, 0, &lost) < 0) {
            return 3;
        }
    }
    return r < 0 ? 3 : 0;
}

int scan_worker_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return scan_worker_run(scan_engines, scan_n_engines);
}
