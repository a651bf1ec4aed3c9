#include "blob/blob.h"

#include <sys/mman.h>

#include "base/clock.h"
#include "site.h"

#define LARGE ((size_t)(2 * BLOB_CHUNK + 10))

struct tally {
    size_t n[SCRUB_CHUNKS + 1];
    struct scrub_report last_bad;
    struct digest order[16];
    size_t n_order;
    const struct scrub_item *items; /* for next_of() */
    size_t n_items;
};

static void note(void *ctx, const struct scrub_report *r)
{
    struct tally *t = ctx;
    t->n[r->result]++;
    if (r->result != SCRUB_GOOD) {
        CHECK(r->text[0] != 0 && r->at > 0);
        t->last_bad = *r;
        t->last_bad.text = "";
    }
    if (t->n_order < ARRAY_LEN(t->order)) {
        t->order[t->n_order++] = r->blob;
    }
}

static int next_of(void *ctx, const struct digest *after, struct scrub_item *out, struct err *e)
{
    (void)e;
    const struct tally *t = ctx;
    const struct scrub_item *best = NULL;
    for (size_t i = 0; i < t->n_items; i++) {
        const struct scrub_item *x = &t->items[i];
        if ((after == NULL || memcmp(x->blob.b, after->b, 32) > 0) &&
            (best == NULL || memcmp(x->blob.b, best->blob.b, 32) < 0)) {
            best = x;
        }
    }
    if (best != NULL) {
        *out = *best;
    }
    return best != NULL;
}

static struct tally pass(struct site *t, const struct scrub_item *items, size_t n_items)
{
    struct tally got = {.items = items, .n_items = n_items};
    struct err e;
    struct scrub *x = blob_scrub_new(
        t->s,
        &(struct scrub_opts){.next = items != NULL ? next_of : NULL, .report = note, .ctx = &got},
        NULL);
    int r;
    while ((r = blob_scrub_step(x, 1, &e)) == 1) {
    }
    CHECK_OK(r, e);
    blob_scrub_free(&x);
    blob_scrub_free(&x);
    return got;
}

static struct scrub_item item_of(const struct entry *a)
{
    return (struct scrub_item){.blob = a->d, .bound = true, .size = a->size, .root = a->root};
}

static void a_sound_store_is_all_good_in_order(void **state)
{
    (void)state;
    struct site t = site_new();
    const size_t sizes[] = {0, 1, 1000, BLOB_CHUNK, LARGE};
    for (uint32_t i = 0; i < ARRAY_LEN(sizes); i++) {
        (void)put_filler(&t, sizes[i], i);
    }
    struct tally got = pass(&t, NULL, 0);
    CHECK(got.n[SCRUB_GOOD] == 5 && got.n_order == 5);
    for (size_t i = 1; i < got.n_order; i++) {
        CHECK(memcmp(got.order[i - 1].b, got.order[i].b, 32) < 0);
    }
    site_clear(&t);
}

static void every_kind_of_rot_is_found_and_placed(void **state)
{
    (void)state;
    struct site t = site_new();
    struct entry a = put_filler(&t, LARGE, 1);
    char list[110];
    snprintf(list, sizeof list, "%s.chunks", a.path);
    for (int bound = 0; bound < 2; bound++) {
        struct scrub_item item = item_of(&a);
        const struct scrub_item *items = bound ? &item : NULL;
        struct tally got = pass(&t, items, 1);
        CHECK(got.n[SCRUB_GOOD] == 1);

        poke(&t, a.path, BLOB_CHUNK + 3, 1);
        got = pass(&t, items, 1);
        CHECK(got.n[SCRUB_BAD] == 1 && got.n[SCRUB_GOOD] == 0);
        CHECK(got.last_bad.first == BLOB_CHUNK && got.last_bad.last == 2 * BLOB_CHUNK - 1);
        poke(&t, a.path, BLOB_CHUNK + 3, 1);

        poke(&t, list, 60, 1);
        got = pass(&t, items, 1);
        CHECK(got.n[SCRUB_CHUNKS] == 1 && got.n[SCRUB_BAD] == 0);
        poke(&t, list, 60, 1);

        CHECK(renameat(t.dir.fd, list, t.dir.fd, "aside") == 0);
        got = pass(&t, items, 1);
        CHECK(got.n[SCRUB_CHUNKS] == 1);
        CHECK(renameat(t.dir.fd, "aside", t.dir.fd, list) == 0);
    }
    struct scrub_item items[2] = {item_of(&a), {.blob = {{7}}, .bound = true, .size = 5}};
    struct tally got = pass(&t, items, 2);
    CHECK(got.n[SCRUB_GOOD] == 1 && got.n[SCRUB_MISSING] == 1);
    CHECK(truncateat_ok(&t, a.path, 100));
    got = pass(&t, items, 1);
    CHECK(got.n[SCRUB_BAD] == 1 && got.last_bad.first == 100 && got.last_bad.last == LARGE - 1);
    CHECK(unlinkat(t.dir.fd, a.path, 0) == 0 && mkdirat(t.dir.fd, a.path, 0700) == 0);
    got = pass(&t, NULL, 0);
    CHECK(got.n[SCRUB_UNREADABLE] == 1);
    site_clear(&t);
}

/* The case that stamps cannot see (P2): it is this pass that finds it. */
static void a_write_through_mmap_is_found(void **state)
{
    (void)state;
    struct site t = site_new();
    struct entry a = put_filler(&t, 10000, 1);
    CHECK(fchmodat(t.dir.fd, a.path, 0644, 0) == 0);
    int fd = openat(t.dir.fd, a.path, O_RDWR | O_CLOEXEC);
    uint8_t *p = mmap(NULL, 10000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    CHECK(pass(&t, NULL, 0).n[SCRUB_GOOD] == 1);
    p[9999] ^= 1;
    CHECK(pass(&t, NULL, 0).n[SCRUB_BAD] == 1); /* mapped, dirty, not on the disk yet */
    munmap(p, 10000);
    CHECK(fsync(fd) == 0);
    close(fd);
    CHECK(pass(&t, NULL, 0).n[SCRUB_BAD] == 1);
    site_clear(&t);
}

static void a_pass_goes_on_where_it_was(void **state)
{
    (void)state;
    struct site t = site_new();
    struct tally got = {0};
    struct scrub_opts o = {.report = note, .ctx = &got};
    struct digest after;
    struct err e;
    for (uint32_t i = 0; i < 6; i++) {
        (void)put_filler(&t, 100, i);
    }
    struct scrub *x = blob_scrub_new(t.s, &o, NULL);
    CHECK(!blob_scrub_after(x, &after));
    for (int i = 0; i < 2; i++) {
        CHECK(blob_scrub_step(x, 1, &e) == 1);
    }
    CHECK(got.n_order == 2 && blob_scrub_after(x, &after) && digest_eq(&after, &got.order[1]));
    CHECK(blob_scrub_bytes(x) == 200);
    blob_scrub_free(&x);
    x = blob_scrub_new(t.s, &o, &after); /* after a restart */
    CHECK(blob_scrub_step(x, 1 << 20, &e) == 0);
    CHECK(got.n[SCRUB_GOOD] == 6 && memcmp(got.order[2].b, after.b, 32) > 0);
    CHECK(blob_scrub_step(x, 1 << 20, &e) == 0); /* another pass, from the beginning */
    CHECK(got.n[SCRUB_GOOD] == 12 && digest_eq(&got.order[6], &got.order[0]));
    blob_scrub_free(&x);
    site_clear(&t);
}

static void the_pause_spreads_the_work_over_the_interval(void **state)
{
    (void)state;
    CHECK(blob_scrub_pause(0, 0, 0, CLOCK_DAY) == 0);
    CHECK(blob_scrub_pause(50, 100, 0, 40 * CLOCK_SECOND) == 20 * CLOCK_SECOND);
    CHECK(blob_scrub_pause(50, 100, 30 * CLOCK_SECOND, 40 * CLOCK_SECOND) == 0); /* behind */
    CHECK(blob_scrub_pause(1, 2, 0, CLOCK_DAY) == 60 * CLOCK_SECOND);
    CHECK(blob_scrub_pause(100, 100, 0, CLOCK_DAY) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_sound_store_is_all_good_in_order),
        TEST(every_kind_of_rot_is_found_and_placed),
        TEST(a_write_through_mmap_is_found),
        TEST(a_pass_goes_on_where_it_was),
        TEST(the_pause_spreads_the_work_over_the_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
