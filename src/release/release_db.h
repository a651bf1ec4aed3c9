/* release_db.h - the fold of a release's events: blobs, members, targets and their states.
 *
 * Read by delivery (which target is which blob, and may it go out) and incident (who has it). Only
 * release.h changes anything. State of a target: held, waiting (for approval), published, withheld,
 * recalled. Withheld and recalled are of a digest and so of every target that has it. */
#pragma once
#include "record/record.h"

extern const struct record_kind release_kinds[]; /* ends with name == NULL */
extern const struct db_migration release_migrations[];
extern const size_t release_migrations_n;

enum release_state {
    RELEASE_NONE = 0, /* closed */
    RELEASE_HELD,
    RELEASE_WAITING,
    RELEASE_PUBLISHED,
    RELEASE_WITHHELD,
    RELEASE_RECALLED,
};
const char *release_state_name(enum release_state s);

struct release_target {
    char path[LIMIT_TARGET + 1]; /* PRODUCT/VERSION/FILE */
    char product[LIMIT_NAME + 1], version[LIMIT_NAME + 1];
    struct digest sha256, chunk_root;
    uint64_t size;
    enum release_state state;
};
/* ERR_NOTFOUND. A digest that is withheld or recalled shows as that state whatever the path. */
MUST_CHECK int release_target(struct db *db, const char *path, struct release_target *out,
                              struct err *e);
MUST_CHECK int release_state_of(struct db *db, const struct digest *sha256, enum release_state *out,
                                struct err *e);
