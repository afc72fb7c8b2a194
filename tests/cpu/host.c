/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host processor's side: a child process that lives inside its signal handler. A case ends with a signal; the
 * handler notes the outcome from the frame, writes the next case's state into the same frame and returns into it,
 * so the kernel loads and saves everything and one signal is all a case costs.
 *
 * The child is expendable. It shares only the batches with the test; a seccomp filter catches system calls made
 * from the snippets; it is ended and made anew when a case does not come back.
 */
#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "tests/cpu/conform.h"

#define PATIENCE_MS 3000 /* a whole batch takes milliseconds */
#define ALT_STACK_SIZE (64u << 10)
#define FXSAVE_OWN_OFFSET 464u /* where the kernel says what else there is */
#define XSAVE_HEADER_OFFSET 512u
#define XSAVE_AVX_OFFSET 576u /* fixed by the architecture's standard format: SDM volume 1 section 13.4.3 */

struct batch {
	struct conform_case cases[BATCH];
	struct conform_outcome outcomes[BATCH];
	unsigned n;
	unsigned next; /* the case that runs, while the child is at work */
};

struct shared {
	struct conform_images images;
	struct batch batches[2];
	int guarded; /* seccomp is on */
};

struct host {
	struct shared *shared;
	int window_fd; /* CODE, DATA, READ */
	pid_t child;
	int commands, answers; /* pipes */
	GArray *maps;	       /* struct range: what the test itself has mapped */
};

struct range {
	uint64_t start, end;
};

/* ---- inside the child ---- */

/* Signal handlers have no other way to their data. */
static struct child {
	struct shared *shared;
	uint8_t *code; /* writable view of CODE */
	uint8_t *data;
	int commands, answers;
	unsigned batch;
	unsigned dirty_at, dirty_len; /* bytes of CODE that are not INT3 */
	bool first;
	bool fsgsbase;
	uint64_t fs_base, gs_base; /* the child's own */
	uint64_t case_fs, case_gs; /* as the snippet left them */
	uint16_t seg[X86_N_SEGS];
} child;

/* Until the child's own FS base is back, nothing may look at thread-local data. */
#define BARE __attribute__((no_stack_protector, no_sanitize("address"), no_sanitize("undefined")))

static inline BARE long raw_syscall(long n, long a, long b, long c)
{
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return ret;
}

static inline BARE uint64_t get_base(bool gs)
{
	uint64_t base = 0;

	if (!child.fsgsbase)
		raw_syscall(SYS_arch_prctl, gs ? ARCH_GET_GS : ARCH_GET_FS, (long)&base, 0);
	else if (gs)
		__asm__ volatile("rdgsbase %0" : "=r"(base));
	else
		__asm__ volatile("rdfsbase %0" : "=r"(base));
	return base;
}

static inline BARE void set_base(bool gs, uint64_t base)
{
	if (!child.fsgsbase)
		raw_syscall(SYS_arch_prctl, gs ? ARCH_SET_GS : ARCH_SET_FS, (long)base, 0);
	else if (gs)
		__asm__ volatile("wrgsbase %0" : : "r"(base) : "memory");
	else
		__asm__ volatile("wrfsbase %0" : : "r"(base) : "memory");
}

static inline BARE void set_plain_flags(uint64_t flags)
{
	/* Below the red zone. */
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\tpush %0\n\tpopfq\n\tlea 128(%%rsp), %%rsp"
			 :
			 : "r"(flags)
			 : "memory", "cc");
}

/* What the snippet left in registers that are in no signal frame; puts the child's own back. */
static inline BARE void leave_snippet(void)
{
	set_plain_flags(X86_FLAG_FIXED);
	__asm__ volatile("mov %%es, %0" : "=r"(child.seg[X86_ES]));
	__asm__ volatile("mov %%ds, %0" : "=r"(child.seg[X86_DS]));
	__asm__ volatile("mov %%fs, %0" : "=r"(child.seg[X86_FS]));
	__asm__ volatile("mov %%gs, %0" : "=r"(child.seg[X86_GS]));
	child.case_fs = get_base(false);
	child.case_gs = get_base(true);
	if (child.seg[X86_ES] | child.seg[X86_DS] | child.seg[X86_FS] | child.seg[X86_GS])
		__asm__ volatile("mov %0, %%es\n\tmov %0, %%ds\n\tmov %0, %%fs\n\tmov %0, %%gs" : : "r"(0));
	set_base(false, child.fs_base);
	set_base(true, child.gs_base);
}

static inline BARE void enter_snippet(const struct conform_state *start)
{
	/* The kernel restores neither of these flags from the frame, but leaves them as they are. */
	uint64_t kept = start->rflags & (X86_FLAG_ID | X86_FLAG_NT);

	if (start->seg[X86_DS])
		__asm__ volatile("mov %0, %%es\n\tmov %0, %%ds\n\tmov %0, %%fs\n\tmov %0, %%gs"
				 :
				 : "r"((uint32_t)start->seg[X86_DS]));
	set_base(true, start->gs_base);
	set_base(false, start->fs_base);
	set_plain_flags(kept | X86_FLAG_FIXED);
}

static const int gpr_index[X86_N_GPRS] = {
	REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
	REG_R8,	 REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

static uint32_t outcome_vector(int sig, const siginfo_t *info, const greg_t *regs)
{
	switch (sig) {
	case SIGSYS:
		return info->si_arch == AUDIT_ARCH_X86_64 ? OUTCOME_SYSCALL : OUTCOME_INTERRUPT_80;
	case SIGALRM:
		return OUTCOME_TIMEOUT;
	default:
		return (uint32_t)regs[REG_TRAPNO];
	}
}

/* A processor without AVX has a shorter frame. */
static bool frame_has_avx(const uint8_t *fp)
{
	struct _fpx_sw_bytes own;

	memcpy(&own, fp + FXSAVE_OWN_OFFSET, sizeof(own));
	return own.magic1 == FP_XSTATE_MAGIC1 && own.xstate_bv & X86_XCR0_AVX;
}

static void save_vectors(struct conform_state *s, const struct conform_state *start, const ucontext_t *uc)
{
	const uint8_t *fp = (const uint8_t *)uc->uc_mcontext.fpregs;
	uint64_t present;

	memcpy(&s->fx, fp, sizeof(s->fx));
	if (!frame_has_avx(fp)) {
		memcpy(s->ymm_high, start->ymm_high, sizeof(s->ymm_high));
		return;
	}
	memcpy(&present, fp + XSAVE_HEADER_OFFSET, sizeof(present));
	memset(s->ymm_high, 0, sizeof(s->ymm_high));
	if (present & X86_XCR0_AVX)
		memcpy(s->ymm_high, fp + XSAVE_AVX_OFFSET, sizeof(s->ymm_high));
}

static void load_vectors(const struct conform_state *s, ucontext_t *uc)
{
	const uint64_t present = X86_XCR0_X87 | X86_XCR0_SSE | X86_XCR0_AVX;
	uint8_t *fp = (uint8_t *)uc->uc_mcontext.fpregs;

	memcpy(fp, &s->fx, offsetof(struct x86_fxsave, reserved2));
	if (!frame_has_avx(fp))
		return;
	memcpy(fp + XSAVE_HEADER_OFFSET, &present, sizeof(present));
	memcpy(fp + XSAVE_AVX_OFFSET, s->ymm_high, sizeof(s->ymm_high));
}

static void note_outcome(struct conform_outcome *out, const struct conform_state *start, int sig, const siginfo_t *info,
			 const ucontext_t *uc)
{
	const greg_t *regs = uc->uc_mcontext.gregs;
	struct conform_state *s = &out->state;

	for (unsigned i = 0; i < X86_N_GPRS; i++)
		s->gpr[i] = (uint64_t)regs[gpr_index[i]];
	s->rip = (uint64_t)regs[REG_RIP];
	s->rflags = (uint64_t)regs[REG_EFL];
	s->fs_base = child.case_fs;
	s->gs_base = child.case_gs;
	memcpy(s->seg, child.seg, sizeof(s->seg));
	s->seg[X86_CS] = (uint16_t)regs[REG_CSGSFS];
	s->seg[X86_SS] = (uint16_t)((uint64_t)regs[REG_CSGSFS] >> 48);
	save_vectors(s, start, uc);
	out->vector = outcome_vector(sig, info, regs);
	out->error = out->vector < 32 ? (uint32_t)regs[REG_ERR] : 0;
	out->cr2 = out->vector == X86_EXC_PF ? (uint64_t)regs[REG_CR2] : 0;
	memcpy(out->data, child.data, DATA_SIZE);
}

static void load_memory(const struct conform_case *c)
{
	memset(child.code + child.dirty_at, 0xcc, child.dirty_len);
	child.dirty_at = (uint32_t)c->start.rip - CODE_BASE;
	child.dirty_len = c->undefined ? 0 : c->len;
	memcpy(child.code + child.dirty_at, c->code, child.dirty_len);
	memcpy(child.data, child.shared->images.data[c->image], DATA_SIZE);
	for (unsigned i = 0; i < c->n_pokes; i++)
		memcpy(child.data + (c->pokes[i].addr - DATA_BASE), &c->pokes[i].val, c->pokes[i].size);
}

static void load_case(const struct conform_case *c, ucontext_t *uc)
{
	const struct conform_state *s = &c->start;
	greg_t *regs = uc->uc_mcontext.gregs;

	for (unsigned i = 0; i < X86_N_GPRS; i++)
		regs[gpr_index[i]] = (greg_t)s->gpr[i];
	regs[REG_RIP] = (greg_t)s->rip;
	regs[REG_EFL] = (greg_t)s->rflags;
	regs[REG_CSGSFS] = (greg_t)(s->seg[X86_CS] | (uint64_t)s->seg[X86_SS] << 48);
	load_vectors(s, uc);
	load_memory(c);
}

/* Waits for the next batch; does not return when there will be none. */
static void next_batch(bool report)
{
	char byte = (char)child.batch;

	if (report && write(child.answers, &byte, 1) != 1)
		_exit(0);
	if (read(child.commands, &byte, 1) != 1)
		_exit(0);
	child.batch = (unsigned)byte & 1;
}

static BARE void on_signal(int sig, siginfo_t *info, void *context)
{
	struct batch *batch;
	ucontext_t *uc = context;

	leave_snippet();
	batch = &child.shared->batches[child.batch];
	if (child.first) {
		child.first = false;
		next_batch(false);
	} else {
		note_outcome(&batch->outcomes[batch->next], &batch->cases[batch->next].start, sig, info, uc);
		if (++batch->next == batch->n)
			next_batch(true);
	}
	batch = &child.shared->batches[child.batch];
	load_case(&batch->cases[batch->next], uc);
	enter_snippet(&batch->cases[batch->next].start);
}

/* System calls whose instruction lies in CODE raise SIGSYS. */
static bool guard_syscalls(void)
{
	const unsigned ip = offsetof(struct seccomp_data, instruction_pointer);
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ip + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ip),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, CODE_BASE, 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, CODE_BASE + CODE_SIZE, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = G_N_ELEMENTS(filter), .filter = filter };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

static void map_at(uint64_t addr, size_t size, int prot, int fd, off_t offset)
{
	void *want = (void *)(uintptr_t)addr;

	/* Populated, or an error code would tell of a page that is only not there yet. */
	if (mmap(want, size, prot, MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_POPULATE, fd, offset) != want)
		_exit(3);
}

/* The window's memory is one file: CODE, DATA, READ, one behind the other. */
static void map_windows(int fd)
{
	uint8_t *all = mmap(NULL, CODE_SIZE + DATA_SIZE + READ_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (all == MAP_FAILED)
		_exit(3);
	map_at(CODE_BASE, CODE_SIZE, PROT_READ | PROT_EXEC, fd, 0);
	map_at(DATA_BASE, DATA_SIZE, PROT_READ | PROT_WRITE, fd, CODE_SIZE);
	map_at(READ_BASE, READ_SIZE, PROT_READ, fd, CODE_SIZE + DATA_SIZE);
	child.code = all;
	child.data = all + CODE_SIZE;
	memset(child.code, 0xcc, CODE_SIZE);
	memcpy(all + CODE_SIZE + DATA_SIZE, child.shared->images.read, READ_SIZE);
}

static void catch_signals(void)
{
	static const int caught[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGALRM, SIGSYS };
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	stack_t stack = { .ss_size = ALT_STACK_SIZE };

	stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL) < 0)
		_exit(3);
	sigfillset(&action.sa_mask);
	for (size_t i = 0; i < G_N_ELEMENTS(caught); i++)
		sigaction(caught[i], &action, NULL);
}

static G_NORETURN void child_main(struct host *host, int commands, int answers)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	child = (struct child){ .shared = host->shared, .commands = commands, .answers = answers, .first = true };
	child.fsgsbase = getauxval(AT_HWCAP2) & 2;
	child.fs_base = get_base(false);
	child.gs_base = get_base(true);
	map_windows(host->window_fd);
	catch_signals();
	host->shared->guarded = guard_syscalls();
	__asm__ volatile("int3");
	_exit(4);
}

/* ---- in the test ---- */

static void stop_child(struct host *host)
{
	if (host->child <= 0)
		return;
	kill(host->child, SIGKILL);
	waitpid(host->child, NULL, 0);
	close(host->commands);
	close(host->answers);
	host->child = 0;
}

/* What the child will have mapped: a copy of this. */
static void note_maps(struct host *host)
{
	g_autofree char *text = NULL;
	g_auto(GStrv) lines = NULL;

	g_array_set_size(host->maps, 0);
	if (!g_file_get_contents("/proc/self/maps", &text, NULL, NULL))
		return;
	lines = g_strsplit(text, "\n", -1);
	for (size_t i = 0; lines[i]; i++) {
		char *dash = NULL;
		struct range range = { .start = strtoull(lines[i], &dash, 16) };

		if (*dash != '-')
			continue;
		range.end = strtoull(dash + 1, NULL, 16);
		g_array_append_val(host->maps, range);
	}
}

static bool start_child(struct host *host)
{
	int to[2], from[2];

	if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
		return false;
	note_maps(host);
	host->child = fork();
	if (host->child < 0)
		return false;
	if (host->child == 0) {
		close(to[1]);
		close(from[0]);
		child_main(host, to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	host->commands = to[1];
	host->answers = from[0];
	return true;
}

struct host *host_new(char **why)
{
	autoptr(host) host = g_new0(struct host, 1);

	host->maps = g_array_new(FALSE, FALSE, sizeof(struct range));
	host->window_fd = memfd_create("conform", MFD_CLOEXEC);
	host->shared = mmap(NULL, sizeof(*host->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (host->shared == MAP_FAILED || host->window_fd < 0 ||
	    ftruncate(host->window_fd, CODE_SIZE + DATA_SIZE + READ_SIZE) < 0) {
		*why = g_strdup_printf("no shared memory: %s", g_strerror(errno));
		return NULL;
	}
	images_fill(&host->shared->images);
	if (!start_child(host)) {
		*why = g_strdup_printf("no child process: %s", g_strerror(errno));
		return NULL;
	}
	return g_steal_pointer(&host);
}

void host_free(struct host *host)
{
	stop_child(host);
	if (host->window_fd >= 0)
		close(host->window_fd);
	g_array_unref(host->maps);
	if (host->shared != MAP_FAILED)
		munmap(host->shared, sizeof(*host->shared));
	g_free(host);
}

struct conform_case *host_cases(struct host *host, unsigned batch)
{
	return host->shared->batches[batch].cases;
}

const struct conform_images *host_images(const struct host *host)
{
	return &host->shared->images;
}

bool host_guards_syscalls(const struct host *host)
{
	return __atomic_load_n(&host->shared->guarded, __ATOMIC_SEQ_CST);
}

bool host_maps(const struct host *host, uint64_t addr)
{
	for (guint i = 0; i < host->maps->len; i++) {
		const struct range *range = &g_array_index(host->maps, struct range, i);

		if (addr >= range->start && addr < range->end)
			return true;
	}
	return false;
}

static bool command(struct host *host, unsigned batch)
{
	char byte = (char)batch;

	return write(host->commands, &byte, 1) == 1;
}

void host_start(struct host *host, unsigned batch, unsigned n)
{
	host->shared->batches[batch].n = n;
	host->shared->batches[batch].next = 0;
	if (!command(host, batch))
		g_error("the host's child is gone");
}

/* 1: done, 0: nothing for too long, -1: it died */
static int answer(struct host *host, int patience)
{
	struct pollfd fd = { .fd = host->answers, .events = POLLIN };
	char byte;
	int n;

	do {
		n = poll(&fd, 1, patience);
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0;
	return read(host->answers, &byte, 1) == 1 ? 1 : -1;
}

/* The running case has killed the child, or hangs beyond help: the batch goes on behind it in a new child. */
static bool replace_child(struct host *host, unsigned batch)
{
	struct batch *b = &host->shared->batches[batch];
	struct conform_outcome *out = &b->outcomes[b->next];

	stop_child(host);
	memset(out, 0, sizeof(*out));
	out->vector = OUTCOME_DIED;
	if (!start_child(host))
		g_error("cannot start another child: %s", g_strerror(errno));
	if (++b->next == b->n)
		return false;
	return command(host, batch);
}

const struct conform_outcome *host_wait(struct host *host, unsigned batch)
{
	struct batch *b = &host->shared->batches[batch];
	unsigned seen = UINT32_MAX, alarmed = UINT32_MAX;

	for (;;) {
		int got = answer(host, PATIENCE_MS);
		unsigned at = __atomic_load_n(&b->next, __ATOMIC_SEQ_CST);

		if (got > 0)
			return b->outcomes;
		if (got == 0 && at != seen) {
			seen = at;
		} else if (got == 0 && at != alarmed) {
			alarmed = at;
			kill(host->child, SIGALRM);
		} else if (!replace_child(host, batch)) {
			return b->outcomes;
		}
	}
}
