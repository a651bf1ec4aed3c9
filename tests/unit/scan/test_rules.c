/* Rule files through the real way: read, compiled in a cage, loaded in another. */
#include "pooled.h"

#include "scan/eicar.h"

#define HELLO_SHA256 "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define HELLO_SHA1 "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"
#define HELLO_MD5 "5d41402abc4b2a76b9719d911017c592"

static void put(const struct check_dir *d, const char *name, const char *text)
{
    struct err e = {0};
    CHECK_OK(file_write(d->fd, name, span_str(text), 0600, &e), e);
}

/* A pool with the rules of one folder alone. */
static int open_pool(const struct check_dir *d, struct scan_pool **p, struct err *e)
{
    const char *const rules[] = {d->path};
    struct scan_config c = test_config();
    c.own_rules = false;
    c.workers = 1;
    c.rules = rules;
    c.n_rules = 1;
    return scan_pool_new(&c, p, e);
}

static void a_rule_file_with_an_error_is_named_with_line_and_reason(void **state)
{
    (void)state;
    static const struct {
        const char *file, *text, *says;
    } cases[] = {
        {"bad.yar", "rule a { condition: true }\nrule b { condition: nonsense }\n",
         "bad.yar:2: rule b: undefined identifier \"nonsense\""},
        {"open.yar", "rule a {\n\n  condition:\n", "/open.yar:3: rule a: syntax error"},
        {"inc.yar", "include \"/etc/passwd\"\n", "inc.yar:1: include"},
        {"mag.yar",
         "import \"pe\"\nimport /* x */ \"magic\"\nrule a { condition: magic.type() == \"x\" }",
         "mag.yar:2: imports the module \"magic\""},
        {"cuc.yara", "import \"cuckoo\"\nrule a { condition: true }", "cuc.yara:1: imports"},
        {"list.txt", "# bad\nabc def\n", "list.txt:2: 3 hex digits"},
        {"size.hsb", HELLO_SHA256 ":-5:Name\n", "size.hsb:1: no size"},
        {"name.hsb", HELLO_SHA256 ":5\n", "name.hsb:1: no name"},
        {"odd.csv", HELLO_MD5 "|name\n", "odd.csv:1: character"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct check_dir d = check_dir();
        struct scan_pool *p = NULL;
        struct err e = {0};
        put(&d, "good.yar", "rule good { condition: false }\n");
        put(&d, cases[i].file, cases[i].text);
        int r = open_pool(&d, &p, &e);
        if (r != ERR_FORMAT || strstr(e.text, cases[i].says) == NULL) {
            print_error("%s: %d: %s\n", cases[i].file, r, e.text);
        }
        CHECK(r == ERR_FORMAT && p == NULL);
        CHECK(strstr(e.text, cases[i].says) != NULL);
        check_dir_clear(&d);
    }
}

static void a_path_that_is_no_rule_file_is_refused(void **state)
{
    (void)state;
    struct check_dir d = check_dir();
    struct scan_pool *p = NULL;
    struct err e = {0};
    CLEANUP(mem_free) char *odd = mem_printf("%s/rules.doc", d.path);
    CLEANUP(mem_free) char *none = mem_printf("%s/none.yar", d.path);
    const char *const paths[] = {odd, none};
    static const int want[] = {ERR_FORMAT, ERR_SYS};
    put(&d, "rules.doc", "rule a { condition: true }");
    for (size_t i = 0; i < 2; i++) {
        struct scan_config c = test_config();
        c.rules = &paths[i];
        c.n_rules = 1;
        CHECK(scan_pool_new(&c, &p, &e) == want[i]);
        CHECK(strstr(e.text, paths[i]) != NULL);
    }
    check_dir_clear(&d);
}

static void yara_says_which_rule_where_and_how_bad(void **state)
{
    (void)state;
    struct check_dir d = check_dir();
    struct scan_pool *p = NULL;
    struct err e = {0};
    put(&d, "a.yar",
        "rule bad { meta: description = \"the marker\" strings: $a = \"MARK\" condition: $a }\n"
        "rule odd : suspicious { strings: $a = \"ODD\" condition: $a }\n"
        "rule dim { meta: severity = \"suspicious\" strings: $a = \"DIM\" condition: $a }\n"
        "rule named { condition: filename == \"file0.txt\" and extension == \".txt\" and\n"
        "  filepath == \"folder/file0.txt\" and filesize == 1 }\n"
        "private rule hidden { strings: $a = \"MARK\" condition: $a }\n");
    put(&d, "b.yar", "rule bad { strings: $a = \"OTHER\" condition: $a }\n"); /* own namespace */
    CHECK_OK(open_pool(&d, &p, &e), e);
    struct scan_result r = scan_text(p, "..MARK..");
    CHECK(r.verdict == VERDICT_MALICIOUS && r.n_findings == 1);
    CHECK_STR(r.findings[0].engine, "yara");
    CHECK_STR(r.findings[0].rule, "bad");
    CHECK(strncmp(r.findings[0].text, "the marker (", 12) == 0);
    CHECK(r.findings[0].offset == 2);
    scan_result_clear(&r);
    static const struct {
        const char *text, *rule;
        enum verdict want;
    } cases[] = {{"ODD", "odd", VERDICT_SUSPICIOUS},  {"DIM", "dim", VERDICT_SUSPICIOUS},
                 {"OTHER", "bad", VERDICT_MALICIOUS}, {"DIM MARK", "bad", VERDICT_MALICIOUS},
                 {"x", "named", VERDICT_MALICIOUS},   {"plain", NULL, VERDICT_CLEAN}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        r = scan_text(p, cases[i].text);
        CHECK(r.verdict == cases[i].want);
        CHECK(cases[i].rule == NULL ? r.n_findings == 0 : finding(&r, cases[i].rule) != NULL);
        scan_result_clear(&r);
    }
    scan_pool_free(&p);
    check_dir_clear(&d);
}

static void what_libyara_leaves_out_is_not_clean(void **state)
{
    (void)state;
    struct check_dir d = check_dir();
    struct scan_pool *p = NULL;
    struct err e = {0};
    put(&d, "many.yar", "rule many { strings: $a = \"aa\" condition: #a == 7 }\n");
    CHECK_OK(open_pool(&d, &p, &e), e);
    size_t n = 1200000;
    CLEANUP(mem_free) char *text = mem_array(char, n + 1);
    memset(text, 'a', n);
    struct scan_result r = scan_text(p, text);
    CHECK(r.verdict == VERDICT_UNINSPECTABLE && finding(&r, "too-many-matches") != NULL);
    scan_result_clear(&r);
    scan_pool_free(&p);
    check_dir_clear(&d);
}

static void hash_lists_of_every_form_are_hit(void **state)
{
    (void)state;
    static const struct {
        const char *file, *text, *rule;
    } cases[] = {
        {"a.txt", HELLO_SHA256 "  Known.Bad one\n", "Known.Bad one"},
        {"b.txt", "# list\r\n\r\n" HELLO_SHA1 " *hello.bin\r\n", "hello.bin"},
        {"c.txt", "5D41402ABC4B2A76B9719D911017C592", "listed-hash"},
        {"d.csv", HELLO_MD5 ",Csv.Name\n", "Csv.Name"},
        {"e.hsb", HELLO_SHA256 ":5:Win.Test:73\n", "Win.Test"},
        {"f.hsb", HELLO_SHA256 ":*:Any.Size\n", "Any.Size"},
        {"g.hdb", HELLO_MD5 ":5:Md5.Test\n", "Md5.Test"},
        {"h.hsb", HELLO_SHA256 ":6:Other.Size\n", NULL},
        {"i.hsb", HELLO_SHA256 ":6:Other.Size\n" HELLO_SHA256 ":5:Second\n", "Second"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct check_dir d = check_dir();
        struct scan_pool *p = NULL;
        struct err e = {0};
        put(&d, cases[i].file, cases[i].text);
        put(&d, "z.txt",
            "00000000000000000000000000000000 zero\n"
            "ffffffffffffffffffffffffffffffff ones\n");
        CHECK_OK(open_pool(&d, &p, &e), e);
        struct scan_result r = scan_text(p, "hello");
        CHECK(r.verdict == (cases[i].rule != NULL ? VERDICT_MALICIOUS : VERDICT_CLEAN));
        CHECK(cases[i].rule == NULL || (finding(&r, cases[i].rule) != NULL && r.n_findings == 1 &&
                                        strcmp(r.findings[0].engine, "hashes") == 0));
        scan_result_clear(&r);
        scan_pool_free(&p);
        check_dir_clear(&d);
    }
}

static void a_reload_takes_new_rules_and_keeps_the_old_on_failure(void **state)
{
    (void)state;
    struct check_dir d = check_dir();
    struct scan_pool *p = NULL;
    struct err e = {0};
    put(&d, "a.yar", "rule first { strings: $a = \"ONE\" condition: $a }\n");
    CHECK_OK(open_pool(&d, &p, &e), e);
    struct digest before = scan_pool_rules(p), now;
    put(&d, "b.yar", "rule second { strings: $a = \"TWO\" condition: }\n");
    CHECK(scan_pool_reload(p, &e) == ERR_FORMAT && strstr(e.text, "b.yar:1") != NULL);
    now = scan_pool_rules(p);
    CHECK(digest_eq(&before, &now));
    struct scan_result r = scan_text(p, "ONE TWO");
    CHECK(r.n_findings == 1 && digest_eq(&r.rules, &before));
    scan_result_clear(&r);
    put(&d, "b.yar", "rule second { strings: $a = \"TWO\" condition: $a }\n");
    CHECK_OK(scan_pool_reload(p, &e), e);
    now = scan_pool_rules(p);
    CHECK(!digest_eq(&before, &now));
    r = scan_text(p, "ONE TWO");
    CHECK(r.n_findings == 2 && finding(&r, "second") != NULL && digest_eq(&r.rules, &now));
    scan_result_clear(&r);
    scan_pool_free(&p);
    check_dir_clear(&d);
}

static void late_rules_refuse_scans_until_they_load(void **state)
{
    (void)state;
    struct check_dir d = check_dir();
    struct scan_pool *p = NULL;
    struct err e = {0};
    put(&d, "a.yar", "rule first { condition: }\n");
    CHECK(open_pool(&d, &p, &e) == ERR_FORMAT && p == NULL);
    const char *const rules[] = {d.path};
    struct scan_config c = test_config();
    c.rules = rules;
    c.n_rules = 1;
    c.late_rules = true;
    CHECK_OK(scan_pool_new(&c, &p, &e), e);
    struct digest none = {{0}}, now = scan_pool_rules(p);
    CHECK(digest_eq(&none, &now));
    struct scan_result r = {0};
    CLEANUP(fd_close) int fd = -1;
    CHECK_OK(fd_sealed("text", span_str("hello"), &fd, &e), e);
    struct scan_job job = {.fd = fd, .name = "x", .result = &r};
    CHECK(scan_files(p, &job, 1, &e) == ERR_FORMAT && strstr(e.text, "a.yar:1") != NULL);
    CHECK(r.verdict == VERDICT_NONE);
    CHECK(scan_pool_reload(p, &e) == ERR_FORMAT);
    put(&d, "a.yar", "rule first { strings: $a = \"ONE\" condition: $a }\n");
    CHECK_OK(scan_pool_reload(p, &e), e);
    r = scan_text(p, "ONE");
    CHECK(finding(&r, "first") != NULL);
    scan_result_clear(&r);
    scan_pool_free(&p);
    check_dir_clear(&d);
}

static void only_named_rules_count_in_a_hunt(void **state)
{
    (void)state;
    struct check_dir d = check_dir();
    struct scan_pool *p = NULL;
    struct err e = {0};
    put(&d, "a.yar", "rule one { condition: true }\nrule two { condition: true }\n");
    const char *const rules[] = {d.path}, *const names[] = {"two"},
                      *const engines[] = {"yara", "unpack"};
    struct scan_config c = test_config();
    c.own_rules = false;
    c.rules = rules;
    c.n_rules = 1;
    c.names = names;
    c.n_names = 1;
    c.engines = engines;
    c.n_engines = 2;
    c.required = engines;
    c.n_required = 2;
    CHECK_OK(scan_pool_new(&c, &p, &e), e);
    struct scan_result r = scan_text(p, "hello");
    CHECK(r.verdict == VERDICT_MALICIOUS && r.n_findings == 1 && finding(&r, "two") != NULL);
    CHECK(r.n_engines == 3); /* eicar proves the worker */
    scan_result_clear(&r);
    CLEANUP(js_free) json_t *about = scan_pool_about(p);
    const json_t *file = json_array_get(json_object_get(about, "files"), 0);
    CHECK(json_array_size(json_object_get(file, "rules")) == 2);
    scan_pool_free(&p);
    check_dir_clear(&d);
}

static void own_rules_that_object_to_plain_words_stop_the_load(void **state)
{
    (void)state;
    struct check_dir d = check_dir();
    struct scan_pool *p = NULL;
    struct err e = {0};
    put(&d, "a.yar", "rule greedy { condition: true }\n");
    const char *const rules[] = {d.path};
    struct scan_config c = test_config();
    c.rules = rules;
    c.n_rules = 1;
    CHECK(scan_pool_new(&c, &p, &e) == ERR_TRUST);
    CHECK(strstr(e.text, "rule greedy of engine yara") != NULL);
    check_dir_clear(&d);
}

static void a_required_engine_that_is_missing_closes(void **state)
{
    (void)state;
    static const char *const required[] = {"yara", "clamd", "oracle"};
    struct scan_pool *p = NULL;
    struct err e = {0};
    struct scan_config c = test_config();
    c.required = required;
    c.n_required = 3;
    c.clamd_socket = "/nonexistent/clamd.ctl";
    CHECK_OK(scan_pool_new(&c, &p, &e), e);
    struct scan_result r = scan_text(p, "hello");
    CHECK(r.verdict == VERDICT_NONE);
    CHECK(strstr(r.reason, "engine clamd did not answer") != NULL);
    scan_result_clear(&r);
    char eicar[EICAR_LEN + 1];
    eicar_text(eicar);
    r = scan_text(p, eicar); /* what was found is not hidden by what is missing */
    CHECK(r.verdict == VERDICT_MALICIOUS);
    scan_result_clear(&r);
    CLEANUP(js_free) json_t *about = scan_pool_about(p);
    CHECK(json_array_size(json_object_get(about, "missing")) == 2);
    scan_pool_free(&p);
}

static void field(uint8_t *at, const void *p, size_t n)
{
    memcpy(at, p, n);
}

/* A tar with one member "in/hello.txt" of "hello"; `tar` is zeroed. */
static void make_tar(uint8_t tar[static 1024])
{
    static const char numbers[] = "0000644\0000000000\0000000000\00000000000005\00000000000000";
    field(tar, "in/hello.txt", 12);
    field(tar + 100, numbers, sizeof numbers);
    field(tar + 257, "ustar\00000", 8);
    tar[156] = '0';
    memset(tar + 148, ' ', 8);
    unsigned sum = 0;
    for (size_t i = 0; i < 512; i++) {
        sum += tar[i];
    }
    snprintf((char *)tar + 148, 8, "%06o", sum);
    field(tar + 512, "hello", 5);
}

static void members_are_scanned_and_their_hashes_kept(void **state)
{
    (void)state;
    struct check_dir d = check_dir();
    struct scan_pool *p = NULL;
    struct err e = {0};
    put(&d, "l.txt", HELLO_SHA256 " Hello\n");
    CHECK_OK(open_pool(&d, &p, &e), e);
    static uint8_t tar[3072];
    make_tar(tar);
    struct scan_result r = {0};
    struct scan_job job = {.fd = sealed(span_of(tar, sizeof tar)), .name = "a.tar", .result = &r};
    CHECK_OK(scan_files(p, &job, 1, &e), e);
    CHECK(r.verdict == VERDICT_MALICIOUS && r.n_members == 1 && r.members[0].size == 5);
    CHECK_STR(r.members[0].path, "in/hello.txt");
    CHECK_STR(finding(&r, "Hello")->member, "in/hello.txt");
    struct digest want = digest_of(span_str("hello"));
    CHECK(digest_eq(&r.members[0].hash.sha256, &want));
    CLEANUP(js_free) json_t *json = scan_result_json(&r);
    const json_t *m = json_array_get(json_object_get(json, "members"), 0);
    CHECK_STR(js_str_or(m, "md5", ""), HELLO_MD5);
    CHECK_STR(js_str_or(m, "sha1", ""), HELLO_SHA1);
    scan_result_clear(&r);
    close(job.fd);
    scan_pool_free(&p);
    check_dir_clear(&d);
}

static void a_large_file_is_read_to_its_end(void **state)
{
    (void)state;
    struct check_dir d = check_dir();
    struct scan_pool *p = NULL;
    struct err e = {0};
    put(&d, "a.yar", "rule end { strings: $a = \"MARK\" condition: $a at filesize - 4 }\n");
    CHECK_OK(open_pool(&d, &p, &e), e);
    uint64_t size = ((uint64_t)64 << 20) + 4; /* beyond what a worker copies: it is mapped */
    CLEANUP(fd_close) int fd = openat(d.fd, "large", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
    CHECK_OK(fd_pwrite(fd, span_str("MARK"), size - 4, &e), e);
    struct scan_result r = {0};
    struct scan_job job = {.fd = fd, .name = "large", .result = &r};
    CHECK_OK(scan_files(p, &job, 1, &e), e);
    CHECK(r.verdict == VERDICT_MALICIOUS && r.size == size);
    CHECK(finding(&r, "end") != NULL && finding(&r, "end")->offset == (int64_t)size - 4);
    scan_result_clear(&r);
    scan_pool_free(&p);
    check_dir_clear(&d);
}

int main(int argc, char **argv)
{
    proc_init();
    if (argc > 1 && strcmp(argv[1], "worker") == 0) {
        return scan_worker_main(argc, argv);
    }
    const struct CMUnitTest tests[] = {
        TEST(a_rule_file_with_an_error_is_named_with_line_and_reason),
        TEST(a_path_that_is_no_rule_file_is_refused),
        TEST(yara_says_which_rule_where_and_how_bad),
        TEST(what_libyara_leaves_out_is_not_clean),
        TEST(hash_lists_of_every_form_are_hit),
        TEST(a_reload_takes_new_rules_and_keeps_the_old_on_failure),
        TEST(late_rules_refuse_scans_until_they_load),
        TEST(only_named_rules_count_in_a_hunt),
        TEST(own_rules_that_object_to_plain_words_stop_the_load),
        TEST(a_required_engine_that_is_missing_closes),
        TEST(members_are_scanned_and_their_hashes_kept),
        TEST(a_large_file_is_read_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
