/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TESTS_GUEST_ASM_H
#define LODGE_TESTS_GUEST_ASM_H

#include "tests/guest.h"

/*
 * Guest code for tests/guest-stubs.h, written in assembly in the middle of C. It is copied to GUEST_CODE, so a stub
 * must work at any address: labels only as differences.
 */
#define STUB(name, body) \
	extern const uint8_t stub_##name[] __attribute__((visibility("hidden"))); \
	extern const uint8_t stub_##name##_end[] __attribute__((visibility("hidden"))); \
	__asm__(".pushsection .rodata\nstub_" #name ":\n" body "\nstub_" #name "_end:\n.code64\n.popsection\n")
#define STUB_LABEL(name) extern const uint8_t stub_##name[] __attribute__((visibility("hidden")))

#define SAY(character) "movb $'" character "', %al\n outb %al, $0xe0\n"
#define CALL_HOST(number) "movb $" #number ", %al\n outb %al, $0xe1\n"
#define DONE "outl %eax, $0xe4\n 99: hlt\n jmp 99b\n"
/* Interrupts are off from the look at the counter to the HLT, so none is slept over. */
#define SLEEP_UNTIL(count) "88: cli\n cmpl $" #count ", %r12d\n jae 89f\n sti\n hlt\n jmp 88b\n 89: sti\n"
#define LAPIC_EOI "movl $0, 0xb0(%rbx)\n" /* rbx: 0xfee00000 */

static inline void guest_load(struct guest *guest, const uint8_t *start, const uint8_t *end)
{
	guest_write(guest, GUEST_CODE, start, (size_t)(end - start));
}
#define LOAD(guest, name) guest_load(guest, stub_##name, stub_##name##_end)
#define ADDRESS(name, label) (GUEST_CODE + (uint64_t)(stub_##label - stub_##name))

/* Where a test gets no guest, the host does not offer the accelerator and the test has been skipped. */
#define GUEST_OR_SKIP(guest, class, n_cpus)               \
	autoptr(guest) guest = guest_new(class, n_cpus);  \
	if (!guest)                                       \
	return

static inline void guest_start_long(struct guest *guest)
{
	struct x86_cpu_state state;

	guest_state_long(&state);
	guest_set_state(guest, 0, &state);
}

static inline void assert_done(struct guest *guest, enum vcpu_exit why, uint32_t result)
{
	struct x86_cpu_state state;

	g_assert_no_error(guest->vcpus[0].error);
	if (why != VCPU_EXIT_KICKED) {
		guest->vm.accel_class->vcpu_get_state(&guest->vcpus[0], &state);
		g_test_message("stopped at %#" G_GINT64_MODIFIER "x, CR0 %#" G_GINT64_MODIFIER
			       "x, CR2 %#" G_GINT64_MODIFIER "x, CR4 %#" G_GINT64_MODIFIER "x, said '%s'",
			       state.rip, state.cr0, state.cr2, state.cr4, guest->said->str);
	}
	g_assert_cmpint(why, ==, VCPU_EXIT_KICKED);
	g_assert_true(guest->done);
	g_assert_cmphex(guest->result, ==, result);
}

#endif
