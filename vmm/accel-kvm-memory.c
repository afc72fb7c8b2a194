/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/accel-kvm.h"

#include <string.h>
#include <sys/ioctl.h>

#include "core/base/error.h"

/*
 * Memory slots, and the dirty log over them. The kernel logs what vCPUs write; what devices write reaches us through
 * the memory listener, which is called while a page's CLEAN flag is set. A page is dirty when either says so. The
 * bitmap counts RAM pages in slot order, ROM left out.
 */
#define BITS_PER_WORD 64u

static bool set_region(struct kvm_accel *kvm, const struct kvm_userspace_memory_region *region, GError **err)
{
	if (ioctl(kvm->vm_fd, KVM_SET_USER_MEMORY_REGION, region) < 0)
		return fail_errno(err, "KVM: memory slot at 0x%llx", (unsigned long long)region->guest_phys_addr);
	return true;
}

/* A slot cannot be changed in place, only taken out and put back. */
static void remove_slots(struct kvm_accel *kvm)
{
	for (size_t i = 0; i < kvm->n_slots; i++) {
		struct kvm_userspace_memory_region gone = kvm->slots[i].region;

		gone.memory_size = 0;
		(void)ioctl(kvm->vm_fd, KVM_SET_USER_MEMORY_REGION, &gone);
	}
	kvm->n_slots = 0;
	kvm->n_pages = 0;
}

bool kvm_set_slots(struct accel *accel, GError **err)
{
	struct kvm_accel *kvm = kvm_accel(accel);
	size_t n;
	const struct memory_slot *slots = memory_slots(accel->vm->mem, &n);

	if (n > KVM_MAX_SLOTS)
		return fail(err, LODGE_ERROR_INTERNAL, "KVM: %zu memory slots, at most %u are possible", n,
			    KVM_MAX_SLOTS);
	kvm_dirty_stop(accel);
	remove_slots(kvm);
	for (size_t i = 0; i < n; i++) {
		struct kvm_slot *slot = &kvm->slots[i];

		*slot = (struct kvm_slot){
			.region = {
				.slot = (uint32_t)i,
				.flags = slots[i].readonly ? KVM_MEM_READONLY : 0,
				.guest_phys_addr = slots[i].gpa,
				.memory_size = slots[i].size,
				.userspace_addr = (uintptr_t)slots[i].host,
			},
			.page_flags = slots[i].page_flags,
			.first_page = kvm->n_pages,
		};
		if (!set_region(kvm, &slot->region, err))
			return false;
		kvm->n_slots = i + 1;
		if (!slots[i].readonly)
			kvm->n_pages += slots[i].size / MEMORY_PAGE_SIZE;
	}
	return true;
}

static bool is_ram(const struct kvm_slot *slot)
{
	return !(slot->region.flags & KVM_MEM_READONLY);
}

static size_t slot_pages(const struct kvm_slot *slot)
{
	return slot->region.memory_size / MEMORY_PAGE_SIZE;
}

static size_t words_for(size_t pages)
{
	return (pages + BITS_PER_WORD - 1) / BITS_PER_WORD;
}

/* The memory listener: a device has written there. Any thread. */
static void note_write(void *opaque, uint64_t gpa, size_t len)
{
	struct kvm_accel *kvm = opaque;

	for (size_t i = 0; i < kvm->n_slots && len; i++) {
		const struct kvm_slot *slot = &kvm->slots[i];
		uint64_t base = slot->region.guest_phys_addr, size = slot->region.memory_size;
		uint64_t first, last;

		if (!is_ram(slot) || gpa < base || gpa - base >= size)
			continue;
		first = (gpa - base) / MEMORY_PAGE_SIZE;
		last = (gpa - base + MIN(len, size - (gpa - base)) - 1) / MEMORY_PAGE_SIZE;
		for (uint64_t page = first; page <= last; page++) {
			size_t bit = slot->first_page + page;

			__atomic_fetch_and(&slot->page_flags[page], (uint8_t)~MEMORY_PAGE_CLEAN, __ATOMIC_RELAXED);
			__atomic_fetch_or(&kvm->dirty[bit / BITS_PER_WORD], UINT64_C(1) << bit % BITS_PER_WORD,
					  __ATOMIC_RELAXED);
		}
		return;
	}
}

static void set_clean(const struct kvm_slot *slot, bool clean)
{
	for (size_t page = 0; page < slot_pages(slot); page++) {
		if (clean)
			__atomic_fetch_or(&slot->page_flags[page], (uint8_t)MEMORY_PAGE_CLEAN, __ATOMIC_RELAXED);
		else
			__atomic_fetch_and(&slot->page_flags[page], (uint8_t)~MEMORY_PAGE_CLEAN, __ATOMIC_RELAXED);
	}
}

static bool log_slot(struct kvm_accel *kvm, struct kvm_slot *slot, bool on, GError **err)
{
	slot->region.flags = on ? slot->region.flags | KVM_MEM_LOG_DIRTY_PAGES :
				  slot->region.flags & ~(uint32_t)KVM_MEM_LOG_DIRTY_PAGES;
	set_clean(slot, on);
	return set_region(kvm, &slot->region, err);
}

bool kvm_dirty_start(struct accel *accel, GError **err)
{
	struct kvm_accel *kvm = kvm_accel(accel);

	kvm_dirty_stop(accel);
	kvm->dirty = g_new0(uint64_t, words_for(kvm->n_pages));
	memory_set_listener(accel->vm->mem, note_write, kvm);
	for (size_t i = 0; i < kvm->n_slots; i++) {
		if (is_ram(&kvm->slots[i]) && !log_slot(kvm, &kvm->slots[i], true, err)) {
			kvm_dirty_stop(accel);
			return false;
		}
	}
	return true;
}

/* Slots begin at any bit of the bitmap: RAM below 4 GiB need not be a multiple of 64 pages. */
static void merge_bits(uint64_t *to, size_t first_bit, const uint64_t *from, size_t n_bits)
{
	unsigned shift = first_bit % BITS_PER_WORD;

	to += first_bit / BITS_PER_WORD;
	for (size_t i = 0; i < words_for(n_bits); i++) {
		if (!from[i])
			continue;
		to[i] |= from[i] << shift;
		if (shift && from[i] >> (BITS_PER_WORD - shift))
			to[i + 1] |= from[i] >> (BITS_PER_WORD - shift);
	}
}

static bool harvest_slot(struct kvm_accel *kvm, const struct kvm_slot *slot, uint64_t *bitmap, GError **err)
{
	g_autofree uint64_t *log = g_new0(uint64_t, words_for(slot_pages(slot)));
	struct kvm_dirty_log request = { .slot = slot->region.slot, .dirty_bitmap = log };

	if (ioctl(kvm->vm_fd, KVM_GET_DIRTY_LOG, &request) < 0)
		return fail_errno(err, "KVM: dirty log of the memory at 0x%llx",
				  (unsigned long long)slot->region.guest_phys_addr);
	merge_bits(bitmap, slot->first_page, log, slot_pages(slot));
	return true;
}

bool kvm_dirty_harvest(struct accel *accel, uint64_t *bitmap, size_t n_words, GError **err)
{
	struct kvm_accel *kvm = kvm_accel(accel);

	if (!kvm->dirty)
		return fail(err, LODGE_ERROR_STATE, "the dirty log is not on");
	if (n_words < words_for(kvm->n_pages))
		return fail(err, LODGE_ERROR_INTERNAL, "dirty bitmap of %zu words for %zu pages", n_words,
			    kvm->n_pages);
	memset(bitmap, 0, n_words * sizeof(*bitmap));
	for (size_t i = 0; i < kvm->n_slots; i++) {
		if (!is_ram(&kvm->slots[i]))
			continue;
		/* Flags before bits: a write in between is then noted twice rather than never. */
		set_clean(&kvm->slots[i], true);
		if (!harvest_slot(kvm, &kvm->slots[i], bitmap, err))
			return false;
	}
	for (size_t i = 0; i < words_for(kvm->n_pages); i++)
		bitmap[i] |= __atomic_exchange_n(&kvm->dirty[i], 0, __ATOMIC_RELAXED);
	return true;
}

void kvm_dirty_stop(struct accel *accel)
{
	struct kvm_accel *kvm = kvm_accel(accel);

	if (!kvm->dirty)
		return;
	memory_set_listener(accel->vm->mem, NULL, NULL);
	for (size_t i = 0; i < kvm->n_slots; i++)
		if (is_ram(&kvm->slots[i]))
			(void)log_slot(kvm, &kvm->slots[i], false, NULL);
	g_clear_pointer(&kvm->dirty, g_free);
}
