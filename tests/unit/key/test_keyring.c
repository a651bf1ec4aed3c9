#include "key/keyring.h"
#include "key/keyring_priv.h"

#include "base/file.h"
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ORG(n) ((struct keyring_id){KEYRING_ORG, (n)})
#define ACCOUNT(n) ((struct keyring_id){KEYRING_ACCOUNT, (n)})

static const struct key_sub sub = {.b = {7}}, other = {.b = {8}};
static struct check_dir dir;
static struct keyring *ring;
static struct err e;

static int fresh(void **state)
{
    (void)state;
    dir = check_dir();
    CHECK_OK(keyring_create(dir.fd, "keyring", &sub, &e), e);
    CHECK_OK(keyring_open(dir.fd, "keyring", &sub, &ring, &e), e);
    return 0;
}

static int clear(void **state)
{
    (void)state;
    keyring_close(&ring);
    check_dir_clear(&dir);
    return 0;
}

static void again(void)
{
    keyring_close(&ring);
    CHECK_OK(keyring_open(dir.fd, "keyring", &sub, &ring, &e), e);
}

static void add_synced(struct keyring_id id)
{
    CHECK_OK(keyring_add(ring, id, &e), e);
    CHECK_OK(keyring_sync(ring, &e), e);
}

static struct key_sub key_of(struct keyring_id id)
{
    struct key_sub k;
    CHECK_OK(keyring_get(ring, id, &k, &e), e);
    return k;
}

static bool same(struct key_sub a, struct key_sub b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static off_t size(void)
{
    struct stat st;
    CHECK(fstatat(dir.fd, "keyring", &st, 0) == 0);
    return st.st_size;
}

static void thousands_of_keys_come_back(void **state)
{
    (void)state;
    static struct key_sub keys[6000];
    for (uint64_t i = 0; i < 6000; i++) {
        CHECK_OK(keyring_add(ring, i % 6 == 0 ? ORG(i) : ACCOUNT(i), &e), e);
        keys[i] = key_of(i % 6 == 0 ? ORG(i) : ACCOUNT(i));
        CHECK(i == 0 || !same(keys[i], keys[i - 1]));
    }
    CHECK_OK(keyring_add(ring, (struct keyring_id){KEYRING_SITE, 0}, &e), e);
    CHECK_OK(keyring_sync(ring, &e), e);
    again();
    CHECK(keyring_count(ring) == 6001 && keyring_cut(ring) == 0);
    for (uint64_t i = 0; i < 6000; i++) {
        CHECK(same(keys[i], key_of(i % 6 == 0 ? ORG(i) : ACCOUNT(i))));
        CHECK(keyring_state(ring, i % 6 == 0 ? ACCOUNT(i) : ORG(i)) == KEYRING_ABSENT);
    }
}

static void a_key_that_is_there_is_kept(void **state)
{
    (void)state;
    add_synced(ORG(1));
    struct key_sub k = key_of(ORG(1));
    off_t before = size();
    add_synced(ORG(1));
    CHECK(same(k, key_of(ORG(1))) && size() == before && keyring_count(ring) == 1);
    CHECK(keyring_create(dir.fd, "keyring", &sub, &e) == ERR_CONFLICT);
    again();
    CHECK(same(k, key_of(ORG(1))));
    CHECK(keyring_add(ring, (struct keyring_id){(enum keyring_kind)9, 1}, &e) == ERR_BUG);
}

static void an_erased_key_is_gone_from_the_file_and_stays_gone(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 10; i++) {
        CHECK_OK(keyring_add(ring, ACCOUNT(i), &e), e);
    }
    CHECK_OK(keyring_sync(ring, &e), e);
    struct key_sub kept = key_of(ACCOUNT(4)), k;
    CLEANUP(buf_clear) struct buf old = BUF(100000);
    CLEANUP(buf_clear) struct buf now = BUF(100000);
    CHECK_OK(file_read(dir.fd, "keyring", 100000, &old, &e), e);
    int held = openat(dir.fd, "keyring", O_RDONLY | O_CLOEXEC); /* the old file, by its inode */
    const struct keyring_id gone[] = {ACCOUNT(3), ACCOUNT(7), ORG(99)};
    CHECK_OK(keyring_erase(ring, gone, 3, &e), e);
    CHECK(keyring_get(ring, ACCOUNT(3), &k, &e) == ERR_NOTFOUND && strstr(e.text, "erased"));
    add_synced(ORG(50)); /* goes to the new file */
    again();
    CHECK(keyring_count(ring) == 9 && keyring_state(ring, ORG(50)) == KEYRING_HELD);
    for (size_t i = 0; i < 3; i++) {
        CHECK(keyring_state(ring, gone[i]) == KEYRING_ERASED);
        CHECK(keyring_add(ring, gone[i], &e) == ERR_CONFLICT);
    }
    CHECK(same(kept, key_of(ACCOUNT(4))));
    CHECK_OK(file_read(dir.fd, "keyring", 100000, &now, &e), e);
    struct span seal = span_of(old.p + 4 * KEYRING_RECORD + 16, 72); /* of account 3 */
    CHECK(memmem(now.p, now.len, seal.p, seal.len) == NULL);
    uint8_t bytes[72];
    CHECK(pread(held, bytes, sizeof bytes, 4 * (off_t)KEYRING_RECORD + 16) == 72);
    CHECK(memcmp(bytes, seal.p, seal.len) != 0);
    close(held);
    /* a record from the older file does not open in the new one */
    memcpy(now.p + 4 * KEYRING_RECORD, old.p + 4 * KEYRING_RECORD, KEYRING_RECORD);
    CHECK_OK(file_write(dir.fd, "keyring", buf_view(&now), 0600, &e), e);
    keyring_close(&ring);
    CHECK(keyring_open(dir.fd, "keyring", &sub, &ring, &e) == ERR_FORMAT);
}

static void a_torn_last_record_is_cut(void **state)
{
    (void)state;
    add_synced(ORG(1));
    add_synced(ORG(2));
    off_t whole = size();
    for (off_t lost = 1; lost < (off_t)KEYRING_RECORD; lost++) {
        CHECK(keyring_state(ring, ORG(2)) == KEYRING_HELD);
        keyring_close(&ring);
        char path[300];
        snprintf(path, sizeof path, "%s/keyring", dir.path);
        CHECK(truncate(path, whole - lost) == 0);
        again();
        CHECK(keyring_cut(ring) == KEYRING_RECORD - (size_t)lost);
        CHECK(keyring_state(ring, ORG(2)) == KEYRING_ABSENT && keyring_count(ring) == 1);
        add_synced(ORG(2));
        CHECK(size() == whole);
        again();
        CHECK(keyring_cut(ring) == 0);
    }
    /* room that the file system made, and did not fill */
    char path[300];
    snprintf(path, sizeof path, "%s/keyring", dir.path);
    CHECK(truncate(path, whole + 2 * (off_t)KEYRING_RECORD + 5) == 0);
    again();
    CHECK(keyring_cut(ring) == 2 * KEYRING_RECORD + 5 && keyring_count(ring) == 2);
    add_synced(ORG(3));
    CHECK(size() == whole + (off_t)KEYRING_RECORD);
    again();
    CHECK(keyring_count(ring) == 3);
}

static void rot_is_reported_with_its_place(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 4; i++) {
        add_synced(ORG(i));
    }
    keyring_close(&ring);
    CLEANUP(buf_clear) struct buf file = BUF(100000);
    CHECK_OK(file_read(dir.fd, "keyring", 100000, &file, &e), e);
    for (size_t i = 0; i < file.len; i++) {
        file.p[i] ^= 0x40;
        CHECK_OK(file_write_lazy(dir.fd, "keyring", buf_view(&file), 0600, &e), e);
        int r = keyring_open(dir.fd, "keyring", &sub, &ring, &e);
        CHECK(ring == NULL);
        if (i < KEYRING_RECORD) {
            CHECK(r == ERR_FORMAT || r == ERR_TRUST);
        } else {
            char place[40];
            snprintf(place, sizeof place, "byte %zu ", i / KEYRING_RECORD * KEYRING_RECORD);
            CHECK(r == ERR_FORMAT && strstr(e.text, place) != NULL);
        }
        file.p[i] ^= 0x40;
    }
    for (size_t len = 0; len < KEYRING_RECORD; len++) {
        CHECK_OK(file_write_lazy(dir.fd, "keyring", span_of(file.p, len), 0600, &e), e);
        CHECK(keyring_open(dir.fd, "keyring", &sub, &ring, &e) == ERR_FORMAT);
    }
    CHECK_OK(file_write(dir.fd, "keyring", buf_view(&file), 0600, &e), e);
    CHECK(keyring_open(dir.fd, "keyring", &other, &ring, &e) == ERR_TRUST);
    CHECK(keyring_open(dir.fd, "none", &sub, &ring, &e) == ERR_NOTFOUND);
    CHECK(strstr(e.text, "second copy") != NULL);
}

static void a_copy_serves_as_well(void **state)
{
    (void)state;
    add_synced(ORG(1));
    add_synced(ACCOUNT(2));
    CHECK_OK(keyring_erase(ring, &(struct keyring_id){KEYRING_ACCOUNT, 2}, 1, &e), e);
    struct key_sub k = key_of(ORG(1));
    CHECK_OK(keyring_copy(ring, dir.fd, "copy", &e), e);
    add_synced(ORG(3)); /* the ring itself goes on */
    again();
    CHECK(keyring_state(ring, ORG(3)) == KEYRING_HELD);
    keyring_close(&ring);
    CHECK(renameat(dir.fd, "copy", dir.fd, "keyring") == 0);
    again();
    CHECK(same(k, key_of(ORG(1))) && keyring_state(ring, ACCOUNT(2)) == KEYRING_ERASED);
    const struct keyring_id mentioned[] = {ORG(1), ACCOUNT(2), ORG(3), ORG(4)};
    struct keyring_id lost[1];
    CHECK(keyring_lost(ring, mentioned, 4, lost, 1) == 2);
    CHECK(lost[0].kind == KEYRING_ORG && lost[0].id == 3);
    CHECK(keyring_lost(ring, mentioned, 2, NULL, 0) == 0);
}

static void a_full_disk_loses_nothing(void **state)
{
    (void)state;
    add_synced(ORG(1));
    off_t before = size();
    pid_t pid = fork();
    if (pid == 0) {
        rlim_t room = (rlim_t)before + 40; /* stands for a full disk: half a record fits */
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){room, RLIM_INFINITY});
        int full = keyring_add(ring, ORG(2), &e);
        int absent = keyring_state(ring, ORG(2)) == KEYRING_ABSENT;
        struct keyring_id one = ORG(1);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){10, RLIM_INFINITY});
        int erase = keyring_erase(ring, &one, 1, &e);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY});
        int held = keyring_state(ring, one) == KEYRING_HELD;
        int later = keyring_add(ring, ORG(3), &e);
        int synced = keyring_sync(ring, &e);
        _exit(full == ERR_SYS && absent && erase == ERR_SYS && held && later == 0 && synced == 0
                  ? 0
                  : 1);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(size() == before + (off_t)KEYRING_RECORD);
    again();
    CHECK(keyring_count(ring) == 2 && keyring_state(ring, ORG(2)) == KEYRING_ABSENT);
    CHECK(keyring_state(ring, ORG(3)) == KEYRING_HELD);
}

#define UNIT(fn) cmocka_unit_test_setup_teardown(fn, fresh, clear)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(thousands_of_keys_come_back),
        UNIT(a_key_that_is_there_is_kept),
        UNIT(an_erased_key_is_gone_from_the_file_and_stays_gone),
        UNIT(a_torn_last_record_is_cut),
        UNIT(rot_is_reported_with_its_place),
        UNIT(a_copy_serves_as_well),
        UNIT(a_full_disk_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
