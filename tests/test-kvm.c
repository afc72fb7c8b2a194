/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/guest-stubs.h"

/* The shared guests on /dev/kvm, and what only KVM has; skipped where it is missing or not ours to open. */

/* --- an eventfd that interrupts --- */

/* Three interrupts, of which the first handler says 'i' and the second 'j'; each ends with a call to the host. */
/* clang-format off */
STUB(irqfd, "movl $0xfee00000, %ebx\n"
     "movl $0x1ff, 0xf0(%rbx)\n"
     "xorl %r12d, %r12d\n" CALL_HOST(1) SLEEP_UNTIL(3)
     "movl %r12d, %eax\n" DONE
     ".globl stub_irqfd_first, stub_irqfd_second\n"
     ".hidden stub_irqfd_first, stub_irqfd_second\n"
     "stub_irqfd_first:" SAY("i") "jmp 3f\n"
     "stub_irqfd_second:" SAY("j")
     "3: incl %r12d\n" LAPIC_EOI CALL_HOST(2)
     "iretq\n");
/* clang-format on */
STUB_LABEL(irqfd_first);
STUB_LABEL(irqfd_second);

struct irqfd_test {
	struct guest *guest;
	int fd;
	GThread *thread;
};

static bool set_irqfd(struct irqfd_test *test, uint64_t address, uint32_t data)
{
	const struct msi_message msg = { .address = address, .data = data };

	return accel_kvm_class.irqfd(test->guest->vm.accel, test->fd, &msg);
}

static void signal_fd(const struct irqfd_test *test)
{
	g_assert_cmpint(eventfd_write(test->fd, 1), ==, 0);
}

static gpointer signal_thread(gpointer data)
{
	signal_fd(data);
	return NULL;
}

static void disconnect(struct irqfd_test *test)
{
	g_assert_true(accel_kvm_class.irqfd(test->guest->vm.accel, test->fd, NULL));
}

static void on_call_irqfd(struct guest *guest, uint8_t val)
{
	struct irqfd_test *test = guest->opaque;

	if (val == 1) {
		/* nobody listens: the signal waits, and arrives with the connection */
		disconnect(test);
		signal_fd(test);
		g_assert_true(set_irqfd(test, 0xfee00000, MSI_VECTOR));
	} else if (strcmp(guest->said->str, "i") == 0) {
		/* another message for the same eventfd, signalled by another thread */
		g_assert_true(set_irqfd(test, 0xfee00000, MSI_VECTOR + 1));
		test->thread = g_thread_new("signal", signal_thread, test);
	} else if (strcmp(guest->said->str, "ij") == 0) {
		/* and back */
		disconnect(test);
		g_assert_true(set_irqfd(test, 0xfee00000, MSI_VECTOR));
		signal_fd(test);
	}
}

static struct guest *irqfd_guest(struct irqfd_test *test)
{
	struct guest *guest = guest_new(&accel_kvm_class, 1);

	if (!guest)
		return NULL;
	test->guest = guest;
	guest->opaque = test;
	LOAD(guest, irqfd);
	guest_set_gate(guest, MSI_VECTOR, ADDRESS(irqfd, irqfd_first));
	guest_set_gate(guest, MSI_VECTOR + 1, ADDRESS(irqfd, irqfd_second));
	guest->on_call = on_call_irqfd;
	guest_start_long(guest);
	return guest;
}

static void test_irqfd(void)
{
	auto_fd int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct irqfd_test test = { .fd = fd };
	autoptr(guest) guest = irqfd_guest(&test);
	eventfd_t count;

	if (!guest)
		return;
	assert_done(guest, guest_run(guest), 3);
	g_thread_join(test.thread);
	g_assert_cmpstr(guest->said->str, ==, "iji");
	/* the kernel has taken every signal */
	g_assert_cmpint(eventfd_read(fd, &count), <, 0);
	disconnect(&test);
	signal_fd(&test);
	g_assert_cmpint(eventfd_read(fd, &count), ==, 0);
}

/* One message that the kernel refuses must not stand in the way of the others. */
static void test_irqfd_refused(void)
{
	auto_fd int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), bad_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct irqfd_test test = { .fd = fd }, bad = { .fd = bad_fd };
	autoptr(guest) guest = irqfd_guest(&test);
	eventfd_t count;

	if (!guest)
		return;
	bad.guest = guest;
	g_assert_true(set_irqfd(&bad, 0xfee00000, MSI_VECTOR));
	/* bits that x2APIC's 32-bit destinations do not have */
	g_assert_false(set_irqfd(&bad, UINT64_C(0x000000fffee00000), MSI_VECTOR));
	signal_fd(&bad);
	/* not the old message either */
	g_assert_cmpint(eventfd_read(bad_fd, &count), ==, 0);
	assert_done(guest, guest_run(guest), 3);
	g_thread_join(test.thread);
	g_assert_cmpstr(guest->said->str, ==, "iji");
	disconnect(&bad);
	disconnect(&test);
}

/* More eventfds than there are GSIs: a clear no, and room again when one is given back. */
static void test_irqfd_many(void)
{
	g_autoptr(GArray) fds = g_array_new(FALSE, FALSE, sizeof(int));
	struct irqfd_test test = { 0 };
	autoptr(guest) guest = irqfd_guest(&test);

	if (!guest)
		return;
	for (unsigned i = 0; i <= KVM_N_IRQFDS; i++) {
		int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

		g_assert_cmpint(fd, >=, 0);
		g_array_append_val(fds, fd);
		test.fd = fd;
		if (!set_irqfd(&test, 0xfee00000, MSI_VECTOR))
			break;
	}
	g_assert_cmpuint(fds->len, ==, KVM_N_IRQFDS + 1);
	test.fd = g_array_index(fds, int, 7);
	disconnect(&test);
	test.fd = g_array_index(fds, int, KVM_N_IRQFDS);
	g_assert_true(set_irqfd(&test, 0xfee00000, MSI_VECTOR));
	for (guint i = 0; i < fds->len; i++) {
		test.fd = g_array_index(fds, int, i);
		if (i != 7)
			disconnect(&test);
		close(test.fd);
	}
}

/* A pause leaves nothing on its way, and the connection stands afterwards. */
static void test_irqfd_pause(void)
{
	auto_fd int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct irqfd_test test = { .fd = fd };
	autoptr(guest) guest = irqfd_guest(&test);
	struct x86_cpu_state state;

	if (!guest)
		return;
	guest->on_call = on_call_break;
	g_assert_true(set_irqfd(&test, 0xfee00000, MSI_VECTOR));
	g_assert_cmpint(guest_run(guest), ==, VCPU_EXIT_KICKED);
	signal_fd(&test);
	accel_kvm_class.pause(guest->vm.accel);
	accel_kvm_class.vcpu_get_state(&guest->vcpus[0], &state);
	/* the interrupt request register */
	g_assert_cmphex(state.lapic[(0x200 >> 4) * 4 + MSI_VECTOR / 8] >> MSI_VECTOR % 8 & 1, ==, 1);
	g_assert_cmpint(guest_run(guest), ==, VCPU_EXIT_KICKED);
	g_assert_cmpstr(guest->said->str, ==, "i");
	signal_fd(&test);
	g_assert_cmpint(guest_run(guest), ==, VCPU_EXIT_KICKED);
	g_assert_cmpstr(guest->said->str, ==, "ii");
	disconnect(&test);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	guest_stubs_add(&accel_kvm_class);
	g_test_add_func("/kvm/irqfd/signals", test_irqfd);
	g_test_add_func("/kvm/irqfd/refused", test_irqfd_refused);
	g_test_add_func("/kvm/irqfd/many", test_irqfd_many);
	g_test_add_func("/kvm/irqfd/pause", test_irqfd_pause);
	return g_test_run();
}
