/* release_db_priv.h - what fold and queries share. */
#pragma once
#include "release/release_db.h"

/* Two paths that only some file systems keep apart have the same folded name (ASCII only: other
 * letters are not allowed in paths). */
void release_fold_name(struct buf *out, const char *path);

#define DIGEST(d) DB_BLOB((d).b, sizeof(d).b)

MUST_CHECK int release_fold_findings(struct db *db, const struct digest *blob, uint64_t event,
                                     const json_t *list, struct err *e);

/* release_marks.c: what is said of bytes after their admission. */
int release_fold_withheld(struct db *db, const struct event *ev, struct err *e);
int release_fold_recalled(struct db *db, const struct event *ev, struct err *e);
int release_fold_lifted(struct db *db, const struct event *ev, struct err *e);
int release_fold_alarm(struct db *db, const struct event *ev, struct err *e);
int release_fold_retro(struct db *db, const struct event *ev, struct err *e);
