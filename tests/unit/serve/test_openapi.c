/* The document and the gate's tables speak of the same operations. */
#include "serve/gate.h"
#include "serve/openapi.h"

#include "base/mem.h"
#include "check.h"

static bool role_named(const char *roles, const char *role)
{
    return strstr(roles, role) != NULL;
}

static void every_operation_of_the_network_is_described(void **state)
{
    (void)state;
    static const struct gate_op *const tables[] = {gate_ops_admit, gate_ops_release,
                                                   gate_ops_customers, gate_ops_site};
    CLEANUP(js_free) json_t *doc = openapi_document();
    const json_t *paths = json_object_get(doc, "paths");
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        for (const struct gate_op *o = tables[i]; o->op != NULL; o++) {
            CLEANUP(mem_free) char *path = mem_printf("/api/v1/%s", o->op);
            bool there = json_object_get(paths, path) != NULL;
            if (there != (o->may != GATE_LOCAL)) {
                print_error("%s: described %d, allowed %u\n", o->op, there, o->may);
            }
            CHECK(there == (o->may != GATE_LOCAL));
            n += there;
        }
    }
    CHECK(json_object_size(paths) == n + 1); /* and upload */
}

static void roles_are_those_that_the_gate_lets_in(void **state)
{
    (void)state;
    for (const struct openapi_op *o = openapi_ops; o->op != NULL; o++) {
        const struct gate_op *g = gate_op_find(o->op);
        CHECK(g != NULL);
        CHECK(role_named(o->role, "release") == ((g->may & GATE_RELEASE) != 0));
        CHECK(role_named(o->role, "responder") == ((g->may & GATE_RESPONDER) != 0));
        CHECK(role_named(o->role, "build") == ((g->may & GATE_BUILD) != 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(every_operation_of_the_network_is_described),
                                       TEST(roles_are_those_that_the_gate_lets_in)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
