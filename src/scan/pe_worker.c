/* The structure engine: does a program look as if something was appended after it was linked? */
#include "scan/engine.h"
#include "scan/pe_signs.h"

static const char *pe_version(void)
{
    return "1"; /* raise it when a sign is added or changed: old verdicts are asked again then */
}

static int pe_scan(void *state, struct scan_run *run, const struct scan_object *o, struct err *e)
{
    (void)state;
    (void)e;
    struct pe_signs signs;
    pe_signs_of(o->bytes, &signs);
    for (size_t i = 0; i < signs.n; i++) {
        const struct pe_sign *s = &signs.sign[i];
        if (s->common && !signs.strong) {
            continue;
        }
        scan_run_find(run, o, "pe", s->rule, s->strong ? VERDICT_SUSPICIOUS : VERDICT_CLEAN,
                      (int64_t)s->offset, "%s", s->text);
    }
    return 0;
}

const struct engine engine_pe = {
    .name = "pe",
    .version = pe_version,
    .scan = pe_scan,
};
