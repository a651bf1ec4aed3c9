#include "base/clock.h"
#include "fixture.h"
#include "scan/run.h"

#include "base/fd.h"
#include <unistd.h>
#include <sys/resource.h>

/* Finds a word, to show that members reach the other engines. */
static int word_scan(void *state, struct scan_run *run, const struct scan_object *o, struct err *e)
{
    (void)state;
    (void)e;
    static const char *const words[] = {"INSIDE", "EICAR-STANDARD", "member 3"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (o->bytes.len > 0 &&
            memmem(o->bytes.p, o->bytes.len, words[i], strlen(words[i])) != NULL) {
            scan_run_find(run, o, "word", words[i], VERDICT_MALICIOUS, -1, "found");
        }
    }
    return 0;
}

static const char *word_version(void)
{
    return "1";
}

static const struct engine word = {.name = "word", .version = word_version, .scan = word_scan};

static const struct scan_limits limits = {
    .memory = 1 << 30,
    .time = 60 * CLOCK_SECOND,
    .max_file = UINT64_C(1) << 32,
    .unpacked = UINT64_C(1) << 31,
    .members = 1000,
    .depth = 8,
    .ratio = 200,
};

static json_t *scan_bytes(const char *name, struct span bytes, const struct scan_limits *l)
{
    struct loaded_engine engines[] = {{.engine = &word}, {.engine = &engine_unpack}};
    struct run_setup setup = {.limits = *l, .engines = engines, .n_engines = ARRAY_LEN(engines)};
    return scan_run_file(&setup, name, bytes);
}

static json_t *scan_fixture(const char *name)
{
    CLEANUP(buf_clear) struct buf b = fixture(name);
    return scan_bytes(name, buf_view(&b), &limits);
}

static bool found(const json_t *answer, const char *rule, const char *member)
{
    size_t i;
    const json_t *f;
    json_array_foreach(json_object_get(answer, "findings"), i, f)
    {
        if (strcmp(js_str_or(f, "rule", ""), rule) == 0 &&
            (member == NULL || strcmp(js_str_or(f, "member", ""), member) == 0)) {
            return js_str_or(f, "text", "")[0] != 0;
        }
    }
    return false;
}

static bool has_member(const json_t *answer, const char *path)
{
    size_t i;
    const json_t *m;
    json_array_foreach(json_object_get(answer, "members"), i, m)
    {
        if (strcmp(js_str_or(m, "path", ""), path) == 0) {
            return strlen(js_str_or(m, "sha256", "")) == 64;
        }
    }
    return false;
}

static void check_answer(const json_t *a, const char *file, const char *verdict, const char *rule)
{
    bool right =
        strcmp(js_str_or(a, "verdict", ""), verdict) == 0 && (rule == NULL || found(a, rule, NULL));
    if (!right) {
        char *text = json_dumps(a, JSON_INDENT(1));
        print_error("%s is not %s by %s: %s\n", file, verdict, rule != NULL ? rule : "-", text);
        free(text);
    }
    CHECK(right);
}

static void each_container_gets_its_verdict(void **state)
{
    (void)state;
    static const struct {
        const char *file, *verdict, *rule, *member;
    } cases[] = {
        {"plain.zip", "clean", NULL, "setup.exe"},
        {"comment.zip", "clean", NULL, "readme.txt"},
        {"empty.zip", "clean", NULL, NULL},
        {"empty.gz", "clean", NULL, NULL},
        {"clean.exe", "clean", NULL, NULL},
        {"mark.txt", "clean", NULL, NULL},
        {"plain.tar", "clean", NULL, "setup.exe"},
        {"plain.cab", "malicious", "INSIDE", "in.txt"},
        {"sfx.exe", "malicious", "INSIDE", "in.txt"},
        {"sfx-zip.exe", "malicious", "INSIDE", "in.txt"},
        {"zip-in-tgz.tar.gz", "malicious", "EICAR-STANDARD", "zip-in-tgz.tar//in/b.zip//eicar.com"},
        {"encrypted.zip", "uninspectable", "encrypted", NULL},
        {"truncated.zip", "uninspectable", "damaged", NULL},
        {"truncated.cab", "uninspectable", "damaged", NULL},
        {"truncated.tar.gz", "uninspectable", "damaged", NULL},
        {"plain.gz", "malicious", "INSIDE", "plain"},
        {"plain.xz", "malicious", "INSIDE", "plain"},
        {"plain.bz2", "malicious", "INSIDE", "plain"},
        {"trailing.gz", "malicious", "trailing-data", "trailing"},
        {"deep.zip", "uninspectable", "limit-depth", NULL},
        {"unknown.arj", "uninspectable", "unsupported", NULL},
        {"bomb.zip", "uninspectable", "limit-ratio", NULL},
        {"two-names.zip", "suspicious", "zip-ambiguous", "a.txt"},
        {"names-differ.zip", "suspicious", "zip-ambiguous", NULL},
        {"gap.zip", "suspicious", "zip-ambiguous", NULL},
        {"prefix.zip", "suspicious", "zip-ambiguous", "setup.exe"},
        {"both-sides.jpg", "suspicious", "zip-ambiguous", "setup.exe"},
        {"module.jmod", "clean", NULL, "setup.exe"},
        {"notmodule.jmod", "suspicious", "zip-ambiguous", "setup.exe"},
        {"suffix.zip", "suspicious", "zip-ambiguous", NULL},
        {"two-ends.zip", "suspicious", "zip-ambiguous", NULL},
        {"weird.tar", "malicious", "path-climbs", "/absolute"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(js_free) json_t *a = scan_fixture(cases[i].file);
        check_answer(a, cases[i].file, cases[i].verdict, cases[i].rule);
        if (cases[i].member != NULL && !has_member(a, cases[i].member)) {
            fail_msg("%s: no member %s", cases[i].file, cases[i].member);
        }
    }
}

static void a_finding_names_the_member_it_is_in(void **state)
{
    (void)state;
    CLEANUP(js_free) json_t *a = scan_fixture("zip-in-tgz.tar.gz");
    CHECK(found(a, "EICAR-STANDARD", "zip-in-tgz.tar//in/b.zip//eicar.com"));
    CHECK(json_array_size(json_object_get(a, "members")) == 4);
    CLEANUP(js_free) json_t *w = scan_fixture("weird.tar"); /* "caf\xe9" holds member 3 */
    CHECK(found(w, "member 3", NULL));
    CHECK(json_array_size(json_object_get(w, "members")) == 8);
}

static void each_budget_stops_the_work(void **state)
{
    (void)state;
    struct scan_limits few = limits, small = limits, short_time = limits, shallow = limits;
    few.members = 1;
    small.unpacked = 3000;
    short_time.time = 1;
    shallow.depth = 2;
    const struct {
        const char *file, *rule;
        const struct scan_limits *l;
    } cases[] = {
        {"plain.tar", "limit-members", &few},           {"plain.zip", "limit-members", &few},
        {"zip-in-tgz.tar.gz", "limit-bytes", &small},   {"plain.zip", "limit-time", &short_time},
        {"zip-in-tgz.tar.gz", "limit-depth", &shallow},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(buf_clear) struct buf b = fixture(cases[i].file);
        CLEANUP(js_free) json_t *a = scan_bytes(cases[i].file, buf_view(&b), cases[i].l);
        check_answer(a, cases[i].file, "uninspectable", cases[i].rule);
    }
}

static void a_bomb_does_not_fill_the_memory(void **state)
{
    (void)state;
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    CLEANUP(js_free) json_t *a = scan_fixture("bomb.zip");
    getrusage(RUSAGE_SELF, &after);
    CHECK(found(a, "limit-ratio", NULL));
    CHECK(after.ru_maxrss - before.ru_maxrss < 300 * 1024); /* KiB */
}

/* Cut short anywhere, an archive is never clean. */
static void a_cut_archive_is_never_clean(void **state)
{
    (void)state;
    static const char *const files[] = {"plain.zip", "plain.cab", "zip-in-tgz.tar.gz", "plain.tar"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        CLEANUP(buf_clear) struct buf b = fixture(files[i]);
        size_t end = i == 3 ? 1024 : b.len; /* behind a tar's last member is only padding */
        for (size_t n = 300; n < end; n += 1 + end / 97) {
            CLEANUP(js_free) json_t *a = scan_bytes(files[i], span_of(b.p, n), &limits);
            CHECK(strcmp(js_str_or(a, "verdict", ""), "clean") != 0);
        }
    }
}

/* Debian's clamav-testfiles: each one is opened, or refused with a reason. */
static void the_test_files_of_clamav_are_opened_or_refused(void **state)
{
    (void)state;
    static const char dir[] = "/usr/share/clamav-testfiles";
    static const struct {
        const char *file, *verdict, *member;
    } known[] = {
        {"clam.7z", "clean", "clam.exe"},      {"clam.cab", "clean", "clam.exe"},
        {"clam.zip", "clean", "clam.exe"},     {"clam.tar.gz", "clean", "clam.tar//clam.exe"},
        {"clam.exe.bz2", "clean", "clam.exe"}, {"clam.newc.cpio", "clean", "clam.exe"},
        {"clam.arj", "uninspectable", NULL},   {"clam.exe.szdd", "uninspectable", NULL},
        {"clam.bz2.zip", "clean", "clam.exe"},
    };
    if (access(dir, R_OK) != 0) {
        print_message("no %s: not tested\n", dir);
        skip();
    }
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        char path[300];
        CLEANUP(buf_clear) struct buf b = BUF((size_t)16 << 20);
        struct err e;
        snprintf(path, sizeof path, "%s/%s", dir, known[i].file);
        CHECK_OK(file_read(AT_FDCWD, path, b.max, &b, &e), e);
        CLEANUP(js_free) json_t *a = scan_bytes(known[i].file, buf_view(&b), &limits);
        check_answer(a, known[i].file, known[i].verdict, NULL);
        CHECK(known[i].member == NULL || has_member(a, known[i].member));
    }
}

static int scan_one(void *ctx, const char *name)
{
    CLEANUP(buf_clear) struct buf b = BUF((size_t)16 << 20);
    struct err e;
    int *dir = ctx;
    CHECK_OK(file_read(*dir, name, b.max, &b, &e), e);
    CLEANUP(js_free) json_t *a = scan_bytes(name, buf_view(&b), &limits);
    const char *v = js_str_or(a, "verdict", "");
    bool reason = json_array_size(json_object_get(a, "findings")) > 0;
    print_message(
        "%-24s %-14s %zu members %s\n", name, v, json_array_size(json_object_get(a, "members")),
        reason ? js_str_or(json_array_get(json_object_get(a, "findings"), 0), "text", "") : "");
    CHECK(strcmp(v, "clean") == 0 || reason);
    CHECK(json_array_size(json_object_get(a, "failed")) == 0);
    return 0;
}

static void every_test_file_has_an_answer(void **state)
{
    (void)state;
    struct err e;
    CLEANUP(fd_close) int dir = open("/usr/share/clamav-testfiles", O_RDONLY | O_DIRECTORY);
    if (dir < 0) {
        skip();
    }
    CHECK_OK(file_each(dir, ".", scan_one, &dir, &e), e);
}

static void clean_at_no_length(const char *file, size_t from)
{
    CLEANUP(buf_clear) struct buf b = fixture(file);
    for (size_t n = from; n < b.len; n++) {
        CLEANUP(js_free) json_t *a = scan_bytes("x", span_of(b.p, n), &limits);
        if (strcmp(js_str_or(a, "verdict", ""), "clean") == 0) {
            fail_msg("%s cut at %zu is clean", file, n);
        }
    }
}

/* The reader takes a stream that breaks off before its first byte for an empty one. */
static void a_cut_stream_is_never_clean(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        size_t from; /* shorter ones have no mark yet */
    } cases[] = {{"plain.gz", 3}, {"plain.xz", 6}, {"plain.bz2", 10}, {"empty.gz", 3}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        clean_at_no_length(cases[i].file, cases[i].from);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_container_gets_its_verdict),
        TEST(a_finding_names_the_member_it_is_in),
        TEST(each_budget_stops_the_work),
        TEST(a_bomb_does_not_fill_the_memory),
        TEST(a_cut_archive_is_never_clean),
        TEST(a_cut_stream_is_never_clean),
        TEST(the_test_files_of_clamav_are_opened_or_refused),
        TEST(every_test_file_has_an_answer),
    };
    void *state = NULL;
    struct err e;
    if (engine_unpack.load(SPAN_NONE, &state, &e) < 0) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
