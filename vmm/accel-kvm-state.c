/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/accel-kvm.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "core/base/error.h"

/*
 * struct x86_cpu_state to and from the kernel. Order when loading: control registers first, as they decide how the
 * rest is read (x2APIC mode, long mode); the local APIC before TSC_DEADLINE, which needs the timer's mode; events
 * after the general registers, which reset them. MSRs a kernel does not know are left out one by one.
 */
#define MSR_TSC 0x10u
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_KVM_WALL_CLOCK 0x11u /* old numbers of the PV clock: the kernel keeps one value behind both */
#define MSR_KVM_SYSTEM_TIME 0x12u

#define XSAVE_HEADER 512u
#define XSAVE_AVX 576u
#define FCW_INIT 0x37fu

#define LAPIC_IMAGE_REGS 64u /* the kernel keeps offsets 0 to 0x3f0 */

/* struct kvm_msrs with room for its entries. */
struct one_msr {
	uint32_t n, pad;
	struct kvm_msr_entry entry;
};

G_STATIC_ASSERT(G_STRUCT_OFFSET(struct one_msr, entry) == sizeof(struct kvm_msrs));

bool kvm_read_msr(int fd, uint32_t index, uint64_t *val)
{
	struct one_msr msr = { .n = 1, .entry.index = index };

	if (ioctl(fd, KVM_GET_MSRS, &msr) != 1)
		return false;
	*val = msr.entry.data;
	return true;
}

bool kvm_write_msr(int fd, uint32_t index, uint64_t val)
{
	struct one_msr msr = { .n = 1, .entry = { .index = index, .data = val } };

	return ioctl(fd, KVM_SET_MSRS, &msr) == 1;
}

/* The MSRs with a place in struct x86_cpu_state that this kernel and this vCPU know. */
void kvm_find_msrs(struct kvm_vcpu_data *kv)
{
	size_t n;
	const struct msr_policy *rows = msr_policy_table(&n);
	uint64_t unused;

	kv->n_msrs = 0;
	for (size_t i = 0; i < n && kv->n_msrs < G_N_ELEMENTS(kv->msrs); i++) {
		bool alias = rows[i].index == MSR_KVM_WALL_CLOCK || rows[i].index == MSR_KVM_SYSTEM_TIME;

		if (rows[i].state_offset >= 0 && !alias && kvm_read_msr(kv->fd, rows[i].index, &unused))
			kv->msrs[kv->n_msrs++] = rows[i].index;
	}
}

static size_t msr_offset(uint32_t index)
{
	return (size_t)msr_policy_find(NULL, index)->state_offset;
}

struct msr_batch {
	uint32_t n, pad;
	struct kvm_msr_entry entries[X86_STATE_MAX_MSRS];
};

static void get_msrs(struct kvm_vcpu_data *kv, struct x86_cpu_state *state)
{
	struct msr_batch batch = { .n = (uint32_t)kv->n_msrs };
	int n;

	for (size_t i = 0; i < kv->n_msrs; i++)
		batch.entries[i].index = kv->msrs[i];
	n = ioctl(kv->fd, KVM_GET_MSRS, &batch);
	for (int i = 0; i < n; i++)
		memcpy((char *)state + msr_offset(batch.entries[i].index), &batch.entries[i].data, sizeof(uint64_t));
	(void)kvm_read_msr(kv->fd, MSR_TSC, &state->tsc);
	(void)kvm_read_msr(kv->fd, MSR_TSC_DEADLINE, &state->tsc_deadline);
}

/* Never refuses: a value this kernel or processor cannot take is one the guest can live without. */
static bool set_msrs(struct kvm_vcpu_data *kv, const struct x86_cpu_state *state)
{
	for (size_t i = 0; i < kv->n_msrs; i++) {
		uint64_t val;

		memcpy(&val, (const char *)state + msr_offset(kv->msrs[i]), sizeof(val));
		(void)kvm_write_msr(kv->fd, kv->msrs[i], val);
	}
	for (uint32_t i = 0; i < MIN(state->n_msrs, X86_STATE_MAX_MSRS); i++)
		(void)kvm_write_msr(kv->fd, state->msrs[i].index, state->msrs[i].value);
	(void)kvm_write_msr(kv->fd, MSR_TSC, state->tsc);
	return true;
}

/* --- segments and control registers --- */

static struct x86_segment segment_from_kvm(const struct kvm_segment *from)
{
	unsigned attr = from->type | (unsigned)from->s << 4 | (unsigned)from->dpl << 5 | (unsigned)from->present << 7 |
			(unsigned)from->avl << 12 | (unsigned)from->l << 13 | (unsigned)from->db << 14 |
			(unsigned)from->g << 15;

	if (from->unusable)
		attr &= ~X86_ATTR_P;
	return (struct x86_segment){
		.base = from->base, .limit = from->limit, .selector = from->selector, .attr = (uint16_t)attr
	};
}

static struct kvm_segment segment_to_kvm(const struct x86_segment *from)
{
	return (struct kvm_segment){
		.base = from->base,
		.limit = from->limit,
		.selector = from->selector,
		.type = from->attr & X86_ATTR_TYPE,
		.s = from->attr >> 4 & 1,
		.dpl = from->attr >> X86_ATTR_DPL_SHIFT & 3,
		.present = from->attr >> 7 & 1,
		.avl = from->attr >> 12 & 1,
		.l = from->attr >> 13 & 1,
		.db = from->attr >> 14 & 1,
		.g = from->attr >> 15 & 1,
		.unusable = !(from->attr & X86_ATTR_P),
	};
}

static void get_sregs(struct kvm_vcpu_data *kv, struct x86_cpu_state *state)
{
	struct kvm_sregs s;

	if (ioctl(kv->fd, KVM_GET_SREGS, &s) < 0)
		return;
	state->seg[X86_ES] = segment_from_kvm(&s.es);
	state->seg[X86_CS] = segment_from_kvm(&s.cs);
	state->seg[X86_SS] = segment_from_kvm(&s.ss);
	state->seg[X86_DS] = segment_from_kvm(&s.ds);
	state->seg[X86_FS] = segment_from_kvm(&s.fs);
	state->seg[X86_GS] = segment_from_kvm(&s.gs);
	state->ldt = segment_from_kvm(&s.ldt);
	state->tr = segment_from_kvm(&s.tr);
	state->gdt = (struct x86_table){ .base = s.gdt.base, .limit = s.gdt.limit };
	state->idt = (struct x86_table){ .base = s.idt.base, .limit = s.idt.limit };
	state->cr0 = s.cr0;
	state->cr2 = s.cr2;
	state->cr3 = s.cr3;
	state->cr4 = s.cr4;
	state->cr8 = s.cr8;
	state->efer = s.efer;
	state->apic_base = s.apic_base;
}

static bool set_sregs(struct kvm_vcpu_data *kv, const struct x86_cpu_state *state)
{
	/* A pending external interrupt travels in the events, not in the bitmap. */
	struct kvm_sregs s = {
		.es = segment_to_kvm(&state->seg[X86_ES]),
		.cs = segment_to_kvm(&state->seg[X86_CS]),
		.ss = segment_to_kvm(&state->seg[X86_SS]),
		.ds = segment_to_kvm(&state->seg[X86_DS]),
		.fs = segment_to_kvm(&state->seg[X86_FS]),
		.gs = segment_to_kvm(&state->seg[X86_GS]),
		.ldt = segment_to_kvm(&state->ldt),
		.tr = segment_to_kvm(&state->tr),
		.gdt = { .base = state->gdt.base, .limit = (uint16_t)state->gdt.limit },
		.idt = { .base = state->idt.base, .limit = (uint16_t)state->idt.limit },
		.cr0 = state->cr0,
		.cr2 = state->cr2,
		.cr3 = state->cr3,
		.cr4 = state->cr4,
		.cr8 = state->cr8,
		.efer = state->efer,
		.apic_base = state->apic_base,
	};

	return ioctl(kv->fd, KVM_SET_SREGS, &s) == 0;
}

static void get_regs(struct kvm_vcpu_data *kv, struct x86_cpu_state *state)
{
	struct kvm_regs r;

	if (ioctl(kv->fd, KVM_GET_REGS, &r) < 0)
		return;
	const uint64_t gpr[X86_N_GPRS] = {
		[X86_RAX] = r.rax, [X86_RCX] = r.rcx, [X86_RDX] = r.rdx, [X86_RBX] = r.rbx,
		[X86_RSP] = r.rsp, [X86_RBP] = r.rbp, [X86_RSI] = r.rsi, [X86_RDI] = r.rdi,
		[X86_R8] = r.r8,   [X86_R9] = r.r9,   [X86_R10] = r.r10, [X86_R11] = r.r11,
		[X86_R12] = r.r12, [X86_R13] = r.r13, [X86_R14] = r.r14, [X86_R15] = r.r15,
	};
	memcpy(state->gpr, gpr, sizeof(gpr));
	state->rip = r.rip;
	state->rflags = r.rflags;
}

static bool set_regs(struct kvm_vcpu_data *kv, const struct x86_cpu_state *state)
{
	const uint64_t *g = state->gpr;
	struct kvm_regs r = {
		.rax = g[X86_RAX],
		.rcx = g[X86_RCX],
		.rdx = g[X86_RDX],
		.rbx = g[X86_RBX],
		.rsp = g[X86_RSP],
		.rbp = g[X86_RBP],
		.rsi = g[X86_RSI],
		.rdi = g[X86_RDI],
		.r8 = g[X86_R8],
		.r9 = g[X86_R9],
		.r10 = g[X86_R10],
		.r11 = g[X86_R11],
		.r12 = g[X86_R12],
		.r13 = g[X86_R13],
		.r14 = g[X86_R14],
		.r15 = g[X86_R15],
		.rip = state->rip,
		.rflags = state->rflags,
	};

	return ioctl(kv->fd, KVM_SET_REGS, &r) == 0;
}

static void get_debug(struct kvm_vcpu_data *kv, struct x86_cpu_state *state)
{
	struct kvm_debugregs d;

	if (ioctl(kv->fd, KVM_GET_DEBUGREGS, &d) < 0)
		return;
	memcpy(state->dr, d.db, sizeof(d.db));
	state->dr[6] = d.dr6;
	state->dr[7] = d.dr7;
}

static bool set_debug(struct kvm_vcpu_data *kv, const struct x86_cpu_state *state)
{
	struct kvm_debugregs d = { .dr6 = state->dr[6], .dr7 = state->dr[7] };

	memcpy(d.db, state->dr, sizeof(d.db));
	return ioctl(kv->fd, KVM_SET_DEBUGREGS, &d) == 0;
}

static bool has_feature(const struct kvm_vcpu_data *kv, enum cpu_feature feature)
{
	return cpu_features_has(cpuid_table_features(kv->kvm->cpuid), feature);
}

/* --- x87, SSE, AVX: SDM volume 1 section 13.4 (standard form) --- */

static void get_xsave(struct kvm_vcpu_data *kv, struct x86_cpu_state *state)
{
	struct kvm_xsave xsave;
	const uint8_t *bytes = (const uint8_t *)&xsave;
	uint64_t present;

	if (ioctl(kv->fd, KVM_GET_XSAVE, &xsave) < 0)
		return;
	memcpy(&present, bytes + XSAVE_HEADER, sizeof(present));
	memcpy(&state->fx, bytes, sizeof(state->fx));
	/* A component the header leaves out is in its initial state, whatever the bytes say. */
	if (!(present & X86_XCR0_X87)) {
		memset(&state->fx, 0, offsetof(struct x86_fxsave, mxcsr));
		memset(state->fx.st, 0, sizeof(state->fx.st));
		state->fx.fcw = FCW_INIT;
	}
	if (!(present & X86_XCR0_SSE))
		memset(state->fx.xmm, 0, sizeof(state->fx.xmm));
	if (present & X86_XCR0_AVX)
		memcpy(state->ymm_high, bytes + XSAVE_AVX, sizeof(state->ymm_high));
	else
		memset(state->ymm_high, 0, sizeof(state->ymm_high));
}

static bool set_xsave(struct kvm_vcpu_data *kv, const struct x86_cpu_state *state)
{
	struct kvm_xsave xsave = { 0 };
	uint8_t *bytes = (uint8_t *)&xsave;
	struct x86_fxsave fx = state->fx;
	uint64_t present = X86_XCR0_X87 | X86_XCR0_SSE;

	memset(fx.reserved2, 0, sizeof(fx.reserved2));
	fx.mxcsr &= 0xffff; /* reserved bits would be refused */
	memcpy(bytes, &fx, sizeof(fx));
	if (has_feature(kv, CPU_FEATURE_AVX)) {
		present |= X86_XCR0_AVX;
		memcpy(bytes + XSAVE_AVX, state->ymm_high, sizeof(state->ymm_high));
	}
	memcpy(bytes + XSAVE_HEADER, &present, sizeof(present));
	return ioctl(kv->fd, KVM_SET_XSAVE, &xsave) == 0;
}

/* Without XSAVE the guest has no XCR0, whatever the kernel keeps there. */
static void get_xcr0(struct kvm_vcpu_data *kv, struct x86_cpu_state *state)
{
	struct kvm_xcrs xcrs = { 0 };

	state->xcr0 = X86_XCR0_X87;
	if (!has_feature(kv, CPU_FEATURE_XSAVE) || ioctl(kv->fd, KVM_GET_XCRS, &xcrs) < 0)
		return;
	for (uint32_t i = 0; i < MIN(xcrs.nr_xcrs, KVM_MAX_XCRS); i++)
		if (xcrs.xcrs[i].xcr == 0)
			state->xcr0 = xcrs.xcrs[i].value;
}

static bool set_xcr0(struct kvm_vcpu_data *kv, const struct x86_cpu_state *state)
{
	struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs[0] = { .xcr = 0, .value = state->xcr0 } };

	if (!has_feature(kv, CPU_FEATURE_XSAVE)) {
		errno = EINVAL;
		return state->xcr0 <= X86_XCR0_X87;
	}
	return ioctl(kv->fd, KVM_SET_XCRS, &xcrs) == 0;
}

/* --- local APIC and events --- */

/* The kernel keeps a register every 16 bytes, the state structure packs them. */
static void get_lapic(struct kvm_vcpu_data *kv, struct x86_cpu_state *state)
{
	struct kvm_lapic_state lapic;

	memset(state->lapic, 0, sizeof(state->lapic));
	if (ioctl(kv->fd, KVM_GET_LAPIC, &lapic) < 0)
		return;
	for (size_t i = 0; i < LAPIC_IMAGE_REGS; i++)
		memcpy(state->lapic + i * 4, lapic.regs + i * 16, 4);
}

static bool set_lapic(struct kvm_vcpu_data *kv, const struct x86_cpu_state *state)
{
	struct kvm_lapic_state lapic = { 0 };

	for (size_t i = 0; i < LAPIC_IMAGE_REGS; i++)
		memcpy(lapic.regs + i * 16, state->lapic + i * 4, 4);
	if (ioctl(kv->fd, KVM_SET_LAPIC, &lapic) < 0)
		return false;
	kvm_expect_eois(kv, state->lapic);
	return true;
}

static void get_events(struct kvm_vcpu_data *kv, struct x86_cpu_state *state)
{
	struct kvm_vcpu_events events;
	int extint = kv->extint_held >= 0 ? kv->extint_held : kv->extint_queued;

	if (ioctl(kv->fd, KVM_GET_VCPU_EVENTS, &events) < 0)
		return;
	state->nmi_pending = events.nmi.injected || events.nmi.pending;
	state->nmi_blocked = events.nmi.masked && !events.nmi.injected;
	state->sti_shadow = events.interrupt.shadow != 0;
	state->smi_pending = events.smi.pending;
	state->exception_pending = events.exception.injected;
	state->exception_vector = events.exception.nr;
	state->exception_has_error = events.exception.has_error_code;
	state->exception_error = events.exception.error_code;
	state->interrupt_pending = events.interrupt.injected && !events.interrupt.soft;
	state->interrupt_vector = events.interrupt.nr;
	if (!state->interrupt_pending && extint >= 0) {
		state->interrupt_pending = true;
		state->interrupt_vector = (uint8_t)extint;
	}
}

static bool set_events(struct kvm_vcpu_data *kv, const struct x86_cpu_state *state)
{
	struct kvm_vcpu_events events = {
		.exception = {
			.injected = state->exception_pending,
			.nr = state->exception_vector,
			.has_error_code = state->exception_has_error,
			.error_code = state->exception_error,
		},
		.interrupt = {
			.injected = state->interrupt_pending,
			.nr = state->interrupt_vector,
			.shadow = state->sti_shadow ? KVM_X86_SHADOW_INT_STI : 0,
		},
		.nmi = { .pending = state->nmi_pending, .masked = state->nmi_blocked },
		.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW,
	};

	kv->extint_held = -1;
	kv->extint_queued = -1;
	return ioctl(kv->fd, KVM_SET_VCPU_EVENTS, &events) == 0;
}

static void get_run_state(struct kvm_vcpu_data *kv, struct x86_cpu_state *state)
{
	struct kvm_mp_state mp;

	if (ioctl(kv->fd, KVM_GET_MP_STATE, &mp) < 0)
		return;
	switch (mp.mp_state) {
	case KVM_MP_STATE_HALTED:
		state->run_state = X86_HALTED;
		break;
	case KVM_MP_STATE_UNINITIALIZED:
	case KVM_MP_STATE_INIT_RECEIVED:
	case KVM_MP_STATE_SIPI_RECEIVED:
		state->run_state = X86_WAIT_SIPI;
		break;
	default:
		state->run_state = X86_RUNNING;
		break;
	}
}

/* INIT_RECEIVED and not UNINITIALIZED: the processor then starts by a SIPI alone, as the architecture says. */
static bool set_run_state(struct kvm_vcpu_data *kv, const struct x86_cpu_state *state)
{
	static const uint32_t mp_states[X86_N_RUN_STATES] = {
		[X86_RUNNING] = KVM_MP_STATE_RUNNABLE,
		[X86_HALTED] = KVM_MP_STATE_HALTED,
		[X86_WAIT_SIPI] = KVM_MP_STATE_INIT_RECEIVED,
	};
	struct kvm_mp_state mp = { 0 };

	if ((unsigned)state->run_state >= X86_N_RUN_STATES) {
		errno = EINVAL;
		return false;
	}
	mp.mp_state = mp_states[state->run_state];
	return ioctl(kv->fd, KVM_SET_MP_STATE, &mp) == 0;
}

void kvm_get_state(struct vcpu *vcpu, struct x86_cpu_state *state)
{
	struct kvm_vcpu_data *kv = vcpu->accel_data;

	memset(state, 0, sizeof(*state));
	/* First, because asking makes the kernel act on an INIT or SIPI that is waiting. */
	get_run_state(kv, state);
	get_regs(kv, state);
	get_sregs(kv, state);
	get_debug(kv, state);
	get_xsave(kv, state);
	get_xcr0(kv, state);
	get_lapic(kv, state);
	get_msrs(kv, state);
	get_events(kv, state);
}

static const struct {
	const char *what;
	bool (*set)(struct kvm_vcpu_data *kv, const struct x86_cpu_state *state);
} load_steps[] = {
	{ "control and segment registers", set_sregs },
	{ "general registers", set_regs },
	{ "XCR0", set_xcr0 },
	{ "floating-point and vector registers", set_xsave },
	{ "model-specific registers", set_msrs },
	{ "local APIC", set_lapic },
	{ "pending events", set_events },
	{ "run state", set_run_state },
	{ "debug registers", set_debug },
};

bool kvm_set_state(struct vcpu *vcpu, const struct x86_cpu_state *state, GError **err)
{
	struct kvm_vcpu_data *kv = vcpu->accel_data;

	for (size_t i = 0; i < G_N_ELEMENTS(load_steps); i++)
		if (!load_steps[i].set(kv, state))
			return fail_errno(err, "vCPU %u: KVM refuses the %s", vcpu->index, load_steps[i].what);
	(void)kvm_write_msr(kv->fd, MSR_TSC_DEADLINE, state->tsc_deadline);
	kvm_note_loaded(kv->kvm, state->tsc);
	return true;
}
