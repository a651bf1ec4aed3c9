/* webtest.h - a real web process with its two peers played by the test, and a client of raw
 * sockets.
 *
 * The peers speak the real frames over real sockets; what web asks is kept, and a test decides what
 * it is told. The blobs, web.db and metadata lie in a fresh folder. */
#pragma once
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "blob/blob.h"
#include "check.h"
#include "serve/gate.h"
#include "serve/roles.h"
#include "serve/show.h"

#define TOKEN "Authorization: Bearer good\r\n"

struct webfile {
    const char *path; /* a target */
    struct blob_stamp stamp;
    struct digest d, root;
    uint64_t size;
    uint8_t *bytes;
};

struct webtest {
    struct check_dir dir;
    struct blobstore *blobs;
    struct db *db;
    struct webfile file[8];
    size_t n_files;
    char settings[600];
    pid_t pid;
    int boot, recorder, gate, port;
    pthread_t recorder_thread, gate_thread;
    pthread_mutex_t lock;
    json_t *asked; /* of the recorder, in order */
    json_t *gate_asked;
    const char *deny; /* NULL: grant by token; "mute": no answer at all */
    struct buf upload;
};

struct webreply {
    int status;
    struct buf head, body;
    bool reset;        /* ended by an error */
    bool short_of_end; /* fewer bytes than Content-Length said */
};

/* ---- the site ---- */

/* Settings as in cordon.yaml. */
static void webtest_start(struct webtest *t, const char *settings)
{
    struct err e;
    *t = (struct webtest){.dir = check_dir(), .recorder = -1, .gate = -1, .boot = -1};
    pthread_mutex_init(&t->lock, NULL);
    t->asked = js_list();
    t->gate_asked = js_list();
    buf_init(&t->upload, 64U << 20);
    snprintf(t->settings, sizeof t->settings, "%s", settings);
    CHECK_OK(file_mkdirs(t->dir.fd, "metadata/recall", 0755, &e), e);
    CHECK_OK(file_mkdirs(t->dir.fd, "log/tile/0", 0755, &e), e);
    CHECK_OK(blobstore_open(t->dir.fd, &t->blobs, &e), e);
    CHECK_OK(show_create(t->dir.path, &e), e);
    CLEANUP(mem_free) char *path = mem_printf("%s/" SHOW_FILE, t->dir.path);
    CHECK_OK(db_open(path, 0, &t->db, &e), e);
}

/* Publishes filler of that length; before webtest_run(). */
static struct webfile *webtest_file(struct webtest *t, const char *path, uint64_t size)
{
    struct err e;
    struct webfile *f = &t->file[t->n_files++];
    CLEANUP(blob_discard) struct blob b = BLOB_NONE;
    *f = (struct webfile){.path = path, .size = size};
    f->bytes = mem_zeroed(size + 1, 1);
    uint32_t x = 1 + (uint32_t)t->n_files;
    for (uint64_t i = 0; i < size; i++) {
        x = x * 1664525 + 1013904223;
        f->bytes[i] = (uint8_t)(x >> 24);
    }
    CHECK_OK(blob_stage_span(t->blobs, span_of(f->bytes, size), &b, &e), e);
    CHECK_OK(blob_publish(t->blobs, &b, NULL, &e), e);
    CHECK_OK(blobstore_sync(t->blobs, &e), e);
    f->d = b.d.sha256;
    f->root = b.chunk_root;
    struct span rest = span_str(path), product = SPAN_NONE, version = SPAN_NONE;
    CHECK(span_cut(&rest, '/', &product) && span_cut(&rest, '/', &version));
    CHECK_OK(db_exec(t->db, "INSERT INTO target VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)",
                     DB_ARGS(DB_TEXT(path), DB_TEXT_SPAN(product), DB_TEXT_SPAN(version),
                             DB_TEXT_SPAN(rest), DB_BLOB(f->d.b, 32), DB_INT(size),
                             DB_BLOB(f->root.b, 32), DB_BLOB(f->root.b, 32), DB_TEXT("published"),
                             DB_TEXT(""), DB_TEXT(""), DB_INT(1)),
                     &e),
             e);
    return f;
}

static void webtest_state(struct webtest *t, const char *path, const char *state,
                          const char *reason)
{
    struct err e;
    CHECK_OK(db_exec(t->db, "UPDATE target SET state = $1, reason = $2 WHERE path = $3",
                     DB_ARGS(DB_TEXT(state), DB_TEXT(reason), DB_TEXT(path)), &e),
             e);
}

static void webtest_product(struct webtest *t, const char *name, const char *access,
                            const char *version)
{
    struct err e;
    CHECK_OK(db_exec(t->db, "INSERT INTO product VALUES ($1, $2, 'recorded')",
                     DB_ARGS(DB_TEXT(name), DB_TEXT(access)), &e),
             e);
    CHECK_OK(db_exec(t->db, "INSERT INTO latest VALUES ($1, $2)",
                     DB_ARGS(DB_TEXT(name), DB_TEXT(version)), &e),
             e);
}

/* Where the blob lies below the site. */
static void webtest_blob_path(const struct webfile *f, char out[static 128])
{
    char hex[DIGEST_TEXT + 1];
    digest_text(&f->d, hex);
    snprintf(out, 128, "blobs/%.2s/%s", hex, hex + 2);
}

/* ---- the peers ---- */

static void keep(struct webtest *t, json_t *list, const json_t *body)
{
    pthread_mutex_lock(&t->lock);
    js_add(list, json_deep_copy(body));
    pthread_mutex_unlock(&t->lock);
}

static json_t *refusal(const char *word, const char *why)
{
    json_t *j = js_new();
    js_set_str(j, "error", word);
    js_set_str(j, "message", "no");
    js_set_str(j, "why", why);
    return j;
}

static json_t *grant_answer(struct webtest *t, const json_t *q)
{
    static int64_t next = 100;
    const char *secret = js_str_or(q, "secret", ""), *target = js_str_or(q, "target", "");
    for (size_t i = 0; i < t->n_files; i++) {
        const struct webfile *f = &t->file[i];
        if (strcmp(f->path, target) != 0) {
            continue;
        }
        if (t->deny != NULL) {
            return refusal("denied", t->deny);
        }
        if (strcmp(secret, "good") != 0) {
            return refusal("denied", "sign-in");
        }
        json_t *j = js_new();
        js_set_int(j, "grant", js_bool_or(q, "check", false) ? 0 : ++next);
        js_set_int(j, "size", (int64_t)f->size);
        js_set_sha256(j, "blob", &f->d);
        js_set_sha256(j, "chunks", &f->root);
        return j;
    }
    return refusal("notfound", "");
}

static void *play_recorder(void *ctx)
{
    struct webtest *t = ctx;
    for (;;) {
        CLEANUP(ipc_msg_clear) struct ipc_msg m = {0};
        CLEANUP(js_free) json_t *a = NULL;
        if (ipc_recv(t->recorder, &m, NULL) < 0) {
            return NULL;
        }
        keep(t, t->asked, m.body);
        if (t->deny != NULL && strcmp(t->deny, "mute") == 0) {
            continue;
        }
        a = strcmp(js_str_or(m.body, "op", ""), "grant") == 0 ? grant_answer(t, m.body) : js_new();
        pthread_mutex_lock(&t->lock); /* one writer: webtest_push_stop() is another */
        int r = ipc_send(t->recorder, m.seq, a, NULL, 0, NULL);
        pthread_mutex_unlock(&t->lock);
        if (r < 0) {
            return NULL;
        }
    }
}

static void webtest_push_stop(struct webtest *t, const struct digest *d)
{
    struct err e;
    CLEANUP(js_free) json_t *j = js_new();
    js_set_str(j, "op", "stop");
    js_set_sha256(j, "sha256", d);
    pthread_mutex_lock(&t->lock);
    int r = ipc_send(t->recorder, 0, j, NULL, 0, &e);
    pthread_mutex_unlock(&t->lock);
    CHECK_OK(r, e);
}

/* Reads an upload to its end, slower than loopback sends it. */
static void *take_upload(void *ctx)
{
    struct webtest *t = ((void **)ctx)[0];
    int fd = *(int *)((void **)ctx)[1];
    uint8_t part[65536];
    ssize_t n;
    while ((n = fd_read(fd, part, sizeof part)) > 0) {
        pthread_mutex_lock(&t->lock);
        buf_add(&t->upload, part, (size_t)n);
        pthread_mutex_unlock(&t->lock);
        usleep(300);
    }
    close(fd);
    return NULL;
}

static void *play_gate(void *ctx)
{
    struct webtest *t = ctx;
    pthread_t uploading;
    int pipe_end = -1;
    void *both[2] = {t, &pipe_end};
    for (;;) {
        CLEANUP(ipc_msg_clear) struct ipc_msg m = {0};
        CLEANUP(js_free) json_t *a = js_new();
        if (ipc_recv(t->gate, &m, NULL) < 0) {
            return NULL;
        }
        keep(t, t->gate_asked, m.body);
        const char *op = js_str_or(m.body, "op", "");
        int p[2] = {-1, -1};
        if (strcmp(op, "sums") == 0) {
            js_set_str(a, "sums", "0123  file\n");
            js_set_str(a, "signature", "untrusted comment: s\n");
            js_set_str(a, "public", "untrusted comment: p\n");
        } else if (strcmp(op, "upload.begin") == 0) {
            CHECK(pipe(p) == 0);
            pipe_end = p[0];
            js_set_int(a, "upload", 7);
            CHECK(pthread_create(&uploading, NULL, take_upload, both) == 0);
        } else {
            json_t *j = js_new();
            if (strcmp(op, "upload.end") == 0) {
                pthread_join(uploading, NULL);
            }
            js_set_int(a, "status", strcmp(op, "api") == 0 ? 403 : 200);
            js_set_int(j, "length", (int64_t)t->upload.len);
            js_set(a, "json", j);
        }
        int r = ipc_send(t->gate, m.seq, a, &p[1], p[1] >= 0 ? 1 : 0, NULL);
        if (p[1] >= 0) {
            close(p[1]);
        }
        if (r < 0) {
            return NULL;
        }
    }
}

/* Waits up to three seconds for a message with this op; *out is a new reference. */
static bool webtest_heard(struct webtest *t, const char *op, size_t nth, json_t **out)
{
    for (int tries = 0; tries < 300; tries++) {
        size_t seen = 0;
        pthread_mutex_lock(&t->lock);
        for (size_t i = 0; i < json_array_size(t->asked); i++) {
            json_t *j = json_array_get(t->asked, i);
            if (strcmp(js_str_or(j, "op", ""), op) == 0 && seen++ == nth) {
                *out = json_deep_copy(j);
                pthread_mutex_unlock(&t->lock);
                return true;
            }
        }
        pthread_mutex_unlock(&t->lock);
        usleep(10000);
    }
    return false;
}

/* What the gate was asked, a new reference. */
static json_t *webtest_gate(struct webtest *t)
{
    pthread_mutex_lock(&t->lock);
    json_t *copy = json_deep_copy(t->gate_asked);
    pthread_mutex_unlock(&t->lock);
    return copy;
}

static size_t webtest_count(struct webtest *t, const char *op)
{
    size_t seen = 0;
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < json_array_size(t->asked); i++) {
        seen += strcmp(js_str_or(json_array_get(t->asked, i), "op", ""), op) == 0;
    }
    pthread_mutex_unlock(&t->lock);
    return seen;
}

/* ---- the process ---- */

static void child(int sock)
{
    struct boot b;
    struct err e;
    if (boot_receive(sock, &b, &e) < 0) {
        _exit(99);
    }
    _exit(web_main(&b));
}

static void webtest_run(struct webtest *t)
{
    struct err e;
    int boot[2], recorder[2], gate[2], on = 1;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    db_close(&t->db);
    blobstore_close(&t->blobs);
    int listen_on = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(setsockopt(listen_on, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
    CHECK(bind(listen_on, (const struct sockaddr *)&a, sizeof a) == 0 &&
          listen(listen_on, 64) == 0);
    CHECK(getsockname(listen_on, (struct sockaddr *)&a, &len) == 0);
    t->port = ntohs(a.sin_port);
    CHECK_OK(proc_pair(boot, &e), e);
    CHECK_OK(proc_pair(recorder, &e), e);
    CHECK_OK(proc_pair(gate, &e), e);
    fflush(NULL);
    t->pid = fork();
    if (t->pid == 0) {
        close(boot[0]);
        close(recorder[0]);
        close(gate[0]);
        child(boot[1]);
    }
    CLEANUP(js_free) json_t *args = js_new();
    json_t *peers = js_list();
    js_add_str(peers, "recorder");
    js_add_str(peers, "gate");
    js_add_str(peers, "listen");
    js_set_str(args, "op", "boot");
    js_set_str(args, "role", "web");
    js_set_str(args, "path", t->dir.path);
    js_set_str(args, "settings", t->settings);
    js_set(args, "peers", peers);
    const int fds[4] = {t->dir.fd, recorder[1], gate[1], listen_on};
    CHECK_OK(ipc_send(boot[0], 0, args, fds, 4, &e), e);
    close(boot[1]);
    close(recorder[1]);
    close(gate[1]);
    close(listen_on);
    t->boot = boot[0];
    t->recorder = recorder[0];
    t->gate = gate[0];
    CLEANUP(ipc_msg_clear) struct ipc_msg m = {0};
    CHECK_OK(ipc_recv_within(t->boot, 30 * CLOCK_SECOND, &m, &e), e);
    CHECK_OK(ipc_result(m.body, &e), e);
    CHECK(pthread_create(&t->recorder_thread, NULL, play_recorder, t) == 0);
    CHECK(pthread_create(&t->gate_thread, NULL, play_gate, t) == 0);
}

/* Exit status of the process. */
static int webtest_end(struct webtest *t)
{
    int status = -1;
    fd_close(&t->boot);
    for (int i = 0; i < 1500 && waitpid(t->pid, &status, WNOHANG) == 0; i++) {
        usleep(10000);
    }
    if (status == -1) {
        kill(t->pid, SIGKILL);
        waitpid(t->pid, NULL, 0);
    }
    pthread_join(t->recorder_thread, NULL);
    pthread_join(t->gate_thread, NULL);
    fd_close(&t->recorder);
    fd_close(&t->gate);
    for (size_t i = 0; i < t->n_files; i++) {
        free(t->file[i].bytes);
    }
    js_free(&t->asked);
    js_free(&t->gate_asked);
    buf_clear(&t->upload);
    check_dir_clear(&t->dir);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* ---- the client ---- */

static void webreply_clear(struct webreply *r)
{
    buf_clear(&r->head);
    buf_clear(&r->body);
}

static int webtest_connect(struct webtest *t, int receive_buffer)
{
    const struct sockaddr_in a = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)t->port)};
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0) {
        CHECK(setsockopt(s, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer) == 0);
    }
    const struct timeval patience = {.tv_sec = 20};
    CHECK(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    CHECK(connect(s, (const struct sockaddr *)&a, sizeof a) == 0);
    return s;
}

/* The value of a header of the reply, "" without. */
static const char *webreply_header(const struct webreply *r, const char *name)
{
    static char value[1024];
    size_t n = strlen(name);
    const char *line = strstr(buf_text(&r->head), "\r\n");
    for (; line != NULL; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':') {
            const char *from = line + 2 + n + 1 + strspn(line + 3 + n, " ");
            snprintf(value, sizeof value, "%.*s", (int)strcspn(from, "\r"), from);
            return value;
        }
    }
    return "";
}

static void split(struct webreply *r, struct buf *all)
{
    const char *end = all->len > 0 ? memmem(all->p, all->len, "\r\n\r\n", 4) : NULL;
    size_t head = end != NULL ? (size_t)(end - (const char *)all->p) + 2 : all->len;
    buf_add(&r->head, all->p, head);
    if (end != NULL) {
        buf_add(&r->body, all->p + head + 2, all->len - head - 2);
    }
    if (strncmp(buf_text(&r->head), "HTTP/1.1 ", 9) == 0) {
        r->status = (int)strtol(buf_text(&r->head) + 9, NULL, 10);
    }
    const char *length = webreply_header(r, "Content-Length");
    r->short_of_end = length[0] != 0 && r->body.len < strtoull(length, NULL, 10);
}

/* Reads until the end. */
static void webtest_read(int sock, struct webreply *out)
{
    struct buf all = BUF((size_t)256 << 20);
    uint8_t part[65536];
    ssize_t n;
    buf_init(&out->head, 65536);
    buf_init(&out->body, (size_t)256 << 20);
    out->status = 0;
    while ((n = recv(sock, part, sizeof part, 0)) > 0) {
        buf_add(&all, part, (size_t)n);
    }
    out->reset = n < 0;
    split(out, &all);
    buf_clear(&all);
}

static void webtest_send(struct webtest *t, struct span request, struct webreply *out)
{
    int s = webtest_connect(t, 0);
    size_t at = 0;
    while (at < request.len) {
        ssize_t n = send(s, request.p + at, request.len - at, MSG_NOSIGNAL);
        if (n <= 0) {
            break; /* refused before it was all sent */
        }
        at += (size_t)n;
    }
    webtest_read(s, out);
    close(s);
}

/* One request on a connection of its own. `headers` end in CRLF each; may be "". */
static void webtest_get(struct webtest *t, const char *method, const char *target,
                        const char *headers, struct webreply *out)
{
    CLEANUP(mem_free)
    char *q = mem_printf("%s %s HTTP/1.1\r\nHost: updates.example\r\nConnection: close\r\n%s\r\n",
                         method, target, headers);
    webtest_send(t, span_str(q), out);
}
