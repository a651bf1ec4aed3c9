/* A note that opens holds its text in front and does not open when a byte of that text changes; any
 * text that can be signed opens to itself. */
#include "base/limits.h"
#include "base/note.h"

#include <sodium.h>

static uint8_t secret[64];

static int sign(void *ctx, struct span message, uint8_t out[SIG_LEN], struct err *e)
{
    (void)ctx;
    (void)e;
    return crypto_sign_detached(out, NULL, message.p, message.len, secret);
}

static struct sig_by by = {.sign = sign};

static void check_open(struct span note)
{
    struct span text = SPAN_NONE, lines = SPAN_NONE;
    struct note_line line;
    if (note_split(note, &text, &lines, NULL) == 0) {
        FUZZ_CHECK(text.len > 0 && text.p == note.p && text.p[text.len - 1] == '\n');
        FUZZ_CHECK(text.len + 1 + lines.len == note.len);
        int r;
        while ((r = note_next(&lines, &line, NULL)) > 0) {
            FUZZ_CHECK(note_check_name(line.name, NULL) == 0 && line.len <= NOTE_SIG_MAX);
        }
        FUZZ_CHECK(r < 0 || lines.len == 0);
    }
    struct span opened = SPAN_NONE;
    if (note_open(note, "seed", &by.key, &opened, NULL) == 0) {
        FUZZ_CHECK(span_eq(text, opened));
    }
}

static void check_sign(struct span text)
{
    CLEANUP(buf_clear) struct buf note = BUF(LIMIT_NOTE);
    struct span opened;
    if (note_sign(&note, text, "seed", &by, NULL) < 0) {
        return;
    }
    FUZZ_CHECK(note_open(buf_view(&note), "seed", &by.key, &opened, NULL) == 0);
    FUZZ_CHECK(span_eq(opened, text));
    size_t at = text.len / 2;
    note.p[at] ^= 1;
    FUZZ_CHECK(note_open(buf_view(&note), "seed", &by.key, &opened, NULL) < 0);
}

static void check_vkey(struct span text)
{
    CLEANUP(buf_clear) struct buf name = BUF(LIMIT_NAME), again = BUF(1000);
    struct sig_public key;
    if (note_vkey_parse(text, &name, &key, NULL) == 0) {
        CLEANUP(buf_clear) struct buf second = BUF(LIMIT_NAME);
        struct sig_public same;
        note_vkey(&again, buf_text(&name), &key);
        FUZZ_CHECK(note_vkey_parse(buf_view(&again), &second, &same, NULL) == 0);
        FUZZ_CHECK(span_eq(buf_view(&name), buf_view(&second)));
        FUZZ_CHECK(memcmp(key.b, same.b, sizeof key.b) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (by.ctx == NULL) {
        const uint8_t seed[32] = {1};
        FUZZ_CHECK(sodium_init() >= 0);
        crypto_sign_seed_keypair(by.key.b, secret, seed);
        by.ctx = secret;
    }
    check_open(span_of(data, size));
    check_sign(span_of(data, size));
    check_vkey(span_of(data, size));
    return 0;
}
