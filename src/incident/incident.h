/* incident.h - who has it: from something bad to exact deliveries, accounts and organisations. */
#pragma once
#include "delivery/delivery.h"
#include "release/release_db.h"

/* Criteria, as `incident scope` and the API send them:
 * {targets[], sha256[] (also of a member inside; sha1 and md5 too), paths[], rules[] (names whose
 * findings are recorded), nodes[], orgs[], from?, to?, state?: "recalled"|"withheld"}; all lists
 * optional, at least one criterion. `log` is {size, root} of the newest event.
 * *out: {incident, window{from,to}, targets[{path sha256 state}], deliveries[{grant from to
 * organisation account target sha256 granted acked size holder}], organisations[{name holder
 * targets[] first last}], ruled_out, not_covered[], log{size,root}}. New reference. */
MUST_CHECK int incident_scope(struct db *db, const json_t *criteria, const json_t *log,
                              json_t **out, struct err *e);
