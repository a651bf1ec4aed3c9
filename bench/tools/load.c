/* load.c - asks an HTTP/1.1 server for a list of paths over some connections, and counts.
 *
 * usage: load PORT CONNECTIONS REQUESTS AUTHORIZATION < paths
 *
 * One thread; the next request of a connection is sent when the answer before it has been read.
 * Any answer but 200 with its full length is an error. Prints one JSON object. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"

#define HEAD_MOST ((size_t)8192)
#define PIECE ((size_t)256 << 10)

struct line {
    int fd;
    char head[HEAD_MOST + 1];
    size_t n_head;
    bool in_body;
    uint64_t left;
    int64_t asked;
};

struct load {
    uint16_t port;
    int epoll;
    const char *authorization;
    char **paths;
    size_t n_paths;
    uint64_t wanted, asked, done, errors, bytes;
    int64_t *took; /* by answer */
    uint8_t *piece;
};

static void die(const char *what)
{
    perror(what);
    exit(3);
}

static void read_paths(struct load *l)
{
    char text[4096];
    while (fgets(text, sizeof text, stdin) != NULL) {
        text[strcspn(text, "\n")] = 0;
        l->paths = mem_resize(l->paths, l->n_paths + 1, sizeof *l->paths);
        l->paths[l->n_paths++] = mem_str(text);
    }
}

static void ask(struct load *l, struct line *x)
{
    if (l->asked == l->wanted) {
        close(x->fd);
        x->fd = -1;
        return;
    }
    const char *path = l->paths[l->asked++ % l->n_paths];
    char text[8192];
    int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s%s%s\r\n", path,
                     l->authorization[0] != 0 ? "Authorization: " : "", l->authorization,
                     l->authorization[0] != 0 ? "\r\n" : "");
    x->n_head = 0;
    x->in_body = false;
    x->asked = clock_boot();
    if (n < 0 || (size_t)n >= sizeof text || write(x->fd, text, (size_t)n) != n) {
        die("ask");
    }
}

static void begin(struct load *l, struct line *x)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(l->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = x};
    x->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (x->fd < 0 || connect(x->fd, (struct sockaddr *)&to, sizeof to) < 0 ||
        setsockopt(x->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0 ||
        epoll_ctl(l->epoll, EPOLL_CTL_ADD, x->fd, &ev) < 0) {
        die("connect");
    }
    ask(l, x);
}

static void finish(struct load *l, struct line *x)
{
    l->took[l->done++] = clock_boot() - x->asked;
    ask(l, x);
}

static void broken(struct load *l, struct line *x, const char *why)
{
    if (l->errors++ == 0) {
        fprintf(stderr, "load: %s: %.200s\n", why, x->head);
    }
    close(x->fd);
    if (l->errors > 100) {
        exit(1);
    }
    l->done++;
    begin(l, x);
}

/* Bytes of `n` just added to the head that are of the head; 0: it goes on, or is broken. */
static size_t end_of_head(struct load *l, struct line *x, size_t n)
{
    x->head[x->n_head] = 0;
    const char *end = strstr(x->head, "\r\n\r\n"), *length = strcasestr(x->head, "content-length:");
    if (end == NULL) {
        if (x->n_head == HEAD_MOST) {
            broken(l, x, "no end of the head");
        }
        return 0;
    }
    if (strncmp(x->head, "HTTP/1.1 200", 12) != 0 || length == NULL || length > end) {
        broken(l, x, "not what was asked for");
        return 0;
    }
    x->left = strtoull(length + strlen("content-length:"), NULL, 10);
    x->in_body = true;
    return n - (x->n_head - (size_t)(end + 4 - x->head));
}

static void take(struct load *l, struct line *x)
{
    size_t want = x->in_body && x->left < PIECE ? (size_t)x->left : PIECE;
    ssize_t r = read(x->fd, l->piece, want);
    if (r <= 0) {
        if (r < 0 && errno == EINTR) {
            return;
        }
        broken(l, x, "the connection ended");
        return;
    }
    size_t n = (size_t)r, head = 0;
    if (!x->in_body) {
        size_t room = HEAD_MOST - x->n_head, copy = n < room ? n : room;
        memcpy(x->head + x->n_head, l->piece, copy);
        x->n_head += copy;
        head = end_of_head(l, x, copy);
        if (head == 0) {
            return;
        }
    }
    n -= head;
    l->bytes += n;
    x->left -= n < x->left ? n : x->left;
    if (x->left == 0) {
        finish(l, x);
    }
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void report(struct load *l, int64_t start)
{
    double seconds = (double)(clock_boot() - start) / (double)CLOCK_SECOND;
    qsort(l->took, l->done, sizeof *l->took, by_value);
    int64_t half = l->took[l->done / 2], late = l->took[l->done - 1 - l->done / 100];
    printf("{\"seconds\":%.6f,\"requests\":%llu,\"bytes\":%llu,\"errors\":%llu,\"p50_ms\":%.3f,"
           "\"p99_ms\":%.3f}\n",
           seconds, (unsigned long long)l->done, (unsigned long long)l->bytes,
           (unsigned long long)l->errors, (double)half / 1000, (double)late / 1000);
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: load PORT CONNECTIONS REQUESTS AUTHORIZATION < paths\n");
        return 2;
    }
    struct load l = {.port = (uint16_t)strtoul(argv[1], NULL, 10),
                     .wanted = strtoull(argv[3], NULL, 10),
                     .authorization = argv[4],
                     .epoll = epoll_create1(EPOLL_CLOEXEC)};
    size_t n = strtoul(argv[2], NULL, 10);
    read_paths(&l);
    if (n == 0 || l.wanted < n || l.n_paths == 0 || l.epoll < 0) {
        fprintf(stderr, "load: fewer requests than connections, or no path on stdin\n");
        return 2;
    }
    struct line *lines = mem_array(struct line, n);
    l.took = mem_array(int64_t, l.wanted + 200);
    l.piece = mem_array(uint8_t, PIECE);
    int64_t start = clock_boot();
    for (size_t i = 0; i < n; i++) {
        begin(&l, &lines[i]);
    }
    while (l.done < l.wanted) {
        struct epoll_event ev[64];
        int got = epoll_wait(l.epoll, ev, ARRAY_LEN(ev), 60000);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            fprintf(stderr, "load: no byte for a minute\n");
            return 1;
        }
        for (int i = 0; i < got; i++) {
            struct line *x = ev[i].data.ptr;
            if (x->fd >= 0) {
                take(&l, x);
            }
        }
    }
    report(&l, start);
    return l.errors == 0 ? 0 : 1;
}
