/* chunks.c - the chunk hashes of a blob: their Merkle root and their file. */
#include "blob/blob.h"
#include "base/buf.h"
#include "base/reader.h"

#define MAGIC "CDNCHUNK"
#define VERSION 1U

size_t blob_chunk_count(uint64_t size)
{
    return (size_t)(size / BLOB_CHUNK + (size % BLOB_CHUNK != 0));
}

static struct digest node(const struct digest *left, const struct digest *right)
{
    uint8_t in[65] = {1};
    memcpy(in + 1, left->b, 32);
    memcpy(in + 33, right->b, 32);
    return digest_of(span_of(in, sizeof in));
}

static struct digest leaf(const struct digest *chunk)
{
    uint8_t in[33] = {0};
    memcpy(in + 1, chunk->b, 32);
    return digest_of(span_of(in, sizeof in));
}

/* RFC 6962 2.1 without recursion: peaks[i] is the root of a full subtree of 2^i leaves where bit i
 * of the count so far is set; at the end they are joined from the smallest up. */
struct digest blob_chunk_root(const struct digest *chunks, size_t n)
{
    struct digest peaks[64];
    for (size_t i = 0; i < n; i++) {
        struct digest h = leaf(&chunks[i]);
        unsigned level = 0;
        for (size_t bits = i; (bits & 1) != 0; bits >>= 1) {
            h = node(&peaks[level++], &h);
        }
        peaks[level] = h;
    }
    bool have = false;
    struct digest root = {{0}};
    for (unsigned level = 0; level < 64; level++) {
        if (((uint64_t)n >> level & 1) == 0) {
            continue;
        }
        root = have ? node(&peaks[level], &root) : peaks[level];
        have = true;
    }
    return have ? root : digest_of(SPAN_NONE);
}

void blob_chunks_write(uint64_t size, const struct digest *chunks, struct buf *out)
{
    size_t n = blob_chunk_count(size);
    struct digest root = blob_chunk_root(chunks, n);
    buf_str(out, MAGIC);
    buf_be32(out, VERSION);
    buf_be32(out, (uint32_t)BLOB_CHUNK);
    buf_be64(out, size);
    buf_add(out, root.b, sizeof root.b);
    if (n > 0) {
        buf_add(out, chunks, n * sizeof *chunks);
    }
}

int blob_chunks_parse(struct span file, struct blob_chunks *out, struct err *e)
{
    struct reader r = reader_of(file);
    struct span magic = reader_take(&r, strlen(MAGIC));
    uint32_t version = reader_be32(&r);
    uint32_t chunk = reader_be32(&r);
    struct blob_chunks c = {.size = reader_be64(&r)};
    struct span root = reader_take(&r, sizeof c.root.b);
    if (reader_done(&r, "chunk list", e) < 0) {
        return ERR_FORMAT;
    }
    if (!span_is(magic, MAGIC) || version != VERSION || chunk != BLOB_CHUNK) {
        return err_set(e, ERR_FORMAT, "chunk list: not a version %u list of 1 MiB chunks", VERSION);
    }
    size_t n = c.size > BLOB_MAX ? SIZE_MAX : blob_chunk_count(c.size);
    if (n != reader_left(&r) / sizeof c.root.b || reader_left(&r) % sizeof c.root.b != 0) {
        return err_set(e, ERR_FORMAT, "chunk list: %zu bytes of hashes for a blob of %llu bytes",
                       reader_left(&r), (unsigned long long)c.size);
    }
    memcpy(c.root.b, root.p, sizeof c.root.b);
    c.hashes = reader_take(&r, n * sizeof c.root.b);
    struct digest want = blob_chunk_root((const struct digest *)(const void *)c.hashes.p, n);
    if (!digest_eq(&want, &c.root)) {
        return err_set(e, ERR_FORMAT, "chunk list: its hashes do not add up to its root");
    }
    *out = c;
    return 0;
}
