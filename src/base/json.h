/* json.h - JSON with limits, on jansson; our calls begin with js_.
 *
 * Parsing refuses duplicate members, floats where a number is due, depth over LIMIT_JSON_DEPTH and
 * trailing bytes. Getters name the member they miss. */
#pragma once
#include "base/buf.h"
#include "base/digest.h"
#include <jansson.h>

void js_free(json_t **j); /* for CLEANUP: drops the reference, sets NULL */

/* *out is a new reference. At most `max` bytes. `what` names the document in errors. */
MUST_CHECK int js_parse(struct span text, size_t max, const char *what, json_t **out,
                        struct err *e);

/* Compact, members in the order they were set, UTF-8; appended. */
void js_write(struct buf *out, const json_t *j);

/* Canonical JSON as TUF signs it (sorted members, no blanks, integers only; only " and \ are
 * escaped). ERR_FORMAT for what has no canonical form: floats, null, non-ASCII member names,
 * integers beyond 2^53. https://wiki.laptop.org/go/Canonical_JSON; TUF specification 4.2.1 */
MUST_CHECK int js_canon(struct buf *out, const json_t *j, struct err *e);
/* The same with control characters escaped, so that any JSON parser reads it: what is kept for
 * good. Texts without control characters come out alike. */
MUST_CHECK int js_stable(struct buf *out, const json_t *j, struct err *e);
/* SHA-256 of the canonical form. */
MUST_CHECK int js_digest(const json_t *j, struct digest *out, struct err *e);

/* Required members: ERR_FORMAT "member NAME is missing / not a text / ...". Texts are borrowed. */
MUST_CHECK int js_str(const json_t *o, const char *name, const char **out, struct err *e);
MUST_CHECK int js_int(const json_t *o, const char *name, int64_t *out, struct err *e);
MUST_CHECK int js_u64(const json_t *o, const char *name, uint64_t *out, struct err *e);
MUST_CHECK int js_bool(const json_t *o, const char *name, bool *out, struct err *e);
MUST_CHECK int js_obj(const json_t *o, const char *name, json_t **out,
                      struct err *e); /* borrowed */
MUST_CHECK int js_arr(const json_t *o, const char *name, json_t **out,
                      struct err *e); /* borrowed */
MUST_CHECK int js_sha256(const json_t *o, const char *name, struct digest *out, struct err *e);
/* Optional members: the default when absent or of another type. */
const char *js_str_or(const json_t *o, const char *name, const char *other);
int64_t js_int_or(const json_t *o, const char *name, int64_t other);
bool js_bool_or(const json_t *o, const char *name, bool other);

/* Setters that abort when memory ends. js_set_* on invalid UTF-8 stores the escaped text. */
json_t *js_new(void);
json_t *js_list(void);
void js_set(json_t *o, const char *name, json_t *take);
void js_set_str(json_t *o, const char *name, const char *s); /* NULL is left out */
void js_set_int(json_t *o, const char *name, int64_t v);
void js_set_bool(json_t *o, const char *name, bool v);
void js_set_sha256(json_t *o, const char *name, const struct digest *d);
void js_set_time(json_t *o, const char *name, int64_t t); /* clock_text() form, microseconds */
void js_add(json_t *list, json_t *take);
void js_add_str(json_t *list, const char *s);
json_t *js_text(const char *s); /* new reference, never NULL */
