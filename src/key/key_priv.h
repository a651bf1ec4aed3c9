/* key_priv.h - what the files of this module share. */
#pragma once
#include "base/json.h"
#include "key/key.h"

/* Locked, guarded, zeroed memory of a size our own code chose; ends the process if there is none.
 * Free with key_free_secret(), which wipes. */
void *key_alloc(size_t n);
void key_free_secret(void *p); /* NULL is fine */

/* Writes a file that must not exist yet, whole and durable, mode 0600: ERR_CONFLICT else. */
MUST_CHECK int key_write_new(int dir, const char *name, struct span data, struct err *e);

/* Reads member `name` of `o`: exactly n bytes in hex. */
MUST_CHECK int key_js_bytes(const json_t *o, const char *name, uint8_t *out, size_t n,
                            struct err *e);
void key_js_set_bytes(json_t *o, const char *name, struct span s);
