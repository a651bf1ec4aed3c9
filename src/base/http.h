/* http.h - one HTTP request to another server, with ceilings, on libcurl.
 *
 * Only http and https; certificates are always verified against the machine's store or `ca_file`;
 * redirects are not followed unless asked, because a token must not travel to another host.
 * Any thread may call; nothing is kept between calls. */
#pragma once
#include "base/buf.h"

struct http_request {
    const char *method; /* NULL: GET, or PUT when there is a body */
    const char *url;
    const char *const *headers; /* "Name: value", NULL-terminated; may be NULL */
    struct span body;
    int body_fd;     /* a file to send from its beginning instead of `body`; 0 or less: none */
    size_t max;      /* of the answer's body; ERR_LIMIT beyond */
    int64_t connect; /* microseconds until connected; 0: ten seconds */
    int64_t within; /* microseconds for all of it; 0: no end, but a minute without a byte ends it */
    const char *ca_file; /* PEM; NULL: the machine's */
    bool follow;         /* up to five redirects, GET and HEAD only */
};
struct http_answer {
    int status;
    struct buf body;
};
void http_answer_clear(struct http_answer *a);

/* 0 whenever the server answered, whatever the status. ERR_UNAVAIL when it did not, ERR_TRUST when
 * its certificate did not hold, ERR_FORMAT for a bad URL or header. */
MUST_CHECK int http_call(const struct http_request *q, struct http_answer *out, struct err *e);
