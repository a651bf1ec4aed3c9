#include "account/account_priv.h"

#include "base/text.h"

/* ---- what is wrong with which line ---- */

#define FAULTS ((size_t)400) /* fits an error text */

struct faults {
    struct buf text;
    size_t n, unsaid;
    size_t seen; /* the line noted last */
};

/* Each line is named; reasons are given while there is room, then only numbers. */
static void fault(struct faults *f, size_t line, const char *why)
{
    if (f->n > 0 && f->seen == line) {
        return;
    }
    f->n++;
    f->seen = line;
    size_t room = FAULTS - f->text.len;
    char number[32];
    int n = snprintf(number, sizeof number, "%s%zu", f->text.len == 0 ? "" : "; ", line);
    if (f->unsaid > 0 || (size_t)n > room) {
        f->unsaid++;
        return;
    }
    buf_str(&f->text, number);
    if (f->text.len + strlen(why) + 4 < FAULTS * 3 / 4) {
        buf_fmt(&f->text, " (%s)", why);
    }
}

static int faults_done(struct faults *f, const char *what, struct err *e)
{
    if (f->n == 0) {
        return 0;
    }
    char more[40] = "";
    if (f->unsaid > 0) {
        snprintf(more, sizeof more, " and %zu more", f->unsaid);
    }
    return err_set(e, ERR_FORMAT, "%s: nothing was taken, %zu bad line%s: %s%s", what, f->n,
                   f->n == 1 ? "" : "s", buf_text(&f->text), more);
}

static void faults_clear(struct faults *f)
{
    buf_clear(&f->text);
}

/* ---- organisations ---- */

static const char *const columns[] = {"name", "contact", "manager", "language", "products"};
enum { NAME, CONTACT, MANAGER, LANGUAGE, PRODUCTS, COLUMNS };

struct org_import {
    size_t at[COLUMNS]; /* field of each column, from 1; 0: not there */
    size_t n;           /* fields of the header */
    json_t *adds, *grants, *names;
    struct faults faults;
};

static void import_clear(struct org_import *o)
{
    js_free(&o->adds);
    js_free(&o->grants);
    js_free(&o->names);
    faults_clear(&o->faults);
}

static int read_header(struct org_import *o, const json_t *fields, struct err *e)
{
    o->n = json_array_size(fields);
    for (size_t i = 0; i < o->n; i++) {
        const char *head = json_string_value(json_array_get(fields, i));
        size_t c = 0;
        while (c < COLUMNS && strcasecmp(head, columns[c]) != 0) {
            c++;
        }
        if (c == COLUMNS || o->at[c] > 0) {
            return err_set(e, ERR_FORMAT,
                           "organisations: column \"%.40s\" %s; the header is "
                           "name,contact[,manager][,language][,products]",
                           head, c == COLUMNS ? "is unknown" : "comes twice");
        }
        o->at[c] = i + 1;
    }
    if (o->at[NAME] == 0 || o->at[CONTACT] == 0) {
        return err_set(e, ERR_FORMAT,
                       "organisations: the first line names the columns: "
                       "name,contact[,manager][,language][,products]");
    }
    return 0;
}

static const char *field(const struct org_import *o, const json_t *fields, size_t column)
{
    const char *s =
        o->at[column] == 0 ? "" : json_string_value(json_array_get(fields, o->at[column] - 1));
    return s == NULL ? "" : s;
}

static struct span trimmed(struct span s)
{
    while (s.len > 0 && s.p[0] == ' ') {
        s = span_of(s.p + 1, s.len - 1);
    }
    while (s.len > 0 && s.p[s.len - 1] == ' ') {
        s.len--;
    }
    return s;
}

static int add_grants(struct org_import *o, const char *name, const char *products, struct err *e)
{
    struct span rest = span_str(products), one;
    while (span_cut(&rest, ';', &one)) {
        one = trimmed(one);
        if (one.len == 0) {
            continue;
        }
        int r = text_check_name(one, "name of a product", e);
        if (r < 0) {
            return r;
        }
        json_t *g = js_new();
        js_set_str(g, "op", "org.grant");
        js_set_str(g, "name", name);
        js_set(g, "product", json_stringn((const char *)one.p, one.len));
        js_add(o->grants, g);
    }
    return 0;
}

static int read_org(struct org_import *o, const json_t *fields, struct err *e)
{
    if (json_array_size(fields) != o->n) {
        return err_set(e, ERR_FORMAT, "%zu fields, not %zu", json_array_size(fields), o->n);
    }
    json_t *add = js_new();
    js_set_str(add, "op", "org.add");
    for (size_t c = NAME; c < PRODUCTS; c++) {
        const char *s = field(o, fields, c);
        js_set_str(add, columns[c], c >= MANAGER && s[0] == '\0' ? NULL : s);
    }
    js_add(o->adds, add);
    int r = account_check_org(add, e);
    if (r < 0) {
        return r;
    }
    const char *name = js_str_or(add, "name", "");
    if (json_object_get(o->names, name) != NULL) {
        return err_set(e, ERR_CONFLICT, "%.60s stands on line %lld too", name,
                       (long long)js_int_or(o->names, name, 0));
    }
    return add_grants(o, name, field(o, fields, PRODUCTS), e);
}

static bool is_blank(const json_t *fields)
{
    return json_array_size(fields) == 1 && json_string_length(json_array_get(fields, 0)) == 0;
}

int account_org_csv(struct span text, json_t **requests, struct err *e)
{
    CLEANUP(import_clear)
    struct org_import o = {.adds = js_list(),
                           .grants = js_list(),
                           .names = js_new(),
                           .faults = {.text = BUF((size_t)4096)}};
    struct csv c = csv_of(text);
    struct err why = {.text = ""};
    CLEANUP(js_free) json_t *header = NULL;
    if (text.len > LIMIT_CSV) {
        return err_set(e, ERR_LIMIT, "organisations: %zu bytes, at most %zu", text.len, LIMIT_CSV);
    }
    int r = csv_next(&c, &header, &why);
    if (r < 0) {
        return err_set(e, ERR_FORMAT, "organisations: line 1: %s", why.text);
    }
    r = read_header(&o, header, e);
    while (r >= 0) {
        CLEANUP(js_free) json_t *fields = NULL;
        r = csv_next(&c, &fields, &why);
        if (r == 0) {
            break;
        }
        if (r == 1 && is_blank(fields)) {
            continue;
        }
        r = r < 0 ? r : read_org(&o, fields, &why);
        if (r < 0) {
            fault(&o.faults, c.line, why.text);
        } else {
            js_set_int(o.names, field(&o, fields, NAME), (int64_t)c.line);
        }
        r = 0;
    }
    r = r < 0 ? r : faults_done(&o.faults, "organisations", e);
    if (r < 0) {
        return r;
    }
    json_array_extend(o.adds, o.grants);
    *requests = json_incref(o.adds);
    return 0;
}

/* ---- accounts ---- */

static int read_user(struct span line, const char *org, json_t *list, json_t *names, struct err *e)
{
    const uint8_t *colon = memchr(line.p, ':', line.len);
    if (!text_is_utf8(line)) {
        return err_set(e, ERR_FORMAT, "not UTF-8, or a NUL");
    }
    if (colon == NULL) {
        return err_set(e, ERR_FORMAT, "no colon between user and hash");
    }
    struct span who = span_of(line.p, (size_t)(colon - line.p)), owner = SPAN_NONE;
    struct span hash = span_of(colon + 1, line.len - who.len - 1);
    const uint8_t *slash = memchr(who.p, '\\', who.len);
    if (slash != NULL) {
        owner = span_of(who.p, (size_t)(slash - who.p));
        who = span_of(slash + 1, who.len - owner.len - 1);
    } else if (org != NULL) {
        owner = span_str(org);
    } else {
        return err_set(e, ERR_FORMAT, "no organisation: write ORG\\user, or name one for all");
    }
    int r = text_check_name(owner, "name of the organisation", e);
    r = r < 0 ? r : text_check_name(who, "user name", e);
    if (r < 0) {
        return r;
    }
    json_t *q = js_new();
    js_set_str(q, "op", "account.add");
    js_set(q, "org", json_stringn((const char *)owner.p, owner.len));
    js_set(q, "user", json_stringn((const char *)who.p, who.len));
    js_set(q, "password_hash", json_stringn((const char *)hash.p, hash.len));
    js_add(list, q);
    CLEANUP(buf_clear) struct buf key = BUF(2 * LIMIT_NAME + 2);
    buf_fmt(&key, "%s\\%s", js_str_or(q, "org", ""), js_str_or(q, "user", ""));
    if (json_object_get(names, buf_text(&key)) != NULL) {
        return err_set(e, ERR_CONFLICT, "%.60s comes twice", js_str_or(q, "user", ""));
    }
    js_set_bool(names, buf_text(&key), true);
    return password_supported(js_str_or(q, "password_hash", ""), e);
}

int account_htpasswd(struct span text, const char *org, json_t **requests, struct err *e)
{
    CLEANUP(faults_clear) struct faults faults = {.text = BUF((size_t)4096)};
    CLEANUP(js_free) json_t *list = js_list(), *names = js_new();
    struct span rest = text, line;
    struct err why = {.text = ""};
    if (text.len > LIMIT_CSV) {
        return err_set(e, ERR_LIMIT, "accounts: %zu bytes, at most %zu", text.len, LIMIT_CSV);
    }
    for (size_t n = 1; span_cut(&rest, '\n', &line); n++) {
        if (line.len > 0 && line.p[line.len - 1] == '\r') {
            line.len--;
        }
        if (line.len > 0 && line.p[0] != '#' && read_user(line, org, list, names, &why) < 0) {
            fault(&faults, n, why.text);
        }
    }
    int r = faults_done(&faults, "accounts", e);
    if (r == 0) {
        *requests = json_incref(list);
    }
    return r;
}
