/* yara_init.h - what libyara must do once in a process, before the cage. */
#pragma once
#include "base/err.h"

MUST_CHECK int yara_init(struct err *e);
