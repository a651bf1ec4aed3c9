#include "scan/proof.h"

#include "scan/cage.h"
#include "scan/eicar.h"

#include "base/mem.h"

static const char clean_text[] = "A few plain words. No engine has a reason to object to them.\n";

static int all_answered(const json_t *answer, struct err *e)
{
    const json_t *failed = json_array_get(json_object_get(answer, "failed"), 0);
    if (failed == NULL) {
        return 0;
    }
    return err_set(e, ERR_UNAVAIL, "worker's own test: engine %s does not answer: %s",
                   js_str_or(failed, "engine", "?"), js_str_or(failed, "reason", "?"));
}

static int find_eicar(const struct run_setup *setup, struct err *e)
{
    char text[EICAR_LEN + 1];
    CLEANUP(js_free) json_t *answer = scan_run_file(setup, "eicar.com", eicar_text(text));
    int r = all_answered(answer, e);
    if (r < 0) {
        return r;
    }
    size_t i;
    json_t *f;
    json_array_foreach(json_object_get(answer, "findings"), i, f)
    {
        if (strcmp(js_str_or(f, "rule", ""), EICAR_RULE) == 0) {
            return 0;
        }
    }
    return err_set(e, ERR_TRUST, "worker's own test: the EICAR test file is not found");
}

static int pass_clean(const struct run_setup *setup, bool strict, struct err *e)
{
    struct span clean = span_of(clean_text, sizeof clean_text - 1);
    CLEANUP(js_free) json_t *answer = scan_run_file(setup, "clean.txt", clean);
    int r = all_answered(answer, e);
    if (r < 0) {
        return r;
    }
    size_t i;
    json_t *f;
    json_array_foreach(json_object_get(answer, "findings"), i, f)
    {
        const char *engine = js_str_or(f, "engine", "?");
        bool by_rule = strcmp(engine, "yara") == 0 || strcmp(engine, "hashes") == 0;
        if (strict || !by_rule) {
            return err_set(e, ERR_TRUST,
                           "worker's own test: rule %s of engine %s objects to a clean text: %s",
                           js_str_or(f, "rule", "?"), engine, js_str_or(f, "text", ""));
        }
    }
    return 0;
}

int proof_run(const struct run_setup *setup, bool strict, json_t *denied, struct err *e)
{
    int r = cage_prove(denied, e);
    r = r < 0 ? r : find_eicar(setup, e);
    return r < 0 ? r : pass_clean(setup, strict, e);
}
