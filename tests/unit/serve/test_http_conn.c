#include "serve/http_conn.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attr.h"
#include "check.h"

static void acknowledged_bytes_are_never_too_many(void **state)
{
    (void)state;
    static const struct {
        struct ack_mark m;
        uint64_t acked, want;
    } cases[] = {
        /* headers end at 300, the body of 1000 at 1300 */
        {{.base = 300, .end = 1300, .body = 1000, .whole = true}, 0, 0},
        {{.base = 300, .end = 1300, .body = 1000, .whole = true}, 300, 0},
        {{.base = 300, .end = 1300, .body = 1000, .whole = true}, 301, 1},
        {{.base = 300, .end = 1300, .body = 1000, .whole = true}, 1299, 999},
        {{.base = 300, .end = 1300, .body = 1000, .whole = true}, 1300, 1000},
        {{.base = 300, .end = 1300, .body = 1000, .whole = true}, 9000, 1000}, /* later replies */
        {{.base = 300, .end = 700, .body = 1000}, 700, 400},                   /* cut off */
        {{.base = 300, .end = 700, .body = 1000}, 9000, 1000},
        {{.base = 300, .end = 1400, .body = 1000, .whole = true, .tls = true}, 1399, 0},
        {{.base = 300, .end = 1400, .body = 1000, .whole = true, .tls = true}, 1400, 1000},
        {{.base = 300, .end = 700, .body = 1000, .tls = true}, 700, 0},
        {{.base = 300, .end = 300, .body = 0, .whole = true}, 300, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK(ack_bytes(&cases[i].m, cases[i].acked) == cases[i].want);
    }
}

static void connected(int out[2])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int l = socket(AF_INET, SOCK_STREAM, 0), small = 4096;
    CHECK(bind(l, (const struct sockaddr *)&a, sizeof a) == 0 && listen(l, 1) == 0);
    CHECK(getsockname(l, (struct sockaddr *)&a, &len) == 0);
    out[0] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(setsockopt(out[0], SOL_SOCKET, SO_RCVBUF, &small, sizeof small) == 0);
    CHECK(connect(out[0], (const struct sockaddr *)&a, sizeof a) == 0);
    out[1] = accept4(l, NULL, NULL, SOCK_NONBLOCK);
    CHECK(out[1] >= 0);
    close(l);
}

static uint64_t fill(int s)
{
    static const char zeros[65536];
    uint64_t n = 0;
    ssize_t w;
    while ((w = send(s, zeros, sizeof zeros, MSG_NOSIGNAL)) > 0) {
        n += (uint64_t)w;
    }
    return n;
}

static void the_kernel_counts_what_it_took_and_what_arrived(void **state)
{
    (void)state;
    int s[2];
    connected(s);
    struct conn *c = conn_new(s[1], false);
    CHECK(conn_count(c).written == 0 && !conn_count(c).dead);
    uint64_t n = fill(s[1]);
    struct conn_count now = conn_count(c);
    CHECK(now.written == n && now.acked < n);
    static char sink[65536];
    uint64_t got = 0;
    while (got < n) {
        ssize_t r = recv(s[0], sink, sizeof sink, 0);
        CHECK(r > 0);
        got += (uint64_t)r;
    }
    for (int i = 0; i < 200 && conn_count(c).acked < n; i++) {
        usleep(10000);
    }
    CHECK(conn_count(c).acked == n && conn_count(c).written == n);
    close(s[1]); /* the library closes its own: the count goes on */
    CHECK(conn_count(c).acked == n);
    conn_unref(&c);
    close(s[0]);
}

static void a_reset_throws_away_what_was_not_sent(void **state)
{
    (void)state;
    int s[2];
    connected(s);
    struct conn *c = conn_new(s[1], false), *other = conn_ref(c);
    uint64_t n = fill(s[1]), got = 0;
    usleep(50000);
    struct conn_count before = conn_count(c);
    conn_reset(c);
    conn_reset(c); /* once is enough */
    CHECK(conn_count(c).dead && conn_count(c).acked == before.acked);
    static char sink[65536];
    ssize_t r;
    while ((r = recv(s[0], sink, sizeof sink, 0)) > 0) {
        got += (uint64_t)r;
    }
    CHECK(r < 0 && errno == ECONNRESET);
    CHECK(got <= before.acked && got < n);
    CHECK(send(s[1], sink, 1, MSG_NOSIGNAL) < 0);
    conn_unref(&c);
    conn_unref(&other);
    close(s[0]);
    close(s[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(acknowledged_bytes_are_never_too_many),
        TEST(the_kernel_counts_what_it_took_and_what_arrived),
        TEST(a_reset_throws_away_what_was_not_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
