/* alarm.c - a stored blob is not what it was: nobody gets it until somebody has looked. */
#include "release/release_priv.h"

static int enter_alarm(struct release *r, struct db *db, const struct digest *d,
                       const json_t *alarm, struct err *e)
{
    CLEANUP(event_clear) struct event ev = {.kind = "alarm", .site = json_deep_copy(alarm)};
    int64_t good = 0;
    int bad = release_known_good(db, d, &good, e);
    json_object_del(ev.site, "op");
    if (js_int_or(ev.site, "last_good", 0) < good) {
        js_set_int(ev.site, "last_good", good);
    }
    return bad < 0 ? bad : release_append(r, &ev, 1, e);
}

/* Bytes that no target names (an attestation, a leftover) have no state that would remember. */
static bool first_time(struct release *r, const struct digest *d)
{
    char hex[DIGEST_TEXT + 1];
    if (json_object_get(r->alarmed, digest_text(d, hex)) != NULL) {
        return false;
    }
    js_set_bool(r->alarmed, hex, true);
    return true;
}

/* The chunk list is derived from the blob: if the blob is good, a new one is all that is needed. */
static bool mended(struct release *r, const struct digest *d, const char *fault)
{
    struct err e;
    return strcmp(fault, blob_fault_name(BLOB_FAULT_CHUNKS)) == 0 &&
           blob_rechunk(r->o.blobs, d, &e) == 0 && blobstore_sync(r->o.blobs, &e) == 0;
}

int release_alarm(struct release *r, const json_t *alarm, struct err *e)
{
    CLEANUP(release_unlock) pthread_mutex_t *lock = release_locked(r);
    struct digest d;
    const char *fault = "";
    enum release_state state = RELEASE_NONE;
    size_t fresh = 0;
    struct db *db = release_reader(r, e);
    int bad = db == NULL ? ERR_UNAVAIL : js_sha256(alarm, "blob", &d, e);
    bad = bad < 0 ? bad : js_str(alarm, "fault", &fault, e);
    if (bad < 0) {
        return bad;
    }
    bad = release_state_of(db, &d, &state, e);
    bool nobodys = bad == ERR_NOTFOUND;
    if (bad < 0 && !nobodys) {
        return bad;
    }
    if (state == RELEASE_WITHHELD || state == RELEASE_RECALLED || (nobodys && !first_time(r, &d)) ||
        mended(r, &d, fault)) {
        return 0;
    }
    bool entered = strcmp(js_str_or(alarm, "by", ""), "scrub") != 0; /* else by the recorder */
    bad = entered ? 0 : enter_alarm(r, db, &d, alarm, e);
    if (bad < 0 || nobodys) {
        return bad;
    }
    char reason[300];
    snprintf(reason, sizeof reason, "its stored copy is damaged (%.20s): %.200s", fault,
             js_str_or(alarm, "text", "found while it was read"));
    struct release_why why = {reason, "cordon", "alarm"};
    return release_withhold_all(r, &d, 1, &why, &fresh, e);
}
