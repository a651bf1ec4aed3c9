/* events.h - events as they travel from gate to recorder, and what all kinds are. */
#pragma once
#include "record/record.h"

extern const struct record_kind
    *const events_kinds[]; /* NULL-terminated: account, release, delivery */

/* Migrates every table that a kind folds into. */
MUST_CHECK int events_migrate(struct db *db, struct err *e);

/* [{kind, open, site, org, account, org_id, account_id}]; "self" as id is RECORD_SELF. */
json_t *events_to_json(const struct event *ev, size_t n); /* new reference */
MUST_CHECK int events_from_json(const json_t *list, struct event **out, size_t *n, struct err *e);
void events_free(struct event **ev, size_t n);

/* The digest (hex, borrowed) that must not be sent any more after this event, or NULL. */
const char *events_stop(const struct event *ev);
