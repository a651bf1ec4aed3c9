#include "cli/event_text.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/table.h"
#include "cli/print.h"

/* A member of whichever part has it. */
static const json_t *member(const json_t *ev, const char *name)
{
    static const char *const parts[] = {"open", "site", "org", "account"};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        const json_t *v = json_object_get(json_object_get(ev, parts[i]), name);
        if (v != NULL) {
            return v;
        }
    }
    return NULL;
}

static const char *text(const json_t *ev, const char *name)
{
    const char *s = json_string_value(member(ev, name));
    return s != NULL ? s : "";
}

static int64_t number(const json_t *ev, const char *name)
{
    return json_integer_value(member(ev, name));
}

static void bytes(struct buf *out, int64_t n)
{
    char size[16];
    buf_str(out, table_bytes(n < 0 ? 0 : (uint64_t)n, size));
}

/* The first digits are enough to find a file by. */
static void digest(struct buf *out, const json_t *ev, const char *name)
{
    buf_fmt(out, "%.16s", text(ev, name));
}

static void moment(struct buf *out, const char *what, int64_t t)
{
    char when[CLOCK_TEXT];
    if (t > 0) {
        buf_fmt(out, "%s %s", what, clock_text(t, false, when));
    }
}

static void admitted(struct buf *out, const json_t *ev)
{
    buf_fmt(out, "%s  ", text(ev, "path"));
    digest(out, ev, "sha256");
    buf_fmt(out, "  %s, ", text(ev, "verdict"));
    bytes(out, number(ev, "size"));
    buf_fmt(out, ", from %s on %s by %s", text(ev, "source"), text(ev, "host"), text(ev, "who"));
    moment(out, ", held until", number(ev, "hold_until"));
}

static void refused(struct buf *out, const json_t *ev)
{
    buf_fmt(out, "%s  ", text(ev, "path"));
    digest(out, ev, "sha256");
    buf_fmt(out, "  %s: %s; from %s on %s by %s", text(ev, "verdict"), text(ev, "reason"),
            text(ev, "source"), text(ev, "host"), text(ev, "who"));
}

static void published(struct buf *out, const json_t *ev)
{
    buf_fmt(out, "%s  ", text(ev, "path"));
    digest(out, ev, "sha256");
    buf_str(out, "  ");
    bytes(out, number(ev, "length"));
}

static void barred(struct buf *out, const json_t *ev)
{
    digest(out, ev, "sha256");
    buf_fmt(out, "  %s", text(ev, "reason"));
    if (text(ev, "replacement")[0] != 0) {
        buf_fmt(out, "; replaced by %s", text(ev, "replacement"));
    }
    if (text(ev, "by")[0] != 0) {
        buf_fmt(out, " (by %s)", text(ev, "by"));
    } else if (text(ev, "who")[0] != 0) {
        buf_fmt(out, " (ordered by %s)", text(ev, "who"));
    }
}

static void alarm(struct buf *out, const json_t *ev)
{
    digest(out, ev, "blob");
    buf_fmt(out, "  %s, bytes %lld to %lld", text(ev, "fault"), (long long)number(ev, "first"),
            (long long)number(ev, "last"));
    moment(out, ", last good", number(ev, "last_good"));
    moment(out, ", seen", number(ev, "seen"));
    if (text(ev, "by")[0] != 0) {
        buf_fmt(out, " (by %s)", text(ev, "by"));
    }
}

static void grant(struct buf *out, const json_t *ev)
{
    buf_fmt(out, "%s  ", text(ev, "target"));
    digest(out, ev, "blob");
    buf_fmt(out, "  bytes %lld to %lld of %lld, organisation %lld, account %lld, %s",
            (long long)number(ev, "first"), (long long)number(ev, "last"),
            (long long)number(ev, "size"), (long long)js_int_or(ev, "org_id", -1),
            (long long)js_int_or(ev, "account_id", -1),
            text(ev, "address")[0] != 0 ? text(ev, "address") : "address erased");
}

static void end(struct buf *out, const json_t *ev)
{
    buf_fmt(out, "of grant %lld: %lld bytes acknowledged from byte %lld",
            (long long)number(ev, "grant"), (long long)number(ev, "acked"),
            (long long)number(ev, "first"));
}

static void members(struct buf *out, const json_t *ev)
{
    static const char *const parts[] = {"open", "site", "org", "account"};
    bool first = true;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        const char *name;
        json_t *value;
        json_object_foreach(json_object_get(ev, parts[i]), name, value)
        {
            if (strcmp(name, "token") == 0 || strcmp(name, "password") == 0) {
                continue; /* only hashes, and yet nothing for a screen */
            }
            CLEANUP(mem_free) char *cell = print_cell(value, PRINT_PLAIN);
            buf_fmt(out, "%s%s=%.120s%s", first ? "" : " ", name, cell,
                    strlen(cell) > 120 ? "..." : "");
            first = false;
        }
    }
}

void event_text(struct buf *out, const json_t *ev)
{
    static const struct {
        const char *kind;
        void (*say)(struct buf *out, const json_t *ev);
    } kinds[] = {{"admitted", admitted}, {"refused", refused}, {"published", published},
                 {"withheld", barred},   {"recalled", barred}, {"lifted", barred},
                 {"alarm", alarm},       {"grant", grant},     {"end", end}};
    const char *kind = js_str_or(ev, "kind", "?");
    buf_fmt(out, "%-9s ", kind);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strcmp(kinds[i].kind, kind) == 0) {
            kinds[i].say(out, ev);
            return;
        }
    }
    members(out, ev);
}
