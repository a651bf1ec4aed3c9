/* logsource.h - a log to be judged: this site's, a folder, or one behind an address; and the key
 * that it must be signed with. */
#pragma once
#include "cli/cli.h"
#include "tlog/tlog.h"

struct logsource {
    struct tlog_tiles tiles;
    char origin[LIMIT_NAME + 1];
    struct sig_public key;
    int dir;   /* folder, or -1 */
    char *url; /* with the path of the log, or NULL */
    bool ours; /* the site's */
};
/* `url`, `folder`, `vkey`: NULL where not given; what is missing comes from the site. CLI_USAGE if
 * both places are named, or no key is to be had. */
MUST_CHECK int logsource_open(struct app *app, const char *url, const char *folder,
                              const char *vkey, struct logsource *out, struct err *e);
void logsource_clear(struct logsource *s);
