#include "serve/limit.h"

#include <pthread.h>
#include <sodium.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"

#define BUCKETS 4096u
#define MOST ((size_t)100000)            /* keys that are remembered */
#define AVERAGED 10                      /* seconds */
#define FAILURES 100                     /* wrong credentials of one address at a stretch */
#define FAILURE_PAUSE (CLOCK_SECOND / 2) /* and one more in this time */

/* Both allowances are debts that time pays off: 0 is a full bucket. */
struct entry {
    struct entry *next;
    uint64_t key;
    unsigned downloads;
    int64_t paid;  /* requests: when the debt is paid */
    int64_t fails; /* failures: likewise */
};

struct limits {
    struct limits_opts o;
    uint8_t secret[crypto_shorthash_KEYBYTES];
    pthread_mutex_t lock; /* of all below */
    struct entry *bucket[BUCKETS];
    size_t n;
};

struct limits *limits_new(const struct limits_opts *o)
{
    struct limits *l = mem_new(struct limits);
    l->o = *o;
    random_bytes(l->secret, sizeof l->secret);
    pthread_mutex_init(&l->lock, NULL);
    return l;
}

void limits_free(struct limits **at)
{
    struct limits *l = *at;
    *at = NULL;
    if (l == NULL) {
        return;
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct entry *x = l->bucket[i], *next; x != NULL; x = next) {
            next = x->next;
            free(x);
        }
    }
    sodium_memzero(l->secret, sizeof l->secret);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

uint64_t limits_key(const struct limits *l, const char *kind, const char *user, const char *secret)
{
    uint8_t h[crypto_shorthash_BYTES];
    uint64_t key = 0;
    const char *const parts[] = {kind, user, secret};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) { /* each hash is keyed by the one before */
        uint8_t k[crypto_shorthash_KEYBYTES];
        memcpy(k, l->secret, sizeof k);
        for (size_t b = 0; b < sizeof key; b++) {
            k[b] ^= (uint8_t)(key >> (8 * b));
        }
        crypto_shorthash(h, (const uint8_t *)parts[i], strlen(parts[i]), k);
        memcpy(&key, h, sizeof key);
    }
    return key;
}

static bool idle(const struct entry *x, int64_t now)
{
    return x->downloads == 0 && x->paid <= now && x->fails <= now;
}

/* Finds or makes the entry; idle ones on the way are forgotten. NULL when there are too many. */
static struct entry *entry_of(struct limits *l, uint64_t key, int64_t now)
{
    struct entry **at = &l->bucket[key % BUCKETS];
    while (*at != NULL) {
        struct entry *x = *at;
        if (x->key == key) {
            return x;
        }
        if (idle(x, now)) {
            *at = x->next;
            free(x);
            l->n--;
        } else {
            at = &x->next;
        }
    }
    if (l->n >= MOST) {
        return NULL;
    }
    struct entry *x = mem_new(struct entry);
    *x = (struct entry){.key = key, .paid = now, .fails = now};
    *at = x;
    l->n++;
    return x;
}

bool limits_request(struct limits *l, uint64_t key, int64_t now, unsigned *wait)
{
    int64_t price = CLOCK_SECOND / (int64_t)l->o.rate;
    bool ok = false;
    *wait = 1;
    pthread_mutex_lock(&l->lock);
    struct entry *x = entry_of(l, key, now);
    if (x != NULL) {
        x->paid = x->paid < now ? now : x->paid;
        ok = x->paid + price - now <= AVERAGED * CLOCK_SECOND;
        x->paid += ok ? price : 0;
    }
    pthread_mutex_unlock(&l->lock);
    return ok;
}

bool limits_begin(struct limits *l, uint64_t key, int64_t now)
{
    pthread_mutex_lock(&l->lock);
    struct entry *x = entry_of(l, key, now);
    bool ok = x != NULL && x->downloads < l->o.downloads;
    if (ok) {
        x->downloads++;
    }
    pthread_mutex_unlock(&l->lock);
    return ok;
}

void limits_end(struct limits *l, uint64_t key)
{
    pthread_mutex_lock(&l->lock);
    for (struct entry *x = l->bucket[key % BUCKETS]; x != NULL; x = x->next) {
        if (x->key == key && x->downloads > 0) {
            x->downloads--;
            break;
        }
    }
    pthread_mutex_unlock(&l->lock);
}

void limits_failed(struct limits *l, uint64_t key, int64_t now)
{
    pthread_mutex_lock(&l->lock);
    struct entry *x = entry_of(l, key, now);
    if (x != NULL) {
        x->fails = (x->fails < now ? now : x->fails) + FAILURE_PAUSE;
    }
    pthread_mutex_unlock(&l->lock);
}

bool limits_may_try(struct limits *l, uint64_t key, int64_t now)
{
    bool ok = true;
    pthread_mutex_lock(&l->lock);
    for (const struct entry *x = l->bucket[key % BUCKETS]; x != NULL; x = x->next) {
        if (x->key == key) {
            ok = x->fails - now <= FAILURES * FAILURE_PAUSE;
        }
    }
    pthread_mutex_unlock(&l->lock);
    return ok;
}
