/* event_text.h - an event of the record as one line for a person. */
#pragma once
#include "base/json.h"

/* Appends what happened, without index and time; control characters are left to the printer. An
 * unknown kind shows its members. */
void event_text(struct buf *out, const json_t *ev);
