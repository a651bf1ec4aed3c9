/* kind.h - what sort of container some bytes are, by their own marks.
 *
 * Names are not believed, with one exception: plain lzma has no mark worth the word. One kind maps
 * to exactly one reader, so that a file is never tried as this and then as that. */
#pragma once
#include "base/span.h"

enum kind {
    KIND_NONE, /* no container: looked at as it is */
    KIND_ZIP,
    KIND_7Z,
    KIND_RAR,
    KIND_RAR5,
    KIND_CAB,
    KIND_LHA,
    KIND_ISO,
    KIND_XAR,
    KIND_TAR,
    KIND_CPIO,
    KIND_AR,
    KIND_GZIP, /* from here to rpm: one stream of bytes inside */
    KIND_XZ,
    KIND_BZIP2,
    KIND_ZSTD,
    KIND_LZ4,
    KIND_LZIP,
    KIND_LZMA,
    KIND_COMPRESS,
    KIND_RPM,
    KIND_UNREADABLE, /* an archive of a sort that we cannot open; the word says which */
};

struct kind_found {
    enum kind kind;
    const char *word;  /* "zip", "gzip", "arj", ...; "" for none */
    struct span bytes; /* the container: less than all in a self-extractor */
};

struct kind_found kind_of(struct span bytes, const char *name);
