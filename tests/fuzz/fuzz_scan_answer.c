/* fuzz_scan_answer.c - a taken worker may answer anything: what is accepted is consistent, says
 * clean only without findings and failures, and comes back the same. */
#include "scan/scan_priv.h"

static enum verdict worst_of(const struct scan_result *r)
{
    enum verdict v = VERDICT_CLEAN;
    for (size_t i = 0; i < r->n_findings; i++) {
        FUZZ_CHECK(r->findings[i].engine[0] != '\0' && r->findings[i].rule[0] != '\0');
        FUZZ_CHECK(r->findings[i].severity > VERDICT_NONE);
        v = verdict_worst(v, r->findings[i].severity);
    }
    return v;
}

/* The report shows members as the answer had them. */
static void check_members(const json_t *answer, const struct scan_result *r)
{
    CLEANUP(js_free) json_t *shown = scan_result_json(r);
    size_t i;
    json_t *m;
    json_array_foreach(json_object_get(answer, "members"), i, m)
    {
        const json_t *s = json_array_get(json_object_get(shown, "members"), i);
        static const char *const same[] = {"path", "size", "sha256", "sha1", "md5"};
        for (size_t k = 0; k < ARRAY_LEN(same); k++) {
            FUZZ_CHECK(json_equal(json_object_get(m, same[k]), json_object_get(s, same[k])));
        }
    }
}

static void check_taken(const json_t *answer, const struct scan_result *r)
{
    FUZZ_CHECK(strcmp(js_str_or(answer, "verdict", ""), verdict_text(r->verdict)) == 0);
    bool failed = json_array_size(json_object_get(answer, "failed")) > 0;
    FUZZ_CHECK(r->verdict == verdict_worst(worst_of(r), failed ? VERDICT_NONE : VERDICT_CLEAN));
    FUZZ_CHECK(r->n_findings == json_array_size(json_object_get(answer, "findings")));
    FUZZ_CHECK(r->n_members == json_array_size(json_object_get(answer, "members")));
    check_members(answer, r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(js_free) json_t *answer = NULL;
    CLEANUP(scan_result_clear) struct scan_result r = {0};
    struct err e;
    if (js_parse(span_of(data, size), size, "answer", &answer, &e) < 0) {
        return 0;
    }
    if (scan_answer_parse(answer, &r, &e) < 0) {
        FUZZ_CHECK(e.text[0] != '\0');
        FUZZ_CHECK(r.verdict == VERDICT_NONE && r.n_findings == 0 && r.n_members == 0);
        return 0;
    }
    check_taken(answer, &r);
    return 0;
}
