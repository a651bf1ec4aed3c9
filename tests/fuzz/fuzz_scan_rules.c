/* fuzz_scan_rules.c - rules on their way: a bundle that is accepted is written again the same, and
 * a hash list that compiles is loaded and found by its hash. Compiled bytes that a taken compiler
 * made never crash the loader. */
#include "scan/bundle.h"
#include "scan/run.h"

static json_t *look(void *state, struct span bytes)
{
    struct loaded_engine one = {.engine = &engine_hashes, .state = state};
    struct run_setup setup = {
        .limits = {.time = 1000000, .ratio = 1}, .engines = &one, .n_engines = 1};
    return scan_run_file(&setup, "x", bytes);
}

static void a_list(struct span text)
{
    CLEANUP(buf_clear) struct buf compiled = BUF((size_t)1 << 26);
    CLEANUP(js_free) json_t *about = js_new();
    struct rule_file f = {.kind = RULE_HASHES, .name = "list", .text = text};
    struct err e;
    void *state = NULL;
    js_set(about, "list", js_list());
    if (engine_hashes.compile(&f, 1, &compiled, about, &e) < 0) {
        FUZZ_CHECK(strncmp(e.text, "list:", 5) == 0);
        return;
    }
    FUZZ_CHECK(engine_hashes.load(buf_view(&compiled), &state, &e) == 0);
    CLEANUP(js_free) json_t *answer = look(state, text);
    FUZZ_CHECK(json_array_size(json_object_get(answer, "failed")) == 0);
    /* a list that names itself has broken SHA-256; every other answer is clean */
    FUZZ_CHECK(strcmp(js_str_or(answer, "verdict", ""), "clean") == 0);
    engine_hashes.free(state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    struct rule_list l = {0};
    struct span found = SPAN_NONE;
    struct err e;
    void *state = NULL;
    if (bundle_parse(in, &l, &e) == 0) {
        CLEANUP(buf_clear) struct buf again = BUF(size + 1);
        bundle_write(&again, &l);
        FUZZ_CHECK(again.fault == 0 && again.len <= size);
        FUZZ_CHECK(memcmp(buf_text(&again), data, again.len) == 0);
        rule_list_clear(&l);
    }
    if (compiled_find(in, "hashes", &found, &e) == 0) {
        FUZZ_CHECK(found.len <= size);
    }
    if (engine_hashes.load(in, &state, &e) == 0) {
        json_t *answer = look(state, span_str("hello"));
        FUZZ_CHECK(json_array_size(json_object_get(answer, "failed")) == 0);
        json_decref(answer);
        engine_hashes.free(state);
    }
    a_list(in);
    return 0;
}
