/* openapi.h - the network interface, described for other people's tools (OpenAPI 3.1). */
#pragma once
#include "base/json.h"

struct openapi_op {
    const char *op, *role, *summary;
    const char *members; /* "name! other list[]": ! must be there */
};
extern const struct openapi_op openapi_ops[]; /* ends with op == NULL */

json_t *openapi_document(void); /* new reference */
