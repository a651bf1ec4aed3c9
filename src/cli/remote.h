/* remote.h - the API of a server elsewhere, asked with an operator's signature. */
#pragma once
#include "base/json.h"
#include "cli/secret.h"

struct remote {
    const char *url; /* "https://updates.example", without the API's path */
    struct secret secret;
};
/* ERR_FORMAT for an address that is none. */
MUST_CHECK int remote_open(const char *url, const char *token_file, struct remote *out,
                           struct err *e);
void remote_clear(struct remote *r); /* for CLEANUP */

/* POST /api/v1/OP. The request is borrowed; *answer is a new reference. A refusal of the server
 * comes back as the error that it is there. */
MUST_CHECK int remote_call(const struct remote *r, const char *op, const json_t *q, json_t **answer,
                           struct err *e);
/* PUT /api/v1/upload of the file behind `fd`, which is hashed first. `path` is a target's name. */
MUST_CHECK int remote_upload(const struct remote *r, uint64_t batch, const char *path, int fd,
                             json_t **answer, struct err *e);

/* The headers that sign a request (X-Cordon-...), appended as lines. */
struct remote_request {
    const char *method, *path, *query; /* query without '?', "" for none */
    const char *time, *nonce;          /* clock_text(), 32 hex digits */
    struct digest body;
};
void remote_sign(const struct secret *s, const struct remote_request *q, struct buf *out);
