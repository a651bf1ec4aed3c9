/* banned.h - calls that are too easy to get wrong fail to compile.
 *
 * err.h includes it for everybody. Macros rather than poison: only calls are refused, so headers of
 * libraries that merely mention a name still compile. */
#pragma once
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#undef strcpy
#define strcpy(...) banned_call_strcpy
#undef strncpy
#define strncpy(...) banned_call_strncpy
#undef strcat
#define strcat(...) banned_call_strcat
#undef strncat
#define strncat(...) banned_call_strncat
#undef sprintf
#define sprintf(...) banned_call_sprintf
#undef vsprintf
#define vsprintf(...) banned_call_vsprintf
#undef strtok
#define strtok(...) banned_call_strtok
#undef atoi
#define atoi(...) banned_call_atoi
#undef atol
#define atol(...) banned_call_atol
#undef atoll
#define atoll(...) banned_call_atoll
#undef sscanf
#define sscanf(...) banned_call_sscanf
#undef gmtime
#define gmtime(...) banned_call_gmtime
#undef localtime
#define localtime(...) banned_call_localtime
#undef mktemp
#define mktemp(...) banned_call_mktemp
#undef tmpnam
#define tmpnam(...) banned_call_tmpnam
#undef system
#define system(...) banned_call_system
#undef popen
#define popen(...) banned_call_popen
#undef alloca
#define alloca(...) banned_call_alloca
#undef gets
#define gets(...) banned_call_gets
