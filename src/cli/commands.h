/* commands.h - every command, one const struct in the file of its family. */
#pragma once
#include "cli/cli.h"

extern const struct command cmd_account_add, cmd_account_disable, cmd_account_erase,
    cmd_account_import, cmd_account_list;
extern const struct command cmd_admit, cmd_backup, cmd_config_show, cmd_doctor, cmd_incident_scope,
    cmd_init;
extern const struct command cmd_key_list, cmd_key_passphrase, cmd_key_rotate, cmd_key_vkey;
extern const struct command cmd_lift, cmd_log_prove, cmd_log_tail, cmd_log_verify, cmd_man;
extern const struct command cmd_operator_add, cmd_org_add, cmd_org_erase, cmd_org_grant,
    cmd_org_import, cmd_org_list;
extern const struct command cmd_product_list, cmd_product_set, cmd_recall, cmd_release_approve,
    cmd_release_list, cmd_release_show;
extern const struct command cmd_retro, cmd_scan, cmd_serve, cmd_stop, cmd_version, cmd_withhold;
