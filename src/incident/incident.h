/* incident.h - who has it: from something bad to exact deliveries, accounts and organisations. */
#pragma once
#include "delivery/delivery.h"
#include "release/release_db.h"

/* Criteria, as `incident scope` and the API send them:
 * {targets[], sha256[] (also of a member inside; SHA-1 and MD5 too), paths[], rules[] (names whose
 * findings are recorded), nodes[], orgs[], from?, to?, state?: "recalled"|"withheld"}; all lists
 * optional, at least one criterion. targets, sha256, paths, rules and state say which files, each
 * adding to the others; without any of them all files are meant. nodes, orgs and the window then
 * narrow. A path may end in `*`; from and to are texts that clock_parse() reads, or microseconds;
 * from is inclusive, to exclusive. `log` is {size, root} of the newest event.
 *
 * *out: {incident, window{from,to}, targets[{path sha256 state}], deliveries[{grant from to
 * organisation account target sha256 granted acked size holder}], organisations[{name holder
 * targets[] first last}], ruled_out[{name reason}], not_covered[], log{size,root}}. Times are
 * texts; `incident`, an open side of the window and the user name of an erased account are null.
 * The holder of a delivery is what its organisation is of that file. New reference. ERR_NOTFOUND:
 * an unknown target or organisation, because a slip of the pen must not answer "nobody"; unknown
 * hashes, paths and rules are named in not_covered. */
MUST_CHECK int incident_scope(struct db *db, const json_t *criteria, const json_t *log,
                              json_t **out, struct err *e);
