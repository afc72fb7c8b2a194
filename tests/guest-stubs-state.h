/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TESTS_GUEST_STUBS_STATE_H
#define LODGE_TESTS_GUEST_STUBS_STATE_H

#include <sys/eventfd.h>
#include <unistd.h>
#include <x86intrin.h>

#include "core/base/fd.h"
#include "tests/guest-asm.h"
#include "vmm/accel-kvm.h"

/* State in and out, doorbells, the dirty log, and time. */

static inline void fill_pattern(struct x86_cpu_state *state, bool avx)
{
	for (unsigned i = 0; i < X86_N_GPRS; i++)
		state->gpr[i] = UINT64_C(0x1111111111111111) * i + 7;
	for (unsigned i = 0; i < 16; i++) {
		memset(state->fx.xmm[i], (int)(0x20 + i), 16);
		memset(state->ymm_high[i], avx ? (int)(0x60 + i) : 0, 16);
	}
	for (unsigned i = 0; i < 8; i++)
		memset(state->fx.st[i], (int)(0x30 + i), 10);
	state->fx.fcw = 0x27f;
	state->fx.ftw = 0xff;
	state->fx.mxcsr = 0x1fa0;
	if (avx)
		state->xcr0 = X86_XCR0_X87 | X86_XCR0_SSE | X86_XCR0_AVX;
	state->rflags = X86_FLAG_FIXED | X86_FLAG_CF | X86_FLAG_IF;
	state->cr2 = 0xabcd1000;
	state->dr[0] = 0x1234;
	state->dr[3] = 0x5678;
	state->star = UINT64_C(0x0023001000000000);
	state->lstar = UINT64_C(0xffffffff81000040);
	state->sfmask = 0x47700;
	state->kernel_gs_base = UINT64_C(0xffff888000000000);
	state->sysenter_eip = 0x12340;
	state->seg[X86_FS].base = UINT64_C(0x00007f0011112222);
	state->pat = UINT64_C(0x0007010600070106);
	state->mtrr_def_type = 0xc06;
	state->mtrr_fixed[3] = UINT64_C(0x0606060606060606);
}

static inline void assert_same_state(const struct x86_cpu_state *a, const struct x86_cpu_state *b)
{
	g_assert_cmpmem(a->gpr, sizeof(a->gpr), b->gpr, sizeof(b->gpr));
	g_assert_cmphex(a->rip, ==, b->rip);
	g_assert_cmphex(a->rflags, ==, b->rflags);
	for (unsigned i = 0; i < X86_N_SEGS; i++) {
		g_assert_cmphex(a->seg[i].base, ==, b->seg[i].base);
		g_assert_cmphex(a->seg[i].limit, ==, b->seg[i].limit);
		g_assert_cmphex(a->seg[i].selector, ==, b->seg[i].selector);
		g_assert_cmphex(a->seg[i].attr | 1, ==, b->seg[i].attr | 1);
	}
	g_assert_cmphex(a->gdt.base, ==, b->gdt.base);
	g_assert_cmphex(a->idt.limit, ==, b->idt.limit);
	g_assert_cmphex(a->cr0, ==, b->cr0);
	g_assert_cmphex(a->cr2, ==, b->cr2);
	g_assert_cmphex(a->cr3, ==, b->cr3);
	g_assert_cmphex(a->cr4, ==, b->cr4);
	g_assert_cmphex(a->efer, ==, b->efer);
	g_assert_cmphex(a->xcr0, ==, b->xcr0);
	g_assert_cmphex(a->dr[0], ==, b->dr[0]);
	g_assert_cmphex(a->dr[3], ==, b->dr[3]);
	g_assert_cmpmem(a->fx.st, sizeof(a->fx.st), b->fx.st, sizeof(b->fx.st));
	g_assert_cmpmem(a->fx.xmm, sizeof(a->fx.xmm), b->fx.xmm, sizeof(b->fx.xmm));
	g_assert_cmphex(a->fx.mxcsr, ==, b->fx.mxcsr);
	g_assert_cmphex(a->fx.fcw, ==, b->fx.fcw);
	g_assert_cmpmem(a->ymm_high, sizeof(a->ymm_high), b->ymm_high, sizeof(b->ymm_high));
	g_assert_cmphex(a->star, ==, b->star);
	g_assert_cmphex(a->lstar, ==, b->lstar);
	g_assert_cmphex(a->sfmask, ==, b->sfmask);
	g_assert_cmphex(a->kernel_gs_base, ==, b->kernel_gs_base);
	g_assert_cmphex(a->sysenter_eip, ==, b->sysenter_eip);
	g_assert_cmphex(a->pat, ==, b->pat);
	g_assert_cmphex(a->mtrr_def_type, ==, b->mtrr_def_type);
	g_assert_cmphex(a->mtrr_fixed[3], ==, b->mtrr_fixed[3]);
	g_assert_cmphex(a->apic_base, ==, b->apic_base);
	g_assert_cmpmem(a->lapic + 0x0f * 4, 4, b->lapic + 0x0f * 4, 4);
	g_assert_cmpmem(a->lapic + 0x35 * 4, 4, b->lapic + 0x35 * 4, 4);
	g_assert_cmpint(a->run_state, ==, b->run_state);
}

/* Not by the guest's CPUID: see keeps_cpuid(). */
static inline bool offers_avx(const struct accel_class *class)
{
	g_autofree struct cpuid_leaf *leaves = g_new0(struct cpuid_leaf, KVM_MAX_CPUID);
	struct cpu_features offer = { 0 };
	auto_fd int fd = -1;
	size_t n = 0;

	if (class == &accel_kvm_class) {
		fd = kvm_open(NULL);
		g_assert_true(kvm_supported_leaves(fd, leaves, &n, NULL));
		cpu_features_from_leaves(&offer, leaves, n);
	} else {
		cpu_features_soft(&offer);
	}
	return cpu_features_has(&offer, CPU_FEATURE_XSAVE) && cpu_features_has(&offer, CPU_FEATURE_AVX);
}

static inline void stub_test_state(gconstpointer class)
{
	struct x86_cpu_state state, read;

	GUEST_OR_SKIP(guest, class, 2);
	guest_state_long(&state);
	fill_pattern(&state, offers_avx(class));
	state.lapic[0x0f * 4 + 1] = 0x01; /* spurious vector register: enabled */
	guest_set_state(guest, 0, &state);
	guest->vm.accel_class->vcpu_get_state(&guest->vcpus[0], &read);
	assert_same_state(&state, &read);
	g_assert_cmphex(read.tsc, >=, state.tsc);
	guest_set_state(guest, 0, &read);
	guest->vm.accel_class->vcpu_get_state(&guest->vcpus[0], &state);
	assert_same_state(&state, &read);

	x86_state_reset(&state, 1, false);
	guest_set_state(guest, 1, &state);
	guest->vm.accel_class->vcpu_get_state(&guest->vcpus[1], &read);
	assert_same_state(&state, &read);
	state.run_state = X86_HALTED;
	guest_set_state(guest, 1, &state);
	guest->vm.accel_class->vcpu_get_state(&guest->vcpus[1], &read);
	g_assert_cmpint(read.run_state, ==, X86_HALTED);
}

static inline void stub_test_bad_state(gconstpointer class)
{
	g_autoptr(GError) err = NULL;
	struct x86_cpu_state state;

	GUEST_OR_SKIP(guest, class, 1);
	guest_state_long(&state);
	state.run_state = X86_N_RUN_STATES;
	g_assert_false(guest->vm.accel_class->vcpu_set_state(&guest->vcpus[0], &state, &err));
	g_assert_nonnull(err);
}

/*
 * A sum, with a break in every round: the guest goes on in another VM with the same memory. A vector register travels
 * along.
 */
STUB(travel, "xorl %r12d, %r12d\n"
     "1: addl $7, %r12d\n"
     "addl %r12d, 0x30000\n" CALL_HOST(1)
     "cmpl $70, %r12d\n"
     "jb 1b\n"
     "movdqu %xmm3, 0x30010\n"
     "movl 0x30000, %eax\n" DONE);

static inline void on_call_break(struct guest *guest, uint8_t val)
{
	(void)val;
	guest_break(guest);
}

static inline struct guest *travel(struct guest *from)
{
	struct guest *to = guest_new(from->vm.accel_class, 1);
	g_autofree uint8_t *all = g_malloc(GUEST_MEMORY);
	struct x86_cpu_state state;

	from->vm.accel_class->vcpu_get_state(&from->vcpus[0], &state);
	g_assert_true(memory_read(from->vm.mem, 0, all, GUEST_MEMORY));
	guest_free(from);
	g_assert_nonnull(to);
	guest_write(to, 0, all, GUEST_MEMORY);
	guest_set_state(to, 0, &state);
	to->on_call = on_call_break;
	return to;
}

static inline void stub_test_travel(gconstpointer class)
{
	struct x86_cpu_state state;

	GUEST_OR_SKIP(guest, class, 1);
	LOAD(guest, travel);
	guest->on_call = on_call_break;
	guest_state_long(&state);
	memset(state.fx.xmm[3], 0x5a, 16);
	guest_set_state(guest, 0, &state);
	for (unsigned i = 0; i < 10; i++) {
		enum vcpu_exit why = guest_run(guest);

		g_assert_no_error(guest->vcpus[0].error);
		g_assert_cmpint(why, ==, VCPU_EXIT_KICKED);
		g_assert_false(guest->done);
		guest = travel(guest);
	}
	assert_done(guest, guest_run(guest), 7 * 55);
	g_assert_cmphex(guest_read64(guest, GUEST_RESULT + 0x10), ==, UINT64_C(0x5a5a5a5a5a5a5a5a));
	g_assert_cmphex(guest_read64(guest, GUEST_RESULT + 0x18), ==, UINT64_C(0x5a5a5a5a5a5a5a5a));
}

/* --- eventfd in place of a register write --- */

STUB(doorbell, "movl $0xd0000000, %ebx\n"
     "movl $5, 0x10(%rbx)\n"
     "movl $6, 0x20(%rbx)\n"
     "movl $9, 0x10(%rbx)\n"
     "movl 0x20(%rbx), %eax\n" DONE);

static inline void stub_test_ioeventfd(gconstpointer class)
{
	auto_fd int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint64_t rung = 0;

	GUEST_OR_SKIP(guest, class, 1);
	if (!guest->vm.accel_class->ioeventfd) {
		g_test_skip("this accelerator leaves doorbells to the bus");
		return;
	}
	LOAD(guest, doorbell);
	g_assert_true(guest->vm.accel_class->ioeventfd(guest->vm.accel, GUEST_REGS + 0x10, 4, fd, true));
	guest_start_long(guest);
	assert_done(guest, guest_run(guest), 6);
	g_assert_cmpint(read(fd, &rung, sizeof(rung)), ==, sizeof(rung));
	g_assert_cmpuint(rung, ==, 2);
	g_assert_cmpuint(guest->reg_writes, ==, 1);
	g_assert_true(guest->vm.accel_class->ioeventfd(guest->vm.accel, GUEST_REGS + 0x10, 4, fd, false));
	guest->done = false;
	guest_start_long(guest);
	assert_done(guest, guest_run(guest), 6);
	g_assert_cmpuint(guest->reg_writes, ==, 4);
	g_assert_cmpint(read(fd, &rung, sizeof(rung)), <, 0);
}

/* --- dirty log --- */

STUB(dirty, "movl $1, 0x40000\n"
     "movl $1, 0x51ffc\n" CALL_HOST(1)
     "movl $1, 0x90000\n"
     "xorl %eax, %eax\n" DONE);

static inline bool page_bit(const uint64_t *bitmap, uint64_t gpa)
{
	return bitmap[gpa / MEMORY_PAGE_SIZE / 64] >> gpa / MEMORY_PAGE_SIZE % 64 & 1;
}

static inline void stub_test_dirty(gconstpointer class)
{
	uint64_t bitmap[GUEST_MEMORY / MEMORY_PAGE_SIZE / 64];
	const struct accel_class *accel = class;
	const uint32_t word = 1;
	g_autoptr(GError) err = NULL;

	GUEST_OR_SKIP(guest, class, 1);
	LOAD(guest, dirty);
	guest->on_call = on_call_break;
	guest_start_long(guest);
	accel->dirty_start(guest->vm.accel, &err);
	g_assert_no_error(err);
	g_assert_cmpint(guest_run(guest), ==, VCPU_EXIT_KICKED);
	guest_write(guest, 0x70800, &word, sizeof(word));
	accel->dirty_harvest(guest->vm.accel, bitmap, G_N_ELEMENTS(bitmap), &err);
	g_assert_no_error(err);
	g_assert_true(page_bit(bitmap, 0x40000));
	g_assert_true(page_bit(bitmap, 0x51000));
	g_assert_true(page_bit(bitmap, 0x70000));
	g_assert_false(page_bit(bitmap, 0x50000));
	g_assert_false(page_bit(bitmap, 0x90000));

	assert_done(guest, guest_run(guest), 0);
	guest_write(guest, 0x70000, &word, sizeof(word));
	accel->dirty_harvest(guest->vm.accel, bitmap, G_N_ELEMENTS(bitmap), &err);
	g_assert_no_error(err);
	g_assert_true(page_bit(bitmap, 0x90000));
	g_assert_true(page_bit(bitmap, 0x70000));
	g_assert_false(page_bit(bitmap, 0x40000));
	accel->dirty_stop(guest->vm.accel);
}

/* --- time stands still while the VM is paused --- */

STUB(tsc, "rdtsc\n"
     "movl %eax, 0x30000\n"
     "movl %edx, 0x30004\n" CALL_HOST(1)
     "rdtsc\n"
     "movl %eax, 0x30008\n"
     "movl %edx, 0x3000c\n" DONE);

static inline void stub_test_pause(gconstpointer class)
{
	const uint64_t pause_tsc = 20000000;
	const struct accel_class *accel = class;
	uint64_t start, paused, guest_passed, host_passed;

	GUEST_OR_SKIP(guest, class, 1);
	LOAD(guest, tsc);
	guest->on_call = on_call_break;
	guest_start_long(guest);
	start = __rdtsc();
	g_assert_cmpint(guest_run(guest), ==, VCPU_EXIT_KICKED);
	timers_pause(guest->vm.timers);
	accel->pause(guest->vm.accel);
	for (paused = __rdtsc(); __rdtsc() - paused < pause_tsc;)
		_mm_pause();
	accel->resume(guest->vm.accel);
	timers_resume(guest->vm.timers);
	g_assert_cmpint(guest_run(guest), ==, VCPU_EXIT_KICKED);
	g_assert_true(guest->done);
	host_passed = __rdtsc() - start;
	if (class == &accel_kvm_class && guest_read64(guest, GUEST_RESULT) >= start) {
		g_test_skip("this KVM gives guests the host's TSC as it is");
		return;
	}
	guest_passed = guest_read64(guest, GUEST_RESULT + 8) - guest_read64(guest, GUEST_RESULT);
	g_assert_cmpuint(guest_passed, >, 0);
	g_assert_cmpuint(guest_passed, <=, host_passed - pause_tsc);
}

#endif
