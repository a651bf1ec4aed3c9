#include "base/buf.h"

#include "base/mem.h"
#include "base/reader.h"
#include "check.h"

static void nothing_passes_the_ceiling(void **state)
{
    (void)state;
    struct err e;
    CLEANUP(buf_clear) struct buf b = BUF(4);
    buf_str(&b, "abcd");
    CHECK(buf_done(&b, "x", &e) == 0);
    buf_char(&b, 'e');
    CHECK(buf_done(&b, "the name", &e) == ERR_LIMIT);
    CHECK_STR(e.text, "the name is larger than 4 bytes");
    CHECK_STR(buf_text(&b), "abcd");
    struct buf zero = {0};
    buf_char(&zero, 'a');
    CHECK(buf_done(&zero, "x", NULL) == ERR_LIMIT);
}

static void numbers_are_big_endian(void **state)
{
    (void)state;
    CLEANUP(buf_clear) struct buf b = BUF(100);
    buf_be16(&b, 0x0102);
    buf_be32(&b, 0x03040506);
    buf_be64(&b, 0x0708090a0b0c0d0eULL);
    struct reader r = reader_of(buf_view(&b));
    CHECK(reader_be16(&r) == 0x0102 && reader_be32(&r) == 0x03040506);
    CHECK(reader_be64(&r) == 0x0708090a0b0c0d0eULL && reader_left(&r) == 0);
    r = reader_of(buf_view(&b));
    CHECK(reader_le16(&r) == 0x0201 && reader_le32(&r) == 0x06050403);
}

static void a_reader_stays_bad_after_the_first_fault(void **state)
{
    (void)state;
    struct err e;
    struct reader r = reader_of(span_of("\1\2\3", 3));
    CHECK(reader_be16(&r) == 0x0102);
    CHECK(reader_be16(&r) == 0 && reader_u8(&r) == 0 && reader_left(&r) == 0);
    CHECK(reader_done(&r, "the header", &e) == ERR_FORMAT);
    CHECK_STR(e.text, "the header is cut short");
    r = reader_of(span_of("\1", 1));
    reader_seek(&r, UINT64_MAX);
    CHECK(reader_done(&r, "x", NULL) == ERR_FORMAT);
}

static void stolen_text_is_never_null(void **state)
{
    (void)state;
    struct buf b = BUF(10);
    CLEANUP(mem_free) char *none = buf_steal(&b);
    CHECK_STR(none, "");
    buf_fmt(&b, "%d", 42);
    CLEANUP(mem_free) char *some = buf_steal(&b);
    CHECK_STR(some, "42");
    CHECK(b.p == NULL && b.max == 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_passes_the_ceiling),
        TEST(numbers_are_big_endian),
        TEST(a_reader_stays_bad_after_the_first_fault),
        TEST(stolen_text_is_never_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
