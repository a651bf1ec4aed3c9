#include "base/note.h"

#include "base/text.h"
#include "check.h"
#include "signer.h"

/* The example of golang.org/x/mod/sumdb/note: key, verifier key, text and note. */
#define GO_NAME "PeterNeumann"
#define GO_VKEY "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
#define GO_SEED "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
#define GO_TEXT                                                                                    \
    "If you think cryptography is the answer to your problem,\n"                                   \
    "then you don't know what your problem is.\n"
#define GO_SIG                                                                                     \
    "\xE2\x80\x94 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgK"  \
    "vqfqdngotpRZb6KE6RyyBwJnAM=\n"
#define GO_NOTE GO_TEXT "\n" GO_SIG

static struct sig_public go_key(void)
{
    CLEANUP(buf_clear) struct buf name = BUF(100);
    struct sig_public key;
    struct err e;
    CHECK_OK(note_vkey_parse(span_str(GO_VKEY), &name, &key, &e), e);
    CHECK_STR(buf_text(&name), GO_NAME);
    return key;
}

static struct signer go_signer(void)
{
    CLEANUP(buf_clear) struct buf raw = BUF(100);
    CHECK(text_unbase64(span_str(GO_SEED), &raw, NULL) == 0 && raw.len == 33);
    struct signer s;
    signer_init(&s, raw.p + 1);
    return s;
}

static void the_verifier_key_is_that_of_go(void **state)
{
    (void)state;
    struct signer s = go_signer();
    CLEANUP(buf_clear) struct buf vkey = BUF(200);
    note_vkey(&vkey, GO_NAME, &s.by.key);
    CHECK_STR(buf_text(&vkey), GO_VKEY);
    CHECK(note_key_id(GO_NAME, NOTE_ED25519, &s.by.key) == 0xc74f20a3);
}

static void the_note_is_that_of_go(void **state)
{
    (void)state;
    struct signer s = go_signer();
    s.by.ctx = &s;
    CLEANUP(buf_clear) struct buf note = BUF(1000);
    struct err e;
    CHECK_OK(note_sign(&note, span_str(GO_TEXT), GO_NAME, &s.by, &e), e);
    CHECK_STR(buf_text(&note), GO_NOTE);
}

static void the_note_of_go_opens(void **state)
{
    (void)state;
    struct sig_public key = go_key();
    struct span text;
    struct err e;
    CHECK_OK(note_open(span_str(GO_NOTE), GO_NAME, &key, &text, &e), e);
    CHECK(span_is(text, GO_TEXT));
}

static void no_byte_of_a_note_can_change(void **state)
{
    (void)state;
    struct sig_public key = go_key();
    char note[] = GO_NOTE;
    for (size_t i = 0; i < sizeof GO_TEXT - 1; i++) {
        note[i] ^= 1;
        struct span text = SPAN_NONE;
        CHECK(note_open(span_str(note), GO_NAME, &key, &text, NULL) < 0 && text.p == NULL);
        note[i] ^= 1;
    }
    for (size_t n = 0; n < sizeof note - 1; n++) {
        struct span text = SPAN_NONE;
        CHECK(note_open(span_of(note, n), GO_NAME, &key, &text, NULL) < 0 && text.p == NULL);
    }
}

#define DASH "\xE2\x80\x94 "

static void notes_are_opened_or_refused_with_the_right_code(void **state)
{
    (void)state;
    static const struct {
        const char *note;
        int want;
    } cases[] = {
        {GO_TEXT "\n" DASH "other AAAAAAA=\n" GO_SIG, 0}, /* a key that is not ours comes first */
        {GO_TEXT "\n" DASH GO_NAME " AAAAAAA=\n" GO_SIG, 0}, /* our name, another key's id */
        {GO_TEXT "\n" DASH "other AAAAAAA=\n", ERR_TRUST},
        {GO_TEXT "\n" DASH GO_NAME " x08gowAA\n" GO_SIG, ERR_TRUST}, /* our id, wrong signature */
        {GO_TEXT "more\n\n" GO_SIG, ERR_TRUST},
        {GO_TEXT "\n- " GO_NAME " AAAAAAA=\n", ERR_FORMAT},
        {GO_TEXT "\n" DASH GO_NAME "\n", ERR_FORMAT},
        {GO_TEXT "\n" DASH GO_NAME " AAAA\n", ERR_FORMAT}, /* too short for an id and a signature */
        {GO_TEXT "\n" DASH "a+b AAAAAAA=\n" GO_SIG, ERR_FORMAT},
        {GO_TEXT "\n" DASH GO_NAME " AAAAAAA=", ERR_FORMAT}, /* no newline */
        {GO_TEXT GO_SIG, ERR_FORMAT},                        /* no empty line */
        {GO_TEXT "\n", ERR_FORMAT},
        {"\n\n", ERR_FORMAT},
        {"", ERR_FORMAT},
        {"a\tb\n\n" GO_SIG, ERR_FORMAT},
        {"\xFF\n\n" GO_SIG, ERR_FORMAT},
    };
    struct sig_public key = go_key();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct span text;
        struct err e = {.text = ""};
        int r = note_open(span_str(cases[i].note), GO_NAME, &key, &text, &e);
        if (r != cases[i].want) {
            print_error("case %zu: %d %s\n", i, r, e.text);
        }
        CHECK(r == cases[i].want);
    }
}

static void only_so_many_lines_are_looked_at(void **state)
{
    (void)state;
    struct sig_public key = go_key();
    for (int before = NOTE_LINES - 1; before <= NOTE_LINES; before++) {
        CLEANUP(buf_clear) struct buf note = BUF(100000);
        buf_str(&note, GO_TEXT "\n");
        for (int i = 0; i < before; i++) {
            buf_str(&note, DASH "other AAAAAAA=\n");
        }
        buf_str(&note, GO_SIG);
        struct span text;
        int r = note_open(buf_view(&note), GO_NAME, &key, &text, NULL);
        CHECK(r == (before < NOTE_LINES ? 0 : ERR_TRUST));
    }
}

static void a_text_may_hold_empty_lines(void **state)
{
    (void)state;
    struct signer s = go_signer();
    s.by.ctx = &s;
    static const char *const texts[] = {"a\n\nb\n", "\n", "\n\n", "a\n\n"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        CLEANUP(buf_clear) struct buf note = BUF(1000);
        struct span text;
        struct err e;
        CHECK_OK(note_sign(&note, span_str(texts[i]), "example.com/log", &s.by, &e), e);
        CHECK_OK(note_open(buf_view(&note), "example.com/log", &s.by.key, &text, &e), e);
        CHECK(span_is(text, texts[i]));
    }
}

static void what_could_not_be_opened_is_not_signed(void **state)
{
    (void)state;
    struct signer s = go_signer();
    s.by.ctx = &s;
    static const char *const texts[] = {"", "no newline", "tab\t\n", "\xFF\n"};
    static const char *const names[] = {
        "",
        "a b",
        "a+b",
        "a\nb",
        ("a\xC2\xA0"
         "b"),
        "a\xE3\x80\x80",
    };
    CLEANUP(buf_clear) struct buf note = BUF(1000);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        CHECK(note_sign(&note, span_str(texts[i]), "n", &s.by, NULL) == ERR_FORMAT);
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        CHECK(note_sign(&note, span_str("a\n"), names[i], &s.by, NULL) == ERR_FORMAT);
    }
    CHECK(note.len == 0);
}

static void a_mangled_verifier_key_is_refused(void **state)
{
    (void)state;
    CLEANUP(buf_clear) struct buf name = BUF(100);
    struct sig_public key;
    char text[] = GO_VKEY;
    for (size_t n = 0; n < sizeof text - 1; n++) {
        CHECK(note_vkey_parse(span_of(text, n), &name, &key, NULL) == ERR_FORMAT);
        text[n]++;
        CHECK(note_vkey_parse(span_str(text), &name, &key, NULL) == ERR_FORMAT);
        text[n]--;
    }
    /* unknown algorithm with the id that belongs to it (Go's test) */
    CHECK(note_vkey_parse(
              span_str("PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"), &name,
              &key, NULL) == ERR_FORMAT);
    CHECK(name.len == 0);
}

static void a_witness_key_is_read_with_its_type(void **state)
{
    (void)state;
    CLEANUP(buf_clear) struct buf name = BUF(100);
    struct sig_public key;
    uint8_t type = 0;
    struct err e;
    CHECK_OK(note_vkey_read(
                 span_str("remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"),
                 &type, &name, &key, &e),
             e);
    CHECK(type == NOTE_COSIGNATURE);
    CHECK_STR(buf_text(&name), "remora.n621.de");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_verifier_key_is_that_of_go),
        TEST(the_note_is_that_of_go),
        TEST(the_note_of_go_opens),
        TEST(no_byte_of_a_note_can_change),
        TEST(notes_are_opened_or_refused_with_the_right_code),
        TEST(only_so_many_lines_are_looked_at),
        TEST(a_text_may_hold_empty_lines),
        TEST(what_could_not_be_opened_is_not_signed),
        TEST(a_mangled_verifier_key_is_refused),
        TEST(a_witness_key_is_read_with_its_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
