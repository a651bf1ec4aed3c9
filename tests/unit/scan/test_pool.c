/* Real caged workers of this very program, with one engine more: a trap that a file's first bytes
 * set off, as a parser with a hole would be. */
#include "pooled.h"

#include "scan/cage.h"
#include "scan/eicar.h"
#include "scan/worker.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* ---- the trap, in the worker ---- */

static unsigned files_seen;

static void lie(void)
{
    static const char frame[] = "\0\0\0\2\0\1\0\0\0\0\0\2{]";
    (void)!send(WORKER_SOCKET, frame, sizeof frame - 1, 0);
    _exit(0);
}

static void eat_memory(void)
{
    for (int i = 0; i < 64; i++) { /* four times what it may have */
        memset(mem_zeroed(1, (size_t)16 << 20), 1, (size_t)16 << 20);
    }
}

static void set_off(const char *what)
{
    if (strcmp(what, "kill") == 0) {
        syscall(SYS_tgkill, getpid(), gettid(), SIGKILL);
    } else if (strcmp(what, "ptrace") == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    } else if (strcmp(what, "lie") == 0) {
        lie();
    } else if (strcmp(what, "memory") == 0) {
        eat_memory();
    } else if (strcmp(what, "exit") == 0) {
        _exit(0);
    }
    while (strcmp(what, "hang") == 0) {
        poll(NULL, 0, -1);
    }
}

static int trap_scan(void *state, struct scan_run *run, const struct scan_object *o, struct err *e)
{
    (void)state;
    struct span rest = o->bytes, word;
    if (o->bytes.len == 0 || !span_cut(&rest, ':', &word) || !span_is(word, "TRAP")) {
        return 0;
    }
    CLEANUP(mem_free) char *what = mem_text(rest.p, rest.len);
    set_off(what);
    if (strcmp(what, "fail") == 0) {
        return err_set(e, ERR_UNAVAIL, "trap says no");
    }
    if (strcmp(what, "count") == 0) {
        scan_run_find(run, o, "trap", "count", VERDICT_SUSPICIOUS, files_seen++, "files before");
    }
    if (strcmp(what, "open") == 0 && open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0) {
        scan_run_find(run, o, "trap", "opened", VERDICT_MALICIOUS, -1, "the cage is open");
    }
    return 0;
}

static const char *trap_version(void)
{
    return "0";
}

static int worker(void)
{
    static const struct engine trap = {.name = "trap", .version = trap_version, .scan = trap_scan};
    const struct engine *engines[16] = {0};
    for (size_t i = 0; i < scan_n_engines; i++) {
        engines[i] = scan_engines[i];
    }
    engines[scan_n_engines] = &trap;
    return scan_worker_run(engines, scan_n_engines + 1);
}

/* ---- the tests ---- */

static struct scan_pool *pool;

static int start(void **state)
{
    (void)state;
    struct scan_config c = test_config();
    c.limits.time = CLOCK_SECOND; /* so that the watchdog need not be waited for long */
    c.limits.memory = (uint64_t)256 << 20;
    struct err e = {0};
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

static void a_worker_proves_itself_first(void **state)
{
    (void)state;
    CLEANUP(js_free) json_t *about = scan_pool_about(pool);
    const json_t *denied = json_object_get(about, "denied");
    static const char *const must[] = {"open", "openat", "socket", "fork", "execve", "map-code"};
    for (size_t i = 0; i < ARRAY_LEN(must); i++) {
        bool found = false;
        for (size_t k = 0; k < json_array_size(denied); k++) {
            found = found || strcmp(json_string_value(json_array_get(denied, k)), must[i]) == 0;
        }
        CHECK(found);
    }
    CHECK(js_int_or(about, "landlock", 0) >= 1);
    CHECK(json_array_size(json_object_get(about, "missing")) == 0);
}

static void eicar_is_found_and_plain_words_are_clean(void **state)
{
    (void)state;
    char eicar[EICAR_LEN + 1];
    eicar_text(eicar);
    const char *const texts[] = {"hello", eicar, ""};
    struct scan_result r[3];
    scan_texts(pool, texts, 3, r);
    CHECK(r[0].verdict == VERDICT_CLEAN && r[0].n_findings == 0 && r[0].size == 5);
    CHECK_STR(r[0].reason, "");
    CHECK(r[1].verdict == VERDICT_MALICIOUS);
    CHECK(finding(&r[1], EICAR_RULE) != NULL && finding(&r[1], EICAR_RULE)->offset == 0);
    CHECK(r[2].verdict == VERDICT_CLEAN && r[2].size == 0);
    struct digest want = digest_of(span_str("hello")), rules = scan_pool_rules(pool);
    CHECK(digest_eq(&r[0].hash.sha256, &want) && digest_eq(&r[0].rules, &rules));
    CHECK(r[0].n_engines == 6);
    for (size_t i = 0; i < 3; i++) {
        scan_result_clear(&r[i]);
    }
}

static void a_trap_makes_its_own_file_uninspectable(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
#ifndef CAGE_SANITIZED
        {"TRAP:memory", "signal 6"},
#endif
        {"TRAP:kill", "signal 9"},
        {"TRAP:ptrace", "signal 31"},
        {"TRAP:exit", "status 0"},
        {"TRAP:lie", "message"},
        {"TRAP:hang", "no answer within 6 s"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct scan_result r = scan_text(pool, cases[i].text);
        if (r.verdict != VERDICT_UNINSPECTABLE || strstr(r.reason, cases[i].says) == NULL) {
            print_error("%s: %s, %s\n", cases[i].text, verdict_text(r.verdict), r.reason);
        }
        CHECK(r.verdict == VERDICT_UNINSPECTABLE);
        CHECK(strstr(r.reason, cases[i].says) != NULL);
        CHECK(finding(&r, "worker-lost") != NULL);
        scan_result_clear(&r);
    }
}

static void files_of_a_call_share_a_worker_of_one_batch(void **state)
{
    (void)state;
    const char *texts[SCAN_BATCH + 2];
    struct scan_result r[SCAN_BATCH + 2];
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        texts[i] = "TRAP:count";
    }
    scan_texts(pool, texts, ARRAY_LEN(texts), r);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        CHECK(r[i].verdict == VERDICT_SUSPICIOUS);
        CHECK(finding(&r[i], "count")->offset == (int64_t)(i % SCAN_BATCH));
        scan_result_clear(&r[i]);
    }
}

static void after_an_anomaly_the_whole_batch_is_scanned_again_alone(void **state)
{
    (void)state;
    static const char *const texts[] = {"TRAP:count", "TRAP:count", "TRAP:kill", "TRAP:count"};
    struct scan_result r[4];
    scan_texts(pool, texts, 4, r);
    for (size_t i = 0; i < 4; i++) {
        if (i == 2) {
            CHECK(r[i].verdict == VERDICT_UNINSPECTABLE);
        } else { /* 0: the first file of its worker */
            CHECK(r[i].n_findings == 1 && r[i].findings[0].offset == 0);
        }
        scan_result_clear(&r[i]);
    }
}

static void an_engine_that_gives_up_is_no_clean_answer(void **state)
{
    (void)state;
    struct scan_result r = scan_text(pool, "TRAP:fail");
    CHECK(r.verdict == VERDICT_NONE);
    CHECK_STR(r.reason, "engine trap did not answer: trap says no");
    CHECK(r.n_engines == 5);
    scan_result_clear(&r);
}

static void the_cage_holds_while_files_are_scanned(void **state)
{
    (void)state;
    struct scan_result r = scan_text(pool, "TRAP:open");
    CHECK(r.verdict == VERDICT_CLEAN);
    scan_result_clear(&r);
}

static void other_bytes_than_the_caller_hashed_are_refused(void **state)
{
    (void)state;
    struct scan_result r = {0};
    struct digest other = digest_of(span_str("other"));
    struct scan_job job = {
        .fd = sealed(span_str("hello")), .name = "x", .expect = &other, .result = &r};
    struct err e = {0};
    CHECK_OK(scan_files(pool, &job, 1, &e), e);
    CHECK(r.verdict == VERDICT_UNINSPECTABLE);
    CHECK(strstr(r.reason, "other bytes") != NULL);
    scan_result_clear(&r);
    close(job.fd);
}

static void a_pipe_and_a_huge_file_never_reach_a_worker(void **state)
{
    (void)state;
    int ends[2], big = memfd_create("big", MFD_CLOEXEC);
    CHECK(pipe(ends) == 0 && ftruncate(big, (off_t)3 << 30) == 0);
    struct scan_result r[2] = {{0}, {0}};
    struct scan_job jobs[2] = {{.fd = ends[0], .name = "pipe", .result = &r[0]},
                               {.fd = big, .name = "big", .result = &r[1]}};
    struct err e = {0};
    CHECK_OK(scan_files(pool, jobs, 2, &e), e);
    CHECK(r[0].verdict == VERDICT_UNINSPECTABLE && finding(&r[0], "no-file") != NULL);
    CHECK(r[1].verdict == VERDICT_UNINSPECTABLE && finding(&r[1], "limit-file") != NULL);
    for (size_t i = 0; i < 2; i++) {
        scan_result_clear(&r[i]);
        close(ends[i]);
    }
    close(big);
}

static void *one_caller(void *arg)
{
    (void)arg;
    static const char *const texts[] = {"a", "TRAP:count", "b", "TRAP:count"};
    for (int round = 0; round < 3; round++) {
        struct scan_result r[4];
        scan_texts(pool, texts, 4, r);
        for (size_t i = 0; i < 4; i++) {
            CHECK(r[i].verdict == (i % 2 == 0 ? VERDICT_CLEAN : VERDICT_SUSPICIOUS));
            /* never a file of another call in the same worker */
            CHECK(i % 2 == 0 || r[i].findings[0].offset == (int64_t)(i / 2));
            scan_result_clear(&r[i]);
        }
    }
    return NULL;
}

static void several_threads_may_call_at_once(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        CHECK(pthread_create(&threads[i], NULL, one_caller, NULL) == 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        pthread_join(threads[i], NULL);
    }
}

int main(int argc, char **argv)
{
    proc_init();
    if (argc > 1 && strcmp(argv[1], "worker") == 0) {
        return worker();
    }
    const struct CMUnitTest tests[] = {
        TEST(a_worker_proves_itself_first),
        TEST(eicar_is_found_and_plain_words_are_clean),
        TEST(files_of_a_call_share_a_worker_of_one_batch),
        TEST(after_an_anomaly_the_whole_batch_is_scanned_again_alone),
        TEST(an_engine_that_gives_up_is_no_clean_answer),
        TEST(the_cage_holds_while_files_are_scanned),
        TEST(other_bytes_than_the_caller_hashed_are_refused),
        TEST(a_pipe_and_a_huge_file_never_reach_a_worker),
        TEST(several_threads_may_call_at_once),
        TEST(a_trap_makes_its_own_file_uninspectable),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
