/* account.h - organisations, their accounts, tokens, products, operators.
 *
 * Events go in (account_kinds), rows come out. Whoever appends an event asks the account_*_event()
 * builder first: it checks the request against the database and fills the event, or says why not.
 * Ids are log indexes. A token has 256 random bits, is shown once, and only its SHA-256 is kept. */
#pragma once
#include "record/record.h"

extern const struct record_kind account_kinds[]; /* ends with name == NULL */
extern const struct db_migration account_migrations[];
extern const size_t account_migrations_n;

#define ACCOUNT_ANONYMOUS "anonymous" /* the account and organisation of products for anyone */

/* ---- requests, each a JSON object as the commands and the API send it ---- */

/* {name, contact, manager?, language?} -> org.added */
MUST_CHECK int account_org_add(struct db *db, const json_t *q, struct event *ev, struct err *e);
/* {name, product} -> org.granted; {name, product, revoke: true} takes it back */
MUST_CHECK int account_org_grant(struct db *db, const json_t *q, struct event *ev, struct err *e);
/* {name} -> org.erased */
MUST_CHECK int account_org_erase(struct db *db, const json_t *q, struct event *ev, struct err *e);
/* {org, user} -> account.added; the token goes to `token` (hex, 64 digits and a NUL). With
 * {password_hash} (of htpasswd: bcrypt, $apr1$, {SHA}, or crypt's $5$, $6$, $y$) no token is made
 * and `token` becomes empty: the account signs in with its password until it gets a token. An
 * account that has only a password gets its token, and loses the password, by being added again
 * (account.token); one that has a token gets another with {renew: true}. */
#define ACCOUNT_TOKEN ((size_t)64)
MUST_CHECK int account_add(struct db *db, const json_t *q, struct event *ev,
                           char token[static ACCOUNT_TOKEN + 1], struct err *e);
/* {org, user} -> account.disabled | account.erased */
MUST_CHECK int account_disable(struct db *db, const json_t *q, struct event *ev, struct err *e);
MUST_CHECK int account_erase(struct db *db, const json_t *q, struct event *ev, struct err *e);
/* {name, role: build|release|responder, public: hex} -> operator.added. An operator signs requests
 * over the network with an Ed25519 key; the site keeps the public half. */
MUST_CHECK int account_operator_add(struct db *db, const json_t *q, struct event *ev,
                                    struct err *e);
/* The account and organisation `anonymous`. 1: *ev must be appended with the first product.set of
 * access `anyone`, before it; 0: it is there. */
MUST_CHECK int account_anonymous_event(struct db *db, struct event *ev, struct err *e);
/* {product, access: customers|private|anyone, channel: recorded|public} -> product.set */
MUST_CHECK int account_product_set(struct db *db, const json_t *q, struct event *ev, struct err *e);
/* CSV (RFC 4180: quotes, line ends LF or CRLF, a UTF-8 byte order mark) with the columns name,
 * contact and, as wanted, manager, language, products (parted by `;`), in any order. A list of
 * requests with `op` beside their members: first every {op: "org.add"}, then {op: "org.grant"}.
 * Every bad line is named; then nothing is returned.
 * htpasswd lines USER:HASH become {op: "account.add"} of `org`; USER may be ORG\user, and with
 * `org` NULL must be. Empty lines and those that begin with # are skipped. */
MUST_CHECK int account_org_csv(struct span csv, json_t **requests, struct err *e);
MUST_CHECK int account_htpasswd(struct span text, const char *org, json_t **requests,
                                struct err *e);

/* ---- questions ---- */

struct account_who {
    uint64_t account, org;
    bool disabled, anonymous;
};
/* What nobody signed in is; ERR_NOTFOUND while no product is for anyone. */
MUST_CHECK int account_anonymous(struct db *db, struct account_who *out, struct err *e);
/* The account of a token or of user and password; ERR_DENIED for none, wrong or disabled, without
 * telling which. Compares in constant time; wrong passwords cost what right ones cost. `user` may
 * be NULL with a bearer token; with a token as Basic password any user name is accepted if it is
 * the account's or empty.
 * Password hashes are slow by design: right ones are remembered by this process, and when new ones
 * take more than half of its time the answer is ERR_UNAVAIL. */
MUST_CHECK int account_authenticate(struct db *db, const char *user, struct span secret,
                                    struct account_who *out, struct err *e);

/* May this organisation have this product? Products of access `anyone` are for all, `customers`
 * for each organisation that was granted it, `private` likewise (but never listed to others). */
MUST_CHECK int account_may(struct db *db, const struct account_who *who, const char *product,
                           struct err *e);
enum account_access { ACCOUNT_CUSTOMERS, ACCOUNT_PRIVATE, ACCOUNT_ANYONE };
/* An unset product is customers, recorded. */
MUST_CHECK int account_product(struct db *db, const char *product, enum account_access *access,
                               bool *recorded, struct err *e);
struct account_operator {
    char name[LIMIT_NAME + 1], role[16];
    struct sig_public key;
};
MUST_CHECK int account_operator(struct db *db, const char *name, struct account_operator *out,
                                struct err *e);

/* Lists for commands and API; new references.
 * [{account organisation user signs_in("token"|"password"|"nothing") disabled erased since}]; of
 * one organisation, or of all with NULL. What was erased has no user. */
MUST_CHECK int account_list(struct db *db, const char *org, json_t **out, struct err *e);
/* [{organisation name contact manager language products[] accounts erased anonymous since}] */
MUST_CHECK int account_org_list(struct db *db, json_t **out, struct err *e);
/* Appends the name. ERR_NOTFOUND for an id that is none, or whose name was erased. */
MUST_CHECK int account_org_name(struct db *db, uint64_t org, struct buf *out, struct err *e);
/* Ids of the organisations that were erased, ascending; free() *out. */
MUST_CHECK int account_orgs_erased(struct db *db, uint64_t **out, size_t *n, struct err *e);
/* Organisations that may have this product by a grant of their own: [id...] as above. */
MUST_CHECK int account_orgs_of(struct db *db, const char *product, uint64_t **out, size_t *n,
                               struct err *e);
/* As account_org_name() for an account: its user name. */
MUST_CHECK int account_user(struct db *db, uint64_t account, struct buf *out, struct err *e);
/* The organisation of this name; ERR_NOTFOUND suggests the nearest. */
MUST_CHECK int account_org_find(struct db *db, const char *name, uint64_t *out, struct err *e);
/* [{product access channel}], only those that were set */
MUST_CHECK int account_product_list(struct db *db, json_t **out, struct err *e);
