/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_CPU_MACHINE_H
#define LODGE_VMM_CPU_MACHINE_H

#include "vmm/cpu/soft.h"

/*
 * What the vCPUs of one software-accelerated VM share. Constant after the last vcpu_create(), except where an atomic
 * says otherwise.
 *
 * owners: one word per RAM page, bit n = vCPU n holds decoded blocks of it. A page's MEMORY_PAGE_CODE flag is set while
 * its word is not 0. Setting order matters (block_own_page()): first the word and the flag, then other vCPUs' write
 * tags are cleared, then the bytes are read and decoded; a TLB fill publishes its write tag first and then looks at the
 * flag again.
 */
#define SOFT_MAX_SLOTS 16u

struct soft_slot {
	uint64_t gpa, size;
	uint8_t *host;
	uint8_t *page_flags;	  /* NULL: ROM */
	_Atomic uint32_t *owners; /* NULL: ROM */
};

struct soft_accel {
	struct accel accel; /* first */
	struct lapic_bus *lapics;
	struct cpuid_table *cpuid;
	uint32_t tsc_khz;
	struct soft_slot slots[SOFT_MAX_SLOTS];
	size_t n_slots;
	_Atomic uint32_t *owners_memory;
	size_t owners_bytes;
	struct soft_cpu **cpus; /* n_vcpus, NULL until created */
	unsigned n_cpus;
	atomic_bool extint;  /* the PIC's INT output */
	uint64_t tsc_base;   /* guest TSC = host TSC - tsc_base while running */
	uint64_t paused_tsc; /* guest TSC at the moment of the pause */
	bool paused;
	uint64_t clock_tsc,
		clock_ns; /* PV clock anchor: guest TSC (without offset; 0 = not taken) and virtual time at one moment */
	GMutex split_lock;  /* LOCKed operands that cross a page (mmu.c) */
	GMutex clock_lock;  /* the anchor */
	size_t block_bytes; /* arena per vCPU */
};

/*
 * INVALIDATE: kill overlapping blocks. WRITTEN: own note that code of others has been written by the instruction that
 * ended the block: tell them.
 */
enum soft_request_kind { SOFT_REQUEST_INVALIDATE, SOFT_REQUEST_WRITTEN };

/* Queued for another vCPU's next block boundary. */
struct soft_request {
	enum soft_request_kind kind;
	uint64_t gpa;
	uint64_t len;
};

static inline struct soft_slot *soft_slot_find(struct soft_accel *accel, uint64_t gpa)
{
	for (size_t i = 0; i < accel->n_slots; i++) {
		struct soft_slot *slot = &accel->slots[i];

		if (gpa - slot->gpa < slot->size)
			return slot;
	}
	return NULL;
}

/* Queues work for a vCPU and wakes it. Any thread. */
void soft_post(struct soft_cpu *cpu, enum soft_request_kind kind, uint64_t gpa, uint64_t len);

/* ---- mmu.c ---- */
void soft_tlb_init(struct soft_cpu *cpu);
/* Clears write tags for a physical page (UINT64_MAX: all) in a vCPU's TLB. Any thread. */
void soft_tlb_drop_writes(struct soft_cpu *cpu, uint64_t gpa);

/* ---- block.c ---- */
bool blocks_init(struct soft_cpu *cpu, size_t bytes, GError **err);
void blocks_free(struct soft_cpu *cpu);
void blocks_flush(struct soft_cpu *cpu); /* all blocks; only between blocks */
/* The block at cpu->rip in the mode in force; may soft_fault(). */
struct block *block_find(struct soft_cpu *cpu);
/* Kills this vCPU's blocks that overlap [gpa, gpa + len). Own thread. */
void blocks_invalidate(struct soft_cpu *cpu, uint64_t gpa, uint64_t len);
/* Posts an invalidation to the owners of a page that are also in mask. */
void blocks_post(struct soft_accel *accel, uint64_t gpa, uint64_t len, uint32_t mask);
/* Memory was written by a device (memory listener). Any thread. */
void blocks_dma_written(void *opaque, uint64_t gpa, size_t len);

/* ---- decode.c ---- */
struct soft_decoders {
	ZydisDecoder d64, d32, d16;
};
void decode_init(struct soft_decoders *decoders, const struct cpu_features *features);
/*
 * Decodes one instruction of at most len bytes into *in and says whether the block must end after it. Returns the
 * number of bytes, or 0 when more than len bytes are needed. Undefined encodings become an op that raises.
 */
unsigned decode_one(struct soft_cpu *cpu, const struct soft_decoders *decoders, const uint8_t *bytes, size_t len,
		    unsigned off, struct insn *in, bool *end);

/* ---- native.c ---- */
struct native_cache *native_cache_new(GError **err);
void native_cache_free(struct native_cache *cache);
bool native_cache_has_room(const struct native_cache *cache, unsigned stubs);
/* Forgets all stubs; the blocks that use them must be gone. */
void native_cache_reset(struct native_cache *cache);

#endif
