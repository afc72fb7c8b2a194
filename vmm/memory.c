/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "core/base/error.h"
#include "core/base/fd.h"

/*
 * RAM is one shared mapping of one memfd; its low and high slot follow each other in it. The memfd is sealed against a
 * change of size, so no holder of the descriptor can turn a guest access into SIGBUS. Page flags are one anonymous
 * mapping beside it. Both are reserved, not touched: the kernel hands out pages at the first access, so a large idle
 * guest costs nothing.
 *
 * What must stay true: slots[] is sorted by gpa and no two overlap; every public access splits its range at slot
 * borders with subtraction only, and checks all of it before it moves the first byte.
 */

#define MEMORY_MIN (UINT64_C(1) << 20)
#define MEMORY_MAX (UINT64_C(1) << 40)

struct memory {
	uint64_t size, low_size;
	int fd;
	uint8_t *ram;
	uint8_t *flags;
	GArray *slots; /* struct memory_slot */
	memory_write_fn listener;
	void *listener_opaque;
};

static void *map_anonymous(uint64_t size)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return map == MAP_FAILED ? NULL : map;
}

/* A file size limit is met here, because ftruncate() would answer it with SIGXFSZ. */
static bool size_allowed(uint64_t size)
{
	struct rlimit limit;

	if (size <= MEMORY_MAX && (getrlimit(RLIMIT_FSIZE, &limit) < 0 || size <= limit.rlim_cur))
		return true;
	errno = EFBIG;
	return false;
}

static bool map_ram(struct memory *mem)
{
	void *map;

	mem->fd = memfd_create("lodge-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (mem->fd < 0 || ftruncate(mem->fd, (off_t)mem->size) < 0)
		return false;
	if (fcntl(mem->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return false;
	map = mmap(NULL, mem->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, mem->fd, 0);
	if (map == MAP_FAILED)
		return false;
	mem->ram = map;
	mem->flags = map_anonymous(mem->size >> MEMORY_PAGE_SHIFT);
	if (!mem->flags)
		return false;
	/* A core file is for our bugs, not for the guest's secrets. An old kernel may say no; nothing depends on it. */
	(void)madvise(mem->ram, mem->size, MADV_DONTDUMP);
	return true;
}

static void add_ram_slot(struct memory *mem, uint64_t gpa, uint64_t offset, uint64_t size)
{
	struct memory_slot slot = {
		.gpa = gpa,
		.size = size,
		.host = mem->ram + offset,
		.page_flags = mem->flags + (offset >> MEMORY_PAGE_SHIFT),
	};

	g_array_append_val(mem->slots, slot);
}

struct memory *memory_new(uint64_t size, GError **err)
{
	autoptr(memory) mem = NULL;
	g_autofree char *text = g_format_size_full(size, G_FORMAT_SIZE_IEC_UNITS);

	if (size < MEMORY_MIN || size % MEMORY_PAGE_SIZE)
		return fail_null(err, LODGE_ERROR_INPUT,
				 "guest memory of %" G_GUINT64_FORMAT
				 " bytes: must be at least 1 MiB and whole 4 KiB pages",
				 size);
	mem = g_new0(struct memory, 1);
	mem->fd = -1;
	mem->size = size;
	mem->low_size = MIN(size, MEMORY_LOW_MAX);
	mem->slots = g_array_new(FALSE, FALSE, sizeof(struct memory_slot));
	if (!size_allowed(size) || !map_ram(mem))
		return fail_null(err, LODGE_ERROR_SYSTEM, "no room for %s of guest memory: %s", text,
				 g_strerror(errno));
	add_ram_slot(mem, 0, 0, mem->low_size);
	if (size > mem->low_size)
		add_ram_slot(mem, MEMORY_HIGH_BASE, mem->low_size, size - mem->low_size);
	return g_steal_pointer(&mem);
}

void memory_free(struct memory *mem)
{
	if (!mem)
		return;
	for (guint i = 0; i < mem->slots->len; i++) {
		const struct memory_slot *slot = &g_array_index(mem->slots, struct memory_slot, i);

		if (slot->readonly)
			munmap(slot->host, slot->size);
	}
	if (mem->flags)
		munmap(mem->flags, mem->size >> MEMORY_PAGE_SHIFT);
	if (mem->ram)
		munmap(mem->ram, mem->size);
	fd_close(&mem->fd);
	g_array_free(mem->slots, TRUE);
	g_free(mem);
}

uint64_t memory_size(const struct memory *mem)
{
	return mem->size;
}

uint64_t memory_low_size(const struct memory *mem)
{
	return mem->low_size;
}

uint64_t memory_top(const struct memory *mem)
{
	return MEMORY_HIGH_BASE + (mem->size - mem->low_size);
}

int memory_fd(const struct memory *mem)
{
	return mem->fd;
}

const struct memory_slot *memory_slots(const struct memory *mem, size_t *n)
{
	*n = mem->slots->len;
	return &g_array_index(mem->slots, struct memory_slot, 0);
}

const struct memory_slot *memory_find(const struct memory *mem, uint64_t gpa)
{
	const struct memory_slot *slot = &g_array_index(mem->slots, struct memory_slot, 0);

	for (const struct memory_slot *end = slot + mem->slots->len; slot < end && gpa >= slot->gpa; slot++)
		if (gpa - slot->gpa < slot->size)
			return slot;
	return NULL;
}

/* Where a slot at [gpa, gpa + size) belongs in the sorted table, or -1 when it would overlap one. */
static int slot_place(const struct memory *mem, uint64_t gpa, uint64_t size)
{
	guint i;

	for (i = 0; i < mem->slots->len; i++) {
		const struct memory_slot *slot = &g_array_index(mem->slots, struct memory_slot, i);

		if (gpa <= slot->gpa ? slot->gpa - gpa < size : gpa - slot->gpa < slot->size)
			return -1;
		if (gpa < slot->gpa)
			break;
	}
	return (int)i;
}

bool memory_add_rom(struct memory *mem, uint64_t gpa, const void *data, size_t size, GError **err)
{
	struct memory_slot slot = { .gpa = gpa, .readonly = true };
	int place;

	if (gpa % MEMORY_PAGE_SIZE || !size || size > MEMORY_MAX)
		return fail(err, LODGE_ERROR_INTERNAL,
			    "ROM of %zu bytes at 0x%" G_GINT64_MODIFIER "x: bad place or size", size, gpa);
	slot.size = ((uint64_t)size + MEMORY_PAGE_SIZE - 1) & ~(uint64_t)(MEMORY_PAGE_SIZE - 1);
	if (slot.size > UINT64_MAX - gpa)
		return fail(err, LODGE_ERROR_INTERNAL,
			    "ROM of %zu bytes at 0x%" G_GINT64_MODIFIER "x: ends above all addresses", size, gpa);
	place = slot_place(mem, gpa, slot.size);
	if (place < 0)
		return fail(err, LODGE_ERROR_INTERNAL,
			    "ROM of %zu bytes at 0x%" G_GINT64_MODIFIER "x: overlaps other memory", size, gpa);
	slot.host = map_anonymous(slot.size);
	if (!slot.host)
		return fail_errno(err, "no room for %zu bytes of ROM", size);
	memcpy(slot.host, data, size);
	/* The copy stays writable only if the kernel cannot split the mapping; nothing here writes to it either way. */
	(void)mprotect(slot.host, slot.size, PROT_READ);
	g_array_insert_val(mem->slots, (guint)place, slot);
	return true;
}

/*
 * The part of [gpa, gpa + len) inside the slot that holds gpa; len shrinks to it. NULL: no such slot, or it may not be
 * written.
 */
static uint8_t *range_head(const struct memory *mem, uint64_t gpa, uint64_t *len, bool write)
{
	const struct memory_slot *slot = memory_find(mem, gpa);
	uint64_t offset;

	if (!slot || (write && slot->readonly))
		return NULL;
	offset = gpa - slot->gpa;
	*len = MIN(*len, slot->size - offset);
	return slot->host + offset;
}

static bool range_valid(const struct memory *mem, uint64_t gpa, uint64_t len, bool write)
{
	while (len) {
		uint64_t head = len;

		if (!range_head(mem, gpa, &head, write))
			return false;
		gpa += head;
		len -= head;
	}
	return true;
}

bool memory_read(const struct memory *mem, uint64_t gpa, void *buf, size_t len)
{
	uint8_t *to = buf;

	if (!range_valid(mem, gpa, len, false))
		return false;
	while (len) {
		uint64_t head = len;
		const uint8_t *from = range_head(mem, gpa, &head, false);

		memcpy(to, from, head);
		to += head;
		gpa += head;
		len -= head;
	}
	return true;
}

static bool peek_range(const struct memory *mem, const uint8_t *from, uint8_t *to, uint64_t len)
{
	while (len) {
		ssize_t n = pread(mem->fd, to, len, (off_t)(from - mem->ram));

		if (n <= 0)
			return false;
		from += n;
		to += n;
		len -= (uint64_t)n;
	}
	return true;
}

bool memory_peek(const struct memory *mem, uint64_t gpa, void *buf, size_t len)
{
	uint8_t *to = buf;

	if (!range_valid(mem, gpa, len, true))
		return memory_read(mem, gpa, buf, len);
	while (len) {
		uint64_t head = len;
		const uint8_t *from = range_head(mem, gpa, &head, true);

		if (!peek_range(mem, from, to, head))
			return false;
		to += head;
		gpa += head;
		len -= head;
	}
	return true;
}

/* From here on the file is written by a system call: untouched pages then cost no fault each, which halves the loading of a kernel. */
#define WRITE_BY_FILE (UINT64_C(256) << 10)

/* How much of a large write the kernel did for us; the rest is for memcpy(). */
static uint64_t write_by_file(struct memory *mem, const uint8_t *to, const uint8_t *from, uint64_t len)
{
	uint64_t done = 0;

	while (len - done >= WRITE_BY_FILE) {
		ssize_t n = pwrite(mem->fd, from + done, len - done, (off_t)(to - mem->ram + (ptrdiff_t)done));

		if (n <= 0)
			break;
		done += (uint64_t)n;
	}
	return done;
}

bool memory_write(struct memory *mem, uint64_t gpa, const void *buf, size_t len)
{
	const uint8_t *from = buf;

	if (!range_valid(mem, gpa, len, true))
		return false;
	while (len) {
		uint64_t head = len;
		uint8_t *to = range_head(mem, gpa, &head, true);
		uint64_t done = write_by_file(mem, to, from, head);

		memcpy(to + done, from + done, head - done);
		memory_note_write(mem, gpa, head);
		from += head;
		gpa += head;
		len -= head;
	}
	return true;
}

bool memory_fill(struct memory *mem, uint64_t gpa, uint8_t byte, uint64_t len)
{
	if (!range_valid(mem, gpa, len, true))
		return false;
	while (len) {
		uint64_t head = len;
		uint8_t *to = range_head(mem, gpa, &head, true);

		memset(to, byte, head);
		memory_note_write(mem, gpa, head);
		gpa += head;
		len -= head;
	}
	return true;
}

/* Slots are whole pages, so a naturally aligned word that starts in one ends in it. */
static uint8_t *word_at(const struct memory *mem, uint64_t gpa, unsigned size, bool write)
{
	uint64_t len = size;

	return gpa % size ? NULL : range_head(mem, gpa, &len, write);
}

#define DEFINE_WORD_ACCESS(bits) \
	bool memory_load##bits(const struct memory *mem, uint64_t gpa, uint##bits##_t *val) \
	{ \
		const uint8_t *host = word_at(mem, gpa, bits / 8, false); \
\
		if (!host) \
			return false; \
		*val = __atomic_load_n((const uint##bits##_t *)host, __ATOMIC_RELAXED); \
		return true; \
	} \
\
	bool memory_store##bits(struct memory *mem, uint64_t gpa, uint##bits##_t val) \
	{ \
		uint8_t *host = word_at(mem, gpa, bits / 8, true); \
\
		if (!host) \
			return false; \
		__atomic_store_n((uint##bits##_t *)host, val, __ATOMIC_RELAXED); \
		memory_note_write(mem, gpa, bits / 8); \
		return true; \
	}

DEFINE_WORD_ACCESS(16)
DEFINE_WORD_ACCESS(32)
DEFINE_WORD_ACCESS(64)

bool memory_iov(const struct memory *mem, uint64_t gpa, size_t len, bool write, struct iovec *iov, size_t cap,
		size_t *n)
{
	size_t used = *n;

	while (len) {
		uint64_t head = len;
		uint8_t *host = range_head(mem, gpa, &head, write);

		if (!host || used >= cap)
			return false;
		iov[used++] = (struct iovec){ .iov_base = host, .iov_len = head };
		gpa += head;
		len -= head;
	}
	*n = used;
	return true;
}

static bool page_flagged(const struct memory_slot *slot, uint64_t page)
{
	return __atomic_load_n(&slot->page_flags[page], __ATOMIC_RELAXED) != 0;
}

/* Reports [offset, offset + len) of one slot in runs of flagged pages, clipped to the range. */
static void note_slot(const struct memory *mem, const struct memory_slot *slot, uint64_t offset, uint64_t len)
{
	uint64_t end = offset + len;

	while (offset < end) {
		uint64_t page = offset >> MEMORY_PAGE_SHIFT;
		uint64_t stop = page;

		while (stop << MEMORY_PAGE_SHIFT < end && page_flagged(slot, stop))
			stop++;
		if (stop > page) {
			uint64_t run_end = MIN(stop << MEMORY_PAGE_SHIFT, end);

			mem->listener(mem->listener_opaque, slot->gpa + offset, run_end - offset);
		}
		offset = (stop > page ? stop : page + 1) << MEMORY_PAGE_SHIFT;
	}
}

void memory_note_write(struct memory *mem, uint64_t gpa, size_t len)
{
	if (!mem->listener)
		return;
	/* Pairs with the fence of whoever sets a flag and then reads the page: one of the two sees the other. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	while (len) {
		const struct memory_slot *slot = memory_find(mem, gpa);
		uint64_t head;

		if (!slot)
			return;
		head = MIN(len, slot->size - (gpa - slot->gpa));
		if (slot->page_flags)
			note_slot(mem, slot, gpa - slot->gpa, head);
		gpa += head;
		len -= head;
	}
}

void memory_set_listener(struct memory *mem, memory_write_fn fn, void *opaque)
{
	mem->listener = fn;
	mem->listener_opaque = opaque;
}
