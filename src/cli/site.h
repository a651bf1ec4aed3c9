/* site.h - a new site: folders, keys, first metadata, empty record. All of it, or nothing. */
#pragma once
#include "base/settings.h"
#include "key/key.h"

struct site_plan {
    const char *path;                /* made if it is not there; must be empty else */
    const struct settings *settings; /* become cordon.yaml */
    const struct key_pass *pass;
    struct key_cost cost;
    const char *keyring_copy; /* a whole path, or NULL */
};
/* ERR_CONFLICT for a folder that holds anything, except what a site_make() left that was killed.
 */
MUST_CHECK int site_make(const struct site_plan *p, struct err *e);

/* The same checks before anything is asked or made. */
MUST_CHECK int site_may_make(const char *path, struct err *e);
