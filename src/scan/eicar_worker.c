/* The EICAR test file (eicar.org): 68 characters, then at most 60 blanks. It shows that a scanner
 * is awake, and every worker must find it before it is given a file. */
#include "scan/engine.h"
#include "scan/eicar.h"

#define EICAR_MOST ((size_t)128)

struct span eicar_text(char out[static EICAR_LEN + 1])
{
    /* in two halves, so that no scanner takes this program for the test file */
    static const char first[] = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STA";
    static const char second[] = "NDARD-ANTIVIRUS-TEST-FILE!$H+H*";
    snprintf(out, EICAR_LEN + 1, "%s%s", first, second);
    return span_of(out, EICAR_LEN);
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == 0x1a;
}

static const char *eicar_version(void)
{
    return "1";
}

static int eicar_scan(void *state, struct scan_run *run, const struct scan_object *o, struct err *e)
{
    (void)state;
    (void)e;
    char text[EICAR_LEN + 1];
    struct span want = eicar_text(text);
    if (o->bytes.len < want.len || o->bytes.len > EICAR_MOST ||
        memcmp(o->bytes.p, want.p, want.len) != 0) {
        return 0;
    }
    for (size_t i = want.len; i < o->bytes.len; i++) {
        if (!is_blank(o->bytes.p[i])) {
            return 0;
        }
    }
    scan_run_find(run, o, "eicar", EICAR_RULE, VERDICT_MALICIOUS, 0,
                  "the EICAR test file, harmless, which every scanner must find");
    return 0;
}

const struct engine engine_eicar = {.name = "eicar", .version = eicar_version, .scan = eicar_scan};
