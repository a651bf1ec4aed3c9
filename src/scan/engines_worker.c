#include "scan/engine.h"

/* Cheap ones first; unpack last, because it asks them all again for each member. */
const struct engine *const scan_engines[] = {
    &engine_eicar, &engine_hashes, &engine_yara, &engine_pe, &engine_unpack,
};
const size_t scan_n_engines = ARRAY_LEN(scan_engines);
