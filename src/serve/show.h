/* show.h - web.db: what the web process may know. Written by the gate, read by web; nothing about
 * customers. */
#pragma once
#include "db/db.h"

#define SHOW_FILE "web.db"
extern const struct db_migration show_migrations[];
extern const size_t show_migrations_n;
#define SHOW_GROUP "show"
