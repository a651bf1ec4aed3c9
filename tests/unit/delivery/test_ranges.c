#include "delivery/delivery_priv.h"

#include "check.h"

static void ranges_join_cover_and_overlap(void **state)
{
    (void)state;
    CLEANUP(ranges_clear) struct ranges a = {0};
    CLEANUP(ranges_clear) struct ranges b = {0};
    CHECK(ranges_cover(&a, 0, 0) && !ranges_cover(&a, 0, 1));
    ranges_add(&a, 10, 20);
    ranges_add(&a, 0, 5);
    ranges_add(&a, 5, 7);
    ranges_add(&a, 9, 9);
    ranges_add(&a, 12, 14);
    ranges_join(&a);
    CHECK(a.n == 2 && ranges_bytes(&a) == 17);
    CHECK(ranges_cover(&a, 0, 7) && !ranges_cover(&a, 0, 8) && ranges_cover(&a, 11, 20));
    ranges_add(&b, 6, 11);
    ranges_add(&b, 19, 30);
    ranges_join(&b);
    CHECK(ranges_common(&a, &b) == 3 && ranges_common(&b, &a) == 3);
    ranges_add_all(&a, &b);
    ranges_join(&a);
    CHECK(a.n == 1 && ranges_bytes(&a) == 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(ranges_join_cover_and_overlap)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
