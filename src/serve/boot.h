/* boot.h - how a process of ours begins: one message on descriptor 3.
 *
 * The supervisor sends {role, site, listen.., peers[names]} with descriptors: the site's folder
 * first, then one socket for each name in `peers`, in order; secrets only to who needs them. The
 * boot socket stays open: its end means "stop" (graceful), and the child writes {"op":"ready"}
 * once it answers. */
#pragma once
#include "base/ipc.h"

struct boot {
    json_t *args;      /* owned */
    int sock;          /* the boot socket */
    int site;          /* the site's folder */
    int peer[IPC_FDS]; /* by position of `peers`; -1 once taken */
    size_t n_peers;
};
MUST_CHECK int boot_receive(int sock, struct boot *out, struct err *e);
void boot_clear(struct boot *b);
int boot_peer(struct boot *b, const char *name); /* takes it; -1 if it was not given */
MUST_CHECK int boot_secret(const struct boot *b, const char *name, uint8_t out[static 32],
                           struct err *e); /* hex in args.secrets */
MUST_CHECK int boot_ready(const struct boot *b, struct err *e);

/* Roles that main() dispatches: "PROGRAM worker", "PROGRAM serve-web", ... Returns an exit status.
 * Unknown names give -1. */
int serve_role(int argc, char **argv);
