/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/accel-kvm.h"

#include <errno.h>
#include <sys/ioctl.h>

#include "core/base/error.h"

/*
 * Interrupts with the split irqchip: local APICs in the kernel, PIC and I/O APIC here.
 *
 * Messages go straight in with KVM_SIGNAL_MSI. The kernel reports the end of a level-triggered interrupt
 * (KVM_EXIT_IOAPIC_EOI) only for vectors it finds in the routes of the reserved GSIs; so each level-triggered message
 * becomes such a route before it is sent for the first time. A stale route costs an exit that means nothing; the
 * oldest one makes room when the table is full.
 *
 * An eventfd that interrupts has a GSI of its own behind the reserved ones, routed to its message. The kernel takes
 * the whole table or nothing of it, so a message it refuses must not stay there.
 *
 * The PIC's output is a level. vCPU 0 takes the vector from the PIC only when the kernel says the guest can accept
 * one, and asks for an exit at the next such moment otherwise. From the PIC to the guest a vector is in one of two
 * places: held (the kernel refused it) or queued (the kernel has it, and KVM_RUN has not entered the guest since); a
 * saved state shows both as an acknowledged interrupt.
 */
#define MSI_BASE 0xfee00000u
#define MSI_DEST_SHIFT 12
#define MSI_LEVEL (1u << 15)
#define MSI_ASSERT (1u << 14)
#define MSI_NMI (4u << 8)

#define LAPIC_ISR 0x100u
#define LAPIC_TMR 0x180u
#define LAPIC_IRR 0x200u

bool kvm_create_irqchip(struct kvm_accel *kvm, GError **err)
{
	struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { KVM_N_ROUTES } };
	struct kvm_enable_cap x2apic = {
		.cap = KVM_CAP_X2APIC_API,
		.args = { KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK },
	};

	if (ioctl(kvm->vm_fd, KVM_ENABLE_CAP, &split) < 0)
		return fail_errno(err, "KVM: split irqchip");
	/*
	 * Without it x2APIC IDs end at 255, which is more than Lodge gives out; images then keep the ID in the upper
	 * byte.
	 */
	(void)ioctl(kvm->vm_fd, KVM_ENABLE_CAP, &x2apic);
	return true;
}

static struct kvm_irq_routing_entry msi_route(unsigned gsi, uint64_t address, uint32_t data)
{
	return (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi = { .address_lo = (uint32_t)address, .address_hi = (uint32_t)(address >> 32), .data = data },
	};
}

/* route_lock held, as for everything about routes. */
static bool set_routes(struct kvm_accel *kvm)
{
	unsigned n = kvm->n_routes + kvm->n_irqfds;
	g_autofree struct kvm_irq_routing *table = g_malloc0(sizeof(*table) + n * sizeof(table->entries[0]));

	for (unsigned i = 0; i < kvm->n_routes; i++)
		table->entries[table->nr++] = msi_route(i, kvm->routes[i].address, kvm->routes[i].data);
	for (unsigned i = 0; i < kvm->n_irqfds; i++)
		table->entries[table->nr++] = msi_route(KVM_N_ROUTES + i, kvm->irqfds[i].msg.address,
							kvm->irqfds[i].msg.data);
	return ioctl(kvm->vm_fd, KVM_SET_GSI_ROUTING, table) == 0;
}

/*
 * Asks for EOI exits of a level-triggered message. The allocation happens once for each message a pin is programmed
 * with.
 */
static void learn_route(struct kvm_accel *kvm, uint32_t address, uint32_t data)
{
	unsigned i = 0;

	g_mutex_lock(&kvm->route_lock);
	while (i < kvm->n_routes && (kvm->routes[i].address != address || kvm->routes[i].data != data))
		i++;
	if (i == kvm->n_routes) {
		unsigned slot = kvm->next_route;

		kvm->next_route = (slot + 1) % KVM_N_ROUTES;
		kvm->n_routes = MAX(kvm->n_routes, slot + 1);
		kvm->routes[slot] = (struct kvm_route){ .address = address, .data = data };
		if (!set_routes(kvm))
			g_warning("KVM refuses interrupt routes: %s", g_strerror(errno));
	}
	g_mutex_unlock(&kvm->route_lock);
}

void kvm_msi(struct accel *accel, const struct msi_message *msg)
{
	struct kvm_accel *kvm = kvm_accel(accel);
	struct kvm_msi msi = { .address_lo = (uint32_t)msg->address,
			       .address_hi = (uint32_t)(msg->address >> 32),
			       .data = msg->data };

	if (msi.data & MSI_LEVEL)
		learn_route(kvm, msi.address_lo, msi.data);
	/* A negative or zero answer means nobody took it, which is the guest's affair. */
	(void)ioctl(kvm->vm_fd, KVM_SIGNAL_MSI, &msi);
}

/* --- eventfds --- */

static bool connect(struct kvm_accel *kvm, struct kvm_irqfd_slot *slot, bool on)
{
	struct kvm_irqfd irqfd = {
		.fd = (uint32_t)slot->fd,
		.gsi = KVM_N_ROUTES + (uint32_t)(slot - kvm->irqfds),
		.flags = on ? 0 : KVM_IRQFD_FLAG_DEASSIGN,
	};

	if (slot->connected == on)
		return true;
	if (ioctl(kvm->vm_fd, KVM_IRQFD, &irqfd) < 0)
		return false;
	slot->connected = on;
	return true;
}

/* The slot of this eventfd: the one it had before, so that its route need not change, or one that is free. */
static struct kvm_irqfd_slot *find_irqfd(struct kvm_accel *kvm, int fd)
{
	struct kvm_irqfd_slot *idle = NULL;

	for (unsigned i = 0; i < kvm->n_irqfds; i++) {
		if (kvm->irqfds[i].fd == fd)
			return &kvm->irqfds[i];
		if (!kvm->irqfds[i].connected)
			idle = &kvm->irqfds[i];
	}
	if (kvm->n_irqfds < KVM_N_IRQFDS) {
		idle = &kvm->irqfds[kvm->n_irqfds++];
		*idle = (struct kvm_irqfd_slot){ .msg.address = MSI_BASE };
	}
	if (idle)
		idle->fd = fd;
	return idle;
}

static bool route_irqfd(struct kvm_accel *kvm, struct kvm_irqfd_slot *slot, const struct msi_message *msg)
{
	struct msi_message before = slot->msg;

	if (before.address == msg->address && before.data == msg->data)
		return true;
	slot->msg = *msg;
	if (set_routes(kvm))
		return true;
	slot->msg = before;
	return false;
}

bool kvm_set_irqfd(struct accel *accel, int fd, const struct msi_message *msg)
{
	struct kvm_accel *kvm = kvm_accel(accel);
	struct kvm_irqfd_slot *slot;
	bool done;

	g_mutex_lock(&kvm->route_lock);
	slot = find_irqfd(kvm, fd);
	done = slot && (msg ? route_irqfd(kvm, slot, msg) && connect(kvm, slot, true) : connect(kvm, slot, false));
	/* Better none than the old message. */
	if (slot && !done)
		(void)connect(kvm, slot, false);
	g_mutex_unlock(&kvm->route_lock);
	return done;
}

/* The kernel may deliver from a work queue of its own; it empties that when an eventfd is disconnected. */
void kvm_settle_irqfds(struct kvm_accel *kvm)
{
	g_mutex_lock(&kvm->route_lock);
	for (unsigned i = 0; i < kvm->n_irqfds; i++) {
		struct kvm_irqfd_slot *slot = &kvm->irqfds[i];

		if (slot->connected && connect(kvm, slot, false) && !connect(kvm, slot, true))
			g_warning("KVM does not take an interrupt's eventfd back: %s", g_strerror(errno));
	}
	g_mutex_unlock(&kvm->route_lock);
}

/* --- the rest --- */

/* Not KVM_NMI, which would wait until the vCPU leaves KVM_RUN. */
void kvm_nmi(struct vcpu *vcpu)
{
	struct kvm_vcpu_data *kv = vcpu->accel_data;
	struct kvm_msi msi = { .address_lo = MSI_BASE | vcpu->apic_id << MSI_DEST_SHIFT, .data = MSI_NMI };

	(void)ioctl(kv->kvm->vm_fd, KVM_SIGNAL_MSI, &msi);
}

void kvm_extint(struct accel *accel, bool level)
{
	struct kvm_accel *kvm = kvm_accel(accel);
	struct kvm_vcpu_data *bsp = __atomic_load_n(&kvm->bsp, __ATOMIC_ACQUIRE);
	bool before = __atomic_exchange_n(&kvm->extint, level, __ATOMIC_SEQ_CST);

	if (level && !before && bsp)
		kvm_poke(bsp);
}

void kvm_prepare_extint(struct kvm_vcpu_data *kv)
{
	struct kvm_accel *kvm = kv->kvm;
	struct kvm_run *run = kv->run;

	if (kv->extint_held < 0 && run->ready_for_interrupt_injection &&
	    __atomic_load_n(&kvm->extint, __ATOMIC_SEQ_CST)) {
		kv->extint_held = vm_pic_ack(kvm->base.vm);
		stats_add(&kv->vcpu->stats->interrupts, 1);
	}
	if (kv->extint_held >= 0) {
		struct kvm_interrupt interrupt = { .irq = (uint32_t)kv->extint_held };

		if (ioctl(kv->fd, KVM_INTERRUPT, &interrupt) == 0) {
			kv->extint_queued = kv->extint_held;
			kv->extint_held = -1;
		}
	}
	run->request_interrupt_window = kv->extint_held >= 0 || __atomic_load_n(&kvm->extint, __ATOMIC_SEQ_CST);
}

static bool image_bit(const uint8_t lapic[1024], unsigned base, unsigned vector)
{
	/* Registers of 32 vectors each, packed to four bytes: base >> 4 of them come before. */
	return lapic[(base >> 4) * 4 + vector / 8] >> vector % 8 & 1;
}

void kvm_expect_eois(struct kvm_vcpu_data *kv, const uint8_t lapic[1024])
{
	for (unsigned vector = 16; vector < 256; vector++) {
		bool active = image_bit(lapic, LAPIC_ISR, vector) || image_bit(lapic, LAPIC_IRR, vector);

		if (active && image_bit(lapic, LAPIC_TMR, vector))
			learn_route(kv->kvm, MSI_BASE | kv->vcpu->apic_id << MSI_DEST_SHIFT,
				    vector | MSI_LEVEL | MSI_ASSERT);
	}
}
