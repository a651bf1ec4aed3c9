/* reader.h - bounds-checked reading of bytes from a file or peer.
 *
 * After the first fault every read gives zero and takes nothing, so a parser checks once at the
 * end with reader_done(). Compare a count from the input with reader_left() before a loop. */
#pragma once
#include "base/err.h"
#include "base/span.h"

struct reader {
    struct span in;
    size_t at;
    bool bad;
};

struct reader reader_of(struct span s);
uint8_t reader_u8(struct reader *r);
uint16_t reader_le16(struct reader *r);
uint32_t reader_le32(struct reader *r);
uint64_t reader_le64(struct reader *r);
uint16_t reader_be16(struct reader *r);
uint32_t reader_be32(struct reader *r);
uint64_t reader_be64(struct reader *r);
struct span reader_take(struct reader *r, size_t n); /* empty on fault */
void reader_skip(struct reader *r, size_t n);
void reader_seek(struct reader *r, uint64_t at); /* beyond the end is a fault */
size_t reader_left(const struct reader *r);

/* 0 or ERR_FORMAT "WHAT is cut short". Bytes left over are no fault. */
MUST_CHECK int reader_done(const struct reader *r, const char *what, struct err *e);
