#include "scan/scan.h"

static const struct {
    const char *text;
    int rank; /* the higher wins; clean is the least, so that it never hides a missing answer */
} verdicts[] = {
    [VERDICT_NONE] = {"none", 1},
    [VERDICT_CLEAN] = {"clean", 0},
    [VERDICT_SUSPICIOUS] = {"suspicious", 3},
    [VERDICT_MALICIOUS] = {"malicious", 4},
    [VERDICT_UNINSPECTABLE] = {"uninspectable", 2},
};

static bool known(enum verdict v)
{
    return (size_t)v < ARRAY_LEN(verdicts);
}

const char *verdict_text(enum verdict v)
{
    return verdicts[known(v) ? v : VERDICT_NONE].text;
}

enum verdict verdict_parse(const char *text)
{
    for (size_t i = 0; text != NULL && i < ARRAY_LEN(verdicts); i++) {
        if (strcmp(text, verdicts[i].text) == 0) {
            return (enum verdict)i;
        }
    }
    return VERDICT_NONE;
}

enum verdict verdict_worst(enum verdict a, enum verdict b)
{
    a = known(a) ? a : VERDICT_NONE;
    b = known(b) ? b : VERDICT_NONE;
    return verdicts[a].rank >= verdicts[b].rank ? a : b;
}
