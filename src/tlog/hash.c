/* hash.c - RFC 6962 hashes and the right edge of a growing tree. */
#include "tlog/tlog.h"

struct digest tlog_leaf_hash(struct span entry)
{
    static const uint8_t prefix = 0x00;
    struct hasher h;
    hasher_init(&h);
    hasher_add(&h, span_of(&prefix, 1));
    hasher_add(&h, entry);
    struct digest d = hasher_end(&h);
    hasher_clear(&h);
    return d;
}

struct digest tlog_node_hash(const struct digest *left, const struct digest *right)
{
    uint8_t both[1 + 2 * sizeof left->b] = {0x01};
    memcpy(both + 1, left->b, sizeof left->b);
    memcpy(both + 1 + sizeof left->b, right->b, sizeof right->b);
    return digest_of(span_of(both, sizeof both));
}

struct tlog_head tlog_head_empty(void)
{
    return (struct tlog_head){.root = digest_of(SPAN_NONE)};
}

void tlog_edge_add(struct tlog_edge *edge, const struct digest *leaf)
{
    struct digest carry = *leaf;
    unsigned i = 0;
    while ((edge->size >> i & 1) != 0) {
        carry = tlog_node_hash(&edge->perfect[i], &carry);
        i++;
    }
    edge->perfect[i] = carry;
    edge->size++;
}

struct digest tlog_edge_root(const struct tlog_edge *edge)
{
    struct digest root = digest_of(SPAN_NONE);
    bool first = true;
    for (unsigned i = 0; i < 64; i++) {
        if ((edge->size >> i & 1) != 0) {
            root = first ? edge->perfect[i] : tlog_node_hash(&edge->perfect[i], &root);
            first = false;
        }
    }
    return root;
}

struct digest tlog_root_of(const struct digest *leaves, size_t n)
{
    struct tlog_edge edge = {0};
    for (size_t i = 0; i < n; i++) {
        tlog_edge_add(&edge, &leaves[i]);
    }
    return tlog_edge_root(&edge);
}
