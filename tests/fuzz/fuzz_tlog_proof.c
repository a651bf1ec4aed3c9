/* A proof file that is taken has one spelling: written again, it is the same bytes. */
#include "base/text.h"
#include "tlog/tlog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tlog_proof p;
    struct span file = span_of(data, size);
    if (tlog_proof_parse(file, &p, NULL) < 0) {
        return 0;
    }
    CLEANUP(buf_clear) struct buf again = BUF(size + 64), extra = BUF(size + 1);
    struct span raw = SPAN_NONE;
    if (p.extra.p != NULL) {
        FUZZ_CHECK(text_unbase64(p.extra, &extra, NULL) == 0);
        raw = extra.p != NULL ? buf_view(&extra) : span_of("", 0);
    }
    FUZZ_CHECK(p.path.n <= TLOG_HASHES && p.note.len > 0);
    tlog_proof_write(&again, p.index, &p.path, raw, p.note);
    FUZZ_CHECK(buf_done(&again, "again", NULL) == 0 && span_eq(buf_view(&again), file));
    /* Whatever it says: the arithmetic ends, and a random root is not convinced. */
    struct tlog_head head = {p.index / 2 + p.path.n, {{0}}}, older = {p.index / 3, {{1}}};
    struct digest leaf = {{0}};
    FUZZ_CHECK(tlog_check_inclusion(&leaf, p.index, &head, &p.path, NULL) < 0 || head.size == 1);
    FUZZ_CHECK(tlog_check_consistency(&older, &head, &p.path, NULL) < 0);
    return 0;
}
