/* blob_priv.h - what the files of the store share among themselves. */
#pragma once
#include "blob/blob.h"

#include <pthread.h>
#include <sys/stat.h>

#define BLOB_PATH ((size_t)80) /* "ab/cdef....chunks" */

struct blobstore {
    int blobs;
    int staging, batch, quarantine; /* -1 in a store opened for reading */
    uint64_t keep;                  /* bytes of the disk that private copies leave free */
    pthread_mutex_t lock;           /* of all below */
    bool broken;                    /* a sync failed */
    struct digest *pending;         /* in the batch, not in blobs/ yet */
    size_t n_pending, cap_pending;
};

/* "ab/cdef..." with `suffix` ("" or ".chunks"). */
const char *blob_path(const struct digest *d, const char *suffix, char out[static BLOB_PATH]);

struct blob_stamp blob_stamp_of(const struct stat *st);
bool blob_stamp_eq(const struct blob_stamp *a, const struct blob_stamp *b);

/* Opens a regular file for reading; ERR_SYS with ENOENT if missing, EISDIR & co. as ERR_FORMAT. */
MUST_CHECK int blob_file(int dir, const char *name, int *fd, struct stat *st, struct err *e);

/* Reads .chunks and compares it with size and root (NULL: whatever it says): its hashes go to *out
 * (free() it) and *n. ERR_TRUST if it is not right, ERR_SYS if it cannot be read. */
MUST_CHECK int blob_chunks_load(int blobs, const struct digest *d, uint64_t size,
                                const struct digest *root, struct digest **out, struct err *e);

/* ERR_DENIED for a read-only store, ERR_SYS for one whose sync failed. Lock held. */
MUST_CHECK int blob_may_put(const struct blobstore *s, struct err *e);

/* Adds what to do to a full disk's error. */
int blob_disk_err(struct err *e, int r, const char *what);
