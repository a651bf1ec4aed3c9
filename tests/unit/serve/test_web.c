#include "webtest.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"

#define MIB ((uint64_t)1 << 20)
#define LARGE "serve:\n  small_bytes: 1M\n" /* files above it go chunk by chunk */

static bool same(const struct webreply *r, const struct webfile *f, uint64_t first, uint64_t n)
{
    return r->body.len == n && (n == 0 || memcmp(r->body.p, f->bytes + first, n) == 0);
}

static void check_grant(struct webtest *t, size_t nth, bool check, bool whole)
{
    json_t *j = NULL;
    CHECK(webtest_heard(t, "grant", nth, &j));
    CHECK(js_bool_or(j, "check", false) == check);
    CHECK(js_bool_or(j, "whole", false) == whole);
    CHECK_STR(js_str_or(j, "address", ""), "127.0.0.1");
    js_free(&j);
}

static void check_end(struct webtest *t, size_t nth, int64_t first, int64_t acked)
{
    json_t *j = NULL;
    CHECK(webtest_heard(t, "end", nth, &j));
    CHECK(js_int_or(j, "first", -1) == first);
    CHECK(js_int_or(j, "acked", -1) == acked);
    CHECK(js_int_or(j, "grant", 0) > 100);
    js_free(&j);
}

static void a_file_is_granted_sent_and_acknowledged(void **state)
{
    (void)state;
    struct webtest t;
    struct webreply r = {0};
    char hex[DIGEST_TEXT + 1], want[80];
    webtest_start(&t, LARGE);
    struct webfile *small = webtest_file(&t, "app/1.0/tool.exe", 100000);
    struct webfile *large = webtest_file(&t, "app/1.0/dir/big.bin", 5 * MIB + 17);
    struct webfile *empty = webtest_file(&t, "app/1.0/empty", 0);
    webtest_product(&t, "app", "customers", "1.0");
    webtest_run(&t);

    webtest_get(&t, "GET", "/d/app/1.0/tool.exe", TOKEN, &r);
    CHECK(r.status == 200 && same(&r, small, 0, small->size));
    CHECK_STR(webreply_header(&r, "Cache-Control"), "private, no-store, no-transform");
    CHECK_STR(webreply_header(&r, "Content-Disposition"), "attachment; filename=\"tool.exe\"");
    snprintf(want, sizeof want, "\"%s\"", digest_text(&small->d, hex));
    CHECK_STR(webreply_header(&r, "ETag"), want);
    check_grant(&t, 0, false, true);
    check_end(&t, 0, 0, (int64_t)small->size);
    webreply_clear(&r);

    /* dXNlcjpnb29k is user:good */
    webtest_get(&t, "GET", "/d/app/latest/dir/big.bin", "Authorization: Basic dXNlcjpnb29k\r\n",
                &r);
    CHECK(r.status == 200 && same(&r, large, 0, large->size));
    check_grant(&t, 1, false, true);
    check_end(&t, 1, 0, (int64_t)large->size);
    webreply_clear(&r);

    webtest_get(&t, "GET", "/d/app/1.0/empty", TOKEN, &r);
    CHECK(r.status == 200 && same(&r, empty, 0, 0) && webtest_count(&t, "grant") == 3);
    webreply_clear(&r);

    CLEANUP(mem_free)
    char *tuf = mem_printf("/targets/app/1.0/%s.tool.exe", digest_text(&small->d, hex));
    webtest_get(&t, "GET", tuf, TOKEN, &r);
    CHECK(r.status == 200 && same(&r, small, 0, small->size));
    webreply_clear(&r);
    CLEANUP(mem_free)
    char *other = mem_printf("/targets/app/1.0/%s.tool.exe", digest_text(&large->d, hex));
    webtest_get(&t, "GET", other, TOKEN, &r);
    CHECK(r.status == 404);
    webreply_clear(&r);
    CHECK(webtest_end(&t) == 0);
}

static void who_may_not_have_it_is_told_why(void **state)
{
    (void)state;
    struct webtest t;
    struct webreply r = {0};
    webtest_start(&t, "");
    (void)webtest_file(&t, "app/1.0/tool.exe", 1000);
    webtest_state(&t, "app/1.0/tool.exe", "recalled", "carried W32/FunLove");
    webtest_run(&t);
    static const struct {
        const char *deny, *target, *headers;
        int status;
    } cases[] = {
        {NULL, "/d/app/1.0/tool.exe", "", 401},
        {NULL, "/d/app/1.0/tool.exe", "Authorization: Bearer wrong\r\n", 401},
        {NULL, "/d/app/1.0/tool.exe", "Authorization: Basic %%%\r\n", 401},
        {NULL, "/d/app/1.0/none.exe", TOKEN, 404},
        {NULL, "/d/app/latest/tool.exe", TOKEN, 404}, /* no version is the latest */
        {"product", "/d/app/1.0/tool.exe", TOKEN, 403},
        {"withheld", "/d/app/1.0/tool.exe", TOKEN, 410},
        {"recalled", "/d/app/1.0/tool.exe", TOKEN, 410},
        {NULL, "/d/app/1.0/tool.exe?token=good", "", 400},
        {NULL, "/d/app/1.0/tool.exe?x=1&Access_Token=good", TOKEN, 400},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        t.deny = cases[i].deny;
        webtest_get(&t, "GET", cases[i].target, cases[i].headers, &r);
        CHECK(r.status == cases[i].status);
        CHECK((r.status == 401) == (webreply_header(&r, "WWW-Authenticate")[0] != 0));
        CHECK(r.body.len < 500 && webtest_count(&t, "end") == 0);
        if (i == 7) {
            CHECK(strstr(buf_text(&r.body), "FunLove") != NULL);
        }
        webreply_clear(&r);
    }
    CHECK(webtest_end(&t) == 0);
}

static void one_range_is_sent_and_several_are_the_whole(void **state)
{
    (void)state;
    struct webtest t;
    struct webreply r = {0};
    webtest_start(&t, LARGE);
    struct webfile *f = webtest_file(&t, "app/1.0/f", 3 * MIB);
    webtest_run(&t);
    static const struct {
        const char *headers;
        int status;
        uint64_t first, n;
        const char *range;
    } cases[] = {
        {"Range: bytes=0-0\r\n", 206, 0, 1, "bytes 0-0/3145728"},
        {"Range: bytes=1048570-2097160\r\n", 206, 1048570, 1048591,
         "bytes 1048570-2097160/3145728"},
        {"Range: bytes=-5\r\n", 206, 3 * MIB - 5, 5, "bytes 3145723-3145727/3145728"},
        {"Range: bytes=3145720-\r\n", 206, 3145720, 8, "bytes 3145720-3145727/3145728"},
        {"Range: bytes=0-1,5-6\r\n", 200, 0, 3 * MIB, ""},
        {"Range: pages=1-2\r\n", 200, 0, 3 * MIB, ""},
        {"Range: bytes=0-0\r\nIf-Range: \"other\"\r\n", 200, 0, 3 * MIB, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(mem_free) char *headers = mem_printf(TOKEN "%s", cases[i].headers);
        webtest_get(&t, "GET", "/d/app/1.0/f", headers, &r);
        CHECK(r.status == cases[i].status && same(&r, f, cases[i].first, cases[i].n));
        CHECK_STR(webreply_header(&r, "Content-Range"), cases[i].range);
        check_grant(&t, i, false, cases[i].status == 200);
        check_end(&t, i, (int64_t)cases[i].first, (int64_t)cases[i].n);
        webreply_clear(&r);
    }
    CHECK(webtest_end(&t) == 0);
}

static void what_sends_no_byte_passes_the_same_door(void **state)
{
    (void)state;
    struct webtest t;
    struct webreply r = {0};
    char hex[DIGEST_TEXT + 1];
    webtest_start(&t, "");
    struct webfile *f = webtest_file(&t, "app/1.0/f", 5000);
    webtest_run(&t);
    CLEANUP(mem_free)
    char *none = mem_printf("If-None-Match: \"%s\"\r\n", digest_text(&f->d, hex));
    CLEANUP(mem_free) char *none_signed = mem_printf(TOKEN "%s", none);
    const struct {
        const char *method, *headers;
        int status;
    } cases[] = {{"HEAD", TOKEN, 200},
                 {"HEAD", "", 401},
                 {"GET", none_signed, 304},
                 {"GET", none, 401},
                 {"GET", TOKEN "Range: bytes=5000-\r\n", 416},
                 {"GET", "Range: bytes=5000-\r\n", 401}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        webtest_get(&t, cases[i].method, "/d/app/1.0/f", cases[i].headers, &r);
        CHECK(r.status == cases[i].status);
        CHECK(r.status != 304 || r.body.len == 0);
        check_grant(&t, i, true, true);
        webreply_clear(&r);
    }
    webtest_get(&t, "HEAD", "/d/app/1.0/f", TOKEN, &r);
    CHECK_STR(webreply_header(&r, "Content-Length"), "5000");
    CHECK(r.body.len == 0);
    webreply_clear(&r);
    usleep(300000);
    CHECK(webtest_count(&t, "end") == 0);
    CHECK(webtest_end(&t) == 0);
}

static void a_stop_throws_away_what_the_kernel_holds(void **state)
{
    (void)state;
    struct webtest t;
    struct webreply r = {0};
    json_t *j = NULL;
    webtest_start(&t, LARGE);
    struct webfile *f = webtest_file(&t, "app/1.0/f", 24 * MIB);
    struct webfile *whole = webtest_file(&t, "app/1.0/g", 1000000);
    webtest_run(&t);
    const char *ask = "GET /d/app/1.0/f HTTP/1.1\r\nHost: h\r\n" TOKEN "\r\n";
    const char *ask2 = "GET /d/app/1.0/g HTTP/1.1\r\nHost: h\r\n" TOKEN "\r\n";
    int s = webtest_connect(&t, 65536), s2 = webtest_connect(&t, 4096);
    CHECK(send(s, ask, strlen(ask), 0) > 0 && send(s2, ask2, strlen(ask2), 0) > 0);
    static uint8_t some[100000];
    CHECK(recv(s, some, sizeof some, MSG_WAITALL) == sizeof some);
    CHECK(recv(s2, some, 1000, MSG_WAITALL) == 1000);
    usleep(200000); /* the server's kernel holds megabytes by now */
    webtest_push_stop(&t, &f->d);
    webtest_push_stop(&t, &whole->d);
    CHECK(webtest_heard(&t, "stopped", 1, &j));
    js_free(&j);
    webtest_read(s, &r);
    CHECK(r.reset && r.head.len + r.body.len < 4 * MIB);
    webreply_clear(&r);
    webtest_read(s2, &r);
    CHECK(r.reset);
    webreply_clear(&r);
    close(s);
    close(s2);
    CHECK(webtest_heard(&t, "end", 0, &j)); /* of the larger one */
    CHECK(js_int_or(j, "acked", -1) < (int64_t)f->size);
    js_free(&j);
    /* the server goes on */
    webtest_get(&t, "GET", "/healthz", "", &r);
    CHECK(r.status == 200 || r.status == 503);
    webreply_clear(&r);
    CHECK(webtest_end(&t) == 0);
}

static void change_on_disk(struct webtest *t, const struct webfile *f, uint64_t at)
{
    char path[128];
    webtest_blob_path(f, path);
    CHECK(fchmodat(t->dir.fd, path, 0644, 0) == 0);
    int fd = openat(t->dir.fd, path, O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0 && pwrite(fd, "infected", 8, (off_t)at) == 8);
    close(fd);
}

static void changed_bytes_do_not_leave(void **state)
{
    (void)state;
    struct webtest t;
    struct webreply r = {0};
    json_t *j = NULL;
    webtest_start(&t, LARGE);
    struct webfile *small = webtest_file(&t, "app/1.0/small", 10000);
    struct webfile *large = webtest_file(&t, "app/1.0/large", 24 * MIB);
    webtest_run(&t);
    /* before */
    change_on_disk(&t, small, 5000);
    webtest_get(&t, "GET", "/d/app/1.0/small", TOKEN, &r);
    CHECK(r.status == 503 && strstr(buf_text(&r.body), "not what was published") != NULL);
    CHECK(webtest_heard(&t, "alarm", 0, &j));
    CHECK_STR(js_str_or(j, "fault", ""), "changed");
    usleep(100000);
    CHECK(webtest_count(&t, "end") == 0); /* the page that says why not is no part of the file */
    js_free(&j);
    webreply_clear(&r);
    /* while it is sent */
    const char *ask = "GET /d/app/1.0/large HTTP/1.1\r\nHost: h\r\n" TOKEN "\r\n";
    int s = webtest_connect(&t, 65536);
    CHECK(send(s, ask, strlen(ask), 0) > 0);
    usleep(200000);
    change_on_disk(&t, large, 23 * MIB);
    webtest_read(s, &r);
    close(s);
    CHECK(r.status == 200 && r.short_of_end);
    CHECK(r.body.len <= 23 * MIB && memcmp(r.body.p, large->bytes, r.body.len) == 0);
    CHECK(webtest_heard(&t, "alarm", 1, &j));
    CHECK(js_int_or(j, "first", 0) == (int64_t)(23 * MIB) && js_int_or(j, "last_good", -1) == 0);
    js_free(&j);
    webreply_clear(&r);
    /* what was read before is not hidden by memory: the next one reads the disk again */
    webtest_get(&t, "GET", "/d/app/1.0/large", TOKEN "Range: bytes=24117250-24117260\r\n", &r);
    CHECK(r.status == 503);
    webreply_clear(&r);
    CHECK(webtest_end(&t) == 0);
}

static void only_what_was_acknowledged_counts(void **state)
{
    (void)state;
    struct webtest t;
    json_t *j = NULL;
    webtest_start(&t, LARGE);
    struct webfile *f = webtest_file(&t, "app/1.0/f", 24 * MIB);
    webtest_run(&t);
    const char *ask = "GET /d/app/1.0/f HTTP/1.1\r\nHost: h\r\n" TOKEN "\r\n";
    int s = webtest_connect(&t, 65536);
    CHECK(send(s, ask, strlen(ask), 0) > 0);
    static uint8_t some[2 * MIB];
    CHECK(recv(s, some, sizeof some, MSG_WAITALL) == sizeof some);
    usleep(200000); /* a slow reader: it is not cut off */
    CHECK(recv(s, some, sizeof some, MSG_WAITALL) == sizeof some);
    close(s);
    CHECK(webtest_heard(&t, "end", 0, &j));
    int64_t acked = js_int_or(j, "acked", 0);
    CHECK(acked > (int64_t)(4 * MIB - 4096) && acked < (int64_t)f->size);
    js_free(&j);
    CHECK(webtest_end(&t) == 0);
}

static void bad_addresses_are_refused(void **state)
{
    (void)state;
    struct webtest t;
    struct webreply r = {0};
    webtest_start(&t, "");
    webtest_run(&t);
    CLEANUP(mem_free) char *a = mem_zeroed(4097, 1);
    memset(a, 'a', 4096);
    CLEANUP(mem_free) char *longest = mem_printf("/d/app/1.0/%s", a);
    const struct {
        const char *target;
        int least, most;
    } cases[] = {
        {"/d/app/1.0/%2e%2e/%2e%2e/keys/site", 404, 404},
        {"/metadata/../keys/site", 404, 404},
        {"/metadata/%2e%2e%2fweb.db", 404, 404},
        {"/metadata/1.root.json%00", 400, 400},
        {"/d/app/1.0/a%0ab", 400, 400},
        {"/d/app/1.0/%ff%fe", 400, 400},
        {"/d/app/1.0/%zz", 400, 400},
        {longest, 400, 431},
        {"/log/tile/0/../../checkpoint", 404, 404},
        {"/log/tile/0/0000", 404, 404},
        {"/verdicts/0000", 404, 404},
        {"/targets/app/1.0/tool.exe", 404, 404},
        {"/nothing", 404, 404},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        webtest_get(&t, "GET", cases[i].target, TOKEN, &r);
        CHECK(r.status >= cases[i].least && r.status <= cases[i].most);
        webreply_clear(&r);
    }
    webtest_get(&t, "DELETE", "/check", "", &r);
    CHECK(r.status == 405);
    webreply_clear(&r);
    webtest_send(&t, span_str("\0\1\2 HTTP\r\n\r\n"), &r);
    webreply_clear(&r);
    CHECK(webtest_end(&t) == 0);
}

static void public_pages_need_no_sign_in(void **state)
{
    (void)state;
    struct webtest t;
    struct webreply r = {0};
    struct err e;
    char hex[DIGEST_TEXT + 1];
    webtest_start(&t, "");
    struct webfile *f = webtest_file(&t, "app/1.0/tool.exe", 5000);
    struct webfile *secret = webtest_file(&t, "hotfix/1/only.exe", 500);
    webtest_product(&t, "app", "anyone", "1.0");
    webtest_product(&t, "hotfix", "private", "1");
    static const char doc[] = "{\"signed\":{}}", index[] = "{}";
    struct digest d = digest_of(span_str(index));
    CLEANUP(mem_free)
    char *recall = mem_printf("metadata/recall/%s.index.json", digest_text(&d, hex));
    CLEANUP(mem_free) char *at = mem_printf("/targets/recall/%s.index.json", hex);
    CHECK_OK(file_write(t.dir.fd, "metadata/1.root.json", span_str(doc), 0644, &e), e);
    CHECK_OK(file_write(t.dir.fd, "metadata/timestamp.json", span_str(doc), 0644, &e), e);
    CHECK_OK(file_write(t.dir.fd, recall, span_str(index), 0644, &e), e);
    CHECK_OK(file_write(t.dir.fd, "log/checkpoint", span_str("log\n"), 0644, &e), e);
    CHECK_OK(file_write(t.dir.fd, "log/tile/0/000", span_str("tile"), 0644, &e), e);
    webtest_run(&t);
    const struct {
        const char *target, *type, *cache, *holds;
    } cases[] = {
        {"/metadata/1.root.json", "application/json", "public, max-age=31536000, immutable", doc},
        {at, "application/json", "public, max-age=31536000, immutable", index},
        {"/log/checkpoint", "text/plain; charset=utf-8", "no-cache", "log\n"},
        {"/log/tile/0/000", "application/octet-stream", "public, max-age=31536000, immutable",
         "tile"},
        {"/", "text/html; charset=utf-8", "no-cache", "app 1.0"},
        {"/d/app/latest/SHA256SUMS", "text/plain; charset=utf-8", "no-cache", "0123  file"},
        {"/d/app/1.0/SHA256SUMS.sig", "text/plain; charset=utf-8", "no-cache", "comment: s"},
        {"/api/v1/openapi.json", "application/json", "public, max-age=3600", "/api/v1/recall"},
        {"/metrics", "text/plain; version=0.0.4; charset=utf-8", "no-store",
         "cordon_http_requests_total"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        webtest_get(&t, "GET", cases[i].target, "", &r);
        CHECK(r.status == 200 && strstr(buf_text(&r.body), cases[i].holds) != NULL);
        CHECK_STR(webreply_header(&r, "Content-Type"), cases[i].type);
        CHECK_STR(webreply_header(&r, "Cache-Control"), cases[i].cache);
        CHECK(strstr(buf_text(&r.body), "hotfix") == NULL);
        webreply_clear(&r);
    }
    CLEANUP(js_free) json_t *asked = webtest_gate(&t);
    CHECK(json_array_size(asked) == 1); /* the sums are asked once */
    webtest_get(&t, "GET", "/metrics", "X-Forwarded-For: 127.0.0.1\r\n", &r);
    CHECK(r.status == 403);
    webreply_clear(&r);
    CLEANUP(mem_free) char *check = mem_printf("/check?sha256=%s", digest_text(&f->d, hex));
    webtest_get(&t, "GET", check, "", &r);
    CHECK(strstr(buf_text(&r.body), "\"published\"") && strstr(buf_text(&r.body), "tool.exe"));
    webreply_clear(&r);
    CLEANUP(mem_free) char *hidden = mem_printf("/check?sha256=%s", digest_text(&secret->d, hex));
    webtest_get(&t, "GET", hidden, "", &r);
    CHECK(strstr(buf_text(&r.body), "\"published\"") && !strstr(buf_text(&r.body), "only.exe"));
    webreply_clear(&r);
    CLEANUP(mem_free) char *verdict = mem_printf("/verdicts/%s", digest_text(&f->d, hex));
    webtest_get(&t, "GET", verdict, "", &r);
    CHECK(r.status == 404); /* a file is no attestation: no second door */
    webreply_clear(&r);
    CHECK(webtest_count(&t, "grant") == 0);
    CHECK(webtest_end(&t) == 0);
}

static void an_upload_streams_to_the_gate(void **state)
{
    (void)state;
    struct webtest t;
    struct webreply r = {0};
    webtest_start(&t, "");
    webtest_run(&t);
    size_t n = 8 * MIB;
    CLEANUP(buf_clear) struct buf q = BUF(n + 1000);
    buf_fmt(&q,
            "PUT /api/v1/upload?batch=1&path=a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
            "X-Cordon-Operator: build\r\nContent-Length: %zu\r\n\r\n",
            n);
    memset(buf_room(&q, n), 'u', n);
    buf_added(&q, n);
    webtest_send(&t, buf_view(&q), &r);
    CHECK(r.status == 200 && strstr(buf_text(&r.body), "8388608") != NULL);
    pthread_mutex_lock(&t.lock);
    bool all = t.upload.len == n && t.upload.p[0] == 'u' && t.upload.p[n - 1] == 'u';
    pthread_mutex_unlock(&t.lock);
    CHECK(all);
    CLEANUP(js_free) json_t *asked = webtest_gate(&t);
    const json_t *begin = json_array_get(asked, 0);
    CHECK_STR(js_str_or(begin, "query", ""), "batch=1&path=a");
    CHECK_STR(js_str_or(json_object_get(begin, "headers"), "x-cordon-operator", ""), "build");
    webreply_clear(&r);
    const char *api = "POST /api/v1/recall HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                      "Content-Length: 12\r\n\r\n{\"what\":\"x\"}";
    webtest_send(&t, span_str(api), &r);
    CHECK(r.status == 403);
    CLEANUP(js_free) json_t *then = webtest_gate(&t);
    const json_t *last = json_array_get(then, 2);
    CHECK_STR(js_str_or(last, "body", ""), "{\"what\":\"x\"}");
    CHECK_STR(js_str_or(last, "path", ""), "/api/v1/recall");
    CHECK_STR(js_str_or(last, "method", ""), "POST");
    webreply_clear(&r);
    CHECK(webtest_end(&t) == 0);
}

static void stopping_ends_also_who_waits(void **state)
{
    (void)state;
    struct webtest t;
    webtest_start(&t, "");
    (void)webtest_file(&t, "app/1.0/f", 1000);
    webtest_run(&t);
    t.deny = "mute";
    const char *ask = "GET /d/app/1.0/f HTTP/1.1\r\nHost: h\r\n" TOKEN "\r\n";
    int s = webtest_connect(&t, 0);
    json_t *j = NULL;
    CHECK(send(s, ask, strlen(ask), 0) > 0);
    CHECK(webtest_heard(&t, "grant", 0, &j)); /* it is suspended now */
    js_free(&j);
    int64_t began = clock_boot();
    CHECK(webtest_end(&t) == 0);
    CHECK(clock_boot() - began < 8 * CLOCK_SECOND);
    close(s);
}

static void one_account_has_its_limits(void **state)
{
    (void)state;
    struct webtest t;
    struct webreply r = {0};
    webtest_start(&t, LARGE "  account_downloads: 2\n");
    (void)webtest_file(&t, "app/1.0/f", 24 * MIB);
    webtest_run(&t);
    const char *ask = "GET /d/app/1.0/f HTTP/1.1\r\nHost: h\r\n" TOKEN "\r\n";
    int s[2];
    uint8_t some[1000];
    for (size_t i = 0; i < 2; i++) {
        s[i] = webtest_connect(&t, 65536);
        CHECK(send(s[i], ask, strlen(ask), 0) > 0);
        CHECK(recv(s[i], some, sizeof some, MSG_WAITALL) == sizeof some);
    }
    webtest_get(&t, "GET", "/d/app/1.0/f", TOKEN, &r);
    CHECK(r.status == 429 && webreply_header(&r, "Retry-After")[0] != 0);
    webreply_clear(&r);
    webtest_get(&t, "GET", "/d/app/1.0/f", "Authorization: Bearer other\r\n", &r);
    CHECK(r.status == 401); /* another one is not hindered */
    webreply_clear(&r);
    close(s[0]);
    close(s[1]);
    usleep(300000);
    webtest_get(&t, "GET", "/d/app/1.0/f", TOKEN "Range: bytes=0-9\r\n", &r);
    CHECK(r.status == 206);
    webreply_clear(&r);
    CHECK(webtest_end(&t) == 0);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        TEST(a_file_is_granted_sent_and_acknowledged),
        TEST(who_may_not_have_it_is_told_why),
        TEST(one_range_is_sent_and_several_are_the_whole),
        TEST(what_sends_no_byte_passes_the_same_door),
        TEST(a_stop_throws_away_what_the_kernel_holds),
        TEST(changed_bytes_do_not_leave),
        TEST(only_what_was_acknowledged_counts),
        TEST(bad_addresses_are_refused),
        TEST(public_pages_need_no_sign_in),
        TEST(an_upload_streams_to_the_gate),
        TEST(stopping_ends_also_who_waits),
        TEST(one_account_has_its_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
