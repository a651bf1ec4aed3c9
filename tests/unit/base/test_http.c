#include "base/http.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "check.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A server for one connection on loopback: keeps what it was sent, answers with fixed bytes. */
struct server {
    int sock;
    char url[64];
    const char *answer;
    size_t expect; /* bytes of body to wait for */
    bool silent;
    char got[4096];
    pthread_t thread;
};

static bool complete(const struct server *s)
{
    const char *end = strstr(s->got, "\r\n\r\n");
    return end != NULL && strlen(end + 4) >= s->expect;
}

static void *serve(void *arg)
{
    struct server *s = arg;
    int c = accept4(s->sock, NULL, NULL, SOCK_CLOEXEC);
    size_t at = 0;
    ssize_t n = 1;
    while (c >= 0 && n > 0 && !complete(s)) {
        n = read(c, s->got + at, sizeof s->got - 1 - at);
        at += n > 0 ? (size_t)n : 0;
    }
    if (s->silent) {
        n = read(c, s->got, 1); /* until the client gives up */
    } else if (c >= 0) {
        n = send(c, s->answer, strlen(s->answer), MSG_NOSIGNAL);
    }
    if (c >= 0) {
        close(c);
    }
    return NULL;
}

static void server_start(struct server *s)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    s->sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(s->sock, (struct sockaddr *)&at, sizeof at) == 0 && listen(s->sock, 1) == 0);
    CHECK(getsockname(s->sock, (struct sockaddr *)&at, &len) == 0);
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%u/x", ntohs(at.sin_port));
    CHECK(pthread_create(&s->thread, NULL, serve, s) == 0);
}

static void server_end(struct server *s)
{
    shutdown(s->sock, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->sock);
}

#define OK_HEAD "HTTP/1.1 200 OK\r\nConnection: close\r\n"

static int call(struct server *s, struct http_request q, struct http_answer *a, struct err *e)
{
    server_start(s);
    q.url = s->url;
    q.max = q.max == 0 ? 100 : q.max;
    int r = http_call(&q, a, e);
    server_end(s);
    return r;
}

static void a_get_brings_status_and_body(void **state)
{
    (void)state;
    struct server s = {.answer = "HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\nhello"};
    CLEANUP(http_answer_clear) struct http_answer a = {0};
    struct err e;
    const char *const headers[] = {"Authorization: Bearer t", NULL};
    CHECK_OK(call(&s, (struct http_request){.headers = headers}, &a, &e), e);
    CHECK(a.status == 404);
    CHECK_STR(buf_text(&a.body), "hello");
    CHECK(strncmp(s.got, "GET /x HTTP/1.1\r\n", 17) == 0);
    CHECK(strstr(s.got, "\r\nAuthorization: Bearer t\r\n") != NULL);
}

static void a_body_is_sent_from_memory_or_a_file(void **state)
{
    (void)state;
    int fd = -1;
    CHECK(fd_sealed("body", span_str("from a file"), &fd, NULL) == 0);
    CHECK(lseek(fd, 3, SEEK_SET) == 3); /* where it stands is of no matter */
    const struct {
        struct http_request q;
        const char *line, *body;
    } cases[] = {
        {{.method = "POST", .body = span_str("from memory")}, "POST /x ", "\r\n\r\nfrom memory"},
        {{.body_fd = fd}, "PUT /x ", "\r\n\r\nfrom a file"},
        {{.method = "POST", .body_fd = fd}, "POST /x ", "\r\n\r\nfrom a file"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct server s = {.answer = OK_HEAD "Content-Length: 0\r\n\r\n", .expect = 11};
        CLEANUP(http_answer_clear) struct http_answer a = {0};
        struct err e;
        CHECK_OK(call(&s, cases[i].q, &a, &e), e);
        CHECK(a.status == 200 && a.body.len == 0);
        CHECK(strncmp(s.got, cases[i].line, strlen(cases[i].line)) == 0);
        CHECK(strstr(s.got, cases[i].body) != NULL);
        CHECK(strstr(s.got, "Content-Length: 11\r\n") != NULL);
    }
    close(fd);
}

static void an_answer_has_a_ceiling(void **state)
{
    (void)state;
    for (size_t max = 4; max <= 5; max++) {
        struct server s = {.answer = OK_HEAD "\r\nhello"};
        CLEANUP(http_answer_clear) struct http_answer a = {0};
        struct err e;
        int r = call(&s, (struct http_request){.max = max}, &a, &e);
        CHECK(r == (max == 4 ? ERR_LIMIT : 0));
        CHECK(max == 5 || strstr(e.text, "127.0.0.1") != NULL);
    }
}

static void redirects_are_answers(void **state)
{
    (void)state;
    struct server s = {.answer = "HTTP/1.1 302 Go\r\nLocation: https://127.0.0.1:1/\r\n"
                                 "Content-Length: 0\r\n\r\n"};
    CLEANUP(http_answer_clear) struct http_answer a = {0};
    struct err e;
    CHECK_OK(call(&s, (struct http_request){0}, &a, &e), e);
    CHECK(a.status == 302);
    /* followed only to https */
    s.answer = "HTTP/1.1 302 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    memset(s.got, 0, sizeof s.got);
    CHECK(call(&s, (struct http_request){.follow = true}, &a, &e) == ERR_FORMAT);
}

static void what_does_not_answer_is_unavailable(void **state)
{
    (void)state;
    CLEANUP(http_answer_clear) struct http_answer a = {0};
    struct err e;
    struct http_request q = {.url = "http://127.0.0.1:1/", .max = 10};
    CHECK(http_call(&q, &a, &e) == ERR_UNAVAIL);
    CHECK(strstr(e.text, "http://127.0.0.1:1/") != NULL);
    struct server s = {.silent = true};
    int64_t start = clock_boot();
    CHECK(call(&s, (struct http_request){.within = 50000}, &a, &e) == ERR_UNAVAIL);
    CHECK(clock_boot() - start < 5 * CLOCK_SECOND);
    struct server cut = {.answer = OK_HEAD "Content-Length: 50\r\n\r\nhello"};
    CHECK(call(&cut, (struct http_request){0}, &a, &e) == ERR_UNAVAIL);
    CHECK(a.status == 0 && a.body.p == NULL);
}

static void wrong_requests_are_refused_before_they_leave(void **state)
{
    (void)state;
    static const char *const urls[] = {"file:///etc/passwd", "ftp://127.0.0.1/", "", "http://"};
    CLEANUP(http_answer_clear) struct http_answer a = {0};
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct http_request q = {.url = urls[i], .max = 10};
        CHECK(http_call(&q, &a, &e) == ERR_FORMAT);
    }
    const char *const split[] = {"A: b\r\nX: y", NULL}, *const bare[] = {"nothing", NULL};
    struct http_request q = {.url = "http://127.0.0.1:1/", .max = 10, .headers = split};
    CHECK(http_call(&q, &a, &e) == ERR_FORMAT);
    q.headers = bare;
    CHECK(http_call(&q, &a, &e) == ERR_FORMAT);
    int ends[2];
    CHECK(pipe(ends) == 0);
    q = (struct http_request){.url = "http://127.0.0.1:1/", .max = 10, .body_fd = ends[0]};
    CHECK(http_call(&q, &a, &e) == ERR_FORMAT);
    close(ends[0]);
    close(ends[1]);
}

/* ---- https: against openssl's own server ---- */

static pid_t run_openssl(const char *const *argv)
{
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0);
    pid_t pid = -1;
    int r = posix_spawnp(&pid, "openssl", &quiet, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&quiet);
    return r == 0 ? pid : -1;
}

static unsigned free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(s, (struct sockaddr *)&at, sizeof at) == 0);
    CHECK(getsockname(s, (struct sockaddr *)&at, &len) == 0);
    close(s);
    return ntohs(at.sin_port);
}

static pid_t start_https(const struct check_dir *d, unsigned port)
{
    CLEANUP(mem_free) char *key = mem_printf("%s/key", d->path);
    CLEANUP(mem_free) char *cert = mem_printf("%s/cert", d->path);
    CLEANUP(mem_free) char *where = mem_printf("127.0.0.1:%u", port);
    pid_t pid = run_openssl((const char *const[]){
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=test", "-addext",
        "subjectAltName=IP:127.0.0.1", NULL});
    int status = -1;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        return -1;
    }
    return run_openssl((const char *const[]){"openssl", "s_server", "-accept", where, "-key", key,
                                             "-cert", cert, "-www", "-quiet", NULL});
}

static int ask(const char *url, const char *ca, struct err *e)
{
    CLEANUP(http_answer_clear) struct http_answer a = {0};
    struct http_request q = {.url = url, .max = 100000, .within = 5 * CLOCK_SECOND, .ca_file = ca};
    int r = http_call(&q, &a, e);
    return r < 0 ? r : a.status;
}

static void https_is_proven(void **state)
{
    (void)state;
    struct check_dir d = check_dir();
    unsigned port = free_port();
    pid_t pid = start_https(&d, port);
    if (pid < 0) {
        check_dir_clear(&d);
        skip(); /* no openssl program here */
    }
    CLEANUP(mem_free) char *cert = mem_printf("%s/cert", d.path);
    CLEANUP(mem_free) char *url = mem_printf("https://127.0.0.1:%u/", port);
    CLEANUP(mem_free) char *other = mem_printf("https://localhost:%u/", port);
    struct err e = {.text = ""};
    int r = ERR_UNAVAIL;
    for (int i = 0; i < 100 && r == ERR_UNAVAIL; i++) {
        usleep(50000);
        r = ask(url, cert, &e);
    }
    int unknown = ask(url, NULL, &e), wrong_name = ask(other, cert, NULL);
    int no_file = ask(url, "/nonexistent", NULL);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    check_dir_clear(&d);
    CHECK(r == 200);
    CHECK(unknown == ERR_TRUST && strstr(e.text, "certificate") != NULL);
    CHECK(wrong_name == ERR_TRUST);
    CHECK(no_file == ERR_TRUST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_get_brings_status_and_body),
        TEST(a_body_is_sent_from_memory_or_a_file),
        TEST(an_answer_has_a_ceiling),
        TEST(redirects_are_answers),
        TEST(what_does_not_answer_is_unavailable),
        TEST(wrong_requests_are_refused_before_they_leave),
        TEST(https_is_proven),
    };
    unsetenv("http_proxy");
    unsetenv("https_proxy");
    unsetenv("HTTPS_PROXY");
    unsetenv("ALL_PROXY");
    unsetenv("all_proxy");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
