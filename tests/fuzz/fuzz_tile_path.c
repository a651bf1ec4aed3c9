/* A path that is taken is the path of the tile that was read from it. */
#include "tlog/tlog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tlog_tile tile;
    struct span path = span_of(data, size);
    if (tlog_tile_parse(path, &tile, NULL) < 0) {
        return 0;
    }
    char again[TLOG_PATH];
    FUZZ_CHECK(span_is(path, tlog_tile_path(&tile, again)));
    FUZZ_CHECK(tile.level >= TLOG_ENTRIES && tile.level < (int)TLOG_LEVELS);
    FUZZ_CHECK(tile.width >= 1 && tile.width <= TLOG_WIDTH);
    return 0;
}
