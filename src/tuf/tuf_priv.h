/* tuf_priv.h - what the files of this module share: the loaded repository and one change to it.
 *
 * A change works on a copy that shares every JSON value with the original by reference count;
 * whatever it alters it replaces. So a call that fails just drops the copy. */
#pragma once
#include "tuf/tuf.h"

#define SECOND_US INT64_C(1000000)
#define TUF_ROLE_NAME ((size_t)64)
#define RECALL_INDEX "recall/index.json"

struct bin {
    json_t *targets; /* path -> entry; NULL until it is read */
    size_t n;        /* targets in it, known without reading */
    bool dirty;      /* to be signed again */
};

struct tuf_repo {
    int dir;                           /* -1 while it is being created */
    json_t *state;                     /* {format, root{version,text}, roles{NAME:{v,x,h,n}}} */
    json_t *doc[TUF_ROLES];            /* envelopes; none for bins */
    struct tuf_keyset keys[TUF_ROLES]; /* who speaks for a role now */
    json_t *index;                     /* content of recall/index.json */
    json_t *recalled;                  /* sha256 -> true while recalled */
    struct bin *bin;                   /* 1 << bits */
    unsigned bits;
    struct digest seen; /* of timestamp.json as last read or made */
    bool root_lost;     /* the newest root is in `state` only: write it again */
    bool targets_stale; /* targets does not hold under that root */
};

/* role.c */
MUST_CHECK int tuf_keyset_parse(const json_t *keys, const json_t *role, const char *name,
                                struct tuf_keyset *out, struct err *e);
/* Adds the set's key objects to `keys`, keyids and threshold to `role`. */
void tuf_keyset_json(const struct tuf_keyset *set, json_t *keys, json_t *role);
bool tuf_keyset_has(const struct tuf_keyset *set, const struct sig_public *key);
json_t *tuf_signed(const json_t *doc); /* borrowed */

/* repo.c */
MUST_CHECK int tuf_load(struct tuf_repo *r,
                        struct err *e); /* dir and state are set; takes nothing */
MUST_CHECK int tuf_sync(struct tuf_repo *r, struct err *e); /* reads again if the folder changed */
MUST_CHECK int tuf_load_bin(struct tuf_repo *r, uint32_t i, struct err *e);
MUST_CHECK int tuf_load_index(struct tuf_repo *r, struct err *e);
void tuf_repo_clear(struct tuf_repo *r); /* all but dir */
json_t *tuf_meta(const struct tuf_repo *r);
int64_t tuf_listed(const struct tuf_repo *r, const char *role);
json_t *tuf_record(const struct tuf_repo *r, const char *role); /* state of a role, or NULL */
/* Whether a higher version was signed than the folder shows. */
bool tuf_is_behind(const struct tuf_repo *r, const char *role);
MUST_CHECK int tuf_read_doc(int dir, const char *file, const char *type, json_t **doc,
                            struct err *e);
MUST_CHECK int tuf_verify_top(const json_t *root, const json_t *doc, enum tuf_role role,
                              struct err *e);
MUST_CHECK int tuf_root_keys(const json_t *root, struct tuf_keyset keys[TUF_ROLES], struct err *e);

/* change.c */
struct change {
    struct tuf_repo next; /* becomes the repository when all went well */
    const struct tuf_sign *sign;
    const struct tuf_keyset *old_root; /* signs a new root too; NULL for the first */
    struct tuf_docs docs;
    bool dirty[TUF_ROLES];
    json_t *meta;     /* what the snapshot will list */
    json_t *snapshot; /* what the timestamp will list */
    json_t *advised;  /* the targets of recalls, while recalls are added */
    bool index_new;   /* recall/index.json is to be written */
    json_t *empty;    /* names of bins that no longer hold anything, to be signed as empty */
};
/* Copies `r`, and marks what is behind its state. */
MUST_CHECK int tuf_change_begin(struct change *c, struct tuf_repo *r, const struct tuf_sign *sign,
                                struct err *e);
/* Signs what is dirty, hands out the documents and makes `c->next` the repository. */
MUST_CHECK int tuf_change_commit(struct change *c, struct tuf_repo *r, struct tuf_docs *docs,
                                 struct err *e);
void tuf_change_clear(struct change *c);
/* The targets of bin `i`, private to this change; marks it dirty. */
MUST_CHECK int tuf_change_bin(struct change *c, uint32_t i, json_t **targets, struct err *e);
MUST_CHECK int tuf_change_all_bins(struct change *c, struct err *e);
void tuf_rebin(struct change *c, unsigned bits); /* all bins are loaded */
void tuf_state_root(json_t *state, int64_t version, const char *text);

/* emit.c */
MUST_CHECK int tuf_emit(struct change *c, struct err *e);

/* create.c */
MUST_CHECK int tuf_check_keys(const struct tuf_keyset *set, enum tuf_role role, struct err *e);

/* recall.c */
MUST_CHECK int tuf_recall_add(struct change *c, const struct tuf_recall *recall, struct err *e);
json_t *tuf_recall_fold(const json_t *index); /* sha256 -> true */
json_t *tuf_recall_empty(void);
MUST_CHECK int tuf_recall_body(struct change *c, json_t **body, struct err *e);

/* docs.c */
void tuf_docs_add(struct tuf_docs *docs, const char *name, struct buf *take);
void tuf_docs_sort(struct tuf_docs *docs);
bool tuf_file_name(const char *file, int64_t *version, char role[static TUF_ROLE_NAME]);
