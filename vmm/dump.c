/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/dump.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/model/lifecycle.h"
#include "vmm/vm.h"

/*
 * The registers are taken on the loop thread before the thread starts; from then on it only reads guest memory, which
 * nobody changes while the VM is paused. What the loop thread may look at meanwhile is atomic: completed and finished.
 * The thread's last act is to wake the loop, which joins it and tells.
 */
#define CHUNK (1u << 20)
#define PAGE 4096u
#define MAX_RANGES 8u
#define POLL_MS 200

/* struct elf_prstatus of x86-64 Linux, as the note has it: 336 bytes. */
struct prstatus {
	uint32_t signo, code, err;
	uint16_t cursig, pad0;
	uint64_t sigpend, sighold;
	uint32_t pid, ppid, pgrp, sid;
	uint64_t times[8];
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax, rip, cs, rflags,
		rsp, ss, fs_base, gs_base, ds, es, fs, gs;
	uint32_t fpvalid, pad1;
};
G_STATIC_ASSERT(sizeof(struct prstatus) == 336);

/* The note that crash wants beside it, to find a kernel that moved itself: name "QEMU", type 0, version 1. */
struct qemu_segment {
	uint32_t selector, limit, flags, pad;
	uint64_t base;
};
struct qemu_state {
	uint32_t version, size;
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, r8_to_r15[8], rip, rflags;
	struct qemu_segment cs, ds, es, fs, gs, ss, ldt, tr, gdt, idt;
	uint64_t cr[5], kernel_gs_base;
};
G_STATIC_ASSERT(sizeof(struct qemu_state) == 440);

struct range {
	uint64_t gpa, size;
};

struct dump {
	struct vm *vm;
	int fd;
	bool regular; /* holes are possible */
	bool resume;
	struct range ranges[MAX_RANGES];
	unsigned n_ranges;
	GByteArray *head;	   /* all before the first byte of memory */
	uint64_t total, completed; /* completed: atomic */
	bool cancel;		   /* atomic */
	GThread *thread;
	GSource *finished;
	GError *error; /* the thread's until it has ended */
	enum dump_state state;
	void (*done)(void *opaque, const GError *error);
	void *opaque;
	uint8_t *buffer;
};

/* --- the file's head --- */

static void fill_prstatus(struct prstatus *p, const struct x86_cpu_state *s, unsigned index)
{
	p->pid = index + 1;
	p->rax = p->orig_rax = s->gpr[X86_RAX];
	p->rbx = s->gpr[X86_RBX];
	p->rcx = s->gpr[X86_RCX];
	p->rdx = s->gpr[X86_RDX];
	p->rsi = s->gpr[X86_RSI];
	p->rdi = s->gpr[X86_RDI];
	p->rbp = s->gpr[X86_RBP];
	p->rsp = s->gpr[X86_RSP];
	p->r8 = s->gpr[X86_R8];
	p->r9 = s->gpr[X86_R9];
	p->r10 = s->gpr[X86_R10];
	p->r11 = s->gpr[X86_R11];
	p->r12 = s->gpr[X86_R12];
	p->r13 = s->gpr[X86_R13];
	p->r14 = s->gpr[X86_R14];
	p->r15 = s->gpr[X86_R15];
	p->rip = s->rip;
	p->rflags = s->rflags;
	p->cs = s->seg[X86_CS].selector;
	p->ss = s->seg[X86_SS].selector;
	p->ds = s->seg[X86_DS].selector;
	p->es = s->seg[X86_ES].selector;
	p->fs = s->seg[X86_FS].selector;
	p->gs = s->seg[X86_GS].selector;
	p->fs_base = s->seg[X86_FS].base;
	p->gs_base = s->seg[X86_GS].base;
}

static struct qemu_segment segment_of(const struct x86_segment *seg)
{
	return (struct qemu_segment){
		.selector = seg->selector, .limit = seg->limit, .flags = (uint32_t)seg->attr << 8, .base = seg->base
	};
}

static void fill_qemu(struct qemu_state *q, const struct x86_cpu_state *s)
{
	*q = (struct qemu_state){
		.version = 1,
		.size = sizeof(*q),
		.rax = s->gpr[X86_RAX],
		.rbx = s->gpr[X86_RBX],
		.rcx = s->gpr[X86_RCX],
		.rdx = s->gpr[X86_RDX],
		.rsi = s->gpr[X86_RSI],
		.rdi = s->gpr[X86_RDI],
		.rsp = s->gpr[X86_RSP],
		.rbp = s->gpr[X86_RBP],
		.rip = s->rip,
		.rflags = s->rflags,
		.cs = segment_of(&s->seg[X86_CS]),
		.ds = segment_of(&s->seg[X86_DS]),
		.es = segment_of(&s->seg[X86_ES]),
		.fs = segment_of(&s->seg[X86_FS]),
		.gs = segment_of(&s->seg[X86_GS]),
		.ss = segment_of(&s->seg[X86_SS]),
		.ldt = segment_of(&s->ldt),
		.tr = segment_of(&s->tr),
		.gdt = { .limit = s->gdt.limit, .base = s->gdt.base },
		.idt = { .limit = s->idt.limit, .base = s->idt.base },
		.cr = { s->cr0, 0, s->cr2, s->cr3, s->cr4 },
		.kernel_gs_base = s->kernel_gs_base,
	};
	memcpy(q->r8_to_r15, &s->gpr[X86_R8], sizeof(q->r8_to_r15));
}

static void append_note(GByteArray *notes, const char name[8], uint32_t type, const void *data, uint32_t len)
{
	const Elf64_Nhdr header = { .n_namesz = 5, .n_descsz = len, .n_type = type };

	g_byte_array_append(notes, (const uint8_t *)&header, sizeof(header));
	g_byte_array_append(notes, (const uint8_t *)name, 8);
	g_byte_array_append(notes, data, len);
}

struct notes {
	GByteArray *core, *qemu;
	unsigned n;
};

static void add_notes(void *opaque, const struct x86_cpu_state *state)
{
	static const char core[8] = "CORE", qemu[8] = "QEMU";
	struct notes *notes = opaque;
	struct prstatus status = { 0 };
	struct qemu_state other;

	fill_prstatus(&status, state, notes->n++);
	fill_qemu(&other, state);
	append_note(notes->core, core, NT_PRSTATUS, &status, sizeof(status));
	append_note(notes->qemu, qemu, 0, &other, sizeof(other));
}

static void find_ranges(struct dump *dump, uint64_t begin, uint64_t length)
{
	uint64_t end = length ? begin + length : UINT64_MAX;
	size_t n;
	const struct memory_slot *slots = memory_slots(dump->vm->mem, &n);

	for (size_t i = 0; i < n && dump->n_ranges < MAX_RANGES; i++) {
		uint64_t from = MAX(slots[i].gpa, begin), to = MIN(slots[i].gpa + slots[i].size, end);

		if (slots[i].readonly || from >= to)
			continue;
		dump->ranges[dump->n_ranges++] = (struct range){ from, to - from };
		dump->total += to - from;
	}
}

static Elf64_Ehdr elf_header(unsigned n_headers)
{
	Elf64_Ehdr e = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_CORE,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = (Elf64_Half)n_headers,
	};

	return e;
}

/* Memory begins at a page border of the file, so that a hole is a hole. */
static void build_head(struct dump *dump)
{
	g_autoptr(GByteArray) core = g_byte_array_new();
	g_autoptr(GByteArray) qemu = g_byte_array_new();
	struct notes notes = { .core = core, .qemu = qemu };
	Elf64_Ehdr header = elf_header(dump->n_ranges + 1);
	uint64_t offset = sizeof(header) + (dump->n_ranges + 1) * sizeof(Elf64_Phdr);
	Elf64_Phdr p = { .p_type = PT_NOTE, .p_offset = offset };

	vm_inspect(dump->vm, add_notes, &notes);
	p.p_filesz = p.p_memsz = core->len + qemu->len;
	offset = (offset + p.p_filesz + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	dump->head = g_byte_array_new();
	g_byte_array_append(dump->head, (const uint8_t *)&header, sizeof(header));
	g_byte_array_append(dump->head, (const uint8_t *)&p, sizeof(p));
	for (unsigned i = 0; i < dump->n_ranges; i++) {
		p = (Elf64_Phdr){ .p_type = PT_LOAD,
				  .p_offset = offset,
				  .p_vaddr = 0,
				  .p_paddr = dump->ranges[i].gpa,
				  .p_filesz = dump->ranges[i].size,
				  .p_memsz = dump->ranges[i].size,
				  .p_align = PAGE,
				  .p_flags = PF_R | PF_W | PF_X };
		g_byte_array_append(dump->head, (const uint8_t *)&p, sizeof(p));
		offset += dump->ranges[i].size;
	}
	g_byte_array_append(dump->head, core->data, core->len);
	g_byte_array_append(dump->head, qemu->data, qemu->len);
	while (dump->head->len % PAGE)
		g_byte_array_append(dump->head, (const uint8_t *)"", 1);
}

/* --- the thread --- */

/* A pipe's reader may be slow, or never come back; then only giving up ends it. */
static bool wait_for_reader(struct dump *dump)
{
	struct pollfd fd = { .fd = dump->fd, .events = POLLOUT };

	while (!__atomic_load_n(&dump->cancel, __ATOMIC_RELAXED)) {
		if (poll(&fd, 1, POLL_MS) > 0)
			return true;
	}
	errno = ECANCELED;
	return false;
}

static bool write_all(struct dump *dump, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = write(dump->fd, data, len);

		if (n < 0 && (errno == EINTR || (errno == EAGAIN && wait_for_reader(dump))))
			continue;
		if (n <= 0)
			return fail_errno(&dump->error, "cannot write the memory dump");
		data += n;
		len -= (size_t)n;
	}
	return true;
}

static bool is_zero(const uint8_t *data, size_t len)
{
	return data[0] == 0 && memcmp(data, data + 1, len - 1) == 0;
}

static bool write_chunk(struct dump *dump, uint64_t gpa, size_t len)
{
	if (!memory_peek(dump->vm->mem, gpa, dump->buffer, len))
		return fail(&dump->error, LODGE_ERROR_INTERNAL,
			    "guest memory at 0x%" G_GINT64_MODIFIER "x cannot be read", gpa);
	if (dump->regular && is_zero(dump->buffer, len))
		return lseek(dump->fd, (off_t)len, SEEK_CUR) >= 0 ||
		       fail_errno(&dump->error, "cannot write the memory dump");
	return write_all(dump, dump->buffer, len);
}

static bool write_range(struct dump *dump, const struct range *range)
{
	for (uint64_t done = 0; done < range->size;) {
		size_t len = (size_t)MIN(range->size - done, CHUNK);

		if (__atomic_load_n(&dump->cancel, __ATOMIC_RELAXED))
			return fail(&dump->error, LODGE_ERROR_STATE, "the memory dump was given up");
		if (!write_chunk(dump, range->gpa + done, len))
			return false;
		done += len;
		__atomic_store_n(&dump->completed, dump->completed + len, __ATOMIC_RELAXED);
	}
	return true;
}

/* A file that ends with a hole has to be told its size. */
static bool finish_file(struct dump *dump)
{
	off_t end;

	if (!dump->regular)
		return true;
	end = lseek(dump->fd, 0, SEEK_CUR);
	if (end < 0 || ftruncate(dump->fd, end) || fsync(dump->fd))
		return fail_errno(&dump->error, "cannot write the memory dump");
	return true;
}

static void *write_dump(void *data)
{
	struct dump *dump = data;
	bool good = write_all(dump, dump->head->data, dump->head->len);

	for (unsigned i = 0; i < dump->n_ranges && good; i++)
		good = write_range(dump, &dump->ranges[i]);
	if (good)
		finish_file(dump);
	g_source_set_ready_time(dump->finished, 0);
	return NULL;
}

/* --- the loop thread --- */

static void settle(struct dump *dump)
{
	g_thread_join(g_steal_pointer(&dump->thread));
	fd_close(&dump->fd);
	dump->state = dump->error ? DUMP_FAILED : DUMP_COMPLETED;
	if (dump->resume)
		vm_resume(dump->vm);
	if (dump->done)
		dump->done(dump->opaque, dump->error);
}

static gboolean thread_finished(gpointer data)
{
	struct dump *dump = data;

	g_source_set_ready_time(dump->finished, -1);
	if (dump->thread)
		settle(dump);
	return G_SOURCE_CONTINUE;
}

static gboolean call_back(G_GNUC_UNUSED GSource *source, GSourceFunc fn, gpointer data)
{
	return fn(data);
}

static GSourceFuncs finished_funcs = { .dispatch = call_back };

struct dump *dump_start(struct vm *vm, int fd_consume, uint64_t begin, uint64_t length,
			void (*done)(void *opaque, const GError *error), void *opaque, GError **err)
{
	autoptr(dump) dump = g_new0(struct dump, 1);
	struct stat st;

	dump->vm = vm;
	dump->fd = fd_consume;
	dump->state = DUMP_FAILED;
	dump->regular = !fstat(dump->fd, &st) && S_ISREG(st.st_mode) && lseek(dump->fd, 0, SEEK_CUR) == 0 &&
			ftruncate(dump->fd, 0) == 0;
	if (!dump->regular)
		(void)fcntl(dump->fd, F_SETFL, O_NONBLOCK | O_WRONLY);
	if (length && begin > UINT64_MAX - length)
		return fail_null(err, LODGE_ERROR_INPUT, "begin and length go beyond all addresses");
	find_ranges(dump, begin, length);
	if (!dump->n_ranges)
		return fail_null(err, LODGE_ERROR_INPUT, "there is no memory in that range");
	dump->resume = vm_state(vm) == VM_RUNNING;
	vm_pause_because(vm, DOMAIN_PAUSED_DUMP);
	build_head(dump);
	dump->buffer = g_malloc(CHUNK);
	dump->finished = g_source_new(&finished_funcs, sizeof(GSource));
	g_source_set_callback(dump->finished, thread_finished, dump, NULL);
	g_source_attach(dump->finished, vm->context);
	dump->thread = g_thread_try_new("dump", write_dump, dump, NULL);
	if (!dump->thread) {
		if (dump->resume)
			vm_resume(vm);
		return fail_null(err, LODGE_ERROR_SYSTEM, "the host has no thread left for the memory dump");
	}
	dump->done = done;
	dump->opaque = opaque;
	dump->state = DUMP_ACTIVE;
	return g_steal_pointer(&dump);
}

void dump_free(struct dump *dump)
{
	if (dump->thread) {
		__atomic_store_n(&dump->cancel, true, __ATOMIC_RELAXED);
		dump->resume = false;
		settle(dump);
	}
	fd_close(&dump->fd);
	if (dump->finished) {
		g_source_destroy(dump->finished);
		g_source_unref(dump->finished);
	}
	g_clear_error(&dump->error);
	if (dump->head)
		g_byte_array_unref(dump->head);
	g_free(dump->buffer);
	g_free(dump);
}

bool dump_is_active(const struct dump *dump)
{
	return dump->state == DUMP_ACTIVE;
}

enum dump_state dump_progress(const struct dump *dump, uint64_t *completed, uint64_t *total)
{
	*completed = __atomic_load_n(&dump->completed, __ATOMIC_RELAXED);
	*total = dump->total;
	return dump->state;
}
