/* http.c - one request on libcurl's easy interface. */
#include "base/http.h"

#include "base/clock.h"
#include "base/curl_lib.h"
#include "base/fd.h"

#include <pthread.h>
#include <sys/stat.h>

void http_answer_clear(struct http_answer *a)
{
    buf_clear(&a->body);
    *a = (struct http_answer){0};
}

struct upload {
    struct span body;
    int fd;
    uint64_t at, len;
};

static size_t give(char *to, size_t size, size_t n, void *ctx)
{
    struct upload *u = ctx;
    uint64_t left = u->len - u->at, room = (uint64_t)size * n;
    size_t want = (size_t)(left < room ? left : room);
    if (want == 0) {
        return 0;
    }
    if (u->fd <= 0) {
        memcpy(to, u->body.p + u->at, want);
    } else if (fd_pread(u->fd, to, want, u->at) != (ssize_t)want) {
        return CURL_READFUNC_ABORT; /* shorter than when it was measured */
    }
    u->at += want;
    return want;
}

static int rewind_upload(void *ctx, curl_off_t at, int origin)
{
    struct upload *u = ctx;
    if (origin != SEEK_SET || at < 0 || (uint64_t)at > u->len) {
        return CURL_SEEKFUNC_FAIL;
    }
    u->at = (uint64_t)at;
    return CURL_SEEKFUNC_OK;
}

static size_t take(char *p, size_t size, size_t n, void *ctx)
{
    struct buf *b = ctx;
    buf_add(b, p, size * n);
    return b->fault < 0 ? 0 : size * n;
}

static const struct curl_lib *curl; /* NULL until start(), and if the library is not there */
static struct err missing;

static void start(void)
{
    if (curl_lib(&curl, &missing) < 0) {
        curl = NULL;
    }
}

static void close_easy(CURL **c)
{
    curl->easy_cleanup(*c);
}

static void free_list(struct curl_slist **l)
{
    curl->slist_free_all(*l);
}

static long to_ms(int64_t us)
{
    return us > 0 ? (long)((us + 999) / 1000) : 0;
}

static int add_headers(const char *const *headers, struct curl_slist **list, struct err *e)
{
    for (; headers != NULL && *headers != NULL; headers++) {
        if (strpbrk(*headers, "\r\n") != NULL || strchr(*headers, ':') == NULL) {
            return err_set(e, ERR_FORMAT, "a header must be one line \"Name: value\"");
        }
        struct curl_slist *more = curl->slist_append(*list, *headers);
        if (more == NULL) {
            return err_set(e, ERR_NOMEM, "headers of a request");
        }
        *list = more;
    }
    return 0;
}

/* A large body waits for the server's word that it wants it; a small one is sooner sent. */
static int ask_first(const struct upload *u, struct curl_slist **list, struct err *e)
{
    static const char *const never[] = {"Expect:", NULL};
    return u->len < ((uint64_t)1 << 20) ? add_headers(never, list, e) : 0;
}

static int measure(const struct http_request *q, struct upload *u, struct err *e)
{
    struct stat st;
    *u = (struct upload){.body = q->body, .fd = q->body_fd, .len = q->body.len};
    if (q->body_fd <= 0) {
        return 0;
    }
    if (fstat(q->body_fd, &st) < 0) {
        return err_sys(e, "size of a file to send");
    }
    if (!S_ISREG(st.st_mode)) {
        return err_set(e, ERR_FORMAT, "only a regular file can be sent");
    }
    u->len = (uint64_t)st.st_size;
    return 0;
}

/* Options that cannot fail on a build of libcurl that has https; what it lacks shows in perform. */
static void set_rules(CURL *c, const struct http_request *q)
{
    curl->easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl->easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl->easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "https");
    curl->easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
    curl->easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
    curl->easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl->easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, q->connect > 0 ? to_ms(q->connect) : 10000L);
    curl->easy_setopt(c, CURLOPT_TIMEOUT_MS, to_ms(q->within));
    curl->easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl->easy_setopt(c, CURLOPT_LOW_SPEED_TIME, 60L);
    curl->easy_setopt(c, CURLOPT_USERAGENT, "cordon/" CORDON_VERSION);
    if (q->ca_file != NULL) {
        curl->easy_setopt(c, CURLOPT_CAINFO, q->ca_file);
        curl->easy_setopt(c, CURLOPT_CAPATH, NULL); /* that one and no other */
    }
}

static void set_upload(CURL *c, const char *method, struct upload *u)
{
    curl->easy_setopt(c, CURLOPT_UPLOAD, 1L);
    curl->easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
    curl->easy_setopt(c, CURLOPT_READFUNCTION, give);
    curl->easy_setopt(c, CURLOPT_READDATA, u);
    curl->easy_setopt(c, CURLOPT_SEEKFUNCTION, rewind_upload);
    curl->easy_setopt(c, CURLOPT_SEEKDATA, u);
    curl->easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)u->len);
}

static void set_method(CURL *c, const struct http_request *q, struct upload *u)
{
    bool sends = q->body_fd > 0 || q->body.p != NULL;
    const char *method = q->method != NULL ? q->method : sends ? "PUT" : "GET";
    bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    if (sends) {
        set_upload(c, method, u);
    } else if (strcmp(method, "HEAD") == 0) {
        curl->easy_setopt(c, CURLOPT_NOBODY, 1L);
    } else if (!reads) {
        curl->easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
    }
    if (q->follow && reads && !sends) {
        curl->easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
        curl->easy_setopt(c, CURLOPT_MAXREDIRS, 5L);
    }
}

static int explain(CURLcode code, const char *url, const char *detail, struct err *e)
{
    const char *why = *detail != '\0' ? detail : curl->easy_strerror(code);
    int r = ERR_UNAVAIL;
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
        code == CURLE_SSL_ISSUER_ERROR || code == CURLE_SSL_PINNEDPUBKEYNOTMATCH) {
        r = ERR_TRUST;
    } else if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL) {
        r = ERR_FORMAT;
    } else if (code == CURLE_OUT_OF_MEMORY) {
        r = ERR_NOMEM;
    } else if (code == CURLE_ABORTED_BY_CALLBACK) {
        why = "the file to send could not be read to its end";
        r = ERR_CONFLICT;
    }
    return err_set(e, r, "%.200s: %s", url, why);
}

int http_call(const struct http_request *q, struct http_answer *out, struct err *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start);
    if (curl == NULL) {
        return err_set(e, missing.code, "%s", missing.text);
    }
    CLEANUP(close_easy) CURL *c = curl->easy_init();
    CLEANUP(free_list) struct curl_slist *list = NULL;
    CLEANUP(buf_clear) struct buf body = BUF(q->max);
    char detail[CURL_ERROR_SIZE] = "";
    struct upload u;
    if (c == NULL) {
        return err_set(e, ERR_NOMEM, "request to %.200s", q->url);
    }
    int r = measure(q, &u, e);
    r = r < 0 ? r : add_headers(q->headers, &list, e);
    r = r < 0 ? r : ask_first(&u, &list, e);
    if (r < 0) {
        return err_wrap(e, r, "request to %.200s", q->url);
    }
    set_rules(c, q);
    set_method(c, q, &u);
    curl->easy_setopt(c, CURLOPT_URL, q->url);
    curl->easy_setopt(c, CURLOPT_HTTPHEADER, list);
    curl->easy_setopt(c, CURLOPT_ERRORBUFFER, detail);
    curl->easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
    curl->easy_setopt(c, CURLOPT_WRITEDATA, &body);
    CURLcode code = curl->easy_perform(c);
    if (body.fault < 0) {
        r = buf_done(&body, "answer", e);
        return err_wrap(e, r, "%.200s", q->url);
    }
    if (code != CURLE_OK) {
        return explain(code, q->url, detail, e);
    }
    long status = 0;
    curl->easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    *out = (struct http_answer){.status = (int)status, .body = body};
    body = (struct buf){0};
    return 0;
}
