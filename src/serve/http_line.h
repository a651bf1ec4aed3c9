/* http_line.h - every open connection, and how long it may take over what it is at.
 *
 * The library ends a connection on which nothing moves; who sends or reads a byte now and then
 * would stay for ever. A line is what the server knows of one connection while the library has it.
 */
#pragma once
#include "serve/http_conn.h"

enum line_phase {
    PHASE_HEAD, /* between two requests, or their headers are on the way */
    PHASE_BODY, /* an upload */
    PHASE_WAIT, /* for us */
    PHASE_SEND, /* our reply is on the way */
};

struct lines;
struct line;

struct lines *lines_new(void);
void lines_free(struct lines **l);    /* without lines */
unsigned lines_open(struct lines *l); /* how many */
void lines_sweep(struct lines *l);    /* ends those that are too slow */

struct line *line_new(struct lines *l, int fd, bool tls);
void line_free(struct lines *l, struct line *line);
struct conn *line_conn(const struct line *line); /* a reference, or NULL; `line` may be NULL */
void line_phase(struct lines *l, struct line *line, enum line_phase p);
/* Bytes of an upload arrived. */
void line_took(struct lines *l, struct line *line, uint64_t bytes, enum line_phase p);
