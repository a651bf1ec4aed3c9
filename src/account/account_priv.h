/* account_priv.h - passwords, CSV and small questions that the files of this module share. */
#pragma once
#include "account/account.h"

#define ACCOUNT_PASSWORD ((size_t)512) /* the longest that crypt(3) takes */
#define ACCOUNT_HASH ((size_t)200)     /* the longest text of a password hash */

/* 0, or ERR_FORMAT with what is supported. Costs that would stop the server are refused. */
MUST_CHECK int password_supported(const char *hash, struct err *e);
/* Hashes and compares; takes as long as the hash says. */
bool password_matches(const char *hash, struct span password);
/* The same, remembering right answers; ERR_DENIED, or ERR_UNAVAIL when too many are asked. */
MUST_CHECK int password_check(uint64_t account, const char *hash, struct span password,
                              struct err *e);

/* ---- CSV, RFC 4180 ---- */

struct csv {
    struct span rest;
    size_t line; /* of the record read last, from 1 */
    size_t next; /* line on which the next one starts */
};
struct csv csv_of(struct span text); /* skips a byte order mark */
/* Reads one record as a list of texts: 1, 0 at the end, or ERR_FORMAT for a quote in the wrong
 * place, a NUL or what is not UTF-8; csv.line names it and reading may go on behind it. */
MUST_CHECK int csv_next(struct csv *c, json_t **fields, struct err *e);

/* ---- */

/* "name" must be a text that text_check_name() takes; borrowed. */
MUST_CHECK int account_name_of(const json_t *q, const char *member, const char *what,
                               const char **out, struct err *e);
/* What account_org_add() asks of these members. */
MUST_CHECK int account_check_org(const json_t *q, struct err *e);
/* Of an organisation: its account of this name that was not erased. */
MUST_CHECK int account_find(struct db *db, uint64_t org, const char *user, uint64_t *out,
                            struct err *e);
