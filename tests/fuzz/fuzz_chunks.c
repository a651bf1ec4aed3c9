/* fuzz_chunks.c - an accepted .chunks file is exactly what we would write for its hashes. */
#include "blob/blob.h"

#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct blob_chunks c;
    struct err e;
    int r = blob_chunks_parse((struct span){data, size}, &c, &e);
    if (r != 0) {
        FUZZ_CHECK(r == ERR_FORMAT && e.text[0] != '\0');
        return 0;
    }
    FUZZ_CHECK(c.hashes.len == blob_chunk_count(c.size) * sizeof c.root.b);
    struct digest root =
        blob_chunk_root((const struct digest *)(const void *)c.hashes.p, c.hashes.len / 32);
    FUZZ_CHECK(digest_eq(&root, &c.root));
    CLEANUP(buf_clear) struct buf again = BUF(size);
    blob_chunks_write(c.size, (const struct digest *)(const void *)c.hashes.p, &again);
    FUZZ_CHECK(buf_done(&again, "chunk list", NULL) == 0);
    FUZZ_CHECK(span_eq(buf_view(&again), (struct span){data, size}));
    return 0;
}
