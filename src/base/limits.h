/* limits.h - every ceiling on input that somebody else chose, in one list. */
#pragma once

#define LIMIT_FRAME ((size_t)64 << 20)     /* one message between our processes */
#define LIMIT_JSON ((size_t)64 << 20)      /* one JSON document */
#define LIMIT_JSON_DEPTH 32                /* nesting of JSON and YAML */
#define LIMIT_REQUEST ((size_t)1 << 20)    /* body of an API request */
#define LIMIT_CONFIG ((size_t)1 << 20)     /* cordon.yaml */
#define LIMIT_RULE_FILE ((size_t)16 << 20) /* one YARA or hash file */
#define LIMIT_CSV ((size_t)64 << 20)       /* an import of organisations or accounts */
#define LIMIT_NAME ((size_t)200)           /* a name of an organisation, account, product */
#define LIMIT_TARGET ((size_t)1024)        /* a target path */
#define LIMIT_PATH ((size_t)4096)          /* a path on disk */
#define LIMIT_NOTE ((size_t)64 << 10)      /* a signed note */
#define LIMIT_ENTRY ((size_t)65535)        /* a tlog entry (C2SP tlog-tiles) */
#define LIMIT_DSSE ((size_t)4 << 20)       /* an attestation envelope */
#define LIMIT_CLAMD_REPLY ((size_t)8192)   /* an answer of clamd */
#define LIMIT_TUF_ROLE ((size_t)5000000)   /* a targets role, as the peers limit it */
#define LIMIT_LINE ((size_t)64 << 10)      /* a line of a log or text file */
#define LIMIT_KEY_FILE ((size_t)4096)      /* one key file, or the key-encryption key */
#define LIMIT_KEYRING ((size_t)256 << 20)  /* the keyring: some three million keys */
