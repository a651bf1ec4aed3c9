/* text.h - hex, base64, UTF-8 and names that come from outside. */
#pragma once
#include "base/buf.h"

/* Lower-case hex of `s`, appended. */
void text_hex(struct buf *out, struct span s);
/* Reads exactly 2 * n hex digits (lower case) into out. */
MUST_CHECK int text_unhex(struct span text, uint8_t *out, size_t n, struct err *e);

/* Standard base64 with padding (RFC 4648 section 4), appended. */
void text_base64(struct buf *out, struct span s);
/* Reads standard or URL-safe base64, padding optional, no white space. */
MUST_CHECK int text_unbase64(struct span text, struct buf *out, struct err *e);

/* Valid UTF-8 (no surrogates, no overlong forms) without NUL. */
bool text_is_utf8(struct span s);

/* For the eyes of a person: control characters and invalid UTF-8 become \xNN. */
void text_escape(struct buf *out, struct span s);

/* A name that people give (organisation, account, product, node): 1 to LIMIT_NAME bytes of UTF-8,
 * no control characters, no blank at either end. `what` is used in the message. */
MUST_CHECK int text_check_name(struct span s, const char *what, struct err *e);

/* Decimal without sign or leading zero, at most `max`. */
MUST_CHECK int text_u64(struct span s, uint64_t max, uint64_t *out, struct err *e);

/* How far two words are apart (Levenshtein), for "did you mean". */
size_t text_distance(const char *a, const char *b);
