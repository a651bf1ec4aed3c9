#include "site.h"

#include <sys/syscall.h>

/* Every file becomes visible by renameat(): a process that dies at its n-th stops between any two
 * of them. The library's own name is taken over for this program. */
static int die_at = -1;

int renameat(int oldfd, const char *old, int newfd, const char *new)
{
    if (die_at == 0) {
        _exit(9);
    }
    die_at -= die_at > 0;
    return (int)syscall(SYS_renameat2, oldfd, old, newfd, new, 0);
}

/* Writes in a child that dies at rename `n`; true if it lived to the end. */
static bool write_dying(struct site *s, const struct tuf_docs *docs, int n)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct err e;
        die_at = n;
        _exit(tuf_write(s->d.fd, docs, &e) == 0 ? 0 : 1);
    }
    int status = 0;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 9));
    return WEXITSTATUS(status) == 0;
}

static int any_left(void *ctx, const char *name)
{
    (void)ctx;
    bool odd = strstr(name, ".tmp-") != NULL || strstr(name, ".next") != NULL ||
               strcmp(name, "pending") == 0;
    if (odd) {
        print_error("%s is left over\n", name);
    }
    return odd;
}

static void repair_and_check(struct site *s, struct tuf_repaired *done)
{
    struct err e;
    CHECK_OK(tuf_repair(s->d.fd, done, &e), e);
    CHECK(file_each(s->d.fd, ".", any_left, NULL, &e) == 0);
    CHECK(file_each(s->d.fd, "recall", any_left, NULL, &e) == 0);
    site_open(s);
}

static void publish_and_recall(struct site *s, struct tuf_docs *docs)
{
    struct err e;
    struct digest bad = digest_of(span_str("bad"));
    struct tuf_target t = site_target("p/1/a.exe");
    struct tuf_recall r = {
        .id = "2026-1", .sha256 = &bad, .n = 1, .reason = "x", .time = SITE_T0, .log = -1};
    struct tuf_change c = {.add = &t, .n_add = 1, .recall = &r, .n_recall = 1};
    CHECK_OK(tuf_publish(s->repo, &s->sign, &c, docs, &e), e);
}

static void a_publish_that_dies_is_whole_or_gone(void **state)
{
    (void)state;
    struct site s;
    bool lived = false;
    int undone = 0, completed = 0;
    for (int n = 0; !lived; n++) {
        struct tuf_docs docs;
        struct tuf_repaired done;
        site_new(&s);
        publish_and_recall(&s, &docs);
        js_free(&s.state);
        s.state = tuf_state(s.repo); /* saved before the documents left */
        lived = write_dying(&s, &docs, n);
        repair_and_check(&s, &done);
        struct digest bad = digest_of(span_str("bad"));
        CHECK(tuf_is_recalled(s.repo, &bad) == (tuf_count(s.repo) == 1)); /* all or nothing */
        CHECK(!lived || tuf_count(s.repo) == 1);
        completed += done.completed;
        undone += tuf_count(s.repo) == 0;
        CHECK(site_has(&s, "p/1/a.exe") == (tuf_count(s.repo) == 1));
        site_publish_now(&s, "p/1/b.exe"); /* and life goes on */
        site_publish_now(&s, "p/1/a.exe");
        CHECK(tuf_count(s.repo) == 2);
        tuf_docs_clear(&docs);
        site_clear(&s);
    }
    CHECK(undone >= 3 && completed >= 1);
}

static void a_rotation_that_dies_is_whole_or_gone(void **state)
{
    (void)state;
    bool lived = false;
    for (int n = 0; !lived; n++) {
        struct site s;
        struct tuf_docs docs;
        struct tuf_repaired done;
        struct err e;
        struct site_key key;
        site_new(&s);
        struct sig_by fresh = site_key_of(&key, 99);
        struct tuf_keyset set = {.key = {fresh.key}, .n = 1, .threshold = 1};
        struct sig_by both[2] = {s.by[TUF_TIMESTAMP * 3], fresh};
        s.sign.role[TUF_TIMESTAMP].by = both;
        s.sign.role[TUF_TIMESTAMP].n = 2;
        CHECK_OK(tuf_rotate(s.repo, &s.sign, TUF_TIMESTAMP, &set, &docs, &e), e);
        js_free(&s.state);
        s.state = tuf_state(s.repo);
        lived = write_dying(&s, &docs, n);
        CLEANUP(buf_clear) struct buf made = BUF(1 << 18), found = BUF(1 << 18);
        buf_span(&made, buf_view(&docs.doc[docs.n - 2].bytes));
        CHECK_STR(docs.doc[docs.n - 2].name, "2.root.json");
        tuf_docs_clear(&docs);
        repair_and_check(&s, &done);
        CHECK(tuf_version(s.repo, "root") == 2); /* signed is signed: it is written again */
        CHECK_OK(tuf_refresh(s.repo, &s.sign, &docs, &e), e);
        site_store(&s, &docs);
        CHECK_OK(file_read(s.d.fd, "2.root.json", 1 << 17, &found, &e), e);
        CHECK(span_eq(buf_view(&made), buf_view(&found)));
        site_open(&s);
        CHECK(!tuf_behind(s.repo, TUF_ROOT));
        site_clear(&s);
    }
}

static void a_version_is_never_written_twice(void **state)
{
    (void)state;
    struct site s;
    struct tuf_docs docs;
    struct err e;
    site_new(&s);
    site_publish(&s, "p/1/a.exe", &docs);
    CHECK_OK(file_write_lazy(s.d.fd, "2.snapshot.json", span_str("{}"), 0644, &e), e);
    CHECK(tuf_write(s.d.fd, &docs, &e) == ERR_CONFLICT);
    CHECK(file_each(s.d.fd, ".", any_left, NULL, &e) == 0);
    CHECK(!file_exists(s.d.fd, docs.doc[0].name)); /* what it had written is gone again */
    tuf_docs_clear(&docs);
    site_open(&s);
    site_clear(&s);
}

static void a_missing_file_is_named(void **state)
{
    (void)state;
    struct site s;
    struct err e;
    struct tuf_repaired done;
    site_new(&s);
    CHECK(unlinkat(s.d.fd, "1.bin-7.json", 0) == 0);
    CHECK(tuf_repair(s.d.fd, &done, &e) == ERR_NOTFOUND);
    CHECK(strstr(e.text, "1.bin-7.json") != NULL);
    site_clear(&s);
}

static void only_names_of_metadata_are_taken(void **state)
{
    (void)state;
    static const char hex[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    char recall[120], nested[140];
    snprintf(recall, sizeof recall, "recall/%s.index.json", hex);
    snprintf(nested, sizeof nested, "recall/%s.../x", hex);
    const struct {
        const char *name;
        int want;
    } cases[] = {
        {"timestamp.json", 0},
        {"1.root.json", 0},
        {"12.bin-0f.json", 0},
        {recall, 0},
        {nested, ERR_FORMAT},
        {"../1.root.json", ERR_FORMAT},
        {"root.json", ERR_FORMAT},
        {"0.root.json", ERR_FORMAT},
        {"01.root.json", ERR_FORMAT},
        {"1.ro/ot.json", ERR_FORMAT},
        {"recall/index.json", ERR_FORMAT},
        {"1.root.json.next", ERR_FORMAT},
        {"pending", ERR_FORMAT},
        {"", ERR_FORMAT},
    };
    struct tuf_docs docs = {NULL, 0, 0};
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b = BUF(10);
        buf_str(&b, "x");
        CHECK(tuf_docs_take(&docs, cases[i].name, &b, &e) == cases[i].want);
        buf_clear(&b);
    }
    tuf_docs_clear(&docs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_publish_that_dies_is_whole_or_gone), TEST(a_rotation_that_dies_is_whole_or_gone),
        TEST(a_version_is_never_written_twice),     TEST(a_missing_file_is_named),
        TEST(only_names_of_metadata_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
