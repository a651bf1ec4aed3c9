/* eicar.h - the text of the EICAR test file, put together at run time. */
#pragma once
#include "base/span.h"

#define EICAR_LEN ((size_t)68)
#define EICAR_RULE "EICAR-Test-File"

struct span eicar_text(char out[static EICAR_LEN + 1]); /* fills `out`, views it */
