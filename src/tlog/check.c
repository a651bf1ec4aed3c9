/* check.c - proofs checked by arithmetic alone (RFC 9162 2.1.3.2 and 2.1.4.2). */
#include "tlog/tlog.h"

/* One step of both checks: `sn` is the last node of the level, `fn` ours. Shifts both past the
 * levels at which a right-most node has no sibling. */
static void climb(uint64_t *fn, uint64_t *sn)
{
    while ((*fn & 1) == 0 && *fn != 0) {
        *fn >>= 1;
        *sn >>= 1;
    }
    *fn >>= 1;
    *sn >>= 1;
}

int tlog_check_inclusion(const struct digest *leaf, uint64_t index, const struct tlog_head *head,
                         const struct tlog_hashes *proof, struct err *e)
{
    if (index >= head->size) {
        return err_set(e, ERR_TRUST, "inclusion proof: entry %llu is not in a log of %llu",
                       (unsigned long long)index, (unsigned long long)head->size);
    }
    uint64_t fn = index, sn = head->size - 1;
    struct digest r = *leaf;
    for (size_t i = 0; i < proof->n; i++) {
        if (sn == 0) {
            return err_set(e, ERR_TRUST, "inclusion proof has too many hashes");
        }
        if ((fn & 1) != 0 || fn == sn) {
            r = tlog_node_hash(&proof->h[i], &r);
        } else {
            r = tlog_node_hash(&r, &proof->h[i]);
            fn |= 1; /* so that climb() goes up by one level only */
        }
        climb(&fn, &sn);
    }
    if (sn != 0) {
        return err_set(e, ERR_TRUST, "inclusion proof has too few hashes");
    }
    if (!digest_eq(&r, &head->root)) {
        return err_set(e, ERR_TRUST, "inclusion proof: this is not entry %llu of the log",
                       (unsigned long long)index);
    }
    return 0;
}

static int check_trivial(const struct tlog_head *old, const struct tlog_head *new,
                         const struct tlog_hashes *proof, struct err *e)
{
    struct tlog_head none = tlog_head_empty();
    if (proof->n != 0) {
        return err_set(e, ERR_TRUST, "consistency proof has needless hashes");
    }
    if (old->size == 0 ? !digest_eq(&old->root, &none.root) : !digest_eq(&old->root, &new->root)) {
        return err_set(e, ERR_TRUST, "two roots for a log of %llu entries",
                       (unsigned long long)old->size);
    }
    if (new->size == 0 && !digest_eq(&new->root, &none.root)) {
        return err_set(e, ERR_TRUST, "the root of an empty log is wrong");
    }
    return 0;
}

int tlog_check_consistency(const struct tlog_head *old, const struct tlog_head *new,
                           const struct tlog_hashes *proof, struct err *e)
{
    if (old->size > new->size) {
        return err_set(e, ERR_TRUST, "the log shrank from %llu to %llu entries",
                       (unsigned long long)old->size, (unsigned long long)new->size);
    }
    if (old->size == 0 || old->size == new->size) {
        return check_trivial(old, new, proof, e);
    }
    uint64_t fn = old->size - 1, sn = new->size - 1;
    while ((fn & 1) != 0) {
        fn >>= 1;
        sn >>= 1;
    }
    size_t i = 0;
    struct digest fr = old->root; /* a power of two is its own first node */
    if (fn != 0) {
        if (proof->n == 0) {
            return err_set(e, ERR_TRUST, "consistency proof is empty");
        }
        fr = proof->h[i++];
    }
    struct digest sr = fr;
    for (; i < proof->n; i++) {
        if (sn == 0) {
            return err_set(e, ERR_TRUST, "consistency proof has too many hashes");
        }
        if ((fn & 1) != 0 || fn == sn) {
            fr = tlog_node_hash(&proof->h[i], &fr);
            sr = tlog_node_hash(&proof->h[i], &sr);
        } else {
            sr = tlog_node_hash(&sr, &proof->h[i]);
            fn |= 1;
        }
        climb(&fn, &sn);
    }
    if (sn != 0 || !digest_eq(&fr, &old->root) || !digest_eq(&sr, &new->root)) {
        return err_set(e, ERR_TRUST, "the log of %llu entries does not begin as that of %llu",
                       (unsigned long long)new->size, (unsigned long long)old->size);
    }
    return 0;
}
