/* fuzz_http_credential.c - an accepted Authorization header, made anew from what was read, is read
 * as the same user and secret. */
#include "base/mem.h"
#include "base/text.h"
#include "serve/http_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *header = mem_text(data, size);
    struct http_credential c, again;
    if (http_credential_parse(header, &c, NULL) == 0) {
        struct buf plain = BUF(2048), made = BUF(4096);
        FUZZ_CHECK(strlen(c.user) <= HTTP_SECRET && strlen(c.secret) <= HTTP_SECRET);
        if (c.basic) {
            buf_fmt(&plain, "%s:%s", c.user, c.secret);
            buf_str(&made, "Basic ");
            text_base64(&made, buf_view(&plain));
        } else {
            buf_fmt(&made, "Bearer %s", c.secret);
        }
        FUZZ_CHECK(http_credential_parse(buf_text(&made), &again, NULL) == 0);
        FUZZ_CHECK(strcmp(c.user, again.user) == 0 && strcmp(c.secret, again.secret) == 0);
        buf_clear(&plain);
        buf_clear(&made);
    } else {
        FUZZ_CHECK(c.user[0] == 0 && c.secret[0] == 0);
    }
    free(header);
    return 0;
}
