/* copytree.h - folders copied, and brought up to date by copying what changed. */
#pragma once
#include "base/err.h"

struct copytree {
    int from, to;          /* folders; borrowed */
    bool link;             /* hard links where the file system can; for files that never change */
    const char *first;     /* of the top folder: this name is copied before all others, or NULL */
    uint64_t files, bytes; /* copied */
};
/* Copies the folder `name` of `from` into `to`, what is there of the same length and time being
 * kept. Regular files, folders and links only; what vanishes meanwhile is passed over. Nothing is
 * synced.
 */
MUST_CHECK int copytree_folder(struct copytree *t, const char *name, struct err *e);
/* One file; a missing one is ERR_NOTFOUND. */
MUST_CHECK int copytree_file(struct copytree *t, const char *name, struct err *e);
/* Removes the files of a folder of `to` that `from` does not have (any more). */
MUST_CHECK int copytree_prune(struct copytree *t, const char *name, struct err *e);
