/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/control-private.h"

#include <inttypes.h>
#include <string.h>

#include "core/base/error.h"
#include "vmm/block/block.h"
#include "vmm/dev/devices.h"
#include "vmm/memory.h"

/* "info SUBJECT" of the human monitor. What a query method knows is asked from it; the rest is looked up here. */
struct info {
	struct control_call *call;
	GString *out;
};

struct info_row {
	const char *name, *help;
	void (*run)(struct info *info);
};

static json_t *query(struct info *info, const char *method)
{
	return control_run(info->call, method, NULL, NULL);
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static json_int_t number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void show_status(struct info *info)
{
	const char *status = control_status(info->call->vm);
	bool running = strcmp(status, "running") == 0;

	g_string_append_printf(info->out, "VM status: %s%s%s%s\n", running ? "running" : "paused", running ? "" : " (",
			       running ? "" : status, running ? "" : ")");
}

static void show_version(struct info *info)
{
	g_string_append(info->out, PACKAGE_VERSION " (lodge)\n");
}

static void show_name(struct info *info)
{
	g_string_append_printf(info->out, "%s\n", info->call->host->name);
}

static void show_uuid(struct info *info)
{
	auto_json json_t *uuid = query(info, "query-uuid");

	g_string_append_printf(info->out, "%s\n", text_of(uuid, "UUID"));
}

static void show_kvm(struct info *info)
{
	bool kvm = strcmp(info->call->vm->accel_class->name, "kvm") == 0;

	g_string_append_printf(info->out, "kvm support: %s\n", kvm ? "enabled" : "disabled");
}

static void show_cpus(struct info *info)
{
	const struct vm *vm = info->call->vm;

	for (unsigned i = 0; i < vm->n_vcpus; i++) {
		const struct stats_vcpu *stats = vm->vcpus[i].stats;

		g_string_append_printf(info->out, "%s CPU #%u:%s thread_id=%u\n", i ? " " : "*", i,
				       stats->halted ? " (halted)" : "", stats->tid);
	}
}

static void show_segment(GString *out, const char *name, const struct x86_segment *seg)
{
	g_string_append_printf(out, "%s =%04x %016" PRIx64 " %08x %08x\n", name, seg->selector, seg->base, seg->limit,
			       (unsigned)seg->attr << 8);
}

static void show_cpu_registers(GString *out, const struct x86_cpu_state *s)
{
	static const char *const names[X86_N_GPRS] = { "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
						       "R8 ", "R9 ", "R10", "R11", "R12", "R13", "R14", "R15" };
	static const char *const segs[X86_N_SEGS] = { "ES", "CS", "SS", "DS", "FS", "GS" };

	for (size_t i = 0; i < X86_N_GPRS; i++)
		g_string_append_printf(out, "%s=%016" PRIx64 "%s", names[i], s->gpr[i], i % 4 == 3 ? "\n" : " ");
	g_string_append_printf(out, "RIP=%016" PRIx64 " RFL=%08x CPL=%u HLT=%u\n", s->rip, (unsigned)s->rflags,
			       s->seg[X86_CS].selector & 3, s->run_state == X86_HALTED);
	for (size_t i = 0; i < X86_N_SEGS; i++)
		show_segment(out, segs[i], &s->seg[i]);
	show_segment(out, "LDT", &s->ldt);
	show_segment(out, "TR", &s->tr);
	g_string_append_printf(out, "GDT=     %016" PRIx64 " %08x\nIDT=     %016" PRIx64 " %08x\n", s->gdt.base,
			       s->gdt.limit, s->idt.base, s->idt.limit);
	g_string_append_printf(out, "CR0=%08x CR2=%016" PRIx64 " CR3=%016" PRIx64 " CR4=%08x\nEFER=%016" PRIx64 "\n",
			       (unsigned)s->cr0, s->cr2, s->cr3, (unsigned)s->cr4, s->efer);
}

static void show_one_cpu(void *opaque, const struct x86_cpu_state *state)
{
	show_cpu_registers(((struct info *)opaque)->out, state);
}

static void show_registers(struct info *info)
{
	vm_inspect(info->call->vm, show_one_cpu, info);
}

static void show_block(struct info *info)
{
	const struct machine_disk *disk;

	for (unsigned i = 0; (disk = machine_disk(info->call->host->machine, i)); i++)
		g_string_append_printf(
			info->out,
			"%s: removable=0 io-status=ok file=%s ro=%d drv=%s encrypted=0 bps=0 bps_rd=0 bps_wr=0 iops=0 "
			"iops_rd=0 iops_wr=0\n",
			disk->target, disk->node->name, disk->node->readonly, disk->node->class->name);
}

static void show_blockstats(struct info *info)
{
	const struct machine_disk *disk;

	for (unsigned i = 0; (disk = machine_disk(info->call->host->machine, i)); i++) {
		const struct stats_disk *s = disk->stats;

		g_string_append_printf(info->out,
				       "%s: rd_bytes=%" PRIu64 " wr_bytes=%" PRIu64 " rd_operations=%" PRIu64
				       " wr_operations=%" PRIu64 " flush_operations=%" PRIu64
				       " wr_total_time_ns=%" PRIu64 " rd_total_time_ns=%" PRIu64
				       " flush_total_time_ns=%" PRIu64 "\n",
				       disk->target, s->op[STATS_READ].bytes, s->op[STATS_WRITE].bytes,
				       s->op[STATS_READ].requests, s->op[STATS_WRITE].requests,
				       s->op[STATS_FLUSH].requests, s->op[STATS_WRITE].time_ns,
				       s->op[STATS_READ].time_ns, s->op[STATS_FLUSH].time_ns);
	}
}

static void show_chardev(struct info *info)
{
	auto_json json_t *list = query(info, "query-chardev");
	const json_t *port;
	size_t i;

	json_array_foreach(list, i, port) g_string_append_printf(info->out, "%s: filename=%s\n", text_of(port, "label"),
								 text_of(port, "filename"));
}

static void show_regions(struct info *info, const json_t *regions)
{
	const json_t *region;
	size_t i;

	json_array_foreach(regions, i, region)
	{
		json_int_t address = number_of(region, "address"), size = number_of(region, "size");

		g_string_append_printf(info->out, "      BAR%d: %s at 0x%" PRIx64 " [0x%" PRIx64 "].\n",
				       (int)number_of(region, "bar"),
				       strcmp(text_of(region, "type"), "io") == 0 ? "I/O" : "memory", (uint64_t)address,
				       (uint64_t)(address + size - 1));
	}
}

static void show_pci(struct info *info)
{
	auto_json json_t *buses = query(info, "query-pci");
	const json_t *dev;
	size_t i;

	json_array_foreach(json_object_get(json_array_get(buses, 0), "devices"), i, dev)
	{
		const json_t *id = json_object_get(dev, "id"), *class = json_object_get(dev, "class_info");

		g_string_append_printf(
			info->out, "  Bus  0, device %3d, function 0:\n    %s: PCI device %04x:%04x\n      id \"%s\"\n",
			(int)number_of(dev, "slot"), text_of(class, "desc"), (unsigned)number_of(id, "vendor"),
			(unsigned)number_of(id, "device"), text_of(dev, "qdev_id"));
		show_regions(info, json_object_get(dev, "regions"));
	}
}

static void show_balloon(struct info *info)
{
	auto_json json_t *balloon = query(info, "query-balloon");

	if (balloon)
		g_string_append_printf(info->out, "balloon: actual=%d\n", (int)(number_of(balloon, "actual") >> 20));
	else
		g_string_append(info->out, "No balloon device has been activated\n");
}

static void show_mtree(struct info *info)
{
	size_t n;
	const struct memory_slot *slots = memory_slots(info->call->vm->mem, &n);

	g_string_append(info->out, "address-space: memory\n");
	for (size_t i = 0; i < n; i++)
		g_string_append_printf(info->out, "  %016" PRIx64 "-%016" PRIx64 " (prio 0, %s): %s\n", slots[i].gpa,
				       slots[i].gpa + slots[i].size - 1, slots[i].readonly ? "rom" : "ram",
				       slots[i].readonly ? "rom" : "pc.ram");
	g_string_append_printf(info->out, "  %016x-%016x (prio 0, i/o): ioapic\n  %016x-%016x (prio 0, i/o): hpet\n",
			       0xfec00000u, 0xfec00fffu, 0xfed00000u, 0xfed003ffu);
}

static void show_irq(struct info *info)
{
	const struct vm *vm = info->call->vm;

	for (unsigned i = 0; i < vm->n_vcpus; i++)
		g_string_append_printf(info->out, "CPU #%u: interrupts=%" PRIu64 " nmis=%" PRIu64 "\n", i,
				       stats_get(&vm->vcpus[i].stats->interrupts),
				       stats_get(&vm->vcpus[i].stats->nmis));
}

static const struct info_row rows[] = {
	{ "balloon", "memory the balloon leaves to the guest", show_balloon },
	{ "block", "disks", show_block },
	{ "blockstats", "requests and bytes of the disks", show_blockstats },
	{ "chardev", "serial ports, consoles and channels", show_chardev },
	{ "cpus", "vCPUs and their threads", show_cpus },
	{ "irq", "interrupts taken by each vCPU", show_irq },
	{ "kvm", "whether KVM runs the guest", show_kvm },
	{ "mtree", "the guest's physical memory map", show_mtree },
	{ "name", "name of the VM", show_name },
	{ "pci", "PCI devices", show_pci },
	{ "registers", "registers of every vCPU", show_registers },
	{ "status", "whether the VM runs", show_status },
	{ "uuid", "UUID of the VM", show_uuid },
	{ "version", "version of Lodge", show_version },
};

char *control_info(struct control_call *call, const char *what, GError **err)
{
	GString *out = g_string_new(NULL);
	struct info info = { .call = call, .out = out };

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		if (strcmp(rows[i].name, what) == 0) {
			rows[i].run(&info);
			return g_string_free(out, FALSE);
		}
		if (!*what)
			g_string_append_printf(out, "info %s -- %s\n", rows[i].name, rows[i].help);
	}
	if (!*what)
		return g_string_free(out, FALSE);
	g_string_free(out, TRUE);
	return fail_null(err, LODGE_ERROR_INPUT, "unknown command: 'info %s'", what);
}
