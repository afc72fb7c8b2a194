/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Page walks: Intel SDM volume 3 chapter 4. */
#include "vmm/paging.h"

#define PRESENT 0x01u
#define LARGE 0x80u
#define ADDRESS_MASK UINT64_C(0x000ffffffffff000)

/* A table of 2^bits entries of size bytes each; shift: of the address range an entry covers. */
static bool walk_level(const struct memory *mem, uint64_t *table, uint64_t linear, unsigned shift, unsigned bits,
		       unsigned size, uint64_t *entry)
{
	uint64_t index = linear >> shift & ((UINT64_C(1) << bits) - 1), raw = 0;

	if (!memory_read(mem, *table + index * size, &raw, size))
		return false;
	*entry = GUINT64_FROM_LE(raw);
	*table = *entry & ADDRESS_MASK;
	return *entry & PRESENT;
}

static bool walk_32(const struct memory *mem, const struct x86_cpu_state *cpu, uint64_t linear, uint64_t *gpa)
{
	uint64_t table = cpu->cr3 & 0xfffff000, entry;

	linear &= UINT32_MAX;
	if (!walk_level(mem, &table, linear, 22, 10, 4, &entry))
		return false;
	if (entry & LARGE && cpu->cr4 & X86_CR4_PSE) {
		*gpa = (entry & 0xffc00000) | (entry & 0x1fe000) << 19 | (linear & 0x3fffff);
		return true;
	}
	if (!walk_level(mem, &table, linear, 12, 10, 4, &entry))
		return false;
	*gpa = table | (linear & 0xfff);
	return true;
}

static bool walk_64(const struct memory *mem, const struct x86_cpu_state *cpu, uint64_t linear, uint64_t *gpa)
{
	bool long_mode = cpu->efer & X86_EFER_LMA;
	uint64_t table = long_mode ? cpu->cr3 & ADDRESS_MASK : cpu->cr3 & 0xffffffe0, entry;
	unsigned shift = long_mode ? 39 : 30;

	if (!long_mode)
		linear &= UINT32_MAX;
	for (; shift >= 12; shift -= 9) {
		if (!walk_level(mem, &table, linear, shift, !long_mode && shift == 30 ? 2 : 9, 8, &entry))
			return false;
		if (entry & LARGE && (shift == 21 || (shift == 30 && long_mode))) {
			uint64_t mask = (UINT64_C(1) << shift) - 1;

			*gpa = (table & ~mask) | (linear & mask);
			return true;
		}
	}
	*gpa = table | (linear & 0xfff);
	return true;
}

bool paging_translate(const struct memory *mem, const struct x86_cpu_state *cpu, uint64_t linear, uint64_t *gpa)
{
	if (!(cpu->cr0 & X86_CR0_PG)) {
		*gpa = linear;
		return true;
	}
	return cpu->cr4 & X86_CR4_PAE ? walk_64(mem, cpu, linear, gpa) : walk_32(mem, cpu, linear, gpa);
}

bool paging_read(const struct memory *mem, const struct x86_cpu_state *cpu, uint64_t addr, void *buf, size_t len)
{
	uint8_t *to = buf;

	if (!cpu)
		return memory_read(mem, addr, buf, len);
	while (len) {
		size_t head = MIN(len, MEMORY_PAGE_SIZE - addr % MEMORY_PAGE_SIZE);
		uint64_t gpa;

		if (!paging_translate(mem, cpu, addr, &gpa) || !memory_read(mem, gpa, to, head))
			return false;
		to += head;
		addr += head;
		len -= head;
	}
	return true;
}

struct pick {
	uint64_t left;
	struct x86_cpu_state *state;
	bool found;
};

static void pick_one(void *opaque, const struct x86_cpu_state *state)
{
	struct pick *pick = opaque;

	if (pick->left-- == 0) {
		*pick->state = *state;
		pick->found = true;
	}
}

bool paging_cpu_state(struct vm *vm, uint64_t index, struct x86_cpu_state *state)
{
	struct pick pick = { .left = index, .state = state };

	vm_inspect(vm, pick_one, &pick);
	return pick.found;
}
