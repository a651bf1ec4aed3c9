/* local.h - reach the gate of a site: the running server's, or one that is started for this command
 * and ends by itself when nobody is connected any more. */
#pragma once
#include "serve/serve.h"

struct local_opts {
    int site; /* borrowed */
    const char *path, *settings_text;
    const struct key_pass *pass; /* NULL: connect only, start nothing */
    bool with_root;              /* for key rotation; no effect on a running server */
};
/* *sock is a control connection that has answered. ERR_DENIED for a wrong passphrase. */
MUST_CHECK int local_connect(const struct local_opts *o, int *sock, struct err *e);

struct boot;
int local_main(struct boot *b); /* role "serve-local" */
