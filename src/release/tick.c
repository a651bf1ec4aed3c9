/* tick.c - what happens by itself: holds end, metadata is signed again before it expires. */
#include "release/release_priv.h"

#include "base/log.h"
#include "base/mem.h"

#define REST CLOCK_MINUTE

/* ---- the clock ---- */

static int enter_clock_alarm(struct release *r, int64_t step, struct err *e)
{
    CLEANUP(release_unlock) pthread_mutex_t *lock = release_locked(r);
    CLEANUP(event_clear) struct event ev = {.kind = "alarm", .site = js_new()};
    CLEANUP(mem_free)
    char *text = mem_printf("the wall clock stepped by %lld s against the boot clock; holds do not "
                            "end until it is right again, or the server was started again",
                            (long long)(step / CLOCK_SECOND));
    js_set_str(ev.site, "fault", "clock");
    js_set_int(ev.site, "step", step);
    js_set_int(ev.site, "seen", clock_now());
    js_set_str(ev.site, "text", text);
    log_error("release.clock", "%s", text);
    return release_append(r, &ev, 1, e);
}

/* Small corrections are followed; a step stops the end of holds, and is told of once. */
static int check_clock(struct release *r, struct err *e)
{
    int64_t gap = clock_now() - clock_boot(), step = r->ticked ? gap - r->gap : 0;
    if ((step < 0 ? -step : step) <= settings_number(r->o.settings, SETTING_CLOCK_STEP)) {
        r->gap = gap;
        r->ticked = true;
        r->clock_stepped = false;
        return 0;
    }
    if (r->clock_stepped) {
        return 0;
    }
    int bad = enter_clock_alarm(r, step, e);
    r->clock_stepped = bad == 0;
    return bad;
}

/* ---- metadata ---- */

static int ask_due(struct release *r, int64_t *due, struct err *e)
{
    CLEANUP(js_free) json_t *q = js_new();
    CLEANUP(js_free) json_t *state = NULL;
    js_set_str(q, "op", "state");
    int bad = r->o.ports.ask(r->o.ports.ctx, q, &state, e);
    return bad < 0 ? bad : js_int(state, "due", due, e);
}

static int refresh(struct release *r, int64_t *due, struct err *e)
{
    CLEANUP(release_unlock) pthread_mutex_t *lock = release_locked(r);
    struct tuf_docs docs = {0};
    int bad = r->behind ? release_complete(r, e) : 0;
    bad = bad < 0 ? bad : ask_due(r, due, e);
    if (bad < 0 || *due > clock_now()) {
        return bad;
    }
    CLEANUP(js_free) json_t *q = js_new();
    js_set_str(q, "op", "refresh");
    bad = r->o.ports.docs(r->o.ports.ctx, q, &docs, e);
    bad = bad < 0 || docs.n == 0 ? bad : tuf_write(r->metadata, &docs, e);
    tuf_docs_clear(&docs);
    bad = bad < 0 ? bad : ask_due(r, due, e);
    return bad < 0 ? err_wrap(e, bad, "sign the metadata again") : 0;
}

static bool may_end_holds(struct release *r)
{
    CLEANUP(release_unlock) pthread_mutex_t *lock = release_locked(r);
    return !r->clock_stepped && clock_boot() >= r->due_again;
}

int release_tick(struct release *r, int64_t *next, struct err *e)
{
    int64_t due = 0, hold = 0, now = clock_now();
    struct db *db = release_reader(r, e);
    int bad = db == NULL ? ERR_UNAVAIL : check_clock(r, e);
    bad = bad < 0 ? bad : refresh(r, &due, e);
    bad = bad < 0 ? bad : release_next_due(db, &hold, e);
    if (bad == 0 && hold <= now && may_end_holds(r)) {
        bad = release_publish_due(r, NULL, NULL, "cordon", NULL, e);
        bad = bad < 0 ? bad : release_next_due(db, &hold, e);
    }
    if (bad == 0) {
        *next = due < hold ? due : hold;
        *next = *next<now + REST && * next> now ? *next : now + REST;
    }
    return bad;
}
