/* roles.h - the main functions of the processes, and what they share at their start. */
#pragma once
#include "base/file.h"
#include "base/settings.h"
#include "db/db.h"
#include "serve/boot.h"
#include "tuf/tuf.h"

int recorder_main(struct boot *boot);
int gate_main(struct boot *boot);
int web_main(struct boot *boot);

/* The settings that the supervisor handed over. */
MUST_CHECK int role_settings(const struct boot *b, struct settings **out, struct err *e);
/* How long each role of the repository is signed for, as settings say. */
void role_lives(const struct settings *s, int64_t life[TUF_ROLES]);
/* cordon.db; flags as db_open(). */
MUST_CHECK int role_db(const struct boot *b, unsigned flags, struct db **out, struct err *e);
/* Says why this process cannot start: to the log and to the supervisor. */
void role_failed(const struct boot *b, const struct err *e);
