/* note.h - signed notes (c2sp.org/signed-note) with Ed25519 keys. */
#pragma once
#include "base/buf.h"
#include "base/sig.h"

#define NOTE_ED25519 0x01
#define NOTE_COSIGNATURE 0x04

/* First four bytes of SHA-256(name || 0x0A || type || public key). */
uint32_t note_key_id(const char *name, uint8_t type, const struct sig_public *key);

/* Verifier key "name+hex8+base64(type || key)", appended. */
void note_vkey(struct buf *out, const char *name, const struct sig_public *key);
MUST_CHECK int note_vkey_parse(struct span text, struct buf *name, struct sig_public *key,
                               struct err *e);

/* `text` ends in a newline. Appends the text, an empty line and one signature line. */
MUST_CHECK int note_sign(struct buf *out, struct span text, const char *name,
                         const struct sig_by *by, struct err *e);

/* *text becomes the signed text within `note`, if the signature by (name, key) holds. A line of
 * that name and id with a wrong signature is ERR_TRUST, as is its absence; lines of unknown keys
 * are ignored (at most 64 are looked at). */
MUST_CHECK int note_open(struct span note, const char *name, const struct sig_public *key,
                         struct span *text, struct err *e);
