/* http_text.h - what stands in a request, read by our own hand: target, range, tags, credentials,
 * forwarded addresses. Nothing here allocates without a ceiling or keeps state. */
#pragma once
#include <sys/socket.h>

#include "base/buf.h"
#include "base/digest.h"

#define HTTP_SECRET ((size_t)512) /* a user name or password */

/* ---- the request target ---- */

/* Cuts at the first '?'. */
void http_split(struct span target, struct span *path, struct span *query);

/* Percent-decodes, appended. With `form` a plus is a blank. ERR_FORMAT for a broken escape, a NUL,
 * a control character (but line breaks in a form) or bytes that are no UTF-8. */
MUST_CHECK int http_decode(struct span text, bool form, struct buf *out, struct err *e);
/* Encodes what may not stand in a path of a URL, slashes excepted; appended. */
void http_encode(struct buf *out, struct span text);

/* The next name=value of a query or form, undecoded; false at the end. */
bool http_pair(struct span *query, struct span *name, struct span *value);

/* A secret has no place in a URL: browsers, proxies and logs keep those. True if one is there. */
bool http_query_has_secret(struct span query);

/* ---- Range (RFC 9110 14) and validators ---- */

enum http_range {
    HTTP_RANGE_WHOLE,       /* no range, several at once, another unit or nonsense: all of it */
    HTTP_RANGE_PART,        /* first..last */
    HTTP_RANGE_UNSATISFIED, /* 416 */
};
/* `header` may be NULL. *first and *last are set for a part only. */
enum http_range http_range_parse(const char *header, uint64_t size, uint64_t *first,
                                 uint64_t *last);

/* Our entity tag is the quoted SHA-256. Does If-None-Match name it (weak comparison, "*" too)? */
bool http_tag_listed(const char *header, const struct digest *d);
/* Does If-Range allow the range: absent, or exactly our tag (a date never matches)? */
bool http_if_range(const char *header, const struct digest *d);

/* ---- credentials ---- */

struct http_credential {
    bool given, basic; /* given: there is an Authorization header */
    char user[HTTP_SECRET + 1], secret[HTTP_SECRET + 1];
};
/* Authorization: Basic or Bearer. ERR_FORMAT if it is neither or malformed. Wipe *out after use. */
MUST_CHECK int http_credential_parse(const char *header, struct http_credential *out,
                                     struct err *e);

/* ---- addresses ---- */

#define HTTP_ADDRESS ((size_t)48)

struct http_ip {
    uint8_t b[16]; /* IPv4 as ::ffff:a.b.c.d */
};
struct http_net {
    struct http_ip ip;
    unsigned bits;
};
MUST_CHECK int http_ip_parse(struct span text, struct http_ip *out, struct err *e);
MUST_CHECK int http_net_parse(struct span text, struct http_net *out, struct err *e);
bool http_ip_of(const struct sockaddr *a, struct http_ip *out); /* false: no IP */
bool http_in_net(const struct http_ip *ip, const struct http_net *net);
bool http_ip_loopback(const struct http_ip *ip);
const char *http_ip_text(const struct http_ip *ip, char out[static HTTP_ADDRESS]);

/* The client: the peer, or if that is a trusted proxy the right-most address of X-Forwarded-For
 * that is none. An address there that cannot be read ends the walk at the proxy before it. */
struct http_ip http_client(const struct http_ip *peer, const char *forwarded,
                           const struct http_net *trusted, size_t n);

/* The status that tells an error code to a client of the API: 400, 403, ..., else 500. */
int http_status(int code);
