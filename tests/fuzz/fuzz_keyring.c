/* The lengths add up, what opens was accepted by the check too, and a ring written anew holds the
 * same keys. */
#include "key/keyring_priv.h"

static const struct key_sub sub = {.b = "the subkey of all seeds"};

static void reopen(struct keyring_table *t)
{
    CLEANUP(keyring_table_clear) struct keyring_table back = {0};
    CLEANUP(buf_clear) struct buf file = BUF(64 << 20);
    size_t used = 0;
    FUZZ_CHECK(keyring_write(t, &sub, &file, NULL) == 0);
    FUZZ_CHECK(keyring_parse(buf_view(&file), &sub, &back, &used, NULL) == 0);
    FUZZ_CHECK(used == file.len && back.n == t->n);
    for (size_t i = 0; i < t->n; i++) {
        const struct keyring_entry *a = &t->entries[i];
        const struct keyring_entry *b = keyring_table_find(&back, a->id);
        FUZZ_CHECK(b != NULL && b->state == a->state);
        FUZZ_CHECK(memcmp(&a->key, &b->key, sizeof a->key) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(keyring_table_clear) struct keyring_table t = {0};
    size_t records = 0, torn = 0, used = 0;
    struct span file = span_of(data, size);
    int checked = keyring_check(file, &records, &torn, NULL);
    int opened = keyring_parse(file, &sub, &t, &used, NULL);
    if (checked == 0) {
        FUZZ_CHECK((records + 1) * KEYRING_RECORD + torn == size);
    }
    if (opened == 0) {
        FUZZ_CHECK(checked == 0 && used == size - torn && t.n <= records);
        reopen(&t);
    }
    return 0;
}
