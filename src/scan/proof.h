/* proof.h - what a worker must show before it is given a file (P6). */
#pragma once
#include "scan/run.h"

/* Forbidden calls are denied (named in `denied`), EICAR is found, a clean text is clean and every
 * engine answers. Not `strict`: rules may match the clean text, as one for a retro-hunt may. */
MUST_CHECK int proof_run(const struct run_setup *setup, bool strict, json_t *denied, struct err *e);
