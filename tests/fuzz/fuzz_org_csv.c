/* What was taken, written as CSV again, is read back to the same requests; what was refused names
 * a line or the header. */
#include "account/account.h"

static void quoted(struct buf *out, const char *s)
{
    buf_char(out, '"');
    for (; *s != '\0'; s++) {
        if (*s == '"') {
            buf_char(out, '"');
        }
        buf_char(out, *s);
    }
    buf_str(out, "\"");
}

/* The products of one organisation, in their order. */
static void products(struct buf *out, const json_t *list, const char *name)
{
    size_t i;
    json_t *q;
    CLEANUP(buf_clear) struct buf all = BUF((size_t)1 << 22);
    json_array_foreach(list, i, q)
    {
        if (strcmp(js_str_or(q, "op", ""), "org.grant") == 0 &&
            strcmp(js_str_or(q, "name", ""), name) == 0) {
            buf_fmt(&all, "%s;", js_str_or(q, "product", ""));
        }
    }
    quoted(out, buf_text(&all));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(js_free) json_t *list = NULL, *again = NULL;
    CLEANUP(buf_clear) struct buf text = BUF((size_t)1 << 22);
    struct err e = {.text = ""};
    size_t i;
    json_t *q;
    if (size > 4096) {
        return 0;
    }
    if (account_org_csv(span_of(data, size), &list, &e) < 0) {
        FUZZ_CHECK(list == NULL && strncmp(e.text, "organisations: ", 15) == 0);
        return 0;
    }
    buf_str(&text, "name,contact,manager,language,products\r\n");
    json_array_foreach(list, i, q)
    {
        if (strcmp(js_str_or(q, "op", ""), "org.add") == 0) {
            quoted(&text, js_str_or(q, "name", ""));
            buf_char(&text, ',');
            quoted(&text, js_str_or(q, "contact", ""));
            buf_char(&text, ',');
            quoted(&text, js_str_or(q, "manager", ""));
            buf_char(&text, ',');
            quoted(&text, js_str_or(q, "language", ""));
            buf_char(&text, ',');
            products(&text, list, js_str_or(q, "name", ""));
            buf_str(&text, "\r\n");
        }
    }
    FUZZ_CHECK(account_org_csv(buf_view(&text), &again, &e) == 0);
    FUZZ_CHECK(json_equal(list, again));
    return 0;
}
