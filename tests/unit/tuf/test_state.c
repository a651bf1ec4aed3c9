#include "site.h"

static void save_folder(struct site *s, char kept[static 260])
{
    snprintf(kept, 260, "%s.kept", s->d.path);
    site_copy(s->d.path, kept);
}

/* The backup comes back; the signer's state does not. */
static void restore_folder(struct site *s, const char *kept)
{
    tuf_close(&s->repo);
    fd_close(&s->d.fd);
    site_copy(kept, s->d.path);
    s->d.fd = open(s->d.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(s->d.fd >= 0);
    site_open(s);
}

static void drop_folder(const char *kept)
{
    struct check_dir d = {.fd = -1};
    snprintf(d.path, sizeof d.path, "%.199s", kept);
    check_dir_clear(&d);
}

static bool none_fell(const json_t *before, const json_t *after)
{
    const char *role;
    json_t *rec;
    json_object_foreach(json_object_get(before, "roles"), role, rec)
    {
        const json_t *now = json_object_get(json_object_get(after, "roles"), role);
        if (js_int_or(now, "v", 0) < js_int_or(rec, "v", 0)) {
            print_error("%s fell\n", role);
            return false;
        }
    }
    return true;
}

static void versions_never_fall_after_a_restored_backup(void **state)
{
    (void)state;
    struct site s;
    struct tuf_docs docs;
    struct err e;
    char kept[260], bin[TUF_BIN_NAME];
    site_new(&s);
    site_publish_now(&s, "p/1/a.exe");
    save_folder(&s, kept);
    for (int i = 0; i < 5; i++) {
        char path[40];
        snprintf(path, sizeof path, "p/1/%d.exe", i);
        site_publish_now(&s, path);
    }
    CLEANUP(js_free) json_t *before = json_incref(s.state);
    tuf_bin_name(tuf_bin_of("p/1/0.exe", 4), 4, bin);
    int64_t seen = tuf_version(s.repo, bin);
    restore_folder(&s, kept);
    CHECK(tuf_version(s.repo, bin) < seen && tuf_due(s.repo) == 0);
    CHECK(site_has(&s, "p/1/a.exe") && !site_has(&s, "p/1/0.exe"));

    CHECK_OK(tuf_refresh(s.repo, &s.sign, &docs, &e), e);
    CHECK(tuf_version(s.repo, bin) == seen + 1); /* signed again, above */
    site_store(&s, &docs);
    CHECK(none_fell(before, s.state) && tuf_due(s.repo) > s.sign.now);
    CHECK(tuf_version(s.repo, "snapshot") > 7 - 1 && tuf_version(s.repo, "timestamp") == 8);
    site_open(&s);
    CHECK(site_has(&s, "p/1/a.exe"));
    drop_folder(kept);
    site_clear(&s);
}

static void bins_of_a_lost_division_stay_listed(void **state)
{
    (void)state;
    struct site s;
    struct tuf_docs docs;
    char kept[260];
    site_new(&s);
    save_folder(&s, kept);
    site_publish_many(&s, 3000, &docs); /* 64 bins, named bin-00 to bin-3f */
    site_store(&s, &docs);
    CHECK(tuf_bits(s.repo) == 6);
    restore_folder(&s, kept);
    CHECK(tuf_bits(s.repo) == 4 && tuf_count(s.repo) == 0);
    site_publish_now(&s, "p/1/a.exe");
    CHECK(tuf_version(s.repo, "bin-3f") == 2 && tuf_version(s.repo, "bin-0") == 3);
    CHECK(tuf_version(s.repo, "releases") == 3);
    site_open(&s);
    CHECK(site_has(&s, "p/1/a.exe"));
    drop_folder(kept);
    site_clear(&s);
}

/* Its keys are people's: it is named, and one of them signs it above what clients have seen. */
static void targets_from_a_backup_waits_for_its_keys(void **state)
{
    (void)state;
    struct site s;
    struct tuf_docs docs;
    struct err e;
    char kept[260];
    site_new(&s);
    save_folder(&s, kept);
    CHECK_OK(tuf_rotate(s.repo, &s.sign, TUF_TARGETS, NULL, &docs, &e), e);
    site_store(&s, &docs);
    CHECK(tuf_version(s.repo, "targets") == 2 && tuf_version(s.repo, "root") == 1);
    restore_folder(&s, kept);
    s.sign.role[TUF_TARGETS].n = 0;
    site_publish_now(&s, "p/1/a.exe"); /* business goes on */
    CHECK(tuf_behind(s.repo, TUF_TARGETS) && !tuf_behind(s.repo, TUF_SNAPSHOT));
    s.sign.role[TUF_TARGETS].n = 1;
    CHECK_OK(tuf_rotate(s.repo, &s.sign, TUF_TARGETS, NULL, &docs, &e), e);
    site_store(&s, &docs);
    CHECK(tuf_version(s.repo, "targets") == 3 && !tuf_behind(s.repo, TUF_TARGETS));
    drop_folder(kept);
    site_clear(&s);
}

/* New keys of the bins that never reached the folder: the folder's old ones do not stop us. */
static void a_rotation_that_was_lost_is_repeated(void **state)
{
    (void)state;
    static const enum tuf_role roles[] = {TUF_BINS, TUF_RELEASES, TUF_RECALLS, TUF_SNAPSHOT};
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        struct site s;
        struct tuf_docs lost, docs;
        struct err e;
        struct site_key key;
        site_new(&s);
        site_publish_now(&s, "p/1/a.exe");
        struct sig_by fresh = site_key_of(&key, 77);
        struct tuf_keyset set = {.key = {fresh.key}, .n = 1, .threshold = 1};
        s.sign.role[roles[i]].by = &fresh; /* the old key is gone already */
        CHECK_OK(tuf_rotate(s.repo, &s.sign, roles[i], &set, &lost, &e), e);
        js_free(&s.state);
        s.state = tuf_state(s.repo);
        site_open(&s);
        CHECK_OK(tuf_rotate(s.repo, &s.sign, roles[i], &set, &docs, &e), e);
        site_store(&s, &docs);
        site_open(&s);
        CHECK(site_has(&s, "p/1/a.exe"));
        site_publish_now(&s, "p/1/b.exe");
        tuf_docs_clear(&lost);
        site_clear(&s);
    }
}

static void documents_that_were_never_written_are_signed_above(void **state)
{
    (void)state;
    struct site s;
    struct tuf_docs lost, docs;
    char bin[TUF_BIN_NAME];
    site_new(&s);
    site_publish(&s, "p/1/a.exe", &lost);
    tuf_bin_name(tuf_bin_of("p/1/a.exe", 4), 4, bin);
    site_publish(&s, "p/1/a.exe", &docs);
    CHECK(docs.n > 0 && tuf_version(s.repo, bin) > 2 && tuf_version(s.repo, "timestamp") == 3);
    site_store(&s, &docs);
    CHECK(site_has(&s, "p/1/a.exe") && tuf_count(s.repo) == 1);
    site_open(&s);
    CHECK(site_has(&s, "p/1/a.exe"));
    tuf_docs_clear(&lost);
    site_clear(&s);
}

static void half_a_life_signs_again(void **state)
{
    (void)state;
    struct site s;
    struct tuf_docs docs;
    struct err e;
    site_new(&s);
    CHECK(tuf_due(s.repo) == SITE_T0 + CLOCK_DAY / 2);
    CHECK_OK(tuf_refresh(s.repo, &s.sign, &docs, &e), e);
    CHECK(docs.n == 1); /* the timestamp, whenever asked */
    site_store(&s, &docs);

    s.sign.now = SITE_T0 + 4 * CLOCK_DAY;
    CHECK_OK(tuf_refresh(s.repo, &s.sign, &docs, &e), e);
    CHECK(docs.n == 2);
    site_store(&s, &docs);

    s.sign.now = SITE_T0 + 16 * CLOCK_DAY;
    CHECK_OK(tuf_refresh(s.repo, &s.sign, &docs, &e), e);
    CHECK(docs.n == 16 + 4); /* bins, recalls, releases, snapshot, timestamp; targets is people's */
    site_store(&s, &docs);
    CHECK(tuf_expires(s.repo, TUF_BINS) == SITE_T0 + 46 * CLOCK_DAY);
    CHECK(tuf_expires(s.repo, TUF_ROOT) == SITE_T0 + 365 * CLOCK_DAY);
    CHECK(tuf_due(s.repo) == s.sign.now + CLOCK_DAY / 2);
    site_clear(&s);
}

static void an_expired_repository_opens_and_signs_itself_again(void **state)
{
    (void)state;
    struct site s;
    struct tuf_docs docs;
    struct err e;
    site_new(&s);
    s.sign.now = SITE_T0 + 300 * CLOCK_DAY;
    site_open(&s);
    CHECK(tuf_due(s.repo) < s.sign.now);
    CHECK_OK(tuf_refresh(s.repo, &s.sign, &docs, &e), e);
    site_store(&s, &docs);
    CHECK(tuf_due(s.repo) > s.sign.now);
    site_clear(&s);
}

static void a_state_is_taken_over_from_the_folder(void **state)
{
    (void)state;
    struct site s;
    struct err e;
    site_new(&s);
    site_publish_now(&s, "p/1/a.exe");
    CHECK_OK(file_write_lazy(s.d.fd, "77.bin-3.json", span_str("left over"), 0644, &e), e);
    js_free(&s.state);
    CHECK_OK(tuf_state_adopt(s.d.fd, &s.state, &e), e);
    site_open(&s);
    CHECK(site_has(&s, "p/1/a.exe") && tuf_count(s.repo) == 1);
    site_publish_now(&s, "p/1/b.exe");
    CHECK(tuf_version(s.repo, "bin-3") == 78); /* a number is not used twice */
    site_clear(&s);
}

/* Every file changed, one at a time: nothing but what was signed is taken. */
static int change_file(struct site *s, const char *name, const char *from, const char *to)
{
    struct err e;
    CLEANUP(buf_clear) struct buf b = BUF(1 << 20), out = BUF(1 << 20);
    CHECK_OK(file_read(s->d.fd, name, 1 << 19, &b, &e), e);
    const char *text = buf_text(&b), *hit = strstr(text, from);
    CHECK(hit != NULL);
    buf_span(&out, span_of(text, (size_t)(hit - text)));
    buf_str(&out, to);
    buf_str(&out, hit + strlen(from));
    CHECK_OK(file_write_lazy(s->d.fd, name, buf_view(&out), 0644, &e), e);
    struct tuf_repo *r = NULL;
    int rc = tuf_open(s->d.fd, s->state, &r, &e);
    const json_t *entry;
    for (int i = 0; i < 200 && rc == 0; i++) { /* bins are read late */
        char path[40];
        snprintf(path, sizeof path, "any/%d", i);
        int found = tuf_find(r, path, &entry, &e);
        rc = found == ERR_NOTFOUND ? 0 : found;
    }
    tuf_close(&r);
    CHECK_OK(file_write_lazy(s->d.fd, name, buf_view(&b), 0644, &e), e);
    return rc;
}

static void a_changed_folder_is_not_taken(void **state)
{
    (void)state;
    static const char *const files[] = {"timestamp.json",  "1.snapshot.json", "1.targets.json",
                                        "1.releases.json", "1.recalls.json",  "1.bin-5.json"};
    struct site s;
    site_new(&s);
    tuf_close(&s.repo);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        CHECK(change_file(&s, files[i], "\"expires\":\"20", "\"expires\":\"21") == ERR_TRUST);
    }
    CHECK(change_file(&s, "1.root.json", "\"expires\":\"20", "\"expires\":\"21") == ERR_CONFLICT);
    site_open(&s);
    site_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(versions_never_fall_after_a_restored_backup),
        TEST(bins_of_a_lost_division_stay_listed),
        TEST(targets_from_a_backup_waits_for_its_keys),
        TEST(a_rotation_that_was_lost_is_repeated),
        TEST(documents_that_were_never_written_are_signed_above),
        TEST(half_a_life_signs_again),
        TEST(an_expired_repository_opens_and_signs_itself_again),
        TEST(a_state_is_taken_over_from_the_folder),
        TEST(a_changed_folder_is_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
