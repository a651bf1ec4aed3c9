/* bundle.h - rules on their way into the cage: texts from disk, compiled bytes back.
 *
 * A bundle is one sealed memory file with every rule file's text; all workers of a rule set see
 * these bytes and no path. What the compiling worker returns is the second form. */
#pragma once
#include "scan/engine.h"

struct rule_list {
    struct rule_file *file; /* name and text belong to the list */
    size_t n;
};
void rule_list_clear(struct rule_list *l);

/* Reads the rules of `c`: the program's own, then each path in its order, folders by name. A path
 * without rule files is an error. */
MUST_CHECK int rule_list_read(const struct scan_config *c, struct rule_list *out, struct err *e);

void bundle_write(struct buf *out, const struct rule_list *l);
/* The list has copies. */
MUST_CHECK int bundle_parse(struct span bundle, struct rule_list *out, struct err *e);

/* Compiled rules: bytes by engine name. */
void compiled_add(struct buf *out, const char *engine, struct span bytes);
/* Finds one; SPAN_NONE when there is none of that name. */
MUST_CHECK int compiled_find(struct span all, const char *engine, struct span *out, struct err *e);

#define BUNDLE_MOST ((size_t)1 << 30) /* rule texts, or compiled rules, of one set */

/* Rules that are part of the program; made by tools/embed.py from rules/. */
struct scan_embedded {
    const char *name;
    const unsigned char *text;
    size_t len;
};
extern const struct scan_embedded scan_embedded[];
extern const size_t scan_n_embedded;
