/* Real signers in processes of their own, asked over their sockets: what they sign, and what nobody
 * can make them sign. */
#include "signer/signer.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/dsse.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/proc.h"
#include "check.h"

#define NAME "test.example"
#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

struct site {
    struct check_dir d;
    struct key_kek *kek;
};

static void new_site(struct site *s)
{
    struct err e;
    int64_t life[TUF_ROLES] = {0};
    CLEANUP(key_pass_clear) struct key_pass pass = {0};
    CLEANUP(fd_close) int keys = -1;
    *s = (struct site){.d = check_dir()};
    CHECK(sodium_init() >= 0);
    CHECK_OK(file_mkdirs(s->d.fd, "keys", 0700, &e), e);
    CHECK_OK(file_open_dir(s->d.fd, "keys", &keys, &e), e);
    CHECK_OK(key_pass_set(&pass, span_str("for a test only"), &e), e);
    CHECK_OK(key_site_create(keys, &pass, KEY_COST_MIN, &e), e);
    CHECK_OK(key_site_open(keys, &pass, &s->kek, &e), e);
    CHECK_OK(signer_init(s->d.fd, s->kek, NAME, life, &e), e);
}

static void end_site(struct site *s)
{
    key_kek_close(&s->kek);
    check_dir_clear(&s->d);
}

/* A signer process; peers as the supervisor would wire them. */
struct running {
    pid_t pid;
    int boot;
    struct ipc_client *gate, *recorder;
};

static struct running start(struct site *s, bool repository, bool with_root)
{
    struct err e;
    int boot[2], gate[2], recorder[2] = {-1, -1};
    struct signer_boot b = {.repository = repository, .site = s->d.fd, .name = NAME};
    CHECK_OK(proc_pair(boot, &e), e);
    CHECK_OK(proc_pair(gate, &e), e);
    if (!repository) {
        CHECK_OK(proc_pair(recorder, &e), e);
    }
    key_subkey(s->kek, repository ? KEY_REPOSITORY : KEY_LOG, &b.sub);
    if (with_root) {
        b.with_root = true;
        key_subkey(s->kek, KEY_ROOT, &b.root);
    }
    struct running r = {.pid = fork(), .boot = boot[0]};
    CHECK(r.pid >= 0);
    if (r.pid == 0) {
        close(boot[0]);
        close(gate[0]);
        fd_close(&recorder[0]);
        b.boot = boot[1];
        b.peers[0] = gate[1];
        b.peers[1] = recorder[1];
        _exit(signer_main(&b));
    }
    close(boot[1]);
    close(gate[1]);
    fd_close(&recorder[1]);
    r.gate = ipc_client_new(gate[0], NULL, NULL);
    r.recorder = recorder[0] >= 0 ? ipc_client_new(recorder[0], NULL, NULL) : NULL;
    CLEANUP(ipc_msg_clear) struct ipc_msg m = {0};
    CHECK_OK(ipc_recv_within(r.boot, 60 * INT64_C(1000000), &m, &e), e);
    CHECK_OK(ipc_result(m.body, &e), e);
    return r;
}

static void stop(struct running *r)
{
    int status = -1;
    ipc_client_free(r->gate);
    if (r->recorder != NULL) {
        ipc_client_free(r->recorder);
    }
    fd_close(&r->boot);
    CHECK(waitpid(r->pid, &status, 0) == r->pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static json_t *request(const char *text)
{
    json_t *j = NULL;
    struct err e;
    CHECK_OK(js_parse(span_str(text), 100000, "a request", &j, &e), e);
    return j;
}

static int ask(struct ipc_client *c, const char *text, json_t **answer, struct err *e)
{
    CLEANUP(js_free) json_t *q = request(text);
    return ipc_call(c, q, NULL, answer, e);
}

#define RESULT(verdict, sha) "{\"verdict\":\"" verdict "\",\"sha256\":\"" sha "\",\"rules\":\"r1\"}"
#define FILE_OF(verdict, sha, seen)                                                                \
    "{\"name\":\"p/1/f\",\"sha256\":\"" sha "\",\"result\":" RESULT(verdict, seen) "}"
#define VERDICT(files)                                                                             \
    "{\"op\":\"verdict\",\"started\":\"s\",\"finished\":\"f\",\"files\":[" files "]}"

static char *attest(struct running *log, const char *sha)
{
    struct err e;
    CLEANUP(js_free) json_t *q = NULL;
    CLEANUP(js_free) json_t *a = NULL;
    const char *envelope = NULL;
    CLEANUP(mem_free)
    char *text =
        mem_printf("{\"op\":\"verdict\",\"started\":\"s\",\"finished\":\"f\",\"files\":[{"
                   "\"name\":\"p/1/f\",\"sha256\":\"%s\",\"result\":{\"verdict\":\"clean\","
                   "\"sha256\":\"%s\",\"rules\":\"r1\"}}]}",
                   sha, sha);
    q = request(text);
    CHECK_OK(ipc_call(log->gate, q, NULL, &a, &e), e);
    CHECK_OK(js_str(a, "envelope", &envelope, &e), e);
    return mem_str(envelope);
}

static json_t *publish(const char *sha, const char *envelope)
{
    CLEANUP(mem_free)
    char *text = mem_printf("{\"op\":\"publish\",\"envelopes\":[],\"targets\":[{\"path\":\"p/1/f\","
                            "\"length\":5,\"sha256\":\"%s\",\"chunks\":\"" B "\",\"log\":3}]}",
                            sha);
    json_t *q = request(text);
    if (envelope != NULL) {
        js_add_str(json_object_get(q, "envelopes"), envelope);
    }
    return q;
}

static void only_clean_results_are_attested(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        int want;
    } cases[] = {
        {VERDICT(FILE_OF("clean", A, A)), 0},
        {VERDICT(FILE_OF("suspicious", A, A)), ERR_DENIED},
        {VERDICT(FILE_OF("none", A, A)), ERR_DENIED},
        {VERDICT(FILE_OF("clean", A, A) "," FILE_OF("uninspectable", B, B)), ERR_DENIED},
        {VERDICT(FILE_OF("clean", A, B)), ERR_TRUST}, /* other bytes were inspected */
        {VERDICT(""), ERR_FORMAT},
        {"{\"op\":\"verdict\"}", ERR_FORMAT},
        {"{\"op\":\"sign\",\"bytes\":\"x\"}", ERR_FORMAT}, /* there is no such request */
    };
    struct site s;
    struct err e;
    new_site(&s);
    struct running log = start(&s, false, false);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(js_free) json_t *a = NULL;
        int r = ask(log.gate, cases[i].request, &a, &e);
        CHECK(cases[i].want == ERR_FORMAT ? r < 0 : r == cases[i].want);
    }
    stop(&log);
    end_site(&s);
}

static void gate_gets_no_checkpoint_and_recorder_no_verdict(void **state)
{
    (void)state;
    struct site s;
    struct err e;
    CLEANUP(js_free) json_t *a = NULL;
    new_site(&s);
    struct running log = start(&s, false, false);
    CHECK(ask(log.gate, "{\"op\":\"checkpoint\"}", &a, &e) < 0);
    CHECK(strstr(e.text, "checkpoint") != NULL);
    CHECK(ask(log.recorder, VERDICT(FILE_OF("clean", A, A)), &a, &e) < 0);
    stop(&log);
    end_site(&s);
}

static void nothing_is_published_without_its_attestation(void **state)
{
    (void)state;
    struct site s;
    struct err e;
    new_site(&s);
    struct running log = start(&s, false, false), repo = start(&s, true, false);
    CLEANUP(mem_free) char *of_a = attest(&log, A);
    CLEANUP(mem_free) char *forged = mem_str(of_a);
    char *at = strstr(forged, "\"sig\":\"");
    CHECK(at != NULL);
    at[10] = at[10] == 'A' ? 'B' : 'A';
    const struct {
        const char *sha, *envelope;
        int want;
    } cases[] = {
        {A, NULL, ERR_DENIED}, {B, of_a, ERR_DENIED}, {A, forged, ERR_TRUST}, {A, of_a, 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(js_free) json_t *q = publish(cases[i].sha, cases[i].envelope);
        struct tuf_docs docs = {0};
        CHECK(signer_docs(repo.gate, q, &docs, &e) == cases[i].want);
        CHECK((docs.n > 0) == (cases[i].want == 0));
        tuf_docs_clear(&docs);
    }
    stop(&repo);
    stop(&log);
    end_site(&s);
}

static void versions_rise_even_if_documents_were_lost(void **state)
{
    (void)state;
    struct site s;
    struct err e;
    new_site(&s);
    struct running log = start(&s, false, false), repo = start(&s, true, false);
    CLEANUP(mem_free) char *of_a = attest(&log, A);
    for (int64_t version = 2; version < 5; version++) { /* never written: signed again, higher */
        CLEANUP(js_free) json_t *q = publish(A, of_a);
        CLEANUP(js_free) json_t *st = NULL;
        json_t *roles = NULL, *timestamp = NULL;
        struct tuf_docs docs = {0};
        int64_t got = 0;
        CHECK_OK(signer_docs(repo.gate, q, &docs, &e), e);
        tuf_docs_clear(&docs);
        CHECK_OK(ask(repo.gate, "{\"op\":\"state\"}", &st, &e), e);
        CHECK_OK(js_obj(st, "roles", &roles, &e), e);
        CHECK_OK(js_obj(roles, "timestamp", &timestamp, &e), e);
        CHECK_OK(js_int(timestamp, "version", &got, &e), e);
        CHECK(got == version);
        stop(&repo);
        repo = start(&s, true, false);
    }
    stop(&repo);
    stop(&log);
    end_site(&s);
}

static void checkpoints_only_extend_the_last(void **state)
{
    (void)state;
    struct site s;
    struct err e;
    new_site(&s);
    struct running log = start(&s, false, false);
    struct digest leaf[3] = {tlog_leaf_hash(span_str("a")), tlog_leaf_hash(span_str("b")),
                             tlog_leaf_hash(span_str("c"))};
    struct tlog_head empty = tlog_head_empty(), one = {1, tlog_root_of(leaf, 1)},
                     two = {2, tlog_root_of(leaf, 2)}, other = {2, tlog_root_of(leaf + 1, 2)}, last;
    struct tlog_hashes none = {0}, proof = {.n = 1, .h = {leaf[1]}};
    CLEANUP(buf_clear) struct buf note = BUF(LIMIT_NOTE);
    CLEANUP(buf_clear) struct buf refused = BUF(LIMIT_NOTE);
    CHECK_OK(signer_checkpoint(log.recorder, &empty, &one, &none, &note, &e), e);
    CHECK(signer_checkpoint(log.recorder, &one, &other, &proof, &refused, &e) == ERR_TRUST);
    CHECK_OK(signer_checkpoint(log.recorder, &one, &two, &proof, &note, &e), e);
    stop(&log);
    log = start(&s, false, false); /* what it signed is remembered */
    CHECK_OK(signer_last(log.recorder, &last, &e), e);
    CHECK(last.size == 2 && digest_eq(&last.root, &two.root));
    CHECK(signer_checkpoint(log.recorder, &empty, &one, &none, &refused, &e) == ERR_TRUST);
    CHECK(refused.len == 0);
    stop(&log);
    end_site(&s);
}

static void rotation_needs_the_root_key(void **state)
{
    (void)state;
    struct site s;
    struct err e;
    new_site(&s);
    struct tuf_docs docs = {0};
    CLEANUP(js_free) json_t *q = request("{\"op\":\"rotate\",\"role\":\"timestamp\"}");
    struct running repo = start(&s, true, false);
    CHECK(signer_docs(repo.gate, q, &docs, &e) == ERR_DENIED);
    stop(&repo);
    repo = start(&s, true, true);
    CHECK_OK(signer_docs(repo.gate, q, &docs, &e), e);
    CLEANUP(fd_close) int metadata = -1;
    CHECK_OK(file_open_dir(s.d.fd, "metadata", &metadata, &e), e);
    CHECK_OK(tuf_write(metadata, &docs, &e), e);
    CHECK(file_exists(metadata, "2.root.json"));
    tuf_docs_clear(&docs);
    stop(&repo);
    end_site(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_clean_results_are_attested),
        TEST(gate_gets_no_checkpoint_and_recorder_no_verdict),
        TEST(nothing_is_published_without_its_attestation),
        TEST(versions_rise_even_if_documents_were_lost),
        TEST(checkpoints_only_extend_the_last),
        TEST(rotation_needs_the_root_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
