/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The software CPU's side: a guest in long mode whose whole system is an IDT. Every exception ends in a stub of
 * its own that writes to a port; the bus handler takes the vCPU out of vcpu_run(), and the frame on the stack and
 * the vCPU's registers are the outcome.
 *
 * The system's part lies at SYSTEM_BASE, out of a program's sight; below are only the windows of conform.h.
 * Descriptors and gates look as Linux makes them, because the host's do: error codes and the selectors a program
 * can load depend on it.
 */
#include "vmm/cpu/soft.h"

#include "tests/cpu/conform.h"
#include "tests/guest.h"

#define SYSTEM_BASE UINT64_C(0xffff800000000000) /* + physical address: the first 4 MiB */

/* Physical addresses */
#define PML4 0x40000u
#define USER_PDPT 0x41000u
#define USER_PD 0x42000u
#define USER_PT 0x43000u
#define SYSTEM_PDPT 0x44000u
#define SYSTEM_PD 0x45000u
#define GDT 0x46000u
#define IDT 0x47000u
#define TSS 0x48000u
#define STUBS 0x49000u
#define STACK_TOP 0x50000u
#define WINDOWS 0x100000u /* CODE, DATA, READ, one behind the other */

#define STUB_SIZE 4u
#define SYSCALL_STUB 256u
#define GDT_LIMIT 0x7fu
#define TSS_SELECTOR 0x40u
#define TSS_LIMIT 0x67u

#define PTE_P UINT64_C(1)
#define PTE_W UINT64_C(2)
#define PTE_U UINT64_C(4)
#define PTE_A UINT64_C(0x20)
#define PTE_D UINT64_C(0x40)
#define PTE_PS UINT64_C(0x80)
#define PTE_NX (UINT64_C(1) << 63)

struct soft_side {
	struct guest *guest;
	struct soft_cpu *cpu;
	uint8_t *ram;
	const struct conform_images *images;
	GThread *watchdog;
	GMutex lock;
	GCond changed;
	bool ending;
	gint ticks;	    /* cases begun and ended: odd while one runs; atomic */
	gint alarm;	    /* the watchdog has kicked */
	uint32_t dirty_len; /* bytes of CODE that are not INT3 */
	uint64_t dirty_at;
	uint8_t padding[CODE_MAX];
};

/* ---- the system ---- */

static void map_window(struct guest *guest, uint64_t addr, uint64_t offset, uint64_t size, uint64_t bits)
{
	for (uint64_t at = 0; at < size; at += MEMORY_PAGE_SIZE)
		guest_write64(guest, USER_PT + ((addr + at) >> 12 & 511) * 8,
			      (WINDOWS + offset + at) | PTE_P | PTE_U | PTE_A | bits);
}

static void build_tables(struct guest *guest)
{
	const uint64_t all = PTE_P | PTE_W | PTE_U;

	guest_write64(guest, PML4, USER_PDPT | all);
	guest_write64(guest, USER_PDPT, USER_PD | all);
	guest_write64(guest, USER_PD + (CODE_BASE >> 21) * 8, USER_PT | all);
	guest_write64(guest, PML4 + 256 * 8, SYSTEM_PDPT | PTE_P | PTE_W);
	guest_write64(guest, SYSTEM_PDPT, SYSTEM_PD | PTE_P | PTE_W);
	for (uint64_t i = 0; i < 2; i++)
		guest_write64(guest, SYSTEM_PD + i * 8, i << 21 | PTE_P | PTE_W | PTE_PS | PTE_A | PTE_D);
	map_window(guest, CODE_BASE, 0, CODE_SIZE, 0);
	map_window(guest, DATA_BASE, CODE_SIZE, DATA_SIZE, PTE_W | PTE_D | PTE_NX);
	map_window(guest, READ_BASE, CODE_SIZE + DATA_SIZE, READ_SIZE, PTE_NX);
}

static void build_gdt(struct guest *guest)
{
	static const uint64_t descriptors[] = {
		0,
		UINT64_C(0x00cf9b000000ffff),
		UINT64_C(0x00af9b000000ffff),
		UINT64_C(0x00cf93000000ffff),
		UINT64_C(0x00cffb000000ffff),
		UINT64_C(0x00cff3000000ffff),
		UINT64_C(0x00affb000000ffff),
		0,
		UINT64_C(0x00008b0000000000) | TSS_LIMIT | (uint64_t)TSS << 16,
		SYSTEM_BASE >> 32,
		0,
		0,
		0,
		0,
		0,
		UINT64_C(0x0040f50000000000),
	};

	guest_write(guest, GDT, descriptors, sizeof(descriptors));
	guest_write64(guest, TSS + 4, SYSTEM_BASE + STACK_TOP);
	/* The port bitmap would begin behind the segment's end: there is none. */
	guest_write64(guest, TSS + 0x60, (uint64_t)(TSS_LIMIT + 1) << 48);
}

/* INT3, INTO and INT 0x80 are a program's to use. */
static void build_idt(struct guest *guest)
{
	for (unsigned v = 0; v < 256; v++) {
		uint64_t handler = SYSTEM_BASE + STUBS + v * STUB_SIZE;
		uint64_t type = v == X86_EXC_BP || v == X86_EXC_OF || v == 0x80 ? 0xee00 : 0x8e00;

		guest_write64(guest, IDT + v * 16,
			      (handler & 0xffff) | 0x10u << 16 | type << 32 | (handler & 0xffff0000) << 32);
		guest_write64(guest, IDT + v * 16 + 8, handler >> 32);
	}
	for (unsigned v = 0; v <= SYSCALL_STUB; v++) {
		const uint8_t stub[STUB_SIZE] = { 0xe6, 0xe1, 0xeb, 0xfc }; /* 1: out 0xe1, al; jmp 1b */

		guest_write(guest, STUBS + v * STUB_SIZE, stub, sizeof(stub));
	}
}

static void system_state(struct x86_cpu_state *state, const struct cpu_features *features)
{
	guest_state_long(state);
	state->cr0 = X86_CR0_PE | X86_CR0_MP | X86_CR0_ET | X86_CR0_NE | X86_CR0_WP | X86_CR0_AM | X86_CR0_PG;
	state->cr3 = PML4;
	state->cr4 = X86_CR4_PAE | X86_CR4_DE | X86_CR4_PGE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | X86_CR4_UMIP |
		     X86_CR4_FSGSBASE;
	state->efer = X86_EFER_SCE | X86_EFER_LME | X86_EFER_LMA | X86_EFER_NXE;
	state->xcr0 = X86_XCR0_X87;
	if (cpu_features_has(features, CPU_FEATURE_XSAVE)) {
		state->cr4 |= X86_CR4_OSXSAVE;
		state->xcr0 |= X86_XCR0_SSE | (cpu_features_has(features, CPU_FEATURE_AVX) ? X86_XCR0_AVX : 0);
	}
	state->gdt = (struct x86_table){ .base = SYSTEM_BASE + GDT, .limit = GDT_LIMIT };
	state->idt = (struct x86_table){ .base = SYSTEM_BASE + IDT, .limit = 0xfff };
	state->tr = (struct x86_segment){
		.base = SYSTEM_BASE + TSS, .limit = TSS_LIMIT, .selector = TSS_SELECTOR, .attr = 0x8b
	};
	state->ldt = (struct x86_segment){ 0 };
	state->star = (uint64_t)0x23 << 48 | (uint64_t)0x10 << 32;
	state->sfmask = X86_FLAG_TF | X86_FLAG_IF | X86_FLAG_DF | X86_FLAG_NT | X86_FLAG_AC;
	state->lstar = state->cstar = SYSTEM_BASE + STUBS + SYSCALL_STUB * STUB_SIZE;
}

/* ---- a guest that does not come back ---- */

static void on_port(struct guest *guest, uint8_t val)
{
	(void)val;
	guest_break(guest);
}

static gpointer watchdog(gpointer data)
{
	struct soft_side *m = data;
	gint seen = 0;

	g_mutex_lock(&m->lock);
	while (!m->ending) {
		gint now = g_atomic_int_get(&m->ticks);

		if (now == seen && now & 1) {
			g_atomic_int_set(&m->alarm, 1);
			guest_leave(m->guest);
		}
		seen = now;
		g_cond_wait_until(&m->changed, &m->lock, g_get_monotonic_time() + 2 * G_USEC_PER_SEC);
	}
	g_mutex_unlock(&m->lock);
	return NULL;
}

/* ---- making it ---- */

struct soft_side *soft_side_new(const struct conform_images *images)
{
	autoptr(soft_side) m = g_new0(struct soft_side, 1);
	g_autofree struct x86_cpu_state *state = g_new0(struct x86_cpu_state, 1);
	size_t n;

	g_mutex_init(&m->lock);
	g_cond_init(&m->changed);
	m->guest = guest_new(&accel_soft_class, 1);
	g_assert_nonnull(m->guest);
	m->guest->on_call = on_port;
	m->guest->opaque = m;
	m->images = images;
	m->ram = memory_slots(m->guest->vm.mem, &n)[0].host;
	m->cpu = m->guest->vcpus[0].accel_data;
	m->dirty_at = WINDOWS;
	memset(m->padding, 0xcc, sizeof(m->padding));
	build_tables(m->guest);
	build_gdt(m->guest);
	build_idt(m->guest);
	memset(m->ram + WINDOWS, 0xcc, CODE_SIZE);
	memcpy(m->ram + WINDOWS + CODE_SIZE + DATA_SIZE, images->read, READ_SIZE);
	system_state(state, m->cpu->features);
	guest_set_state(m->guest, 0, state);
	m->watchdog = g_thread_new("watchdog", watchdog, m);
	return g_steal_pointer(&m);
}

void soft_side_free(struct soft_side *m)
{
	if (m->watchdog) {
		g_mutex_lock(&m->lock);
		m->ending = true;
		g_cond_signal(&m->changed);
		g_mutex_unlock(&m->lock);
		g_thread_join(m->watchdog);
	}
	if (m->guest)
		guest_free(m->guest);
	g_mutex_clear(&m->lock);
	g_cond_clear(&m->changed);
	g_free(m);
}

const struct cpu_features *soft_side_features(const struct soft_side *m)
{
	return m->cpu->features;
}

/* ---- a case ---- */

static struct x86_segment user_segment(uint16_t selector)
{
	struct x86_segment seg = { .selector = selector };

	switch (selector) {
	case USER_CS32:
		seg.attr = 0xc0fb;
		seg.limit = UINT32_MAX;
		break;
	case USER_CS64:
		seg.attr = 0xa0fb;
		seg.limit = UINT32_MAX;
		break;
	case USER_DS:
		seg.attr = 0xc0f3;
		seg.limit = UINT32_MAX;
		break;
	default: /* null */
		break;
	}
	return seg;
}

static void load_memory(struct soft_side *m, const struct conform_case *c)
{
	uint8_t *data = m->ram + WINDOWS + CODE_SIZE;

	g_assert_true(memory_write(m->guest->vm.mem, m->dirty_at, m->padding, m->dirty_len));
	m->dirty_at = WINDOWS + (c->start.rip - CODE_BASE);
	m->dirty_len = c->len;
	g_assert_true(memory_write(m->guest->vm.mem, m->dirty_at, c->code, c->len));
	memcpy(data, m->images->data[c->image], DATA_SIZE);
	for (unsigned i = 0; i < c->n_pokes; i++)
		memcpy(data + (c->pokes[i].addr - DATA_BASE), &c->pokes[i].val, c->pokes[i].size);
}

static void load_state(struct soft_cpu *cpu, const struct conform_state *s)
{
	memcpy(cpu->gpr, s->gpr, sizeof(cpu->gpr));
	for (unsigned i = 0; i < X86_N_SEGS; i++)
		cpu->seg[i] = user_segment(s->seg[i]);
	cpu->seg[X86_FS].base = s->fs_base;
	cpu->seg[X86_GS].base = s->gs_base;
	cpu->rip = s->rip;
	cpu->fx = s->fx;
	memcpy(cpu->ymm_high, s->ymm_high, sizeof(cpu->ymm_high));
	cpu->cpl = 3;
	cpu->cr2 = 0;
	cpu->dr[6] = 0xffff0ff0;
	soft_mode_changed(cpu);
	soft_set_rflags(cpu, (uint32_t)s->rflags);
}

static bool has_error_code(uint32_t vector)
{
	return vector == X86_EXC_DF || (vector >= X86_EXC_TS && vector <= X86_EXC_PF) || vector == X86_EXC_AC;
}

/* The exception frame: [error,] RIP, CS, RFLAGS, RSP, SS. */
static void note_frame(const struct soft_side *m, struct conform_outcome *out)
{
	const uint64_t *frame = (const uint64_t *)(const void *)(m->ram + STACK_TOP);

	out->state.rip = frame[-5];
	out->state.seg[X86_CS] = (uint16_t)frame[-4];
	out->state.rflags = frame[-3];
	out->state.gpr[X86_RSP] = frame[-2];
	out->state.seg[X86_SS] = (uint16_t)frame[-1];
	if (has_error_code(out->vector))
		out->error = (uint32_t)frame[-6];
}

static void note_syscall(const struct soft_side *m, struct conform_outcome *out)
{
	out->state.rip = m->cpu->gpr[X86_RCX];
	out->state.rflags = m->cpu->gpr[X86_R11];
	out->state.seg[X86_CS] = USER_CS64;
	out->state.seg[X86_SS] = USER_DS;
}

static void note_outcome(const struct soft_side *m, enum vcpu_exit why, struct conform_outcome *out)
{
	const struct soft_cpu *cpu = m->cpu;
	struct conform_state *s = &out->state;
	uint64_t stub = (cpu->rip - SYSTEM_BASE - STUBS) / STUB_SIZE;

	memcpy(s->gpr, cpu->gpr, sizeof(s->gpr));
	s->fx = cpu->fx;
	memcpy(s->ymm_high, cpu->ymm_high, sizeof(s->ymm_high));
	for (unsigned i = 0; i < X86_N_SEGS; i++)
		s->seg[i] = cpu->seg[i].selector;
	s->fs_base = cpu->seg[X86_FS].base;
	s->gs_base = cpu->seg[X86_GS].base;
	s->rip = cpu->rip;
	s->rflags = soft_get_rflags(cpu);
	out->error = 0;
	out->vector = why != VCPU_EXIT_KICKED ? (uint32_t)OUTCOME_DIED :
		      stub == SYSCALL_STUB    ? (uint32_t)OUTCOME_SYSCALL :
						(uint32_t)stub;
	if (m->cpu->cpl == 3 || stub > SYSCALL_STUB)
		out->vector = OUTCOME_TIMEOUT;
	else if (out->vector == OUTCOME_SYSCALL)
		note_syscall(m, out);
	else if (out->vector < 256)
		note_frame(m, out);
	if (out->vector == 0x80)
		out->vector = OUTCOME_INTERRUPT_80;
	out->cr2 = out->vector == X86_EXC_PF ? cpu->cr2 : 0;
	memcpy(out->data, m->ram + WINDOWS + CODE_SIZE, DATA_SIZE);
}

void soft_side_run(struct soft_side *m, const struct conform_case *c, struct conform_outcome *out)
{
	struct vcpu *vcpu = &m->guest->vcpus[0];
	enum vcpu_exit why;

	load_memory(m, c);
	load_state(m->cpu, &c->start);
	m->guest->yield = false;
	g_atomic_int_inc(&m->ticks);
	do {
		why = accel_soft_class.vcpu_run(vcpu);
	} while (why == VCPU_EXIT_KICKED && !m->guest->yield && !g_atomic_int_get(&m->alarm));
	g_atomic_int_inc(&m->ticks);
	g_atomic_int_set(&m->alarm, 0);
	note_outcome(m, why, out);
	m->cpu->shutdown = false;
}
