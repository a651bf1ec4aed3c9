/* yaml.h - YAML read as JSON values, on libyaml; every scalar is a text.
 *
 * The reader types scalars by its schema, so that `no` stays "no". Aliases, duplicate keys, depth
 * over LIMIT_JSON_DEPTH, tags, NUL and more than one document are refused with line and column. An
 * empty document is an empty object. */
#pragma once
#include "base/json.h"

MUST_CHECK int yaml_parse(struct span text, size_t max, const char *what, json_t **out,
                          struct err *e);
