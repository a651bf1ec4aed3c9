/* doctor.h - what doctor finds, one check at a time. */
#pragma once
#include "cli/cli.h"
#include "key/keyring.h"

enum doctor_state { DOCTOR_OK, DOCTOR_WARN, DOCTOR_BAD };
struct doctor {
    struct app *app;
    struct key_kek *kek; /* NULL: no passphrase at hand */
    size_t warned, bad;
};
/* Counts it and prints a line or, with --json, {check state text}. */
void doctor_say(struct doctor *d, enum doctor_state s, const char *check, const char *fmt, ...)
    PRINTF(4, 5);

/* Checks that need no secret and no running process (doctor_files.c). */
void doctor_keys(struct doctor *d);
void doctor_keyring(struct doctor *d);
void doctor_details(struct doctor *d); /* with d->kek what is sealed too */
void doctor_database(struct doctor *d);
void doctor_metadata(struct doctor *d);
void doctor_log(struct doctor *d);
void doctor_blobs(struct doctor *d);
void doctor_disk(struct doctor *d);

/* Makes cordon.db anew from journal and log. The site's lock is held, d->kek is there
 * (doctor_rebuild.c). `new_keyring`: a lost one will not come back, go on without. */
MUST_CHECK int doctor_rebuild(struct doctor *d, bool new_keyring, struct err *e);
