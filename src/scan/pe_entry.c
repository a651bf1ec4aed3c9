#include "scan/pe_entry.h"

#include "base/reader.h"

#define MACHINE_386 0x14c
#define MACHINE_AMD64 0x8664
#define WALK_BYTES 64
#define WALK_JUMPS 4

enum step { STEP_STOP, STEP_ON, STEP_HIT };

struct walk {
    const struct pe *pe;
    uint64_t from, len;   /* the range we ask about */
    uint64_t base, start; /* address of the first byte of `r`; of the present instruction */
    struct reader r;
    int jumps;
    bool wide;       /* REX.W */
    bool pushed_set; /* the instruction before pushed a constant */
    uint64_t pushed; /* that constant, as an address from the image base */
    uint64_t reg[8]; /* constants moved into registers, the same way */
    uint8_t reg_known;
};

static bool inside(const struct walk *w, uint64_t rva)
{
    return rva >= w->from && rva - w->from < w->len;
}

static uint64_t here(const struct walk *w)
{
    return w->base + w->r.at;
}

static uint64_t relative(const struct walk *w, int64_t by)
{
    return (here(w) + (uint64_t)by) & UINT32_MAX;
}

static enum step go_to(struct walk *w, uint64_t rva)
{
    if (inside(w, rva)) {
        return STEP_HIT;
    }
    if (w->jumps++ >= WALK_JUMPS) {
        return STEP_STOP;
    }
    struct span s = pe_bytes_at(w->pe, rva);
    s.len = s.len < WALK_BYTES ? s.len : WALK_BYTES;
    w->base = rva;
    w->r = reader_of(s);
    w->reg_known = 0;
    return STEP_ON;
}

/* Reads ModRM with all that belongs to it; an immediate is the caller's. */
static uint8_t modrm(struct walk *w)
{
    uint8_t m = reader_u8(&w->r);
    unsigned mod = m >> 6, rm = m & 7;
    if (mod == 3) {
        return m;
    }
    if (rm == 4) {
        rm = reader_u8(&w->r) & 7; /* SIB: its base 5 means disp32 as rm 5 does */
    }
    if (mod == 1) {
        reader_skip(&w->r, 1);
    } else if (mod == 2 || rm == 5) {
        reader_skip(&w->r, 4);
    }
    return m;
}

/* FF: inc, dec, push, call and jump through a register or memory. */
static enum step group_ff(struct walk *w)
{
    uint8_t m = modrm(w);
    unsigned op = (m >> 3) & 7, reg = m & 7;
    bool jump = op == 4 || op == 5;
    if ((op == 2 || op == 4) && m >> 6 == 3 && ((w->reg_known >> reg) & 1) != 0 &&
        inside(w, w->reg[reg])) {
        return STEP_HIT;
    }
    w->reg_known = op == 6 ? w->reg_known : 0;
    return jump ? STEP_STOP : STEP_ON;
}

static enum step two_bytes(struct walk *w)
{
    uint8_t op = reader_u8(&w->r);
    if (op >= 0x80 && op <= 0x8f) { /* conditional jump, far */
        int32_t by = (int32_t)reader_le32(&w->r);
        return inside(w, relative(w, by)) && !w->r.bad ? STEP_HIT : STEP_ON;
    }
    if (op == 0x1f || op == 0xb6 || op == 0xb7 || op == 0xbe || op == 0xbf || op == 0x10 ||
        op == 0x11 || op == 0x28 || op == 0x29 || op == 0x57) {
        modrm(w);
        return STEP_ON;
    }
    return op == 0x05 || op == 0x31 || op == 0xa2 ? STEP_ON : STEP_STOP;
}

static enum step move_constant(struct walk *w, uint8_t op)
{
    uint64_t v = w->wide ? reader_le64(&w->r) : reader_le32(&w->r);
    unsigned reg = op & 7;
    w->reg[reg] = v - w->pe->image_base;
    w->reg_known |= (uint8_t)(1u << reg);
    return STEP_ON;
}

static enum step branch(struct walk *w, uint8_t op, bool pushed)
{
    if (op == 0xc3 || op == 0xc2) {
        return pushed && inside(w, w->pushed) ? STEP_HIT : STEP_STOP;
    }
    bool near = op == 0xe8 || op == 0xe9;
    int64_t by = near ? (int32_t)reader_le32(&w->r) : (int8_t)reader_u8(&w->r);
    uint64_t to = relative(w, by);
    if (w->r.bad) {
        return STEP_STOP;
    }
    if (op == 0xe9 || op == 0xeb) {
        return go_to(w, to);
    }
    w->reg_known = op == 0xe8 ? 0 : w->reg_known;
    return inside(w, to) ? STEP_HIT : STEP_ON;
}

/* Length of the immediate behind an opcode without ModRM, or -1. */
static int plain_immediate(const struct walk *w, uint8_t op)
{
    static const uint8_t bare[] = {0x60, 0x61, 0x90, 0x98, 0x99, 0x9c, 0x9d, 0xc9,
                                   0xcc, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd};
    for (size_t i = 0; i < sizeof bare; i++) {
        if (bare[i] == op) {
            return 0;
        }
    }
    if (op >= 0x40 && op <= 0x5f) {
        return 0;
    }
    if (op < 0x40 && (op & 7) >= 4 && (op & 7) <= 5) {
        return (op & 7) == 4 ? 1 : 4;
    }
    if (op == 0x6a || op == 0xa8 || (op >= 0xb0 && op <= 0xb7)) {
        return 1;
    }
    if (op >= 0xa0 && op <= 0xa3) {
        return w->pe->plus ? 8 : 4;
    }
    return op == 0xa9 ? 4 : -1;
}

/* Length of the immediate behind an opcode with ModRM, or -1. */
static int modrm_immediate(uint8_t op)
{
    if ((op < 0x40 && (op & 7) < 4) || (op >= 0x84 && op <= 0x8b) || op == 0x8d || op == 0x8f ||
        op == 0xd1 || op == 0xd3) {
        return 0;
    }
    if (op == 0x80 || op == 0x83 || op == 0xc0 || op == 0xc1 || op == 0xc6 || op == 0x6b) {
        return 1;
    }
    return op == 0x81 || op == 0xc7 || op == 0x69 ? 4 : -1;
}

static enum step one_instruction(struct walk *w)
{
    bool pushed = w->pushed_set;
    w->pushed_set = w->wide = false;
    w->start = here(w);
    uint8_t op = reader_u8(&w->r);
    for (int i = 0; i < 4 && (op == 0x64 || op == 0x65 || op == 0xf2 || op == 0xf3); i++) {
        op = reader_u8(&w->r);
    }
    if (w->pe->plus && op >= 0x40 && op <= 0x4f) {
        w->wide = (op & 8) != 0;
        op = reader_u8(&w->r);
    }
    if (op == 0x0f) {
        return two_bytes(w);
    }
    if (op == 0x68) {
        w->pushed = (uint64_t)(int64_t)(int32_t)reader_le32(&w->r);
        w->pushed = (w->pe->plus ? w->pushed : w->pushed & UINT32_MAX) - w->pe->image_base;
        w->pushed_set = true;
        return STEP_ON;
    }
    if (op >= 0xb8 && op <= 0xbf) {
        return move_constant(w, op);
    }
    if (op == 0xff) {
        return group_ff(w);
    }
    if (op == 0xe8 || op == 0xe9 || op == 0xeb || op == 0xc3 || op == 0xc2 ||
        (op >= 0x70 && op <= 0x7f)) {
        return branch(w, op, pushed);
    }
    int plain = plain_immediate(w, op);
    if (plain >= 0) {
        reader_skip(&w->r, (size_t)plain);
        return STEP_ON;
    }
    int more = modrm_immediate(op);
    if (more >= 0) {
        modrm(w);
        reader_skip(&w->r, (size_t)more);
        w->reg_known = 0; /* it may have changed a register; we do not follow values */
        return STEP_ON;
    }
    return STEP_STOP;
}

bool pe_entry_leads_to(const struct pe *pe, uint64_t from, uint64_t len, uint64_t *at)
{
    if (pe->machine != MACHINE_386 && pe->machine != MACHINE_AMD64) {
        return false;
    }
    struct walk w = {.pe = pe, .from = from, .len = len};
    struct span s = pe_bytes_at(pe, pe->entry_rva);
    s.len = s.len < WALK_BYTES ? s.len : WALK_BYTES;
    w.base = pe->entry_rva;
    w.r = reader_of(s);
    while (!w.r.bad && reader_left(&w.r) > 0) {
        enum step now = one_instruction(&w);
        if (now == STEP_HIT) {
            *at = w.start;
            return true;
        }
        if (now == STEP_STOP) {
            return false;
        }
    }
    return false;
}
