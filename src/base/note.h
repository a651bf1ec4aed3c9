/* note.h - signed notes (c2sp.org/signed-note) with Ed25519 keys. */
#pragma once
#include "base/buf.h"
#include "base/sig.h"

#define NOTE_ED25519 0x01
#define NOTE_COSIGNATURE 0x04

#define NOTE_LINES 64    /* signature lines that are looked at */
#define NOTE_SIG_MAX 256 /* bytes of a signature that note_next() hands out */

/* First four bytes of SHA-256(name || 0x0A || type || public key). */
uint32_t note_key_id(const char *name, uint8_t type, const struct sig_public *key);

/* Verifier key "name+hex8+base64(type || key)", appended. */
void note_vkey(struct buf *out, const char *name, const struct sig_public *key);
/* Reads a verifier key of type NOTE_ED25519; its id must be the one that its key gives. */
MUST_CHECK int note_vkey_parse(struct span text, struct buf *name, struct sig_public *key,
                               struct err *e);
/* The same for any type with a 32-byte key, which is told (a witness has NOTE_COSIGNATURE). */
MUST_CHECK int note_vkey_read(struct span text, uint8_t *type, struct buf *name,
                              struct sig_public *key, struct err *e);
/* Not empty, UTF-8, no blank of any kind, no '+'. */
MUST_CHECK int note_check_name(struct span name, struct err *e);

/* `text` ends in a newline. Appends the text, an empty line and one signature line. */
MUST_CHECK int note_sign(struct buf *out, struct span text, const char *name,
                         const struct sig_by *by, struct err *e);

/* *text becomes the signed text within `note`, if the signature by (name, key) holds. A line of
 * that name and id with a wrong signature is ERR_TRUST, as is its absence; lines of unknown keys
 * are ignored (at most 64 are looked at). */
MUST_CHECK int note_open(struct span note, const char *name, const struct sig_public *key,
                         struct span *text, struct err *e);

/* For signatures of other kinds: *text is what was signed, *lines the signature lines. */
MUST_CHECK int note_split(struct span note, struct span *text, struct span *lines, struct err *e);
struct note_line {
    struct span name; /* within the note */
    uint32_t id;
    uint8_t sig[NOTE_SIG_MAX];
    size_t len;
};
/* 1 and the next line, 0 at the end, negative for a malformed one. */
MUST_CHECK int note_next(struct span *lines, struct note_line *out, struct err *e);
