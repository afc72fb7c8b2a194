/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The software CPU as an accelerator: the run loop, what is looked at between blocks, sleeping and waking, and the state that goes in and out.
 *
 * Between two blocks the vCPU is at an instruction boundary with cpu->rip exact. exit_request asks it to look around there: queued requests of other
 * threads, kicks, INIT/SIPI/NMI, interrupts. Whoever wants attention stores its wish first and sets exit_request last; look_around() clears it first and looks
 * last, so nothing is missed. An interrupt that cannot be taken yet (IF clear, shadow) leaves irq_waiting set, which is checked where blocks that
 * may have opened the window come back.
 */
#include <setjmp.h>
#include <string.h>
#include <sys/mman.h>
#include <x86intrin.h>

#include "core/base/error.h"
#include "vmm/cpu/machine.h"
#include "vmm/cpu/msr.h"
#include "vmm/cpu/native.h"
#include "vmm/cpu/seg.h"
#include "vmm/dev/devices.h"

/* Memory for decoded blocks, all vCPUs together, and what each gets at least. */
#define BLOCK_BYTES (UINT64_C(6) << 20)
#define MIN_BLOCK_BYTES (UINT64_C(2) << 20)

/* ---- time ---- */

uint64_t soft_tsc(const struct soft_cpu *cpu)
{
	const struct soft_accel *accel = cpu->accel;

	if (__atomic_load_n(&accel->paused, __ATOMIC_RELAXED))
		return accel->paused_tsc + cpu->tsc_offset;
	return __rdtsc() - __atomic_load_n(&accel->tsc_base, __ATOMIC_RELAXED) + cpu->tsc_offset;
}

static uint64_t lapic_tsc(void *opaque)
{
	return soft_tsc(opaque);
}

static uint64_t lapic_tsc_to_ns(void *opaque, uint64_t tsc)
{
	struct soft_cpu *cpu = opaque;
	uint64_t now = timers_now(cpu->vm->timers);
	int64_t ahead = (int64_t)(tsc - soft_tsc(cpu));

	if (ahead <= 0)
		return now;
	/* A deadline centuries away would overflow; it need not be exact. */
	if (ahead > INT64_MAX / 4)
		return UINT64_MAX / 2;
	return now + muldiv64((uint64_t)ahead, 1000000, cpu->accel->tsc_khz);
}

static void soft_pause(struct accel *base)
{
	struct soft_accel *accel = (struct soft_accel *)base;

	if (accel->paused)
		return;
	accel->paused_tsc = __rdtsc() - accel->tsc_base;
	__atomic_store_n(&accel->paused, true, __ATOMIC_SEQ_CST);
}

static void soft_resume(struct accel *base)
{
	struct soft_accel *accel = (struct soft_accel *)base;

	if (!accel->paused)
		return;
	__atomic_store_n(&accel->tsc_base, __rdtsc() - accel->paused_tsc, __ATOMIC_SEQ_CST);
	__atomic_store_n(&accel->paused, false, __ATOMIC_SEQ_CST);
}

/* ---- waking and requests: any thread ---- */

void soft_wake(struct soft_cpu *cpu)
{
	atomic_store(&cpu->exit_request, 1);
	if (!__atomic_load_n(&cpu->sleeping, __ATOMIC_SEQ_CST))
		return;
	g_mutex_lock(&cpu->sleep_lock);
	g_cond_signal(&cpu->sleep_cond);
	g_mutex_unlock(&cpu->sleep_lock);
}

static void wake_from_lapic(void *opaque)
{
	soft_wake(opaque);
}

void soft_post(struct soft_cpu *cpu, enum soft_request_kind kind, uint64_t gpa, uint64_t len)
{
	struct soft_request request = { .kind = kind, .gpa = gpa, .len = len };

	g_mutex_lock(&cpu->request_lock);
	g_array_append_val(cpu->requests, request);
	g_mutex_unlock(&cpu->request_lock);
	soft_wake(cpu);
}

static void soft_vcpu_kick(struct vcpu *vcpu)
{
	struct soft_cpu *cpu = vcpu->accel_data;

	__atomic_store_n(&cpu->kicked, true, __ATOMIC_SEQ_CST);
	soft_wake(cpu);
}

static void soft_nmi(struct vcpu *vcpu)
{
	struct soft_cpu *cpu = vcpu->accel_data;

	__atomic_store_n(&cpu->nmi_request, true, __ATOMIC_SEQ_CST);
	soft_wake(cpu);
}

static void soft_extint(struct accel *base, bool level)
{
	struct soft_accel *accel = (struct soft_accel *)base;

	atomic_store(&accel->extint, level);
	if (level && accel->n_cpus && accel->cpus[0])
		soft_wake(accel->cpus[0]);
}

static void soft_msi(struct accel *base, const struct msi_message *msg)
{
	lapic_bus_msi(((struct soft_accel *)base)->lapics, msg);
}

static void lapic_eoi_broadcast(void *opaque, uint8_t vector)
{
	struct soft_accel *accel = opaque;

	if (accel->accel.vm->ioapic)
		ioapic_eoi(accel->accel.vm->ioapic, vector);
}

/* ---- between blocks ---- */

static void serve_requests(struct soft_cpu *cpu)
{
	for (;;) {
		struct soft_request request;
		uint32_t others;

		g_mutex_lock(&cpu->request_lock);
		if (!cpu->requests->len) {
			g_mutex_unlock(&cpu->request_lock);
			return;
		}
		request = g_array_index(cpu->requests, struct soft_request, cpu->requests->len - 1);
		g_array_set_size(cpu->requests, cpu->requests->len - 1);
		g_mutex_unlock(&cpu->request_lock);

		switch (request.kind) {
		case SOFT_REQUEST_INVALIDATE:
			blocks_invalidate(cpu, request.gpa, request.len);
			break;
		case SOFT_REQUEST_WRITTEN:
			others = ~(1u << cpu->vcpu->index);
			blocks_post(cpu->accel, request.gpa, request.len, others);
			break;
		}
	}
}

static void take_init(struct soft_cpu *cpu)
{
	g_autofree struct x86_cpu_state *state = g_new0(struct x86_cpu_state, 1);
	struct vcpu *vcpu = cpu->vcpu;

	x86_state_reset(state, vcpu->apic_id, vcpu->index == 0);
	/* INIT leaves caches, FPU and MSRs alone: SDM volume 3 table 9-1. */
	cpu->cr0 = (cpu->cr0 & (X86_CR0_CD | X86_CR0_NW)) | X86_CR0_ET;
	memcpy(cpu->gpr, state->gpr, sizeof cpu->gpr);
	memcpy(cpu->seg, state->seg, sizeof cpu->seg);
	memcpy(cpu->dr, state->dr, sizeof cpu->dr);
	cpu->ldt = state->ldt;
	cpu->tr = state->tr;
	cpu->gdt = state->gdt;
	cpu->idt = state->idt;
	cpu->rip = state->rip;
	cpu->cr2 = cpu->cr3 = cpu->cr4 = cpu->efer = 0;
	cpu->cpl = 0;
	cpu->nmi_blocked = cpu->nmi_pending = cpu->sti_shadow = cpu->halted = false;
	cpu->store->interrupt_pending = cpu->store->exception_pending = false;
	soft_set_rflags(cpu, X86_FLAG_FIXED);
	soft_mode_changed(cpu);
	soft_tlb_flush(cpu, true);
	lapic_reset(cpu->lapic, vcpu->index == 0, true);
	cpu->wait_sipi = vcpu->index != 0;
}

static void take_sipi(struct soft_cpu *cpu, uint8_t vector)
{
	struct x86_segment *cs = &cpu->seg[X86_CS];

	if (!cpu->wait_sipi)
		return;
	cs->selector = (uint16_t)(vector << 8);
	cs->base = (uint64_t)vector << 12;
	cpu->rip = 0;
	cpu->wait_sipi = false;
	soft_mode_changed(cpu);
}

static void deliver(struct soft_cpu *cpu, enum exc_kind kind, uint8_t vector)
{
	cpu->halted = false;
	stats_add(kind == EXC_NMI_EVENT ? &cpu->vcpu->stats->nmis : &cpu->vcpu->stats->interrupts, 1);
	exc_deliver(cpu, kind, vector, false, 0);
}

/* PIC interrupts reach only the bootstrap processor, through LINT0. */
static bool extint_waiting(const struct soft_cpu *cpu)
{
	return cpu->vcpu->index == 0 && atomic_load(&cpu->accel->extint) && lapic_takes_extint(cpu->lapic);
}

/*
 * What a loaded state had already taken from its source: only another accelerator stops in the middle of a delivery. True: there was
 * something to deliver.
 */
static bool take_loaded(struct soft_cpu *cpu)
{
	struct x86_cpu_state *loaded = cpu->store;

	if (loaded->exception_pending) {
		loaded->exception_pending = false;
		cpu->halted = false;
		atomic_store(&cpu->exit_request, 1);
		exc_deliver(cpu, EXC_EXCEPTION, loaded->exception_vector, loaded->exception_has_error, loaded->exception_error);
		return true;
	}
	if (!loaded->interrupt_pending || !(cpu->rflags & X86_FLAG_IF) || cpu->sti_shadow)
		return false;
	loaded->interrupt_pending = false;
	atomic_store(&cpu->exit_request, 1);
	deliver(cpu, EXC_EXTERNAL, loaded->interrupt_vector);
	return true;
}

/* At most one event is delivered a time: the handler's first instruction is a boundary of its own. */
static void take_events(struct soft_cpu *cpu)
{
	uint8_t sipi;
	int vector;

	if (lapic_take_init(cpu->lapic))
		take_init(cpu);
	if (lapic_take_sipi(cpu->lapic, &sipi))
		take_sipi(cpu, sipi);
	if (cpu->wait_sipi)
		return;
	if (lapic_take_nmi(cpu->lapic) || __atomic_exchange_n(&cpu->nmi_request, false, __ATOMIC_SEQ_CST))
		cpu->nmi_pending = true;
	cpu->irq_waiting = false;
	if (take_loaded(cpu))
		return;
	if (cpu->nmi_pending && !cpu->nmi_blocked && !cpu->sti_shadow) {
		cpu->nmi_pending = false;
		cpu->nmi_blocked = true;
		atomic_store(&cpu->exit_request, 1);
		deliver(cpu, EXC_NMI_EVENT, X86_EXC_NMI);
		return;
	}
	if (!(cpu->rflags & X86_FLAG_IF) || cpu->sti_shadow) {
		cpu->irq_waiting = lapic_attention(cpu->lapic) || atomic_load(&cpu->accel->extint) || cpu->nmi_pending ||
				   cpu->store->interrupt_pending;
		return;
	}
	vector = lapic_accept(cpu->lapic);
	if (vector < 0 && extint_waiting(cpu))
		vector = vm_pic_ack(cpu->vm);
	if (vector < 0)
		return;
	/* More may be waiting behind it. */
	cpu->irq_waiting = true;
	deliver(cpu, EXC_EXTERNAL, (uint8_t)vector);
}

static void sleep_until_woken(struct soft_cpu *cpu)
{
	struct stats_vcpu *stats = cpu->vcpu->stats;
	gint64 since = g_get_monotonic_time();

	stats_add(&stats->exits[STATS_EXIT_HALT], 1);
	__atomic_store_n(&stats->instructions, cpu->instructions, __ATOMIC_RELAXED);
	__atomic_store_n(&stats->halted, 1, __ATOMIC_RELAXED);
	g_mutex_lock(&cpu->sleep_lock);
	__atomic_store_n(&cpu->sleeping, true, __ATOMIC_SEQ_CST);
	while (!atomic_load(&cpu->exit_request))
		g_cond_wait(&cpu->sleep_cond, &cpu->sleep_lock);
	__atomic_store_n(&cpu->sleeping, false, __ATOMIC_SEQ_CST);
	g_mutex_unlock(&cpu->sleep_lock);
	__atomic_store_n(&stats->halted, 0, __ATOMIC_RELAXED);
	stats_add(&stats->halt_ns, (uint64_t)(g_get_monotonic_time() - since) * NS_PER_US);
}

static void split_end(struct soft_cpu *cpu)
{
	if (!cpu->split_held)
		return;
	cpu->split_held = false;
	g_mutex_unlock(&cpu->accel->split_lock);
}

/* False: vcpu_run() has to return because of a kick. */
static bool look_around(struct soft_cpu *cpu)
{
	split_end(cpu);
	simd_sync(cpu);
	for (;;) {
		atomic_store(&cpu->exit_request, 0);
		serve_requests(cpu);
		if (__atomic_exchange_n(&cpu->kicked, false, __ATOMIC_SEQ_CST)) {
			stats_add(&cpu->vcpu->stats->exits[STATS_EXIT_KICK], 1);
			return false;
		}
		take_events(cpu);
		if (!cpu->halted && !cpu->wait_sipi)
			return true;
		if (!atomic_load(&cpu->exit_request))
			sleep_until_woken(cpu);
	}
}

/* ---- debug traps ---- */

/* DR7 enables an instruction breakpoint at the next instruction: it faults before it runs, unless RF says it was just reported. */
static void check_breakpoints(struct soft_cpu *cpu)
{
	uint64_t linear = soft_is64(cpu) ? cpu->rip : (uint32_t)(cpu->seg[X86_CS].base + cpu->rip);
	unsigned hits = 0;

	for (unsigned i = 0; i < 4; i++) {
		bool enabled = cpu->dr[7] >> (i * 2) & 3, on_execute = !(cpu->dr[7] >> (16 + i * 4) & 3);

		if (enabled && on_execute && cpu->dr[i] == linear)
			hits |= 1u << i;
	}
	if (!hits || cpu->rflags & X86_FLAG_RF)
		return;
	cpu->dr[6] = (cpu->dr[6] & ~UINT64_C(0xf)) | hits;
	soft_fault_noerr(cpu, NULL, X86_EXC_DB);
}

/* After one instruction in a block of its own; old_*: as they were before it. */
static void after_single(struct soft_cpu *cpu, uint32_t old_rflags, unsigned old_cpl)
{
	uint64_t hits = cpu->watch_hits;

	/* RF holds for one instruction; one that IRET has just loaded is for the next. */
	cpu->rflags &= ~(old_rflags & X86_FLAG_RF);
	if (old_rflags & X86_FLAG_TF && !cpu->soft_interrupt && (cpu->rflags & X86_FLAG_TF || cpu->cpl == old_cpl))
		hits |= X86_DR6_BS;
	if (!hits || cpu->ss_shadow)
		return;
	/* A repeated string instruction that goes on later: SDM volume 3 section 17.3.1.1. */
	if (cpu->rip == cpu->block_rip && cpu->block->insns[0].flags & (INSN_REP | INSN_REPNE))
		cpu->rflags |= X86_FLAG_RF;
	cpu->dr[6] = (cpu->dr[6] & ~UINT64_C(0xf)) | hits;
	cpu->block = NULL;
	exc_deliver(cpu, EXC_EXCEPTION, X86_EXC_DB, false, 0);
}

/* ---- the run loop ---- */

static struct block *next_block(struct soft_cpu *cpu)
{
	if (G_UNLIKELY(cpu->single_step))
		check_breakpoints(cpu);
	return block_find(cpu);
}

static enum vcpu_exit run(struct soft_cpu *cpu)
{
	struct block *b = NULL;

	for (;;) {
		if (G_UNLIKELY(atomic_load_explicit(&cpu->exit_request, memory_order_relaxed))) {
			b = NULL;
			cpu->block = NULL;
			cpu->link = NULL;
			if (!look_around(cpu))
				return VCPU_EXIT_KICKED;
		}
		if (!b)
			b = next_block(cpu);
		cpu->block = b;
		cpu->block_rip = cpu->rip;
		cpu->instructions += b->n_insns;
		if (G_UNLIKELY(b->mode & MODE_SINGLE)) {
			uint32_t rflags = cpu->rflags;
			unsigned cpl = cpu->cpl;

			cpu->sti_shadow = cpu->ss_shadow = false;
			cpu->watch_hits = 0;
			cpu->soft_interrupt = false;
			b->insns[0].fn(cpu, b->insns);
			after_single(cpu, rflags, cpl);
			b = NULL;
		} else {
			b = b->insns[0].fn(cpu, b->insns);
		}
		if (!b && G_UNLIKELY(cpu->halted || (cpu->irq_waiting && cpu->rflags & X86_FLAG_IF)))
			atomic_store_explicit(&cpu->exit_request, 1, memory_order_relaxed);
	}
}

static enum vcpu_exit soft_vcpu_run(struct vcpu *vcpu)
{
	struct soft_cpu *cpu = vcpu->accel_data;
	enum vcpu_exit why;

	atomic_store(&cpu->exit_request, 1);
	if (_setjmp(cpu->unwind)) {
		/* soft_fault() came from somewhere below. */
		cpu->block = NULL;
		cpu->link = NULL;
		cpu->sti_shadow = false;
		split_end(cpu);
		exc_deliver_pending(cpu);
	}
	if (cpu->shutdown) {
		simd_sync(cpu);
		return VCPU_EXIT_TRIPLE_FAULT;
	}
	why = run(cpu);
	__atomic_store_n(&vcpu->stats->instructions, cpu->instructions, __ATOMIC_RELAXED);
	return why;
}

/* ---- CPUID ---- */

void soft_cpuid(struct soft_cpu *cpu, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	struct cpuid_dynamic dyn = {
		.apic_id = cpu->vcpu->apic_id, .n_cpus = cpu->accel->n_cpus, .cr4 = cpu->cr4, .xcr0 = cpu->xcr0,
	};

	stats_add(&cpu->vcpu->stats->exits[STATS_EXIT_CPUID], 1);
	cpuid_query(cpu->accel->cpuid, &dyn, leaf, subleaf, out);
}

/* ---- state in and out ---- */

static void soft_get_state(struct vcpu *vcpu, struct x86_cpu_state *state)
{
	struct soft_cpu *cpu = vcpu->accel_data;

	*state = *cpu->store;
	memcpy(state->gpr, cpu->gpr, sizeof state->gpr);
	state->rip = cpu->rip;
	state->rflags = soft_get_rflags(cpu);
	memcpy(state->seg, cpu->seg, sizeof state->seg);
	state->ldt = cpu->ldt;
	state->tr = cpu->tr;
	state->gdt = cpu->gdt;
	state->idt = cpu->idt;
	state->cr0 = cpu->cr0;
	state->cr2 = cpu->cr2;
	state->cr3 = cpu->cr3;
	state->cr4 = cpu->cr4;
	state->cr8 = lapic_get_cr8(cpu->lapic);
	memcpy(state->dr, cpu->dr, sizeof state->dr);
	state->efer = cpu->efer;
	state->xcr0 = cpu->xcr0;
	state->fx = cpu->fx;
	memcpy(state->ymm_high, cpu->ymm_high, sizeof state->ymm_high);
	state->tsc = soft_tsc(cpu);
	lapic_save(cpu->lapic, state->lapic, &state->apic_base, &state->tsc_deadline);
	state->run_state = cpu->wait_sipi ? X86_WAIT_SIPI : cpu->halted ? X86_HALTED : X86_RUNNING;
	state->nmi_pending = cpu->nmi_pending || __atomic_load_n(&cpu->nmi_request, __ATOMIC_SEQ_CST);
	state->nmi_blocked = cpu->nmi_blocked;
	state->sti_shadow = cpu->sti_shadow;
}

/* A state that no processor can be in would break the rules the CPU's code relies on. */
static bool check_state(const struct x86_cpu_state *state, GError **err)
{
	if (state->efer & X86_EFER_LMA && (~state->cr0 & (X86_CR0_PG | X86_CR0_PE) || !(state->cr4 & X86_CR4_PAE)))
		return fail(err, LODGE_ERROR_INPUT, "processor state: long mode without paging");
	if (state->cr0 & X86_CR0_PG && !(state->cr0 & X86_CR0_PE))
		return fail(err, LODGE_ERROR_INPUT, "processor state: paging without protected mode");
	if (state->cr4 & X86_CR4_LA57)
		return fail(err, LODGE_ERROR_UNSUPPORTED, "processor state: 5-level paging is not supported by the software CPU");
	if (state->run_state >= X86_N_RUN_STATES)
		return fail(err, LODGE_ERROR_INPUT, "processor state: unknown run state %d", (int)state->run_state);
	return true;
}

static bool soft_set_state(struct vcpu *vcpu, const struct x86_cpu_state *state, GError **err)
{
	struct soft_cpu *cpu = vcpu->accel_data;

	if (!check_state(state, err))
		return false;
	*cpu->store = *state;
	memcpy(cpu->gpr, state->gpr, sizeof cpu->gpr);
	cpu->rip = state->rip;
	memcpy(cpu->seg, state->seg, sizeof cpu->seg);
	cpu->ldt = state->ldt;
	cpu->tr = state->tr;
	cpu->gdt = state->gdt;
	cpu->idt = state->idt;
	cpu->cr0 = state->cr0;
	cpu->cr2 = state->cr2;
	cpu->cr3 = state->cr3;
	cpu->cr4 = state->cr4;
	memcpy(cpu->dr, state->dr, sizeof cpu->dr);
	cpu->efer = state->efer;
	cpu->xcr0 = state->xcr0 ? state->xcr0 : X86_XCR0_X87;
	cpu->fx = state->fx;
	memcpy(cpu->ymm_high, state->ymm_high, sizeof cpu->ymm_high);
	cpu->tsc_offset = 0;
	cpu->tsc_offset = state->tsc - soft_tsc(cpu);
	cpu->accel->clock_tsc = 0;
	if (!lapic_load(cpu->lapic, state->lapic, state->apic_base, state->tsc_deadline))
		return fail(err, LODGE_ERROR_INPUT, "processor state: impossible local APIC registers");
	/* CR8 is the upper half of the TPR just loaded; writing it would clear the lower. */
	if (lapic_get_cr8(cpu->lapic) != (state->cr8 & 15))
		lapic_set_cr8(cpu->lapic, (uint8_t)(state->cr8 & 15));
	cpu->wait_sipi = state->run_state == X86_WAIT_SIPI;
	cpu->halted = state->run_state == X86_HALTED;
	cpu->nmi_pending = state->nmi_pending;
	cpu->nmi_blocked = state->nmi_blocked;
	cpu->sti_shadow = state->sti_shadow;
	cpu->delivering = cpu->shutdown = false;
	cpu->cpl = state->rflags & X86_FLAG_VM ? 3 : state->cr0 & X86_CR0_PE ? state->seg[X86_SS].attr >> X86_ATTR_DPL_SHIFT & 3 : 0;
	soft_mode_changed(cpu);
	soft_set_rflags(cpu, (uint32_t)state->rflags);
	soft_tlb_flush(cpu, true);
	blocks_flush(cpu);
	msr_clock_changed(cpu);
	return true;
}

/* ---- creation ---- */

static const struct lapic_ops lapic_ops = { .wake = wake_from_lapic, .tsc = lapic_tsc, .tsc_to_ns = lapic_tsc_to_ns };

static void soft_vcpu_destroy(struct vcpu *vcpu)
{
	struct soft_cpu *cpu = vcpu->accel_data;

	if (!cpu)
		return;
	cpu->accel->cpus[vcpu->index] = NULL;
	blocks_free(cpu);
	if (cpu->native)
		native_cache_free(cpu->native);
	g_free(cpu->tlbs);
	g_free(cpu->itlbs);
	g_free(cpu->store);
	g_array_unref(cpu->requests);
	g_mutex_clear(&cpu->sleep_lock);
	g_cond_clear(&cpu->sleep_cond);
	g_mutex_clear(&cpu->request_lock);
	g_aligned_free(cpu);
	vcpu->accel_data = NULL;
}

static bool soft_vcpu_create(struct accel *base, struct vcpu *vcpu, GError **err)
{
	struct soft_accel *accel = (struct soft_accel *)base;
	struct soft_cpu *cpu = g_aligned_alloc0(1, sizeof *cpu, 64);
	g_autofree struct x86_cpu_state *state = g_new0(struct x86_cpu_state, 1);

	vcpu->accel_data = cpu;
	cpu->accel = accel;
	cpu->vcpu = vcpu;
	cpu->vm = accel->accel.vm;
	cpu->four_gib = UINT64_C(1) << 32;
	cpu->host_mxcsr = _mm_getcsr();
	cpu->features = cpuid_table_features(accel->cpuid);
	cpu->phys_mask = (UINT64_C(1) << CPUID_SOFT_PHYS_BITS) - 1;
	cpu->store = g_new0(struct x86_cpu_state, 1);
	g_mutex_init(&cpu->sleep_lock);
	g_cond_init(&cpu->sleep_cond);
	g_mutex_init(&cpu->request_lock);
	cpu->requests = g_array_new(false, false, sizeof(struct soft_request));
	soft_tlb_init(cpu);
	cpu->tlb = cpu->tlbs[MMU_SUPERVISOR];
	cpu->lapic = lapic_new(accel->lapics, vcpu->apic_id, &lapic_ops, cpu);
	cpu->native = native_cache_new(err);
	if (!cpu->native || !blocks_init(cpu, accel->block_bytes, err))
		return false;
	accel->cpus[vcpu->index] = cpu;
	lapic_reset(cpu->lapic, vcpu->index == 0, false);
	x86_state_reset(state, vcpu->apic_id, vcpu->index == 0);
	lapic_save(cpu->lapic, state->lapic, &state->apic_base, &state->tsc_deadline);
	return soft_set_state(vcpu, state, err);
}

static void soft_destroy(struct accel *base)
{
	struct soft_accel *accel = (struct soft_accel *)base;

	memory_set_listener(accel->accel.vm->mem, NULL, NULL);
	g_clear_pointer(&accel->lapics, lapic_bus_free);
	g_clear_pointer(&accel->cpuid, cpuid_table_free);
	if (accel->owners_memory)
		munmap(accel->owners_memory, accel->owners_bytes);
	g_mutex_clear(&accel->split_lock);
	g_mutex_clear(&accel->clock_lock);
	g_free(accel->cpus);
	g_free(accel);
}

static bool parse_options(struct soft_accel *accel, const char *options, GError **err)
{
	g_auto(GStrv) words = options && *options ? g_strsplit(options, ",", -1) : NULL;

	for (char **w = words; w && *w; w++) {
		uint64_t mib;

		/* The interpreter is all there is so far, so switching the translator off is always granted. */
		if (g_str_equal(*w, "translate=off"))
			continue;
		if (g_str_has_prefix(*w, "cache=") && g_ascii_string_to_unsigned(*w + 6, 10, 1, 1024, &mib, NULL))
			accel->block_bytes = mib << 20;
		else
			return fail(err, LODGE_ERROR_USAGE, "--accel soft: unknown option \"%s\" (known: translate=off, cache=MIB)", *w);
	}
	return true;
}

static struct accel *soft_create(struct vm *vm, const char *options, GError **err)
{
	struct soft_accel *accel = g_new0(struct soft_accel, 1);
	struct cpu_features offer;

	accel->accel.class = &accel_soft_class;
	accel->accel.vm = vm;
	accel->block_bytes = MAX(BLOCK_BYTES / vm->n_vcpus, MIN_BLOCK_BYTES) & ~UINT64_C(4095);
	accel->n_cpus = vm->n_vcpus;
	accel->cpus = g_new0(struct soft_cpu *, vm->n_vcpus);
	g_mutex_init(&accel->split_lock);
	g_mutex_init(&accel->clock_lock);
	accel->tsc_khz = host_tsc_khz();
	/* Time stands still until the VM starts: all vCPUs get their TSC at the same moment. */
	accel->paused = true;
	cpu_features_soft(&offer);
	accel->cpuid = cpuid_table_new(vm->cpu_model, &offer, vm->n_vcpus, accel->tsc_khz, err);
	if (!accel->cpuid || !parse_options(accel, options, err))
		goto failed;
	accel->lapics = lapic_bus_new(vm->timers, vm->n_vcpus, lapic_eoi_broadcast, accel);
	return &accel->accel;
failed:
	soft_destroy(&accel->accel);
	return NULL;
}

static bool soft_set_slots(struct accel *base, GError **err)
{
	struct soft_accel *accel = (struct soft_accel *)base;
	struct memory *mem = accel->accel.vm->mem;
	size_t n, pages = memory_size(mem) >> MEMORY_PAGE_SHIFT, next = 0;
	const struct memory_slot *slots = memory_slots(mem, &n);

	if (n > SOFT_MAX_SLOTS)
		return fail(err, LODGE_ERROR_INTERNAL, "%zu memory slots, the software CPU takes %u", n, SOFT_MAX_SLOTS);
	if (!accel->owners_memory) {
		/* Untouched pages of this cost nothing, which an ordinary allocation would not promise. */
		accel->owners_bytes = pages * sizeof *accel->owners_memory;
		accel->owners_memory = mmap(NULL, accel->owners_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (accel->owners_memory == MAP_FAILED) {
			accel->owners_memory = NULL;
			return fail_errno(err, "software CPU: page table of %zu bytes", accel->owners_bytes);
		}
	}
	for (size_t i = 0; i < n; i++) {
		struct soft_slot *slot = &accel->slots[i];

		*slot = (struct soft_slot){
			.gpa = slots[i].gpa, .size = slots[i].size, .host = slots[i].host, .page_flags = slots[i].page_flags,
		};
		if (!slot->page_flags)
			continue;
		slot->owners = accel->owners_memory + next;
		next += slot->size >> MEMORY_PAGE_SHIFT;
	}
	accel->n_slots = n;
	memory_set_listener(mem, blocks_dma_written, accel);
	return true;
}

static void soft_probe(struct accel_probe *probe)
{
	probe->usable = probe->recommended = true;
	probe->reason = g_strdup("software CPU (interpreter), works on every x86-64 host");
	probe->guest_mips = 0;
}

/* ---- dirty log ---- */

static void drop_all_writes(struct soft_accel *accel)
{
	for (unsigned i = 0; i < accel->n_cpus; i++) {
		if (accel->cpus[i])
			soft_tlb_drop_writes(accel->cpus[i], UINT64_MAX);
	}
}

static bool soft_dirty_start(struct accel *base, GError **err)
{
	struct soft_accel *accel = (struct soft_accel *)base;

	(void)err;
	for (size_t i = 0; i < accel->n_slots; i++) {
		struct soft_slot *slot = &accel->slots[i];

		for (uint64_t p = 0; slot->page_flags && p < slot->size >> MEMORY_PAGE_SHIFT; p++)
			__atomic_fetch_or(&slot->page_flags[p], MEMORY_PAGE_CLEAN, __ATOMIC_SEQ_CST);
	}
	drop_all_writes(accel);
	return true;
}

static bool soft_dirty_harvest(struct accel *base, uint64_t *bitmap, size_t n_words, GError **err)
{
	struct soft_accel *accel = (struct soft_accel *)base;
	size_t bit = 0;

	memset(bitmap, 0, n_words * sizeof *bitmap);
	for (size_t i = 0; i < accel->n_slots; i++) {
		struct soft_slot *slot = &accel->slots[i];

		for (uint64_t p = 0; slot->page_flags && p < slot->size >> MEMORY_PAGE_SHIFT; p++, bit++) {
			if (bit / 64 >= n_words)
				return fail(err, LODGE_ERROR_INTERNAL, "dirty bitmap of %zu words is too small", n_words);
			if (!(__atomic_fetch_or(&slot->page_flags[p], MEMORY_PAGE_CLEAN, __ATOMIC_SEQ_CST) & MEMORY_PAGE_CLEAN))
				bitmap[bit / 64] |= UINT64_C(1) << (bit % 64);
		}
	}
	drop_all_writes(accel);
	return true;
}

static void soft_dirty_stop(struct accel *base)
{
	struct soft_accel *accel = (struct soft_accel *)base;

	for (size_t i = 0; i < accel->n_slots; i++) {
		struct soft_slot *slot = &accel->slots[i];

		for (uint64_t p = 0; slot->page_flags && p < slot->size >> MEMORY_PAGE_SHIFT; p++)
			__atomic_fetch_and(&slot->page_flags[p], (uint8_t)~MEMORY_PAGE_CLEAN, __ATOMIC_SEQ_CST);
	}
}

const struct accel_class accel_soft_class = {
	.name = "soft",
	.probe = soft_probe,
	.create = soft_create,
	.destroy = soft_destroy,
	.set_slots = soft_set_slots,
	.vcpu_create = soft_vcpu_create,
	.vcpu_destroy = soft_vcpu_destroy,
	.vcpu_run = soft_vcpu_run,
	.vcpu_kick = soft_vcpu_kick,
	.vcpu_get_state = soft_get_state,
	.vcpu_set_state = soft_set_state,
	.msi = soft_msi,
	.extint = soft_extint,
	.nmi = soft_nmi,
	.pause = soft_pause,
	.resume = soft_resume,
	.dirty_start = soft_dirty_start,
	.dirty_harvest = soft_dirty_harvest,
	.dirty_stop = soft_dirty_stop,
};
