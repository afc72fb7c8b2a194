/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The block cache of one vCPU: decoded code by guest-physical address, and its death when that code is written.
 *
 * Blocks lie in a bump arena; when it is full everything goes (blocks_flush()), which is also the only way memory comes
 * back. A killed block stays in the arena as a husk whose every record leads back to the run loop, because chain slots
 * of other blocks may still point to it.
 *
 * Who holds code of a page is known machine-wide (soft_accel.slots[].owners, see machine.h): a write to such a page
 * takes the slow path, kills what it overlaps here and is posted to the other owners.
 */
#include <string.h>
#include <sys/mman.h>

#include "core/base/error.h"
#include "vmm/cpu/machine.h"

#define MAX_INSNS 48u
#define HASH_SIZE 8192u
#define PAGE_BUCKETS 1024u

struct block_cache {
	uint8_t *arena;
	size_t size, used;
	struct block *hash[HASH_SIZE];
	struct block *pages[PAGE_BUCKETS];  /* by page of the first byte */
	struct block *pages2[PAGE_BUCKETS]; /* by page of the last byte, where that is another page */
	struct soft_decoders decoders;
};

static unsigned hash_of(uint64_t gpa, uint32_t mode)
{
	return (unsigned)((gpa ^ gpa >> 13 ^ mode * 0x9e5u) & (HASH_SIZE - 1));
}

static unsigned bucket_of(uint64_t gpa)
{
	return (unsigned)(gpa >> 12 & (PAGE_BUCKETS - 1));
}

bool blocks_init(struct soft_cpu *cpu, size_t bytes, GError **err)
{
	void *arena = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (arena == MAP_FAILED)
		return fail_errno(err, "block cache of %zu bytes", bytes);
	cpu->blocks = g_new0(struct block_cache, 1);
	cpu->blocks->arena = arena;
	cpu->blocks->size = bytes;
	cpu->jump_cache = g_new0(struct jump_entry, JUMP_CACHE_SIZE);
	decode_init(&cpu->blocks->decoders, cpu->features);
	return true;
}

void blocks_free(struct soft_cpu *cpu)
{
	if (!cpu->blocks)
		return;
	munmap(cpu->blocks->arena, cpu->blocks->size);
	g_clear_pointer(&cpu->blocks, g_free);
	g_clear_pointer(&cpu->jump_cache, g_free);
}

/* ---- ownership of pages ---- */

static _Atomic uint32_t *owners_of(struct soft_slot *slot, uint64_t gpa)
{
	return &slot->owners[(gpa - slot->gpa) >> 12];
}

/* Before bytes of a page are decoded: see machine.h for the order. */
static void block_own_page(struct soft_cpu *cpu, uint64_t gpa)
{
	struct soft_accel *accel = cpu->accel;
	struct soft_slot *slot = soft_slot_find(accel, gpa);
	uint32_t me = 1u << cpu->vcpu->index;

	if (!slot || !slot->page_flags)
		return;
	if (atomic_fetch_or(owners_of(slot, gpa), me) & me)
		return;
	__atomic_fetch_or(&slot->page_flags[(gpa - slot->gpa) >> 12], MEMORY_PAGE_CODE, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < accel->n_cpus; i++) {
		if (accel->cpus[i])
			soft_tlb_drop_writes(accel->cpus[i], gpa & PAGE_MASK);
	}
}

static void block_disown_page(struct soft_cpu *cpu, uint64_t gpa)
{
	struct soft_slot *slot = soft_slot_find(cpu->accel, gpa);
	uint32_t me = 1u << cpu->vcpu->index;

	if (!slot || !slot->page_flags)
		return;
	if (!(atomic_fetch_and(owners_of(slot, gpa), ~me) & ~me))
		__atomic_fetch_and(&slot->page_flags[(gpa - slot->gpa) >> 12], (uint8_t)~MEMORY_PAGE_CODE,
				   __ATOMIC_SEQ_CST);
}

void blocks_flush(struct soft_cpu *cpu)
{
	struct block_cache *cache = cpu->blocks;

	for (unsigned i = 0; i < PAGE_BUCKETS; i++) {
		for (struct block *b = cache->pages[i]; b; b = b->page_next)
			block_disown_page(cpu, b->gpa);
		for (struct block *b = cache->pages2[i]; b; b = b->page2_next)
			block_disown_page(cpu, b->gpa2);
	}
	memset(cache->hash, 0, sizeof cache->hash);
	memset(cache->pages, 0, sizeof cache->pages);
	memset(cache->pages2, 0, sizeof cache->pages2);
	memset(cpu->jump_cache, 0, JUMP_CACHE_SIZE * sizeof cpu->jump_cache[0]);
	cache->used = 0;
	cpu->block = NULL;
	cpu->link = NULL;
	stats_add(&cpu->vcpu->stats->code_flushes, 1);
}

/* ---- death of blocks ---- */

OP(op_block_exit)
{
	return soft_end(cpu, in, INSN_RIP(cpu, in));
}

static void block_kill(struct soft_cpu *cpu, struct block *b)
{
	struct block **p = &cpu->blocks->hash[hash_of(b->gpa, b->mode)];

	b->dead = true;
	for (unsigned i = 0; i < b->n_insns; i++)
		b->insns[i].fn = op_block_exit;
	while (*p && *p != b)
		p = &(*p)->hash_next;
	if (*p)
		*p = b->hash_next;
}

static bool overlaps(const struct block *b, uint64_t gpa, uint64_t len)
{
	uint64_t first = b->gpa2 == UINT64_MAX ? b->bytes : MEMORY_PAGE_SIZE - (b->gpa & ~PAGE_MASK);

	if (gpa < b->gpa + first && b->gpa < gpa + len)
		return true;
	return b->gpa2 != UINT64_MAX && gpa < b->gpa2 + (b->bytes - first) && b->gpa2 < gpa + len;
}

static void unlink_block(struct block_cache *cache, struct block *b)
{
	struct block **p = &cache->pages[bucket_of(b->gpa)];

	while (*p && *p != b)
		p = &(*p)->page_next;
	if (*p)
		*p = b->page_next;
	if (b->gpa2 == UINT64_MAX)
		return;
	p = &cache->pages2[bucket_of(b->gpa2)];
	while (*p && *p != b)
		p = &(*p)->page2_next;
	if (*p)
		*p = b->page2_next;
}

static bool page_has_blocks(struct block_cache *cache, uint64_t page)
{
	for (struct block *b = cache->pages[bucket_of(page)]; b; b = b->page_next) {
		if ((b->gpa & PAGE_MASK) == page)
			return true;
	}
	for (struct block *b = cache->pages2[bucket_of(page)]; b; b = b->page2_next) {
		if (b->gpa2 == page)
			return true;
	}
	return false;
}

static void kill_and_unlink(struct soft_cpu *cpu, struct block *b)
{
	block_kill(cpu, b);
	unlink_block(cpu->blocks, b);
}

static void invalidate_in_page(struct soft_cpu *cpu, uint64_t gpa, uint64_t len)
{
	struct block_cache *cache = cpu->blocks;
	struct block *b, *next;

	for (b = cache->pages[bucket_of(gpa)]; b; b = next) {
		next = b->page_next;
		if (overlaps(b, gpa, len))
			kill_and_unlink(cpu, b);
	}
	for (b = cache->pages2[bucket_of(gpa)]; b; b = next) {
		next = b->page2_next;
		if (overlaps(b, gpa, len))
			kill_and_unlink(cpu, b);
	}
	/* Also after a fetch that faulted before its block was made. */
	if (!page_has_blocks(cache, gpa & PAGE_MASK))
		block_disown_page(cpu, gpa & PAGE_MASK);
}

void blocks_invalidate(struct soft_cpu *cpu, uint64_t gpa, uint64_t len)
{
	while (len) {
		uint64_t piece = MIN(len, MEMORY_PAGE_SIZE - (gpa & ~PAGE_MASK));

		invalidate_in_page(cpu, gpa, piece);
		gpa += piece;
		len -= piece;
	}
}

void blocks_post(struct soft_accel *accel, uint64_t gpa, uint64_t len, uint32_t mask)
{
	struct soft_slot *slot = soft_slot_find(accel, gpa);
	uint32_t owners = slot && slot->page_flags ? atomic_load(owners_of(slot, gpa)) & mask : 0;

	for (unsigned i = 0; i < accel->n_cpus; i++) {
		if (owners & 1u << i && accel->cpus[i])
			soft_post(accel->cpus[i], SOFT_REQUEST_INVALIDATE, gpa, len);
	}
}

void block_note_write(struct soft_cpu *cpu, uint64_t gpa, size_t len)
{
	struct soft_slot *slot = soft_slot_find(cpu->accel, gpa);
	uint32_t owners, me = 1u << cpu->vcpu->index;
	uint8_t *flags;

	if (!slot || !slot->page_flags)
		return;
	flags = &slot->page_flags[(gpa - slot->gpa) >> 12];
	if (*flags & MEMORY_PAGE_CLEAN)
		__atomic_fetch_and(flags, (uint8_t)~MEMORY_PAGE_CLEAN, __ATOMIC_SEQ_CST);
	owners = atomic_load(owners_of(slot, gpa));
	if (owners & me)
		blocks_invalidate(cpu, gpa, len);
	/*
	 * The write itself comes after this call, so the others must not look before it is done: the running block ends
	 * with this instruction and the loop posts then.
	 */
	if (owners & ~me) {
		if (cpu->block && !cpu->block->dead)
			kill_and_unlink(cpu, cpu->block);
		soft_post(cpu, SOFT_REQUEST_WRITTEN, gpa, len);
	}
}

void blocks_dma_written(void *opaque, uint64_t gpa, size_t len)
{
	struct soft_accel *accel = opaque;
	struct soft_slot *slot;

	while (len) {
		uint64_t piece = MIN(len, MEMORY_PAGE_SIZE - (gpa & ~PAGE_MASK));
		uint8_t *flags;

		slot = soft_slot_find(accel, gpa);
		if (slot && slot->page_flags) {
			flags = &slot->page_flags[(gpa - slot->gpa) >> 12];
			if (*flags & MEMORY_PAGE_CLEAN)
				__atomic_fetch_and(flags, (uint8_t)~MEMORY_PAGE_CLEAN, __ATOMIC_SEQ_CST);
			blocks_post(accel, gpa, piece, UINT32_MAX);
		}
		gpa += piece;
		len -= piece;
	}
}

/* ---- building ---- */

/* The end of a block that ran out of room or page: on to the next instruction. */
static struct block *op_fall_through(struct soft_cpu *cpu, const struct insn *in)
{
	struct block *b = cpu->block;

	cpu->rip = soft_ip_mask(cpu, INSN_RIP(cpu, in));
	if (b->chain[0])
		return b->chain[0];
	cpu->link = in->aux ? &b->chain[0] : NULL;
	return NULL;
}

/* An instruction that crosses into the next page: decoded from a joined copy, a block of its own. */
static unsigned decode_crossing(struct soft_cpu *cpu, const uint8_t *bytes, size_t have, struct insn *in,
				uint64_t *gpa2, bool *end)
{
	uint8_t joined[15];
	uint64_t linear = (soft_is64(cpu) ? 0 : cpu->seg[X86_CS].base) + cpu->rip;
	const struct itlb_entry *next;

	linear = (linear & PAGE_MASK) + MEMORY_PAGE_SIZE;
	next = soft_fetch_page(cpu, NULL, soft_is64(cpu) ? linear : (uint32_t)linear);
	*gpa2 = next->gpa & PAGE_MASK;
	block_own_page(cpu, *gpa2);
	memcpy(joined, bytes, have);
	memcpy(joined + have, next->host, sizeof joined - have);
	return decode_one(cpu, &cpu->blocks->decoders, joined, sizeof joined, 0, in, end);
}

static void end_block(struct insn *in, uint64_t gpa, unsigned off)
{
	memset(in, 0, sizeof *in);
	in->fn = op_fall_through;
	in->off = (uint16_t)off;
	in->aux = (gpa & ~PAGE_MASK) + off < MEMORY_PAGE_SIZE;
}

static struct block *block_alloc(struct soft_cpu *cpu, unsigned n_insns)
{
	struct block_cache *cache = cpu->blocks;
	size_t size = sizeof(struct block) + n_insns * sizeof(struct insn);
	struct block *b;

	size = (size + 31) & ~(size_t)31;
	if (cache->size - cache->used < size)
		return NULL;
	b = (struct block *)(void *)(cache->arena + cache->used);
	cache->used += size;
	return b;
}

static void block_insert(struct soft_cpu *cpu, struct block *b)
{
	struct block_cache *cache = cpu->blocks;
	unsigned hash = hash_of(b->gpa, b->mode);

	b->hash_next = cache->hash[hash];
	cache->hash[hash] = b;
	b->page_next = cache->pages[bucket_of(b->gpa)];
	cache->pages[bucket_of(b->gpa)] = b;
	if (b->gpa2 != UINT64_MAX) {
		b->page2_next = cache->pages2[bucket_of(b->gpa2)];
		cache->pages2[bucket_of(b->gpa2)] = b;
	}
}

/* Single-stepping and interrupt shadows run blocks of one instruction, kept apart by a mode bit of their own. */
static uint32_t block_mode(const struct soft_cpu *cpu)
{
	return cpu->mode | (cpu->single_step || cpu->sti_shadow ? MODE_SINGLE : 0);
}

static struct block *block_build(struct soft_cpu *cpu, uint64_t gpa, const uint8_t *host)
{
	struct insn insns[MAX_INSNS + 1];
	unsigned n = 0, off = 0, limit = block_mode(cpu) & MODE_SINGLE ? 1 : MAX_INSNS;
	size_t room = MEMORY_PAGE_SIZE - (gpa & ~PAGE_MASK);
	uint64_t gpa2 = UINT64_MAX;
	bool end = false;
	struct block *b;

	if (G_UNLIKELY(!native_cache_has_room(cpu->native, MAX_INSNS))) {
		blocks_flush(cpu);
		native_cache_reset(cpu->native);
	}
	block_own_page(cpu, gpa & PAGE_MASK);
	host += gpa & ~PAGE_MASK;
	while (n < limit && !end) {
		unsigned len = decode_one(cpu, &cpu->blocks->decoders, host + off, MIN(room - off, 15), off, &insns[n],
					  &end);

		if (!len && n)
			break;
		if (!len)
			len = decode_crossing(cpu, host, room, &insns[n], &gpa2, &end);
		off += len;
		n++;
		if (gpa2 != UINT64_MAX || off == room)
			break;
	}
	if (!end)
		end_block(&insns[n], gpa, off);
	b = block_alloc(cpu, n + !end);
	if (!b) {
		blocks_flush(cpu);
		block_own_page(cpu, gpa & PAGE_MASK);
		if (gpa2 != UINT64_MAX)
			block_own_page(cpu, gpa2);
		b = block_alloc(cpu, n + !end);
	}
	*b = (struct block){ .gpa = gpa,
			     .gpa2 = gpa2,
			     .mode = block_mode(cpu),
			     .n_insns = (uint16_t)(n + !end),
			     .bytes = (uint16_t)off };
	memcpy(b->insns, insns, b->n_insns * sizeof insns[0]);
	block_insert(cpu, b);
	stats_add(&cpu->vcpu->stats->blocks_decoded, 1);
	return b;
}

/* ---- looking up ---- */

/* The second page of a crossing block must still be where it was when the block was decoded. */
static bool second_page_matches(struct soft_cpu *cpu, const struct block *b, uint64_t linear)
{
	uint64_t next = (linear & PAGE_MASK) + MEMORY_PAGE_SIZE;

	return (soft_fetch_page(cpu, NULL, soft_is64(cpu) ? next : (uint32_t)next)->gpa & PAGE_MASK) == b->gpa2;
}

/* IP beyond the code segment's limit. */
static void check_cs_limit(struct soft_cpu *cpu, const struct block *b)
{
	if (!soft_is64(cpu) && G_UNLIKELY(cpu->rip + b->insns[0].len - 1 > cpu->seg[X86_CS].limit))
		soft_fault(cpu, NULL, X86_EXC_GP, 0);
}

/*
 * A chain skips the look-up for as long as both blocks live, so it must hold in every future: same page and mode (the
 * caller saw to the page), no single-stepping, and no code segment limit to check.
 */
static bool may_chain(const struct soft_cpu *cpu, const struct block *to)
{
	return cpu->link && to->gpa2 == UINT64_MAX && !(to->mode & MODE_SINGLE) && cpu->block &&
	       cpu->block->mode == to->mode && (soft_is64(cpu) || cpu->seg[X86_CS].limit == UINT32_MAX);
}

struct block *block_find(struct soft_cpu *cpu)
{
	uint64_t linear = soft_is64(cpu) ? cpu->rip : (uint32_t)(cpu->seg[X86_CS].base + cpu->rip);
	const struct itlb_entry *page = soft_fetch_page(cpu, NULL, linear);
	uint64_t gpa = (page->gpa & PAGE_MASK) | (linear & ~PAGE_MASK);
	uint32_t mode = block_mode(cpu);
	struct jump_entry *jump = &cpu->jump_cache[(linear ^ linear >> 12) & (JUMP_CACHE_SIZE - 1)];
	struct block *b = jump->block;

	if (G_UNLIKELY(!b || jump->rip != linear || b->gpa != gpa || b->mode != mode || b->dead)) {
		for (b = cpu->blocks->hash[hash_of(gpa, mode)]; b; b = b->hash_next) {
			if (b->gpa == gpa && b->mode == mode &&
			    (b->gpa2 == UINT64_MAX || second_page_matches(cpu, b, linear)))
				break;
		}
		if (!b)
			b = block_build(cpu, gpa, page->host);
		if (b->gpa2 == UINT64_MAX)
			*jump = (struct jump_entry){ .rip = linear, .block = b };
	}
	check_cs_limit(cpu, b);
	if (may_chain(cpu, b))
		*cpu->link = b;
	cpu->link = NULL;
	return b;
}
