/* The whole scanner on real files: our own rules and all engines, in caged workers. */
#include "pooled.h"

#include "fixture.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <sys/stat.h>

static struct scan_pool *pool;

static int start(void **state)
{
    (void)state;
    struct err e = {0};
    struct scan_config c = test_config();
    c.limits.depth = 8;
    int r = scan_pool_new(&c, &pool, &e);
    if (r < 0) {
        print_error("%s\n", e.text);
    }
    return r;
}

static int stop(void **state)
{
    (void)state;
    scan_pool_free(&pool);
    return 0;
}

static void scan_paths(const char *const *paths, const char *const *names, size_t n,
                       struct scan_result *out)
{
    struct scan_job jobs[64] = {{0}};
    struct err e = {0};
    CHECK(n <= ARRAY_LEN(jobs));
    for (size_t i = 0; i < n; i++) {
        out[i] = (struct scan_result){0};
        jobs[i] = (struct scan_job){
            .fd = open(paths[i], O_RDONLY | O_CLOEXEC), .name = names[i], .result = &out[i]};
        CHECK(jobs[i].fd >= 0);
    }
    CHECK_OK(scan_files(pool, jobs, n, &e), e);
    for (size_t i = 0; i < n; i++) {
        close(jobs[i].fd);
    }
}

static struct scan_result scan_fixture(const char *file, const char *name)
{
    char path[4096];
    const char *p = path;
    struct scan_result r;
    snprintf(path, sizeof path, "%s/%s", FIXTURE_DIR, file);
    scan_paths(&p, &name, 1, &r);
    return r;
}

static void each_rule_finds_its_inert_file_and_spares_the_clean_one(void **state)
{
    (void)state;
    static const struct {
        const char *file, *name, *rule;
        enum verdict verdict;
    } cases[] = {
        {"funlove.exe", "a.exe", "FunLove_Marker", VERDICT_MALICIOUS},
        {"moved.exe", "a.exe", "FunLove_Marker", VERDICT_MALICIOUS},
        {"moved.exe", "a.exe", "pe-entry-last-section", VERDICT_MALICIOUS},
        {"flcss.exe", "a.exe", "FunLove_Drop", VERDICT_MALICIOUS},
        {"repaired.exe", "a.exe", "pe-funlove-repaired", VERDICT_SUSPICIOUS},
        {"root.exe", "c/inetpub/scripts/root.exe", "CodeRedII_Back_Door", VERDICT_MALICIOUS},
        {"oab.aspx", "a.aspx", "WebShell_Exchange_OAB_Settings", VERDICT_MALICIOUS},
        {"mailbox.aspx", "a.aspx", "WebShell_Exchange_Mailbox_Export", VERDICT_MALICIOUS},
        {"comment.aspx", "a.aspx", "WebShell_ASPX_Eval_Of_Request", VERDICT_MALICIOUS},
        {"comment.php", "a.php", "WebShell_PHP_Eval_Of_Request", VERDICT_MALICIOUS},
        {"command.php", "a.php", "WebShell_PHP_Command_Of_Request", VERDICT_SUSPICIOUS},
        {"eicar.com", "a.com", "EICAR_Test_File", VERDICT_MALICIOUS},
        {"clean.exe", "a.exe", NULL, VERDICT_CLEAN},
        {"clean64.exe", "a.exe", NULL, VERDICT_CLEAN},
        {"root.exe", "bin/root.exe", NULL, VERDICT_CLEAN},
        {"mark.txt", "a.txt", NULL, VERDICT_CLEAN},
        {"plain.php", "a.php", NULL, VERDICT_CLEAN},
        {"plain.aspx", "a.aspx", NULL, VERDICT_CLEAN},
        {"plain.zip", "a.zip", NULL, VERDICT_CLEAN},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct scan_result r = scan_fixture(cases[i].file, cases[i].name);
        if (r.verdict != cases[i].verdict ||
            (cases[i].rule != NULL && finding(&r, cases[i].rule) == NULL)) {
            CLEANUP(js_free) json_t *j = scan_result_json(&r);
            CLEANUP(mem_free) char *text = json_dumps(j, 0);
            fail_msg("%s as %s: %s", cases[i].file, cases[i].name, text);
        }
        CHECK(cases[i].rule != NULL || r.n_findings == 0);
        scan_result_clear(&r);
    }
}

static void a_weak_sign_is_noted_and_refuses_nothing(void **state)
{
    (void)state;
    struct scan_result r = scan_fixture("size.exe", "a.exe");
    CHECK(r.verdict == VERDICT_CLEAN && finding(&r, "pe-image-size") != NULL);
    CHECK(finding(&r, "pe-image-size")->severity == VERDICT_CLEAN);
    scan_result_clear(&r);
}

static void a_finding_inside_names_its_member(void **state)
{
    (void)state;
    struct scan_result r = scan_fixture("zip-in-tgz.tar.gz", "a.tar.gz");
    CHECK(r.verdict == VERDICT_MALICIOUS && r.n_members == 4);
    const struct scan_finding *f = finding(&r, "EICAR_Test_File");
    CHECK(f != NULL);
    CHECK_STR(f->member, "a.tar//in/b.zip//eicar.com");
    scan_result_clear(&r);
}

/* What cannot be opened is refused in the cage too, and never for want of a system call. */
static void containers_are_opened_inside_the_cage(void **state)
{
    (void)state;
    static const char dir[] = "/usr/share/clamav-testfiles/";
    static const struct {
        const char *file;
        enum verdict verdict;
        size_t members;
    } cases[] = {
        {"clam.7z", VERDICT_CLEAN, 1},          {"clam.cab", VERDICT_CLEAN, 1},
        {"clam.zip", VERDICT_CLEAN, 1},         {"clam.bz2.zip", VERDICT_CLEAN, 1},
        {"clam.tar.gz", VERDICT_CLEAN, 2},      {"clam.exe.bz2", VERDICT_CLEAN, 1},
        {"clam.newc.cpio", VERDICT_CLEAN, 1},   {"clam.bin-le.cpio", VERDICT_CLEAN, 1},
        {"clam.arj", VERDICT_UNINSPECTABLE, 0}, {"clam.d64.zip", VERDICT_UNINSPECTABLE, 0},
        {"clam.ole.doc", VERDICT_CLEAN, 0},
    };
    if (access(dir, R_OK) != 0) {
        print_message("no %s: not tested\n", dir);
        skip();
    }
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char path[300];
        const char *p = path;
        struct scan_result r;
        snprintf(path, sizeof path, "%s%s", dir, cases[i].file);
        scan_paths(&p, &cases[i].file, 1, &r);
        if (r.verdict != cases[i].verdict || r.n_members != cases[i].members) {
            CLEANUP(js_free) json_t *j = scan_result_json(&r);
            CLEANUP(mem_free) char *text = json_dumps(j, 0);
            fail_msg("%s: %s", cases[i].file, text);
        }
        CHECK(r.verdict == VERDICT_CLEAN || r.reason[0] != 0);
        scan_result_clear(&r);
    }
}

/* One file in an archive that libarchive itself wrote. */
static struct buf written(int (*format)(struct archive *), int (*filter)(struct archive *),
                          const char *name)
{
    static const char content[] = "plain words\n";
    struct buf b = BUF((size_t)4 << 20);
    size_t used = 0;
    uint8_t *room = buf_room(&b, (size_t)2 << 20);
    struct archive *a = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    CHECK(format(a) >= ARCHIVE_WARN && (filter == NULL || filter(a) == ARCHIVE_OK));
    archive_write_set_bytes_in_last_block(a, 1);
    CHECK(archive_write_open_memory(a, room, (size_t)2 << 20, &used) == ARCHIVE_OK);
    archive_entry_set_pathname(entry, name);
    archive_entry_set_size(entry, sizeof content - 1);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    CHECK(archive_write_header(a, entry) == ARCHIVE_OK);
    CHECK(archive_write_data(a, content, sizeof content - 1) == sizeof content - 1);
    CHECK(archive_write_close(a) == ARCHIVE_OK);
    archive_entry_free(entry);
    archive_write_free(a);
    buf_added(&b, used);
    return b;
}

/* Formats of which no file lies about: each must open in the cage, with a name that needs more than
 * ASCII, since that is where the C library would open files. */
static void each_format_opens_in_the_cage(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int (*format)(struct archive *), (*filter)(struct archive *);
        size_t members;
    } cases[] = {
        {"a.7z", archive_write_set_format_7zip, NULL, 1},
        {"a.zip", archive_write_set_format_zip, NULL, 1},
        {"a.iso", archive_write_set_format_iso9660, NULL, 1},
        {"a.xar", archive_write_set_format_xar, NULL, 1},
        {"a.cpio", archive_write_set_format_cpio_newc, NULL, 1},
        {"a.tar", archive_write_set_format_ustar, NULL, 1},
        {"a.tar", archive_write_set_format_v7tar, NULL, 1},
        {"a.ar", archive_write_set_format_ar_bsd, NULL, 1},
        {"a.tar.zst", archive_write_set_format_pax, archive_write_add_filter_zstd, 2},
        {"a.tar.lz4", archive_write_set_format_pax, archive_write_add_filter_lz4, 2},
        {"a.tar.xz", archive_write_set_format_pax, archive_write_add_filter_xz, 2},
        {"a.tar.lz", archive_write_set_format_pax, archive_write_add_filter_lzip, 2},
        {"a.tar.lzma", archive_write_set_format_pax, archive_write_add_filter_lzma, 2},
        {"a.tar.Z", archive_write_set_format_pax, archive_write_add_filter_compress, 2},
        {"a.tar.bz2", archive_write_set_format_pax, archive_write_add_filter_bzip2, 2},
    };
    CHECK(setlocale(LC_CTYPE, "C.UTF-8") != NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(buf_clear)
        struct buf b =
            written(cases[i].format, cases[i].filter, i == 7 ? "smoer.txt" : "sm\xc3\xb6r.txt");
        struct scan_result r = {0};
        struct err e = {0};
        struct scan_job job = {.fd = sealed(buf_view(&b)), .name = cases[i].name, .result = &r};
        CHECK_OK(scan_files(pool, &job, 1, &e), e);
        close(job.fd);
        if (r.verdict != VERDICT_CLEAN || r.n_members != cases[i].members ||
            strstr(r.members[r.n_members - 1].path, "r.txt") == NULL) {
            fail_msg("%s: %s", cases[i].name, json_dumps(scan_result_json(&r), 0));
        }
        scan_result_clear(&r);
    }
}

static void a_self_extractor_with_settings_is_opened(void **state)
{
    (void)state;
    CLEANUP(buf_clear) struct buf program = fixture("clean.exe");
    CLEANUP(buf_clear) struct buf inside = written(archive_write_set_format_7zip, NULL, "in.txt");
    struct scan_result r = {0};
    struct err e = {0};
    buf_str(&program, ";!@Install@!UTF-8!\nTitle=\"x\"\n;!@InstallEnd@!");
    buf_span(&program, buf_view(&inside));
    struct scan_job job = {.fd = sealed(buf_view(&program)), .name = "setup.exe", .result = &r};
    CHECK_OK(scan_files(pool, &job, 1, &e), e);
    close(job.fd);
    CHECK(r.verdict == VERDICT_CLEAN && r.n_members == 1);
    CHECK_STR(r.members[0].path, "in.txt");
    scan_result_clear(&r);
}

struct sample {
    char paths[48][300];
    size_t n, seen;
};

static int take(void *ctx, const char *name)
{
    struct sample *s = ctx;
    struct stat st;
    char path[300];
    snprintf(path, sizeof path, "/usr/bin/%s", name);
    if (s->n < ARRAY_LEN(s->paths) && s->seen++ % 13 == 0 && lstat(path, &st) == 0 &&
        S_ISREG(st.st_mode) && st.st_size < 2 << 20 && access(path, R_OK) == 0) {
        memcpy(s->paths[s->n++], path, sizeof path);
    }
    return 0;
}

static void no_rule_finds_anything_in_a_clean_system(void **state)
{
    (void)state;
    static struct sample s;
    struct scan_result r[ARRAY_LEN(s.paths)];
    const char *paths[ARRAY_LEN(s.paths)];
    struct err e = {0};
    CHECK_OK(file_each(AT_FDCWD, "/usr/bin", take, &s, &e), e);
    CHECK(s.n > 5);
    for (size_t i = 0; i < s.n; i++) {
        paths[i] = s.paths[i];
    }
    scan_paths(paths, paths, s.n, r);
    for (size_t i = 0; i < s.n; i++) {
        if (r[i].verdict != VERDICT_CLEAN) {
            fail_msg("%s: %s", paths[i], json_dumps(scan_result_json(&r[i]), 0));
        }
        scan_result_clear(&r[i]);
    }
}

int main(int argc, char **argv)
{
    proc_init();
    if (argc > 1 && strcmp(argv[1], "worker") == 0) {
        return scan_worker_main(argc, argv);
    }
    const struct CMUnitTest tests[] = {
        TEST(each_rule_finds_its_inert_file_and_spares_the_clean_one),
        TEST(a_weak_sign_is_noted_and_refuses_nothing),
        TEST(a_finding_inside_names_its_member),
        TEST(containers_are_opened_inside_the_cage),
        TEST(each_format_opens_in_the_cage),
        TEST(a_self_extractor_with_settings_is_opened),
        TEST(no_rule_finds_anything_in_a_clean_system),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
