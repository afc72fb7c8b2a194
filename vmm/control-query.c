/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/control-private.h"

#include <string.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/model/lifecycle.h"
#include "vmm/block/block.h"
#include "vmm/pci.h"
#include "vmm/virtio/devices.h"

/* Methods that only look. Names and shapes are QMP's; what Lodge adds has a name that starts with x-lodge-. */

static json_t *capabilities(struct control_call *call, GError **err)
{
	json_t *enable = json_object_get(call->args, "enable");

	if (json_array_size(enable))
		return fail_null(err, LODGE_ERROR_UNSUPPORTED, "no optional capabilities are offered");
	return json_object();
}

static json_t *query_version(G_GNUC_UNUSED struct control_call *call, G_GNUC_UNUSED GError **err)
{
	unsigned version[3] = { 0 };

	(void)sscanf(PACKAGE_VERSION, "%u.%u.%u", &version[0], &version[1], &version[2]);
	return json_pack("{s:{s:i, s:i, s:i}, s:s}", "qemu", "major", (int)version[0], "minor", (int)version[1],
			 "micro", (int)version[2], "package", "lodge " PACKAGE_VERSION);
}

static json_t *query_commands(G_GNUC_UNUSED struct control_call *call, G_GNUC_UNUSED GError **err)
{
	json_t *list = json_array();

	for (size_t i = 0; control_method(i); i++)
		json_array_append_new(list, json_pack("{s:s}", "name", control_method(i)->name));
	return list;
}

static json_t *query_events(G_GNUC_UNUSED struct control_call *call, G_GNUC_UNUSED GError **err)
{
	json_t *list = json_array();

	for (size_t i = 0; control_event_name(i); i++)
		json_array_append_new(list, json_pack("{s:s}", "name", control_event_name(i)));
	return list;
}

static json_t *query_name(struct control_call *call, G_GNUC_UNUSED GError **err)
{
	return json_pack("{s:s}", "name", call->host->name);
}

static json_t *query_uuid(struct control_call *call, G_GNUC_UNUSED GError **err)
{
	const uint8_t *u = machine_uuid(call->host->machine);
	g_autofree char *text = g_strdup_printf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
						u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10],
						u[11], u[12], u[13], u[14], u[15]);

	return json_pack("{s:s}", "UUID", text);
}

const char *control_status(const struct vm *vm)
{
	enum vm_stop held = vm_held(vm);

	switch (vm_state(vm)) {
	case VM_RUNNING:
		return "running";
	case VM_PAUSED:
		return held == VM_STOP_NONE				     ? "paused" :
		       held == VM_STOP_PANIC || held == VM_STOP_TRIPLE_FAULT ? "guest-panicked" :
									       "shutdown";
	case VM_CREATED:
		return "prelaunch";
	default:
		return "shutdown";
	}
}

static json_t *query_status(struct control_call *call, G_GNUC_UNUSED GError **err)
{
	return json_pack("{s:s, s:b, s:b}", "status", control_status(call->vm), "running",
			 vm_state(call->vm) == VM_RUNNING, "singlestep", 0);
}

static json_t *query_kvm(struct control_call *call, G_GNUC_UNUSED GError **err)
{
	return json_pack("{s:b, s:b}", "enabled", strcmp(call->vm->accel_class->name, "kvm") == 0, "present",
			 access("/dev/kvm", F_OK) == 0);
}

static json_t *query_cpus_fast(struct control_call *call, G_GNUC_UNUSED GError **err)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < call->vm->n_vcpus; i++) {
		const struct stats_vcpu *stats = call->vm->vcpus[i].stats;
		g_autofree char *path = g_strdup_printf("/machine/cpu[%u]", i);

		json_array_append_new(
			list, json_pack("{s:i, s:s, s:I, s:s, s:{s:i, s:i, s:i}, s:b}", "cpu-index", (int)i, "qom-path",
					path, "thread-id", (json_int_t)__atomic_load_n(&stats->tid, __ATOMIC_RELAXED),
					"target", "x86_64", "props", "socket-id", (int)i, "core-id", 0, "thread-id", 0,
					"x-lodge-halted", __atomic_load_n(&stats->halted, __ATOMIC_RELAXED)));
	}
	return list;
}

static json_t *query_target(G_GNUC_UNUSED struct control_call *call, G_GNUC_UNUSED GError **err)
{
	return json_pack("{s:s}", "arch", "x86_64");
}

static json_t *query_machines(G_GNUC_UNUSED struct control_call *call, G_GNUC_UNUSED GError **err)
{
	return json_pack("[{s:s, s:b, s:i, s:b, s:b, s:b}]", "name", "q35", "is-default", 1, "cpu-max",
			 VM_CONFIG_MAX_VCPUS, "hotpluggable-cpus", 0, "numa-mem-supported", 0, "deprecated", 0);
}

/* --- disks --- */

static json_t *disk_inserted(const struct machine_disk *disk)
{
	static const char *const limits[] = { "bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr" };
	json_t *inserted = json_pack("{s:s, s:s, s:b, s:b, s:s, s:{s:s, s:s, s:I}}", "file", disk->node->name, "drv",
				     disk->node->class->name, "ro", disk->node->readonly, "encrypted", 0, "node-name",
				     disk->alias, "image", "filename", disk->node->name, "format",
				     disk->node->class->name, "virtual-size", (json_int_t)disk->node->size);

	for (size_t i = 0; i < G_N_ELEMENTS(limits); i++)
		json_object_set_new(inserted, limits[i], json_integer(0));
	return inserted;
}

static json_t *query_block(struct control_call *call, G_GNUC_UNUSED GError **err)
{
	json_t *list = json_array();
	const struct machine_disk *disk;

	for (unsigned i = 0; (disk = machine_disk(call->host->machine, i)); i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:b, s:b, s:s, s:o}", "device", disk->target,
						      "qdev", disk->alias, "type", "unknown", "locked", 0, "removable",
						      0, "io-status", "ok", "inserted", disk_inserted(disk)));
	return list;
}

static void put_counter(json_t *object, const char *before, const char *name, const char *after, const uint64_t *value)
{
	g_autofree char *key = g_strconcat(before, name, after, NULL);

	json_object_set_new(object, key, json_integer((json_int_t)MIN(stats_get(value), INT64_MAX)));
}

static json_t *latency_histogram(const uint64_t *latency)
{
	json_t *boundaries = json_array(), *bins = json_array();

	for (unsigned i = 0; i < STATS_LATENCY_BUCKETS; i++) {
		if (i + 1 < STATS_LATENCY_BUCKETS)
			json_array_append_new(boundaries, json_integer((json_int_t)(UINT64_C(16000) << i)));
		json_array_append_new(bins, json_integer((json_int_t)stats_get(&latency[i])));
	}
	return json_pack("{s:o, s:o}", "boundaries", boundaries, "bins", bins);
}

static json_t *disk_stats(const struct stats_disk *disk)
{
	static const char *const names[STATS_N_OPS] = { "rd", "wr", "flush", "unmap" };
	json_t *stats = json_object();

	for (unsigned op = 0; op < STATS_N_OPS; op++) {
		g_autofree char *histogram = g_strdup_printf("%s_latency_histogram", names[op]);

		if (op != STATS_FLUSH)
			put_counter(stats, "", names[op], "_bytes", &disk->op[op].bytes);
		put_counter(stats, "", names[op], "_operations", &disk->op[op].requests);
		put_counter(stats, "", names[op], "_total_time_ns", &disk->op[op].time_ns);
		put_counter(stats, "failed_", names[op], "_operations", &disk->op[op].errors);
		json_object_set_new(stats, histogram, latency_histogram(disk->op[op].latency));
	}
	return stats;
}

static json_t *query_blockstats(struct control_call *call, G_GNUC_UNUSED GError **err)
{
	json_t *list = json_array();
	const struct machine_disk *disk;

	for (unsigned i = 0; (disk = machine_disk(call->host->machine, i)); i++)
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:s, s:o}", "device", disk->target, "qdev", disk->alias,
						"node-name", disk->alias, "stats", disk_stats(disk->stats)));
	return list;
}

/* --- PCI --- */

static bool is_pci(const struct device *dev)
{
	return g_str_has_prefix(dev->class->name, "virtio-") || g_str_has_prefix(dev->class->name, "isa-bridge") ||
	       g_str_has_prefix(dev->class->name, "pci-");
}

static json_t *pci_regions(const struct pci_device *pci)
{
	json_t *list = json_array();

	for (unsigned bar = 0; bar < G_N_ELEMENTS(pci->bars); bar++) {
		uint64_t address = 0;
		json_t *region;

		if (!pci->bars[bar].size)
			continue;
		pci_bar_address(pci, bar, &address);
		region = json_pack("{s:i, s:s, s:I, s:I}", "bar", (int)bar, "type", pci->bars[bar].io ? "io" : "memory",
				   "address", (json_int_t)address, "size", (json_int_t)pci->bars[bar].size);
		if (!pci->bars[bar].io) {
			json_object_set_new(region, "prefetch", json_boolean(pci->bars[bar].prefetch));
			json_object_set_new(region, "mem_type_64", json_boolean(pci->bars[bar].is64));
		}
		json_array_append_new(list, region);
	}
	return list;
}

static const char *pci_class_words(unsigned class)
{
	static const struct {
		unsigned class;
		const char *words;
	} rows[] = { { 0x0100, "SCSI controller" },
		     { 0x0600, "Host bridge" },
		     { 0x0601, "ISA bridge" },
		     { 0x0780, "Communication controller" },
		     { 0x00ff, "Unclassified device" } };

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		if (rows[i].class == class)
			return rows[i].words;
	}
	return "Device";
}

static json_t *pci_description(struct device *dev)
{
	struct pci_device *pci = (struct pci_device *)(void *)dev;
	unsigned class = pci_get16(pci->config + 10);
	json_t *result;

	g_mutex_lock(&dev->lock);
	result = json_pack("{s:i, s:i, s:i, s:{s:i, s:s}, s:{s:i, s:i, s:i, s:i}, s:i, s:s, s:o}", "bus", 0, "slot",
			   (int)pci->slot, "function", 0, "class_info", "class", (int)class, "desc",
			   pci_class_words(class), "id", "vendor", (int)pci_get16(pci->config), "device",
			   (int)pci_get16(pci->config + 2), "subsystem-vendor", (int)pci_get16(pci->config + 0x2c),
			   "subsystem", (int)pci_get16(pci->config + 0x2e), "irq_pin", (int)pci->config[0x3d],
			   "qdev_id", dev->id, "regions", pci_regions(pci));
	g_mutex_unlock(&dev->lock);
	return result;
}

static json_t *query_pci(struct control_call *call, G_GNUC_UNUSED GError **err)
{
	json_t *devices = json_array();

	for (guint i = 0; i < call->vm->devices->len; i++) {
		struct device *dev = call->vm->devices->pdata[i];

		if (is_pci(dev))
			json_array_append_new(devices, pci_description(dev));
	}
	return json_pack("[{s:i, s:o}]", "bus", 0, "devices", devices);
}

/* --- memory, and what there is none of --- */

static json_t *query_balloon(struct control_call *call, GError **err)
{
	struct device *balloon = machine_balloon(call->host->machine);

	if (!balloon)
		return fail_null(err, LODGE_ERROR_UNSUPPORTED, "No balloon device has been activated");
	return json_pack("{s:I}", "actual", (json_int_t)virtio_balloon_actual(balloon));
}

static json_t *query_memory_size(struct control_call *call, G_GNUC_UNUSED GError **err)
{
	return json_pack("{s:I, s:i}", "base-memory", (json_int_t)memory_size(call->vm->mem), "plugged-memory", 0);
}

static json_t *empty_list(G_GNUC_UNUSED struct control_call *call, G_GNUC_UNUSED GError **err)
{
	return json_array();
}

static json_t *query_rx_filter(struct control_call *call, GError **err)
{
	const char *name = control_string(call, "name");

	if (name)
		return fail_null(err, LODGE_ERROR_INPUT, "invalid net client name: %s", name);
	return json_array();
}

static json_t *query_vnc(G_GNUC_UNUSED struct control_call *call, G_GNUC_UNUSED GError **err)
{
	return json_pack("{s:b}", "enabled", 0);
}

static json_t *query_option_list(struct control_call *call, GError **err)
{
	const char *option = control_string(call, "option");

	if (option)
		return fail_null(err, LODGE_ERROR_INPUT, "invalid option name: %s", option);
	return json_array();
}

/* --- Lodge's own --- */

static json_t *vcpu_stats(const struct stats_vcpu *vcpu)
{
	static const char *const names[STATS_N_EXITS] = { "pio",  "mmio", "halt",  "irq-window",
							  "kick", "msr",  "cpuid", "other" };
	json_t *exits = json_object(), *object = json_object();

	for (unsigned i = 0; i < STATS_N_EXITS; i++)
		put_counter(exits, "", names[i], "", &vcpu->exits[i]);
	json_object_set_new(object, "tid", json_integer(vcpu->tid));
	json_object_set_new(object, "halted", json_boolean(vcpu->halted));
	json_object_set_new(object, "exits", exits);
	put_counter(object, "", "halt-ns", "", &vcpu->halt_ns);
	put_counter(object, "", "interrupts", "", &vcpu->interrupts);
	put_counter(object, "", "nmis", "", &vcpu->nmis);
	put_counter(object, "", "instructions", "", &vcpu->instructions);
	put_counter(object, "", "tlb-misses", "", &vcpu->tlb_misses);
	put_counter(object, "", "tlb-flushes", "", &vcpu->tlb_flushes);
	put_counter(object, "", "blocks-decoded", "", &vcpu->blocks_decoded);
	put_counter(object, "", "code-flushes", "", &vcpu->code_flushes);
	return object;
}

static json_t *port_stats(const struct stats_port *port)
{
	json_t *object = json_pack("{s:s}", "name", port->name);

	put_counter(object, "", "out-bytes", "", &port->out_bytes);
	put_counter(object, "", "in-bytes", "", &port->in_bytes);
	put_counter(object, "", "lost-bytes", "", &port->lost_bytes);
	put_counter(object, "", "writers", "", &port->writers);
	put_counter(object, "", "viewers", "", &port->viewers);
	return object;
}

json_t *control_stats(const struct vm *vm)
{
	json_t *vcpus = json_array(), *disks = json_array(), *ports = json_array();
	const struct stats_page *page = vm->stats;
	struct stats_state state;

	stats_page_get_state(page, &state);
	for (unsigned i = 0; i < vm->n_vcpus; i++)
		json_array_append_new(vcpus, vcpu_stats(&page->vcpu[i]));
	for (unsigned i = 0; i < MIN(page->n_disks, STATS_MAX_DISKS); i++)
		json_array_append_new(disks, json_pack("{s:s, s:o}", "name", page->disk[i].name, "stats",
						       disk_stats(&page->disk[i])));
	for (unsigned i = 0; i < MIN(page->n_ports, STATS_MAX_PORTS); i++)
		json_array_append_new(ports, port_stats(&page->port[i]));
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:s, s:o, s:o, s:o}", "state",
			 domain_state_name((enum domain_state)state.state), "reason",
			 domain_reason_name((enum domain_state)state.state, state.reason), "text", state.text,
			 "since-us", (json_int_t)state.since_us, "resets", (json_int_t)state.resets, "accel",
			 page->accel, "vcpus", vcpus, "disks", disks, "ports", ports);
}

static json_t *lodge_stats(struct control_call *call, G_GNUC_UNUSED GError **err)
{
	return control_stats(call->vm);
}

const struct control_method control_query_methods[] = {
	{ .name = "qmp_capabilities",
	  .help = "leave negotiation mode: every other command works afterwards",
	  .run = capabilities,
	  .args = { { "enable", CONTROL_ARRAY, false } },
	  .before = true },
	CONTROL_METHOD("query-version", "version of Lodge", query_version),
	CONTROL_METHOD("query-commands", "names of all commands", query_commands),
	CONTROL_METHOD("query-events", "names of all events", query_events),
	CONTROL_METHOD("query-name", "name of the VM", query_name),
	CONTROL_METHOD("query-uuid", "UUID of the VM", query_uuid),
	CONTROL_METHOD("query-status", "whether it runs", query_status),
	CONTROL_METHOD("query-kvm", "whether KVM is there and in use", query_kvm),
	CONTROL_METHOD("query-cpus-fast", "vCPUs and their host threads", query_cpus_fast),
	CONTROL_METHOD("query-target", "architecture of the guest", query_target),
	CONTROL_METHOD("query-machines", "boards", query_machines),
	CONTROL_METHOD("query-block", "disks and their images", query_block),
	CONTROL_METHOD("query-blockstats", "requests, bytes, times and latencies of the disks", query_blockstats),
	CONTROL_METHOD("query-pci", "PCI devices", query_pci),
	CONTROL_METHOD("query-balloon", "memory the balloon leaves to the guest", query_balloon),
	CONTROL_METHOD("query-memory-size-summary", "size of the guest's memory", query_memory_size),
	CONTROL_METHOD("query-iothreads", "I/O threads of the definition", empty_list),
	CONTROL_METHOD("query-rx-filter", "receive filters of the network devices", query_rx_filter,
		       { "name", CONTROL_STRING, false }),
	CONTROL_METHOD("query-vnc", "the VNC server", query_vnc),
	CONTROL_METHOD("query-command-line-options", "options of a command line: there is none", query_option_list,
		       { "option", CONTROL_STRING, false }),
	CONTROL_METHOD("x-lodge-stats", "everything in the statistics page", lodge_stats),
	CONTROL_END,
};
