/* What was taken, written as lines again, is read back to the same requests. */
#include "account/account.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(js_free) json_t *list = NULL, *again = NULL;
    CLEANUP(buf_clear) struct buf text = BUF((size_t)1 << 22);
    struct err e = {.text = ""};
    size_t i;
    json_t *q;
    if (account_htpasswd(span_of(data, size), "Mine", &list, &e) < 0) {
        FUZZ_CHECK(list == NULL && strncmp(e.text, "accounts: ", 10) == 0);
        return 0;
    }
    json_array_foreach(list, i, q)
    {
        buf_fmt(&text, "%s\\%s:%s\n", js_str_or(q, "org", ""), js_str_or(q, "user", ""),
                js_str_or(q, "password_hash", ""));
    }
    if (text.fault != 0 || (text.len > 0 && text.p[0] == '#')) {
        return 0;
    }
    int r = account_htpasswd(buf_view(&text), NULL, &again, &e);
    /* an organisation that begins with # makes its line a comment */
    FUZZ_CHECK(r == 0);
    FUZZ_CHECK(strstr(buf_text(&text), "\n#") != NULL || json_equal(list, again));
    return 0;
}
