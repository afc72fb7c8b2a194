/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Address translation and guest memory access: segmentation arithmetic, page walks, the TLB, and everything the inline
 * fast path does not do.
 *
 * The TLB is an array of 4 KiB entries per view (supervisor, user, supervisor with RFLAGS.AC); an entry's read and
 * write tags are set only for what needs no further work: the write tag only once the page's dirty bit is set and the
 * page has no flags (decoded code, dirty log). MMIO never gets a tag. Another vCPU may clear a write tag at any time
 * (soft_tlb_drop_writes()), so a fill publishes the tag first and looks at the flags again.
 */
#include <string.h>

#include "vmm/cpu/machine.h"
#include "vmm/cpu/native.h"

/* Result of a walk: the page and what may be done with it. */
struct translation {
	uint64_t gpa;  /* of the 4 KiB page */
	bool writable; /* at the privilege asked for, dirty bit already set */
	bool global;
};

#define PTE_P 0x001u
#define PTE_W 0x002u
#define PTE_U 0x004u
#define PTE_A 0x020u
#define PTE_D 0x040u
#define PTE_PS 0x080u
#define PTE_G 0x100u
#define PTE_NX (UINT64_C(1) << 63)

#define PF_P 0x01u
#define PF_W 0x02u
#define PF_U 0x04u
#define PF_RSVD 0x08u
#define PF_I 0x10u

void soft_tlb_init(struct soft_cpu *cpu)
{
	cpu->tlbs = g_malloc_n(MMU_N_VIEWS, sizeof cpu->tlbs[0]);
	cpu->itlbs = g_malloc_n(2, sizeof cpu->itlbs[0]);
	soft_tlb_flush(cpu, true);
}

static void tlb_entry_clear(struct tlb_entry *e)
{
	e->rtag = TLB_INVALID;
	__atomic_store_n(&e->wtag, TLB_INVALID, __ATOMIC_RELAXED);
}

void soft_tlb_flush(struct soft_cpu *cpu, bool globals_too)
{
	for (unsigned v = 0; v < MMU_N_VIEWS; v++) {
		for (unsigned i = 0; i < TLB_SIZE; i++) {
			if (globals_too || !(cpu->tlbs[v][i].gpa & 1))
				tlb_entry_clear(&cpu->tlbs[v][i]);
		}
	}
	for (unsigned v = 0; v < 2; v++) {
		for (unsigned i = 0; i < ITLB_SIZE; i++) {
			if (globals_too || !(cpu->itlbs[v][i].gpa & 1))
				cpu->itlbs[v][i].tag = TLB_INVALID;
		}
	}
	if (cpu->vcpu)
		stats_add(&cpu->vcpu->stats->tlb_flushes, 1);
}

void soft_tlb_flush_page(struct soft_cpu *cpu, uint64_t addr)
{
	for (unsigned v = 0; v < MMU_N_VIEWS; v++)
		tlb_entry_clear(&cpu->tlbs[v][addr >> 12 & (TLB_SIZE - 1)]);
	for (unsigned v = 0; v < 2; v++)
		cpu->itlbs[v][addr >> 12 & (ITLB_SIZE - 1)].tag = TLB_INVALID;
}

void soft_tlb_drop_writes(struct soft_cpu *cpu, uint64_t gpa)
{
	for (unsigned v = 0; v < MMU_N_VIEWS; v++) {
		for (unsigned i = 0; i < TLB_SIZE; i++) {
			struct tlb_entry *e = &cpu->tlbs[v][i];

			if (gpa == UINT64_MAX || (__atomic_load_n(&e->gpa, __ATOMIC_RELAXED) & PAGE_MASK) == gpa)
				__atomic_store_n(&e->wtag, TLB_INVALID, __ATOMIC_SEQ_CST);
		}
	}
}

/* ---- page walk (SDM volume 3 chapter 4) ---- */

/* One page-table format: how many levels, how wide the entries, how the linear address is cut. */
struct paging {
	unsigned levels;
	unsigned entry_size;
	unsigned index_bits;
};

static const struct paging paging_4level = { 4, 8, 9 };
static const struct paging paging_pae = { 3, 8, 9 };
static const struct paging paging_32bit = { 2, 4, 10 };

static const struct paging *paging_mode(const struct soft_cpu *cpu)
{
	if (!(cpu->cr4 & X86_CR4_PAE))
		return &paging_32bit;
	return cpu->efer & X86_EFER_LMA ? &paging_4level : &paging_pae;
}

static void *table_entry(struct soft_cpu *cpu, uint64_t gpa)
{
	struct soft_slot *slot = soft_slot_find(cpu->accel, gpa);

	return slot ? slot->host + (gpa - slot->gpa) : NULL;
}

static uint64_t entry_read(const void *p, unsigned size)
{
	return size == 8 ? __atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED) :
			   __atomic_load_n((const uint32_t *)p, __ATOMIC_RELAXED);
}

/* Sets accessed / dirty bits; false when the entry changed under us: walk again. */
static bool entry_mark(struct soft_cpu *cpu, void *p, unsigned size, uint64_t gpa, uint64_t old, uint64_t bits)
{
	struct soft_slot *slot;
	bool done;

	if ((old & bits) == bits)
		return true;
	slot = soft_slot_find(cpu->accel, gpa);
	if (!slot || !slot->page_flags)
		return true; /* tables in ROM cannot be marked */
	if (size == 8) {
		uint64_t expect = old;

		done = __atomic_compare_exchange_n((uint64_t *)p, &expect, old | bits, false, __ATOMIC_SEQ_CST,
						   __ATOMIC_SEQ_CST);
	} else {
		uint32_t expect = (uint32_t)old;

		done = __atomic_compare_exchange_n((uint32_t *)p, &expect, (uint32_t)(old | bits), false,
						   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	}
	if (done && slot->page_flags[(gpa - slot->gpa) >> 12])
		block_note_write(cpu, gpa, size);
	return done;
}

/* Bits that must be 0 in an entry of the given level (1 = page table). */
static uint64_t reserved_bits(const struct soft_cpu *cpu, const struct paging *mode, unsigned level, bool large)
{
	uint64_t high = ~cpu->phys_mask & UINT64_C(0x000fffffffffffff);
	uint64_t rsvd;

	if (mode == &paging_32bit)
		return large ? UINT64_C(1) << 21 : 0; /* PSE-36: bits 20:13 are address bits 39:32 */
	if (mode == &paging_pae && level == 3)
		return high | UINT64_C(0xfff00000000001e6);
	rsvd = high;
	if (mode == &paging_pae)
		rsvd |= UINT64_C(0x7ff0000000000000);
	if (!(cpu->efer & X86_EFER_NXE))
		rsvd |= PTE_NX;
	if (large)
		rsvd |= ((UINT64_C(1) << (12 + 9 * (level - 1))) - 1) & ~UINT64_C(0x1fff);
	if (level == 4)
		rsvd |= PTE_PS;
	return rsvd;
}

static uint64_t large_page_base(const struct paging *mode, uint64_t entry, unsigned shift)
{
	uint64_t base = entry & UINT64_C(0x000ffffffffff000) & ~((UINT64_C(1) << shift) - 1);

	if (mode == &paging_32bit)
		base = (entry & 0xffc00000u) | (entry >> 13 & 0xff) << 32;
	return base;
}

/*
 * Walks the tables for one access. user: at user privilege; smap: supervisor data access that must not reach user
 * pages. Returns false and *error (page-fault error code) on a fault.
 */
static bool walk(struct soft_cpu *cpu, uint64_t addr, unsigned access, bool user, bool smap, struct translation *out,
		 uint32_t *error)
{
	const struct paging *mode;
	uint64_t table, entry, entry_gpa, bits;
	bool w, u, nx, large, write_ok;
	void *p;

	if (!(cpu->cr0 & X86_CR0_PG)) {
		*out = (struct translation){ .gpa = (uint32_t)addr & PAGE_MASK, .writable = true };
		return true;
	}
	mode = paging_mode(cpu);
	*error = (access == ACCESS_WRITE ? PF_W : 0) | (user ? PF_U : 0) |
		 (access == ACCESS_EXEC &&
				  ((mode != &paging_32bit && cpu->efer & X86_EFER_NXE) || cpu->cr4 & X86_CR4_SMEP) ?
			  PF_I :
			  0);
again:
	table = mode == &paging_pae ? cpu->cr3 & 0xffffffe0u :
				      cpu->cr3 & (mode == &paging_4level ? UINT64_C(0x000ffffffffff000) : 0xfffff000u);
	w = u = true;
	nx = false;
	for (unsigned level = mode->levels;; level--) {
		unsigned shift = 12 + mode->index_bits * (level - 1);
		uint64_t index = addr >> shift & ((UINT64_C(1) << mode->index_bits) - 1);
		bool pae_pdpte = mode == &paging_pae && level == 3;

		if (pae_pdpte)
			index &= 3;
		entry_gpa = (table & cpu->phys_mask) + index * mode->entry_size;
		p = table_entry(cpu, entry_gpa);
		if (!p)
			return false;
		entry = entry_read(p, mode->entry_size);
		if (!(entry & PTE_P))
			return false;
		large = level > 1 && entry & PTE_PS && !pae_pdpte &&
			(mode != &paging_32bit || cpu->cr4 & X86_CR4_PSE) && level < 4;
		if (entry & reserved_bits(cpu, mode, level, large)) {
			*error |= PF_P | PF_RSVD;
			return false;
		}
		if (!pae_pdpte) {
			w &= !!(entry & PTE_W);
			u &= !!(entry & PTE_U);
			nx |= !!(entry & PTE_NX);
		}
		if (level == 1 || large) {
			uint64_t base = large ? large_page_base(mode, entry, shift) :
						entry & UINT64_C(0x000ffffffffff000);

			out->gpa = base + (large ? addr & ((UINT64_C(1) << shift) - 1) & PAGE_MASK : 0);
			break;
		}
		if (!pae_pdpte && !entry_mark(cpu, p, mode->entry_size, entry_gpa, entry, PTE_A))
			goto again;
		table = entry & UINT64_C(0x000ffffffffff000);
	}
	*error |= PF_P;
	write_ok = w || (!user && !(cpu->cr0 & X86_CR0_WP));
	if ((user && !u) || (access == ACCESS_WRITE && !write_ok) || (access == ACCESS_EXEC && nx) ||
	    (access == ACCESS_EXEC && !user && u && cpu->cr4 & X86_CR4_SMEP) ||
	    (smap && !user && u && access != ACCESS_EXEC))
		return false;
	bits = PTE_A | (access == ACCESS_WRITE ? PTE_D : 0);
	if (!entry_mark(cpu, p, mode->entry_size, entry_gpa, entry, bits))
		goto again;
	out->writable = write_ok && (entry | bits) & PTE_D;
	out->global = entry & PTE_G && cpu->cr4 & X86_CR4_PGE;
	return true;
}

static G_NORETURN void page_fault(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, uint32_t error)
{
	cpu->cr2 = addr;
	soft_fault(cpu, in, X86_EXC_PF, error);
}

static void check_canonical(struct soft_cpu *cpu, const struct insn *in, uint64_t addr)
{
	if (!soft_is64(cpu) || soft_canonical(addr))
		return;
	soft_fault(cpu, in, in && in->seg == X86_SS ? X86_EXC_SS : X86_EXC_GP, 0);
}

/* ---- data TLB ---- */

static enum mmu_view current_view(const struct soft_cpu *cpu)
{
	return (enum mmu_view)((struct tlb_entry(*)[TLB_SIZE])cpu->tlb - cpu->tlbs);
}

/* ---- data breakpoints (SDM volume 3 section 17.2.4) ---- */

static bool breakpoint_covers(const struct soft_cpu *cpu, unsigned i, uint64_t addr, uint64_t size, bool write)
{
	static const uint8_t lengths[] = { 1, 2, 8, 4 };
	unsigned type = cpu->dr[7] >> (16 + i * 4) & 3, len = lengths[cpu->dr[7] >> (18 + i * 4) & 3];
	uint64_t base = cpu->dr[i] & ~(uint64_t)(len - 1);

	if (!(cpu->dr[7] >> (i * 2) & 3) || !(type & 1) || (type == 1 && !write))
		return false;
	return addr < base + len && base < addr + size;
}

/* Notes which data breakpoints an access touches: they trap after the instruction. */
static void watch(struct soft_cpu *cpu, uint64_t addr, uint64_t size, unsigned access)
{
	for (unsigned i = 0; i < 4 && G_UNLIKELY(cpu->dr[7] & 0xff); i++)
		cpu->watch_hits |= (uint8_t)(breakpoint_covers(cpu, i, addr, size, access == ACCESS_WRITE) << i);
}

static bool page_is_watched(const struct soft_cpu *cpu, uint64_t page)
{
	for (unsigned i = 0; i < 4 && G_UNLIKELY(cpu->dr[7] & 0xff); i++) {
		if (breakpoint_covers(cpu, i, page, MEMORY_PAGE_SIZE, true))
			return true;
	}
	return false;
}

/* Enters a translation; the write tag only if nothing has to be done at writes. */
static void tlb_fill(struct soft_cpu *cpu, enum mmu_view view, uint64_t addr, const struct translation *t,
		     struct soft_slot *slot)
{
	struct tlb_entry *e = &cpu->tlbs[view][addr >> 12 & (TLB_SIZE - 1)];
	uint64_t page = addr & PAGE_MASK;
	volatile uint8_t *flags;

	if (view == MMU_CHECKED || page_is_watched(cpu, page))
		return;
	tlb_entry_clear(e);
	e->addend = (uint64_t)(uintptr_t)(slot->host + (t->gpa - slot->gpa)) - page;
	__atomic_store_n(&e->gpa, t->gpa | t->global, __ATOMIC_RELAXED);
	e->rtag = page;
	if (!t->writable || !slot->page_flags)
		return;
	flags = &slot->page_flags[(t->gpa - slot->gpa) >> 12];
	if (*flags)
		return;
	__atomic_store_n(&e->wtag, page, __ATOMIC_SEQ_CST);
	if (*flags)
		__atomic_store_n(&e->wtag, TLB_INVALID, __ATOMIC_SEQ_CST);
}

/* Where an access within one page lands: host pointer, or MMIO when host is NULL. */
struct landing {
	uint8_t *host;
	uint64_t gpa;
	bool rom;
	bool noted; /* page has flags: report writes */
};

static struct landing translate(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, unsigned access)
{
	bool user = cpu->cpl == 3;
	bool smap = cpu->cr4 & X86_CR4_SMAP && !(cpu->rflags & X86_FLAG_AC);
	struct translation t = { 0 };
	struct landing land = { 0 };
	struct soft_slot *slot;
	uint32_t error = 0;

	check_canonical(cpu, in, addr);
	stats_add(&cpu->vcpu->stats->tlb_misses, 1);
	if (!walk(cpu, addr, access, user, smap, &t, &error))
		page_fault(cpu, in, addr, error);
	land.gpa = t.gpa | (addr & ~PAGE_MASK);
	slot = soft_slot_find(cpu->accel, land.gpa);
	if (!slot)
		return land;
	tlb_fill(cpu, current_view(cpu), addr, &t, slot);
	land.host = slot->host + (land.gpa - slot->gpa);
	land.rom = !slot->page_flags;
	land.noted = !land.rom && slot->page_flags[(land.gpa - slot->gpa) >> 12];
	return land;
}

static void check_alignment(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, unsigned size)
{
	if (G_UNLIKELY(current_view(cpu) == MMU_CHECKED) && size <= 8 && addr & (size - 1) &&
	    (!soft_is64(cpu) || soft_canonical(addr)))
		soft_fault(cpu, in, X86_EXC_AC, 0);
}

/* ---- MMIO ---- */

static bool is_lapic(const struct soft_cpu *cpu, uint64_t gpa)
{
	uint64_t base = lapic_base(cpu->lapic);

	return (base & 0xc00) == 0x800 && (gpa & PAGE_MASK) == (base & PAGE_MASK & cpu->phys_mask);
}

static uint64_t mmio_load(struct soft_cpu *cpu, uint64_t gpa, unsigned size)
{
	uint64_t val = 0;

	stats_add(&cpu->vcpu->stats->exits[STATS_EXIT_MMIO], 1);
	simd_sync(cpu);
	if (is_lapic(cpu, gpa))
		return lapic_mmio_read(cpu->lapic, gpa & 0xffc) >> (gpa & 3) * 8;
	bus_read(cpu->vm->mmio, gpa, size, &val);
	return val;
}

static void mmio_store(struct soft_cpu *cpu, uint64_t gpa, unsigned size, uint64_t val)
{
	stats_add(&cpu->vcpu->stats->exits[STATS_EXIT_MMIO], 1);
	simd_sync(cpu);
	if (is_lapic(cpu, gpa))
		lapic_mmio_write(cpu->lapic, gpa & 0xffc, (uint32_t)val);
	else
		bus_write(cpu->vm->mmio, gpa, size, val);
}

/* ---- slow accesses ---- */

static unsigned room_in_page(uint64_t addr)
{
	return (unsigned)(MEMORY_PAGE_SIZE - (addr & ~PAGE_MASK));
}

/* Where an operand that crosses goes on: 32-bit addresses wrap around. */
static uint64_t next_page(const struct soft_cpu *cpu, uint64_t addr)
{
	uint64_t next = (addr & PAGE_MASK) + MEMORY_PAGE_SIZE;

	return soft_is64(cpu) ? next : (uint32_t)next;
}

static uint64_t host_load(const void *p, unsigned size)
{
	switch (size) {
	case 1:
		return *(const volatile uint8_t *)p;
	case 2:
		return *(const volatile u16_alias *)p;
	case 4:
		return *(const volatile u32_alias *)p;
	default:
		return *(const volatile u64_alias *)p;
	}
}

static void host_store(void *p, unsigned size, uint64_t val)
{
	switch (size) {
	case 1:
		*(volatile uint8_t *)p = (uint8_t)val;
		break;
	case 2:
		*(volatile u16_alias *)p = (uint16_t)val;
		break;
	case 4:
		*(volatile u32_alias *)p = (uint32_t)val;
		break;
	default:
		*(volatile u64_alias *)p = val;
		break;
	}
}

uint64_t soft_load_slow(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, unsigned size)
{
	struct landing land;
	uint64_t val = 0;

	check_alignment(cpu, in, addr, size);
	watch(cpu, addr, size, ACCESS_READ);
	if (G_UNLIKELY(room_in_page(addr) < size)) {
		soft_read_bytes(cpu, in, addr, &val, size);
		return val;
	}
	land = translate(cpu, in, addr, ACCESS_READ);
	return land.host ? host_load(land.host, size) : mmio_load(cpu, land.gpa, size);
}

void soft_store_slow(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, unsigned size, uint64_t val)
{
	struct landing land;

	check_alignment(cpu, in, addr, size);
	watch(cpu, addr, size, ACCESS_WRITE);
	if (G_UNLIKELY(room_in_page(addr) < size)) {
		soft_write_bytes(cpu, in, addr, &val, size);
		return;
	}
	land = translate(cpu, in, addr, ACCESS_WRITE);
	if (!land.host) {
		mmio_store(cpu, land.gpa, size, val);
		return;
	}
	if (land.rom)
		return;
	if (land.noted)
		block_note_write(cpu, land.gpa, size);
	host_store(land.host, size, val);
}

/*
 * A LOCKed operand in two pages cannot be one host instruction: it goes through a copy, under a lock that keeps other
 * such operands of the machine out. Held to the end of the block, where the run loop gives it back.
 */
static void split_begin(struct soft_cpu *cpu)
{
	if (cpu->split_held)
		return;
	g_mutex_lock(&cpu->accel->split_lock);
	cpu->split_held = true;
	atomic_store(&cpu->exit_request, 1);
}

void *soft_ptr_slow(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, unsigned size, unsigned access)
{
	struct landing land;

	check_alignment(cpu, in, addr, size);
	watch(cpu, addr, size, access);
	if (G_UNLIKELY(room_in_page(addr) < size))
		check_canonical(cpu, in, addr + size - 1);
	land = translate(cpu, in, addr, access);
	if (G_UNLIKELY(room_in_page(addr) < size)) {
		translate(cpu, in, next_page(cpu, addr), access);
		if (in && in->flags & INSN_LOCK)
			split_begin(cpu);
		return NULL;
	}
	if (!land.host || (land.rom && access == ACCESS_WRITE))
		return NULL;
	if (access == ACCESS_WRITE && land.noted)
		block_note_write(cpu, land.gpa, size);
	return land.host;
}

/* Largest power of two that both fits the length and is aligned at addr: how a wide MMIO operand is cut. */
static unsigned mmio_piece(uint64_t gpa, size_t len)
{
	unsigned piece = 8;

	while (piece > len || gpa & (piece - 1))
		piece >>= 1;
	return piece;
}

static void mmio_copy(struct soft_cpu *cpu, uint64_t gpa, uint8_t *buf, size_t len, bool write)
{
	while (len) {
		unsigned piece = mmio_piece(gpa, len);
		uint64_t val = 0;

		if (write) {
			memcpy(&val, buf, piece);
			mmio_store(cpu, gpa, piece, val);
		} else {
			val = mmio_load(cpu, gpa, piece);
			memcpy(buf, &val, piece);
		}
		gpa += piece;
		buf += piece;
		len -= piece;
	}
}

static void copy_page(struct soft_cpu *cpu, const struct landing *land, uint8_t *buf, size_t len, bool write)
{
	if (!land->host) {
		mmio_copy(cpu, land->gpa, buf, len, write);
	} else if (!write) {
		memcpy(buf, land->host, len);
	} else if (!land->rom) {
		if (land->noted)
			block_note_write(cpu, land->gpa, len);
		memcpy(land->host, buf, len);
	}
}

static void transfer(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, uint8_t *buf, size_t len,
		     unsigned access)
{
	size_t first = MIN(len, room_in_page(addr));
	struct landing a;

	check_canonical(cpu, in, addr + len - 1);
	a = translate(cpu, in, addr, access);
	watch(cpu, addr, len, access);
	/* Both pages are translated before a byte moves: a fault must leave nothing behind. */
	if (first < len) {
		struct landing b = translate(cpu, in, next_page(cpu, addr), access);

		copy_page(cpu, &b, buf + first, len - first, access == ACCESS_WRITE);
	}
	copy_page(cpu, &a, buf, first, access == ACCESS_WRITE);
}

void soft_read_bytes(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, void *buf, size_t len)
{
	transfer(cpu, in, addr, buf, len, ACCESS_READ);
}

void soft_write_bytes(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, const void *buf, size_t len)
{
	uint8_t copy[MEMORY_PAGE_SIZE];

	memcpy(copy, buf, len);
	transfer(cpu, in, addr, copy, len, ACCESS_WRITE);
}

void soft_probe_write(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, unsigned size)
{
	if (room_in_page(addr) < size)
		check_canonical(cpu, in, addr + size - 1);
	translate(cpu, in, addr, ACCESS_WRITE);
	if (room_in_page(addr) < size)
		translate(cpu, in, next_page(cpu, addr), ACCESS_WRITE);
}

/* ---- system accesses ---- */

/* The view of a supervisor whom SMAP does not stop is just that of a system access: its TLB serves both. */
static struct landing translate_system(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, unsigned access)
{
	const struct tlb_entry *e = &cpu->tlbs[MMU_SUPERVISOR_AC][addr >> 12 & (TLB_SIZE - 1)];
	struct translation t = { 0 };
	struct landing land = { 0 };
	struct soft_slot *slot;
	uint32_t error = 0;

	if ((access == ACCESS_WRITE ? e->wtag : e->rtag) == (addr & PAGE_MASK))
		return (struct landing){ .host = (uint8_t *)(addr + e->addend),
					 .gpa = (e->gpa & PAGE_MASK) | (addr & ~PAGE_MASK) };
	if (cpu->efer & X86_EFER_LMA && !soft_canonical(addr))
		soft_fault(cpu, in, X86_EXC_GP, 0);
	if (!walk(cpu, addr, access, false, false, &t, &error))
		page_fault(cpu, in, addr, error);
	land.gpa = t.gpa | (addr & ~PAGE_MASK);
	slot = soft_slot_find(cpu->accel, land.gpa);
	if (!slot)
		return land;
	tlb_fill(cpu, MMU_SUPERVISOR_AC, addr, &t, slot);
	land.host = slot->host + (land.gpa - slot->gpa);
	land.rom = !slot->page_flags;
	land.noted = !land.rom && slot->page_flags[(land.gpa - slot->gpa) >> 12];
	return land;
}

static void transfer_system(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, uint8_t *buf, size_t len,
			    unsigned access)
{
	size_t first = MIN(len, room_in_page(addr));
	struct landing a, b = { 0 };

	if (!(cpu->efer & X86_EFER_LMA))
		addr = (uint32_t)addr;
	a = translate_system(cpu, in, addr, access);
	if (first < len) {
		b = translate_system(cpu, in, addr + first, access);
		copy_page(cpu, &b, buf + first, len - first, access == ACCESS_WRITE);
	}
	copy_page(cpu, &a, buf, first, access == ACCESS_WRITE);
}

uint64_t soft_sys_load(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, unsigned size)
{
	uint64_t val = 0;

	transfer_system(cpu, in, addr, (uint8_t *)&val, size, ACCESS_READ);
	return val;
}

void soft_sys_store(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, unsigned size, uint64_t val)
{
	transfer_system(cpu, in, addr, (uint8_t *)&val, size, ACCESS_WRITE);
}

/* ---- instruction fetch ---- */

const struct itlb_entry *soft_fetch_page(struct soft_cpu *cpu, const struct insn *in, uint64_t addr)
{
	bool user = cpu->cpl == 3;
	struct itlb_entry *e = &cpu->itlbs[user][addr >> 12 & (ITLB_SIZE - 1)];
	struct translation t = { 0 };
	struct soft_slot *slot;
	uint32_t error = 0;

	if (G_LIKELY(e->tag == (addr & PAGE_MASK)))
		return e;
	if (soft_is64(cpu) && !soft_canonical(addr))
		soft_fault(cpu, in, X86_EXC_GP, 0);
	if (!walk(cpu, addr, ACCESS_EXEC, user, false, &t, &error))
		page_fault(cpu, in, addr, error);
	slot = soft_slot_find(cpu->accel, t.gpa);
	/* Nothing to execute there: a real machine would fetch ones or device registers. */
	if (!slot)
		soft_fault(cpu, in, X86_EXC_GP, 0);
	e->tag = addr & PAGE_MASK;
	e->gpa = t.gpa | t.global;
	e->host = slot->host + (t.gpa - slot->gpa);
	return e;
}

/* ---- segmentation ---- */

uint64_t soft_ea_offset(struct soft_cpu *cpu, const struct insn *in)
{
	uint64_t offset = REG64(cpu, in->base) + (REG64(cpu, in->index) << in->scale) + (uint64_t)(int64_t)in->disp;

	if (in->flags & INSN_EA32)
		return (uint32_t)offset;
	if (in->flags & INSN_EA16)
		return (uint16_t)offset;
	return offset;
}

/*
 * Expand-down data segments are valid above their limit. An operand may wrap around in a segment that is the whole of 4
 * GiB: the manual leaves that to the processor, and processors do not mind. SDM volume 3 section 5.3.
 */
static bool inside_limit(const struct x86_segment *seg, uint64_t offset, unsigned size)
{
	bool code = seg->attr & 0x8, expand_down = !code && seg->attr & 0x4;
	uint64_t last = offset + size - 1;

	if (!expand_down)
		return last <= seg->limit || (seg->limit == UINT32_MAX && !seg->base);
	return offset > seg->limit && last <= (seg->attr & X86_ATTR_DB ? UINT64_C(0xffffffff) : UINT64_C(0xffff));
}

static bool segment_allows(const struct soft_cpu *cpu, const struct x86_segment *seg, unsigned access)
{
	bool code = seg->attr & 0x8, rw = seg->attr & 0x2;

	if (!(cpu->cr0 & X86_CR0_PE) || cpu->rflags & X86_FLAG_VM)
		return true;
	if (!(seg->attr & X86_ATTR_P))
		return false;
	return access == ACCESS_WRITE ? !code && rw : !code || rw;
}

uint64_t soft_linear(struct soft_cpu *cpu, const struct insn *in, enum x86_seg which, uint64_t offset, unsigned size,
		     unsigned access)
{
	const struct x86_segment *seg = &cpu->seg[which];

	if (soft_is64(cpu)) {
		if (which == X86_SS && G_UNLIKELY(!soft_canonical(offset)))
			soft_fault(cpu, in, X86_EXC_SS, 0);
		return which >= X86_FS ? seg->base + offset : offset;
	}
	if (G_UNLIKELY(!segment_allows(cpu, seg, access) || !inside_limit(seg, offset, size)))
		soft_fault(cpu, in, which == X86_SS ? X86_EXC_SS : X86_EXC_GP, 0);
	return (uint32_t)(seg->base + offset);
}

uint64_t soft_ea_slow(struct soft_cpu *cpu, const struct insn *in, unsigned size, unsigned access)
{
	return soft_linear(cpu, in, (enum x86_seg)in->seg, soft_ea_offset(cpu, in), size, access);
}
