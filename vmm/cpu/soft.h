/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_CPU_SOFT_H
#define LODGE_VMM_CPU_SOFT_H

#include <Zydis/Zydis.h>
#include <glib.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/accel.h"
#include "vmm/cpuid.h"
#include "vmm/dev/lapic.h"
#include "vmm/vm.h"

/*
 * The software CPU: an interpreter over cached decoded blocks. This header is the contract between its files; nothing outside
 * vmm/cpu/ includes it (tests of the CPU do).
 *
 * A *block* is a run of guest instructions decoded once (Zydis) into `struct insn` records, each with the C function that carries it out. Blocks are keyed by
 * the guest-physical address of their first byte and the decoding mode, belong to one vCPU, and end at a branch or at anything that may change the mode, the
 * translation or the interrupt window. An op function does its work and ends with `return NEXT(cpu, in)` (tail call to the next record);
 * the last record of a block stores cpu->rip and returns the next block when it knows it, or NULL.
 *
 * What must stay true:
 *  - Precise state: an op changes no architectural register or memory before everything that can fault has succeeded. rip is not kept up to date inside a
 *    block: the instruction's address is cpu->block_rip + in->off. soft_fault() computes it and does not return (longjmp to the run loop).
 *  - Flags live in cpu->cc in LAHF/SETO form (see cc_* below), all other RFLAGS bits in cpu->rflags. soft_get_rflags() joins them.
 *  - Host pointers into guest RAM come only from the TLB (mmu.c), are used within one op, and writes to pages with page_flags set go through the slow path.
 *  - Code patching: a store that hits decoded code kills the blocks it overlaps by overwriting every record's fn with op_block_exit; so the rest of the running
 *    block stops right after the store.
 *  - Another thread touches of a vCPU only: exit_request, the request queue (locked), the lapic, and wtag fields (atomic clear).
 */

struct soft_cpu;
struct insn;
struct block;
typedef struct block *(*op_fn)(struct soft_cpu *cpu, const struct insn *in);

/*
 * One decoded instruction. base, index, r1, r2 are byte offsets from the start of struct soft_cpu: a 64-bit register is gpr[n] at n * 8; AH..BH are at
 * n * 8 + 1; SLOT_ZERO reads 0 and SLOT_RIP reads block_rip. Linear address = base + (index << scale) + disp, unless INSN_EA_SLOW.
 */
struct insn {
	op_fn fn;
	union {
		struct {
			int32_t disp;
			int32_t imm; /* sign-extended immediate, branch target relative to the block start, stub number... */
		};
		uint64_t imm64;
	};
	uint8_t base, index, scale;
	uint8_t seg; /* enum x86_seg of the memory operand */
	uint8_t r1, r2; /* destination / source registers as byte offsets */
	uint8_t len;	/* bytes */
	uint8_t flags;	/* INSN_* */
	uint16_t off;	/* from the start of the block, bytes */
	uint16_t aux;	/* op-specific */
	uint32_t aux32; /* op-specific */
};

_Static_assert(sizeof(struct insn) == 32, "two records per cache line");

#define SLOT_ZERO 128u
#define SLOT_RIP 136u
#define SLOT_4G 144u

#define INSN_EA_SLOW 0x01u /* segmentation, FS/GS, or address size below 64: soft_ea_slow() */
#define INSN_EA16 0x02u	   /* address size 16 */
#define INSN_EA32 0x04u	   /* address size 32 */
#define INSN_LOCK 0x08u	   /* LOCK prefix, or XCHG with memory */
#define INSN_REP 0x10u	   /* F3 */
#define INSN_REPNE 0x20u   /* F2 */
#define INSN_OP16 0x40u	   /* operand size 16 */
#define INSN_OP64 0x80u	   /* operand size 64 (neither: 32, or 8 where the op says so) */

struct block {
	uint64_t gpa;		 /* of the first byte */
	uint64_t gpa2;		 /* page of the last byte when the block crosses a page, else UINT64_MAX */
	struct block *chain[2];	 /* successors in the same page: [0] fall-through / not taken, [1] taken */
	struct block *hash_next; /* other blocks of the same hash bucket */
	struct block *page_next; /* other blocks of the same page bucket, by first page */
	struct block *page2_next; /* same by second page, for blocks that cross */
	uint32_t mode;		 /* MODE_* it was decoded for */
	uint16_t n_insns;
	uint16_t bytes;
	bool dead;
	struct insn insns[];
};

/* Decoding mode: part of a block's key. */
#define MODE_64 0x1u
#define MODE_32 0x2u
#define MODE_SINGLE 0x8u /* only in block keys: one instruction, then back to the run loop */
#define MODE_16 0x4u /* real mode, virtual-8086 mode and 16-bit protected mode */

struct tlb_entry {
	uint64_t rtag, wtag; /* virtual page it may be read / written at, or TLB_INVALID */
	uint64_t addend;     /* host address = virtual address + addend */
	uint64_t gpa;	     /* physical page; bit 0: global */
};

struct itlb_entry {
	uint64_t tag;
	uint64_t gpa;	     /* physical page; bit 0: global */
	const uint8_t *host; /* first byte of the page */
};

#define TLB_INVALID UINT64_C(1)
#define TLB_SIZE 512u
#define ITLB_SIZE 128u
#define JUMP_CACHE_SIZE 4096u
#define PAGE_MASK (~UINT64_C(0xfff))

/* Which data view is in force: privilege and SMAP. */
/* MMU_CHECKED is never filled: every access takes the slow path, which then checks alignment (CR0.AM, RFLAGS.AC at CPL 3). */
enum mmu_view { MMU_SUPERVISOR, MMU_USER, MMU_SUPERVISOR_AC, MMU_CHECKED, MMU_N_VIEWS };

struct jump_entry {
	uint64_t rip;
	struct block *block;
};

/* An exception on its way: set by soft_fault(), consumed by exc_deliver(). */
struct soft_event {
	uint8_t vector;
	bool has_error;
	uint32_t error;
};

struct soft_request; /* queued work of another thread for this vCPU (mmu.c / block.c) */

struct soft_accel; /* the machine-wide part: accel.h inside vmm/cpu */

struct soft_cpu {
	uint64_t gpr[16]; /* offset 0: struct insn's offsets rely on it */
	uint64_t zero;	  /* SLOT_ZERO, always 0 */
	uint64_t block_rip; /* SLOT_RIP: IP (offset in CS) of the running block's first byte */
	uint64_t four_gib;  /* SLOT_4G, always 1 << 32: carries a RIP-relative displacement that leaves 32 bits once block-relative */
	struct tlb_entry *tlb; /* the view in force */
	uint32_t cc;	       /* arithmetic flags, see cc_* */
	uint32_t rflags;       /* all other flags (bit 1 set, arithmetic bits 0) */
	uint64_t rip;	       /* offset in CS; valid between blocks */
	_Atomic uint32_t exit_request; /* not 0: look around at the next block boundary */
	uint32_t mode;		       /* MODE_* */
	struct block *block;	       /* running */
	struct block **link;	       /* chain slot to fill with the next block, or NULL */
	uint64_t instructions;
	uint8_t cpl;
	uint8_t watch_hits; /* data breakpoints the running instruction has touched, as in DR6 */
	bool soft_interrupt; /* the instruction being single-stepped was INT n: it does not trap behind itself */
	bool split_held;   /* owns the machine's lock for LOCKed operands that cross a page */
	bool sti_shadow;   /* interrupts held off for one instruction (STI, MOV SS, POP SS) */
	bool ss_shadow;	   /* debug traps as well (MOV SS, POP SS); only looked at when single-stepping */
	bool halted;
	bool wait_sipi;
	bool nmi_pending, nmi_blocked;
	bool nmi_request; /* another thread wants an NMI; atomic */
	bool irq_waiting; /* an interrupt waits for IF or the end of a shadow */
	bool single_step;  /* TF or debug registers in force: blocks of one instruction, then #DB checks */
	bool delivering;   /* exc_deliver() is at work: a fault now means #DF or shutdown */
	bool shutdown;	   /* triple fault */

	struct x86_segment seg[X86_N_SEGS];
	struct x86_segment ldt, tr;
	struct x86_table gdt, idt;
	uint64_t cr0, cr2, cr3, cr4, efer, xcr0;
	uint64_t dr[8];

	/* FPU and vector state as FXSAVE keeps it, plus upper halves. Guest MXCSR is in fx.mxcsr. */
	struct x86_fxsave fx;
	uint8_t ymm_high[16][16];

	struct soft_event event;
	jmp_buf unwind;

	/* Everything else that is only copied in and out: MSRs by msr_policy's state_offset, and so on. */
	struct x86_cpu_state *store;

	struct soft_accel *accel;
	struct vcpu *vcpu;
	struct vm *vm;
	struct lapic *lapic;
	const struct cpu_features *features;
	uint64_t tsc_offset; /* guest TSC = host TSC + offset */
	uint64_t phys_mask;  /* valid physical address bits */

	struct tlb_entry (*tlbs)[TLB_SIZE];   /* [MMU_N_VIEWS] */
	struct itlb_entry (*itlbs)[ITLB_SIZE]; /* [2]: supervisor, user */
	struct jump_entry *jump_cache;
	struct block_cache *blocks; /* block.c */
	struct native_cache *native; /* native.c: generated stubs */

	GMutex sleep_lock;
	GCond sleep_cond;
	GMutex request_lock;
	GArray *requests; /* struct soft_request */
	bool sleeping;
	bool kicked; /* vcpu_kick(): vcpu_run() must return */
	uint64_t native_flags; /* native.c: RFLAGS into and out of a stub */
	uint32_t host_mxcsr;
	bool simd_live; /* the guest's SIMD exception flags gather in the host's MXCSR: simd_sync() */
	/* Bounce buffer for operands that cross pages or lie in MMIO; aligned, since instructions that insist on it run on it as themselves. */
	uint8_t scratch[64] __attribute__((aligned(64)));
};

_Static_assert(offsetof(struct soft_cpu, gpr) == 0, "insn offsets");
_Static_assert(offsetof(struct soft_cpu, zero) == SLOT_ZERO, "insn offsets");
_Static_assert(offsetof(struct soft_cpu, block_rip) == SLOT_RIP, "insn offsets");
_Static_assert(offsetof(struct soft_cpu, four_gib) == SLOT_4G, "insn offsets");

/* ---- op function helpers ------------------------------------------------------------------------------------------------------ */

#define OP(name) struct block *name(struct soft_cpu *cpu, const struct insn *in)
#define NEXT(cpu, in) ((in)[1].fn((cpu), (in) + 1))

typedef uint16_t __attribute__((may_alias, aligned(1))) u16_alias;
typedef uint32_t __attribute__((may_alias, aligned(1))) u32_alias;
typedef uint64_t __attribute__((may_alias, aligned(1))) u64_alias;

#define REG8(cpu, off) (*((uint8_t *)(cpu) + (off)))
#define REG16(cpu, off) (*(u16_alias *)((uint8_t *)(cpu) + (off)))
#define REG32(cpu, off) (*(u32_alias *)((uint8_t *)(cpu) + (off)))
#define REG64(cpu, off) (*(u64_alias *)((uint8_t *)(cpu) + (off)))
/* A 32-bit register write clears the upper half in 64-bit mode (harmless in others). */
#define SETREG32(cpu, off, val) (REG64(cpu, off) = (uint32_t)(val))

/* Address of the instruction / of the one after it, as IP values. */
#define INSN_RIP(cpu, in) ((cpu)->block_rip + (in)->off)
#define INSN_NEXT_RIP(cpu, in) ((cpu)->block_rip + (in)->off + (in)->len)

/* End of a block: the next instruction is the one after `in`, to be looked up (mode, translation or window may have changed). */
static inline struct block *soft_end(struct soft_cpu *cpu, const struct insn *in, uint64_t rip)
{
	(void)in;
	cpu->rip = rip;
	cpu->link = NULL;
	return NULL;
}

static inline bool soft_is64(const struct soft_cpu *cpu)
{
	return cpu->mode & MODE_64;
}

/* IP arithmetic wraps at 16, 32 or 64 bits with the code size in force. */
static inline uint64_t soft_ip_mask(const struct soft_cpu *cpu, uint64_t ip)
{
	return cpu->mode & MODE_64 ? ip : (cpu->mode & MODE_32 ? (uint32_t)ip : (uint16_t)ip);
}

static inline bool soft_canonical(uint64_t addr)
{
	return (uint64_t)((int64_t)(addr << 16) >> 16) == addr;
}

/* ---- flags -------------------------------------------------------------------------------------------------------------------- */

/* cc: bit 0 OF; bits 15..8 as LAHF leaves AH: SF 15, ZF 14, AF 12, PF 10, (1) 9, CF 8. Upper bits are garbage. */
#define CC_OF 0x0001u
#define CC_CF 0x0100u
#define CC_PF 0x0400u
#define CC_AF 0x1000u
#define CC_ZF 0x4000u
#define CC_SF 0x8000u

static inline uint32_t cc_to_rflags(uint32_t cc)
{
	return (cc >> 8 & 0xd5u) | (cc & 1) << 11;
}

static inline uint32_t cc_from_rflags(uint32_t rflags)
{
	return (rflags & 0xd5u) << 8 | 0x200u | (rflags >> 11 & 1);
}

static inline uint32_t soft_get_rflags(const struct soft_cpu *cpu)
{
	return cpu->rflags | cc_to_rflags(cpu->cc);
}

/* Replaces all of RFLAGS (the caller has masked what may change); updates views, single_step. */
void soft_set_rflags(struct soft_cpu *cpu, uint32_t rflags);

/* ---- faults (exc.c) ------------------------------------------------------------------------------------------------------------ */

/* Raises an exception at instruction `in` (NULL: cpu->rip is already exact). Does not return. */
G_NORETURN void soft_fault(struct soft_cpu *cpu, const struct insn *in, uint8_t vector, uint32_t error);
G_NORETURN void soft_fault_noerr(struct soft_cpu *cpu, const struct insn *in, uint8_t vector);

#define soft_ud(cpu, in) soft_fault_noerr((cpu), (in), X86_EXC_UD)
#define soft_gp(cpu, in, error) soft_fault((cpu), (in), X86_EXC_GP, (error))

enum exc_kind { EXC_EXCEPTION, EXC_EXTERNAL, EXC_NMI_EVENT, EXC_SOFT_INT, EXC_SOFT_INT3, EXC_ICEBP };

/*
 * Delivers an event through the IDT / IVT: real, virtual-8086, protected, long mode; interrupt, trap and task gates (the last refused with #GP-like VM error),
 * stack switch by TSS, IST. cpu->rip must be the return address (for EXC_SOFT_INT*: of the next instruction). May soft_fault() itself, which the run loop turns
 * into #DF or shutdown through exc_deliver_pending(). On success cpu->rip, CS, SS, flags, CPL and mode are the handler's.
 */
void exc_deliver(struct soft_cpu *cpu, enum exc_kind kind, uint8_t vector, bool has_error, uint32_t error);

/*
 * Called by the run loop after an unwind: takes cpu->event, applies the contributory / page-fault rules (SDM volume 3 table 6-5) when cpu->delivering is
 * set, and delivers; sets cpu->shutdown on a triple fault. cpu->delivering is false when it returns normally.
 */
void exc_deliver_pending(struct soft_cpu *cpu);

/* ---- segments and modes (seg.c) -------------------------------------------------------------------------------------------------- */

/* Loads a data/stack segment register with all checks (MOV Sreg, POP Sreg, LDS...; real and V86 mode too). */
void seg_load(struct soft_cpu *cpu, const struct insn *in, enum x86_seg seg, uint16_t selector);

/* After any change of CR0, CR4, EFER, CS, CPL or AC: recomputes cpu->mode, cpu->cpl (= SS.DPL rules), cpu->tlb. Does not flush the TLB. */
void soft_mode_changed(struct soft_cpu *cpu);

/* Size of the stack pointer now: 8, 4 or 2 bytes. */
static inline unsigned soft_stack_size(const struct soft_cpu *cpu)
{
	return cpu->mode & MODE_64 ? 8 : (cpu->seg[X86_SS].attr & X86_ATTR_DB ? 4 : 2);
}

/* ---- memory (mmu.c) -------------------------------------------------------------------------------------------------------------- */

#define ACCESS_READ 0u
#define ACCESS_WRITE 1u
#define ACCESS_EXEC 2u

/* Effective linear address of the memory operand where the quick form does not do: applies address size, segment base, limit and type checks. */
uint64_t soft_ea_slow(struct soft_cpu *cpu, const struct insn *in, unsigned size, unsigned access);

/* Same for an offset in a given segment (string instructions, stack in 16/32-bit modes, XLAT...). */
uint64_t soft_linear(struct soft_cpu *cpu, const struct insn *in, enum x86_seg seg, uint64_t offset, unsigned size, unsigned access);

/* Offset part only, without segment: LEA, and memory operands whose offset is adjusted first (BT m, r). Masked to the address size. */
uint64_t soft_ea_offset(struct soft_cpu *cpu, const struct insn *in);

static inline uint64_t soft_ea(struct soft_cpu *cpu, const struct insn *in, unsigned size, unsigned access)
{
	if (G_UNLIKELY(in->flags & INSN_EA_SLOW))
		return soft_ea_slow(cpu, in, size, access);
	return REG64(cpu, in->base) + (REG64(cpu, in->index) << in->scale) + (uint64_t)(int64_t)in->disp;
}

/* Accesses by linear address at the current privilege (SMAP honoured). size 1, 2, 4, 8. Fault on failure; MMIO and page crossings inside. */
uint64_t soft_load_slow(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, unsigned size);
void soft_store_slow(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, unsigned size, uint64_t val);

/*
 * Host pointer to size bytes (1 to 64) at addr for reading or writing, or NULL when the operand crosses a page or is MMIO; all permission faults have
 * been raised by then (both pages), and writes to decoded code noted. Then use soft_read_bytes()/soft_write_bytes(), which cannot fault any more for the same range.
 */
void *soft_ptr_slow(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, unsigned size, unsigned access);

/* Any length up to 4096; faults before anything is transferred. */
void soft_read_bytes(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, void *buf, size_t len);
void soft_write_bytes(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, const void *buf, size_t len);

/* Raises whatever a write to [addr, addr+size) would raise. */
void soft_probe_write(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, unsigned size);

/* System accesses (descriptor tables, TSS, IDT): as supervisor whatever the CPL is, not subject to SMAP. size 1, 2, 4, 8. */
uint64_t soft_sys_load(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, unsigned size);
void soft_sys_store(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, unsigned size, uint64_t val);

/* Translation for execution: fills the iTLB or faults. Returns the page's entry. addr: linear. */
const struct itlb_entry *soft_fetch_page(struct soft_cpu *cpu, const struct insn *in, uint64_t addr);

void soft_tlb_flush(struct soft_cpu *cpu, bool globals_too);
void soft_tlb_flush_page(struct soft_cpu *cpu, uint64_t addr);

static inline struct tlb_entry *soft_tlb(struct soft_cpu *cpu, uint64_t addr)
{
	return &cpu->tlb[addr >> 12 & (TLB_SIZE - 1)];
}

static inline void *soft_ptr(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, unsigned size, unsigned access)
{
	struct tlb_entry *e = soft_tlb(cpu, addr);

	if (G_LIKELY((access & ACCESS_WRITE ? e->wtag : e->rtag) == ((addr + size - 1) & PAGE_MASK)))
		return (void *)(addr + e->addend); // NOLINT
	return soft_ptr_slow(cpu, in, addr, size, access);
}

#define SOFT_LOAD(bits, type)                                                                                            \
	static inline uint##bits##_t soft_load##bits(struct soft_cpu *cpu, const struct insn *in, uint64_t addr)         \
	{                                                                                                                \
		const struct tlb_entry *e = soft_tlb(cpu, addr);                                                         \
                                                                                                                         \
		if (G_LIKELY(e->rtag == ((addr + bits / 8 - 1) & PAGE_MASK)))                                            \
			return *(const volatile type *)(addr + e->addend);                                               \
		return (uint##bits##_t)soft_load_slow(cpu, in, addr, bits / 8);                                          \
	}                                                                                                                \
	static inline void soft_store##bits(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, uint##bits##_t v) \
	{                                                                                                                \
		const struct tlb_entry *e = soft_tlb(cpu, addr);                                                         \
                                                                                                                         \
		if (G_LIKELY(e->wtag == ((addr + bits / 8 - 1) & PAGE_MASK)))                                            \
			*(volatile type *)(addr + e->addend) = v;                                                        \
		else                                                                                                     \
			soft_store_slow(cpu, in, addr, bits / 8, v);                                                     \
	}

SOFT_LOAD(8, uint8_t)
SOFT_LOAD(16, u16_alias)
SOFT_LOAD(32, u32_alias)
SOFT_LOAD(64, u64_alias)

/* ---- blocks (block.c) and decoding (decode.c) -------------------------------------------------------------------------------------- */

struct decoder {
	struct soft_cpu *cpu;
	ZydisDecodedInstruction zi;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	const uint8_t *bytes; /* zi.length bytes */
	uint32_t mode;	      /* MODE_* */
	unsigned page_off;    /* offset of the block's first byte in its page */
	bool end;	      /* set by a decode function: the block ends with this instruction */
};

/*
 * Chooses the op for the instruction in d->zi and fills the record (fn's result is stored by the caller). Common parts (len, off, LOCK/REP flags, operand-size
 * flags, and base/index/scale/disp/seg of the first memory operand, r1/r2 of the first and second visible general-register operands) are already filled in.
 * NULL: not this function's instruction -> it goes to decode_native().
 */
typedef op_fn (*decode_fn)(struct decoder *d, struct insn *in);

op_fn decode_alu(struct decoder *d, struct insn *in);	 /* op-alu.c: moves, arithmetic, logic, shifts, extensions, conditional moves */
op_fn decode_flow(struct decoder *d, struct insn *in);	 /* op-flow.c: near branches, calls, stack */
op_fn decode_string(struct decoder *d, struct insn *in); /* op-string.c: MOVS.. SCAS, INS, OUTS, IN, OUT */
op_fn decode_legacy(struct decoder *d, struct insn *in); /* op-legacy.c: BCD, PUSHA, BOUND, ENTER, XLAT, LAHF, bit tests, CMPXCHG.. */
op_fn decode_system(struct decoder *d, struct insn *in); /* op-system.c: privileged and far instructions */
op_fn decode_fpstate(struct decoder *d, struct insn *in); /* op-fpstate.c: FXSAVE, XSAVE, LDMXCSR, XGETBV.. */
op_fn decode_native(struct decoder *d, struct insn *in); /* native.c: runs as itself in a generated stub; NULL: #UD */

/* Byte offset of a general register (any width) in struct soft_cpu. */
uint8_t decode_reg(ZydisRegister reg);

/* Operand size of the first operand in bytes. */
static inline unsigned decode_size(const struct decoder *d)
{
	return d->op[0].size / 8;
}

OP(op_ud);		/* raises #UD */
OP(op_nop);
OP(op_block_exit);	/* a killed record: back to the run loop at this instruction */

/* True when CPUID offers what this instruction belongs to (isa.c). */
bool isa_offered(const struct cpu_features *features, const ZydisDecodedInstruction *zi);

/* Guest-physical [gpa, gpa+len) is about to be written by this vCPU: kills own overlapping blocks, posts to other owners. */
void block_note_write(struct soft_cpu *cpu, uint64_t gpa, size_t len);

/* ---- machine-wide (soft.c) --------------------------------------------------------------------------------------------------------- */

/* Asks the vCPU to look around at its next block boundary; wakes it from HLT. Any thread. */
void soft_wake(struct soft_cpu *cpu);

/* Guest TSC now; any thread. */
uint64_t soft_tsc(const struct soft_cpu *cpu);

/* CPUID, RDMSR, WRMSR of the guest. msr: false = #GP. */
void soft_cpuid(struct soft_cpu *cpu, uint32_t leaf, uint32_t subleaf, uint32_t out[4]);
bool soft_msr_read(struct soft_cpu *cpu, uint32_t msr, uint64_t *val);
bool soft_msr_write(struct soft_cpu *cpu, uint32_t msr, uint64_t val);

#endif
