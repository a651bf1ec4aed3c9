/* signer.h - the processes that hold keys, and how they are asked.
 *
 * Two instances with disjoint keys. A signer never signs bytes that it is given: it builds each
 * document from typed arguments and its own last signed state, which it saves before a signature
 * leaves. Requests are ipc frames; each connection has one kind of peer, and the table of that kind
 * is all it may ask:
 *
 * log signer       recorder: checkpoint {from{size,root}, head{size,root}, proof[]} -> {note}
 *                            last {} -> {size, root}
 *                  gate:     verdict {files[{name, result}], started, finished} -> {envelope,
 * sha256} (refused unless every result is clean) repository signer gate:     publish
 * {targets[{path,length,sha256,chunks,verdict,log}], envelopes[], remove[]} -> {docs[{name,bytes}]}
 *                            every target needs an envelope, signed by the verdict key, that says
 *                            clean of its sha256
 *                            recall {entries[...]} -> {docs}      append-only; lift by entry
 *                            refresh {} -> {docs}                 timestamp, what is half-way
 * through repair {} -> {docs}                  after a crash or an old backup sums {product,
 * version} -> {sums, signature} rotate {role} -> {docs}              only with the root subkey
 *                            state {} -> {roles{name{version, expires}}, targets, bits} */
#pragma once
#include "base/ipc.h"
#include "key/key.h"
#include "tlog/tlog.h"
#include "tuf/tuf.h"

/* "PROGRAM signer": descriptor 3 is the boot socket (see serve/boot.h for its one message).
 * Returns an exit status. */
struct signer_boot {
    bool repository;    /* else log */
    int site;           /* the site's folder; owned */
    struct key_sub sub; /* KEY_REPOSITORY or KEY_LOG */
    bool with_root;     /* also this one, for rotation */
    struct key_sub root;
    const char *name; /* repository.name: origin of the log */
    int64_t life[TUF_ROLES];
    int peers[2]; /* log: gate, recorder; repository: gate, -1; owned */
    int boot;     /* its end means stop; say {op: ready} or an ipc_error() on it; owned */
};
int signer_main(struct signer_boot *boot);

/* Keys and first metadata of a new site: root, targets, recalls, releases, bins, snapshot,
 * timestamp, log, verdict. Called by `init` with the key-encryption key at hand. */
MUST_CHECK int signer_init(int site, const struct key_kek *kek, const char *name,
                           const int64_t life[TUF_ROLES], struct err *e);

/* The other side: calls by the gate and the recorder. */
MUST_CHECK int signer_last(struct ipc_client *c, struct tlog_head *out, struct err *e);
MUST_CHECK int signer_checkpoint(struct ipc_client *c, const struct tlog_head *from,
                                 const struct tlog_head *head, const struct tlog_hashes *proof,
                                 struct buf *note, struct err *e);
/* Any request of the table that answers documents. */
MUST_CHECK int signer_docs(struct ipc_client *c, const json_t *request, struct tuf_docs *out,
                           struct err *e);
MUST_CHECK int signer_verdict(struct ipc_client *c, const json_t *request, struct buf *envelope,
                              struct digest *sha256, struct err *e);
