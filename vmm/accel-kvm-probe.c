/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/accel-kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/fd.h"

/*
 * Whether /dev/kvm is there, may be used, and is worth using. It can be all there and still interpret each instruction
 * of a guest's kernel, as some kernels do on hosts without VT-x or AMD-V; so a loop in 64-bit kernel mode is run
 * against the clock. Runs grow until one takes long enough to be measured, so a slow KVM is found out after the first,
 * short one; a timer ends a KVM that does not come back.
 */
#define NATIVE_MIPS 200.0
#define FIRST_LOOPS 250u
#define LOOP_INSTRUCTIONS 4u
#define ENOUGH_NS (300 * NS_PER_US)
#define MAX_TRIES 3u
#define GIVE_UP_MS 30u

static const struct {
	int cap;
	const char *name;
} needed_caps[] = {
	{ KVM_CAP_USER_MEMORY, "user memory" },
	{ KVM_CAP_SET_TSS_ADDR, "TSS address" },
	{ KVM_CAP_EXT_CPUID, "CPUID" },
	{ KVM_CAP_SPLIT_IRQCHIP, "split irqchip" },
	{ KVM_CAP_SIGNAL_MSI, "message signalled interrupts" },
	{ KVM_CAP_IRQ_ROUTING, "interrupt routing" },
	{ KVM_CAP_IOEVENTFD, "ioeventfd" },
	{ KVM_CAP_IMMEDIATE_EXIT, "immediate exit" },
	{ KVM_CAP_MP_STATE, "multiprocessor state" },
	{ KVM_CAP_VCPU_EVENTS, "vCPU events" },
	{ KVM_CAP_DEBUGREGS, "debug registers" },
	{ KVM_CAP_XSAVE, "XSAVE state" },
};

static bool refuse_open(GError **err)
{
	switch (errno) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return fail(err, LODGE_ERROR_UNSUPPORTED,
			    "/dev/kvm is not there: no hardware virtualization here, or its module is not loaded "
			    "('modprobe kvm_intel' or 'kvm_amd'; inside a VM switch on nested virtualization, "
			    "in a container pass the device in)");
	case EACCES:
	case EPERM:
		return fail(err, LODGE_ERROR_DENIED,
			    "/dev/kvm may not be opened by this user: join the group that owns it "
			    "('sudo usermod -aG kvm $USER', then log in again)");
	default:
		return fail_errno(err, "/dev/kvm");
	}
}

int kvm_open(GError **err)
{
	auto_fd int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int version;

	if (fd < 0) {
		refuse_open(err);
		return -1;
	}
	version = ioctl(fd, KVM_GET_API_VERSION, 0);
	if (version != KVM_API_VERSION) {
		fail(err, LODGE_ERROR_UNSUPPORTED, "/dev/kvm speaks API version %d, Lodge needs %d", version,
		     KVM_API_VERSION);
		return -1;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(needed_caps); i++) {
		if (ioctl(fd, KVM_CHECK_EXTENSION, needed_caps[i].cap) > 0)
			continue;
		fail(err, LODGE_ERROR_UNSUPPORTED, "/dev/kvm lacks %s (capability %d): the host's kernel is too old",
		     needed_caps[i].name, needed_caps[i].cap);
		return -1;
	}
	return fd_steal(&fd);
}

static struct kvm_cpuid2 *supported_cpuid(int kvm_fd, GError **err)
{
	g_autofree struct kvm_cpuid2 *cpuid = g_malloc0(sizeof(*cpuid) + KVM_MAX_CPUID * sizeof(cpuid->entries[0]));

	cpuid->nent = KVM_MAX_CPUID;
	if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0)
		return fail_errno_null(err, "/dev/kvm: supported CPUID");
	return g_steal_pointer(&cpuid);
}

bool kvm_supported_leaves(int kvm_fd, struct cpuid_leaf *leaves, size_t *n, GError **err)
{
	g_autofree struct kvm_cpuid2 *cpuid = supported_cpuid(kvm_fd, err);

	if (!cpuid)
		return false;
	*n = MIN(cpuid->nent, KVM_MAX_CPUID);
	for (size_t i = 0; i < *n; i++) {
		const struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];

		leaves[i] = (struct cpuid_leaf){
			.function = entry->function,
			.index = entry->index,
			.has_index = entry->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
			.eax = entry->eax,
			.ebx = entry->ebx,
			.ecx = entry->ecx,
			.edx = entry->edx,
		};
	}
	return true;
}

static void on_kick(int signal_number)
{
	(void)signal_number;
}

bool kvm_install_kick_handler(GError **err)
{
	struct sigaction action = { .sa_handler = on_kick };

	sigemptyset(&action.sa_mask);
	if (sigaction(KVM_KICK_SIGNAL, &action, NULL) < 0)
		return fail_errno(err, "signal handler for vCPU threads");
	return true;
}

void kvm_accept_kicks(void)
{
	sigset_t kick;

	sigemptyset(&kick);
	sigaddset(&kick, KVM_KICK_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
}

/* --- the timed guest --- */

#define GUEST_SIZE 0x8000u
#define GUEST_PML4 0x1000u
#define GUEST_PDPT 0x2000u
#define GUEST_PD 0x3000u
#define GUEST_CODE 0x4000u
#define GUEST_DATA 0x5000u
#define GUEST_PORT 0x10u

/* loop: add rax, [rbx]; mov [rbx + 8], rax; dec rcx; jnz loop; out GUEST_PORT, al */
static const uint8_t guest_code[] = {
	0x48, 0x03, 0x03, 0x48, 0x89, 0x43, 0x08, 0x48, 0xff, 0xc9, 0x75, 0xf4, 0xe6, GUEST_PORT,
};

struct timed_guest {
	int vm_fd, vcpu_fd;
	uint8_t *memory;
	struct kvm_run *run;
	size_t run_size;
	timer_t timer;
	bool has_timer;
};

static void timed_guest_clear(struct timed_guest *guest)
{
	if (guest->has_timer)
		timer_delete(guest->timer);
	if (guest->run)
		munmap(guest->run, guest->run_size);
	fd_close(&guest->vcpu_fd);
	fd_close(&guest->vm_fd);
	if (guest->memory)
		munmap(guest->memory, GUEST_SIZE);
}

static void *map(size_t size, int flags, int fd)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	return at == MAP_FAILED ? NULL : at;
}

static void put64(uint8_t *memory, uint32_t offset, uint64_t val)
{
	memcpy(memory + offset, &val, sizeof(val));
}

static bool guest_memory(struct timed_guest *guest)
{
	struct kvm_userspace_memory_region region = { .memory_size = GUEST_SIZE };

	guest->memory = map(GUEST_SIZE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (!guest->memory)
		return false;
	put64(guest->memory, GUEST_PML4, GUEST_PDPT | 3);
	put64(guest->memory, GUEST_PDPT, GUEST_PD | 3);
	put64(guest->memory, GUEST_PD, 0x83); /* one 2 MiB page at 0 */
	put64(guest->memory, GUEST_DATA, 3);
	memcpy(guest->memory + GUEST_CODE, guest_code, sizeof(guest_code));
	region.userspace_addr = (uintptr_t)guest->memory;
	return ioctl(guest->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) == 0;
}

static bool guest_long_mode(struct timed_guest *guest)
{
	const struct kvm_segment code = {
		.limit = 0xffffffff, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1
	};
	const struct kvm_segment data = {
		.limit = 0xffffffff, .selector = 16, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1
	};
	struct kvm_sregs sregs;

	if (ioctl(guest->vcpu_fd, KVM_GET_SREGS, &sregs) < 0)
		return false;
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.ss = sregs.fs = sregs.gs = data;
	sregs.cr3 = GUEST_PML4;
	sregs.cr4 = X86_CR4_PAE;
	sregs.cr0 = X86_CR0_PE | X86_CR0_ET | X86_CR0_NE | X86_CR0_WP | X86_CR0_PG;
	sregs.efer = X86_EFER_LME | X86_EFER_LMA;
	return ioctl(guest->vcpu_fd, KVM_SET_SREGS, &sregs) == 0;
}

static bool guest_timer(struct timed_guest *guest)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = KVM_KICK_SIGNAL };
	/* It repeats, as the first signal may fall just before KVM_RUN. */
	struct itimerspec when = {
		.it_value.tv_nsec = (long)(GIVE_UP_MS * NS_PER_MS),
		.it_interval.tv_nsec = (long)NS_PER_MS,
	};

	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	guest->has_timer = timer_create(CLOCK_MONOTONIC, &event, &guest->timer) == 0;
	return guest->has_timer && timer_settime(guest->timer, 0, &when, NULL) == 0;
}

static bool timed_guest_init(struct timed_guest *guest, int kvm_fd)
{
	g_autofree struct kvm_cpuid2 *cpuid = supported_cpuid(kvm_fd, NULL);
	int run_size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	if (!cpuid || run_size <= 0)
		return false;
	guest->run_size = (size_t)run_size;
	guest->vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	if (guest->vm_fd < 0 || !guest_memory(guest))
		return false;
	guest->vcpu_fd = ioctl(guest->vm_fd, KVM_CREATE_VCPU, 0);
	if (guest->vcpu_fd < 0)
		return false;
	guest->run = map(guest->run_size, MAP_SHARED, guest->vcpu_fd);
	return guest->run && ioctl(guest->vcpu_fd, KVM_SET_CPUID2, cpuid) == 0 && guest_long_mode(guest) &&
	       guest_timer(guest);
}

static uint64_t cpu_ns(void)
{
	struct timespec now;

	/* The thread's own time, guest included: others who use the processor do not count. */
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

/*
 * Nanoseconds for that many loops; 0 when the guest did not come to its end, *interrupted when that was for lack of
 * time.
 */
static uint64_t time_loops(struct timed_guest *guest, uint64_t loops, bool *interrupted)
{
	struct kvm_regs regs = { .rip = GUEST_CODE, .rflags = X86_FLAG_FIXED, .rbx = GUEST_DATA, .rcx = loops };
	uint64_t start;

	if (ioctl(guest->vcpu_fd, KVM_SET_REGS, &regs) < 0)
		return 0;
	start = cpu_ns();
	if (ioctl(guest->vcpu_fd, KVM_RUN, 0) < 0) {
		*interrupted = errno == EINTR;
		return 0;
	}
	if (guest->run->exit_reason != KVM_EXIT_IO || guest->run->io.port != GUEST_PORT)
		return 0;
	return MAX(cpu_ns() - start, 1);
}

/*
 * Million guest instructions a second; 0 when it did not run, negative when it did not end in time. Runs of growing
 * length until one is long enough; one that looks too slow is repeated, as an outer hypervisor may have taken the
 * processor away in between.
 */
static double measure(struct timed_guest *guest)
{
	bool interrupted = false;
	unsigned tries = 0;
	double mips = 0;

	/* Pays for the first page faults. */
	if (time_loops(guest, 1, &interrupted) == 0)
		return interrupted ? -1 : 0;
	for (uint64_t loops = FIRST_LOOPS; loops < UINT64_C(1) << 32;) {
		uint64_t ns = time_loops(guest, loops, &interrupted);

		if (ns == 0)
			return interrupted && mips == 0 ? -1 : mips;
		mips = MAX(mips, (double)(loops * LOOP_INSTRUCTIONS) * 1000.0 / (double)ns);
		if (ns < ENOUGH_NS)
			loops *= 4;
		else if (mips >= NATIVE_MIPS || ++tries == MAX_TRIES)
			break;
	}
	return mips;
}

static char *describe(double mips)
{
	if (mips == 0)
		return g_strdup("/dev/kvm does not run a 64-bit test guest: the host's KVM or an outer hypervisor "
				"is broken");
	if (mips < 0)
		return g_strdup_printf("/dev/kvm did not end a short test guest within %u ms", GIVE_UP_MS);
	if (mips < NATIVE_MIPS)
		return g_strdup_printf("/dev/kvm only interprets here (%.1f M instr/s, needs VT-x or AMD-V)", mips);
	return g_strdup_printf("native execution, %.1f G guest instructions/s", mips / 1000.0);
}

void kvm_probe(struct accel_probe *probe)
{
	struct timed_guest guest = { .vm_fd = -1, .vcpu_fd = -1 };
	g_autoptr(GError) err = NULL;
	auto_fd int fd = kvm_open(&err);
	double mips;

	*probe = (struct accel_probe){ 0 };
	if (fd < 0 || !kvm_install_kick_handler(&err)) {
		probe->reason = g_strdup(err->message);
		return;
	}
	kvm_accept_kicks();
	mips = timed_guest_init(&guest, fd) ? measure(&guest) : 0;
	timed_guest_clear(&guest);
	probe->usable = mips != 0;
	probe->recommended = mips >= NATIVE_MIPS;
	probe->guest_mips = MAX(mips, 0);
	probe->reason = describe(mips);
}
