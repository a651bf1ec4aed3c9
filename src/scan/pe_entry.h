/* pe_entry.h - where a program's first instructions lead.
 *
 * An infector that keeps the entry point's address replaces the first bytes there by a jump into
 * its body. This follows the plain instructions at the entry point, for 64 bytes and a few jumps,
 * and stops at the first that it does not know: it never guesses at a byte in mid-instruction. */
#pragma once
#include "scan/pe.h"

/* True when one of them jumps, calls or returns to an address inside [from, from + len); *at is
 * then the address of that instruction. Only for x86 and x86-64; false for others. */
bool pe_entry_leads_to(const struct pe *pe, uint64_t from, uint64_t len, uint64_t *at);
