/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cpu-models and the comparing and combining of CPUs, for the host and for what its VMs can have. */
#include <fcntl.h>
#include <string.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/model/schema.h"
#include "tui/command.h"
#include "tui/host-cpus.h"
#include "tui/report.h"

static bool models(struct session *session, const struct args *args, GError **err)
{
	static const struct report_column columns[] = { { .key = "name", .title = "Model" }, { .key = NULL } };
	const char *arch = args_string(args, "arch");
	autoptr(host_cpus) cpus = NULL;
	struct report *report;

	if (strcmp(arch, "x86_64") != 0)
		return fail(err, LODGE_ERROR_UNSUPPORTED, "architecture '%s' has no CPU models here: x86_64 has", arch);
	cpus = host_cpus_read(err);
	if (!cpus)
		return false;
	report = session->format == REPORT_TABLE ? NULL : report_list(session, "cpu-models", "model", columns);
	for (unsigned i = 0; i < cpus->catalog->models->len; i++) {
		const struct cpu_kind *kind = cpus->catalog->models->pdata[i];

		if (report)
			report_text(report, kind->name);
		else
			fprintf(session->out, "%s\n", kind->name);
	}
	if (report)
		report_end(report);
	return true;
}

static const struct arg_row args_models[] = {
	{ .name = "arch", .type = ARG_DATA, .flags = ARG_REQUIRED, .help = "architecture, x86_64" },
	ARG_END,
};

const struct command cmd_cpu_models = {
	.name = "cpu-models",
	.group = GROUP_HOST,
	.flags = COMMAND_NO_CONNECT,
	.help = "list the CPU models that definitions can name",
	.args = args_models,
	.run = models,
};

/* --- files --- */

struct described {
	xmlDoc *doc;
	GPtrArray *cpus; /* xmlNode *, of doc */
};

static void described_clear(struct described *described)
{
	g_clear_pointer(&described->cpus, g_ptr_array_unref);
	g_clear_pointer(&described->doc, xmlFreeDoc);
}
#define auto_described __attribute__((cleanup(described_clear)))

static bool read_file(struct described *described, const char *path, GError **err)
{
	const char *from = strcmp(path, "-") == 0 ? "/dev/stdin" : path;
	g_autofree char *text = file_read(AT_FDCWD, from, XML_MAX_SIZE, NULL, err);

	if (!text)
		return false;
	described->cpus = cpus_parse(text, path, &described->doc, err);
	return described->cpus != NULL;
}

/* Lines and the file's name stay those of the file. */
static xmlDoc *copy_alone(xmlNode *cpu)
{
	xmlDoc *doc = xmlNewDoc((const xmlChar *)"1.0");
	xmlNode *copy = xmlDocCopyNode(cpu, doc, 1);

	if (cpu->doc->URL)
		doc->URL = xmlStrdup(cpu->doc->URL);
	xmlDocSetRootElement(doc, copy);
	return doc;
}

static bool validate(xmlNode *cpu, GError **err)
{
	auto_xml xmlDoc *doc = copy_alone(cpu);

	/* That of domain capabilities is described by this program or libvirt in a shape of its own. */
	return strcmp((const char *)cpu->name, "cpu") != 0 || schema_check(schema_of(XML_CPU), doc, true, err);
}

/* The request of the hypervisor- commands; theirs are the same four options. */
static bool read_hypervisor(struct host_cpus *cpus, const struct args *args, GError **err)
{
	struct capabilities_request request = {
		.virttype = args_string(args, "virttype"),
		.emulator = args_string(args, "emulator"),
		.arch = args_string(args, "arch"),
		.machine = args_string(args, "machine"),
	};

	return host_cpus_request(cpus, &request, err);
}

#define HYPERVISOR_ARGS \
	{ .name = "virttype", .type = ARG_STRING, .help = "kvm or qemu; otherwise the faster one that works" }, \
		{ .name = "emulator", \
		  .type = ARG_STRING, \
		  .help = "path of the emulator; there is only this program" }, \
		{ .name = "arch", .type = ARG_STRING, .help = "architecture of the guest, x86_64" }, \
	{ \
		.name = "machine", .type = ARG_STRING, .help = "machine type" \
	}

/* --- compare --- */

static const char *const host_words[] = {
	[CPUS_INCOMPATIBLE] = "CPU described in %s is incompatible with host CPU",
	[CPUS_IDENTICAL] = "CPU described in %s is identical to host CPU",
	[CPUS_SUPERSET] = "Host CPU is a superset of CPU described in %s",
};

static const char *const hypervisor_words[] = {
	[CPUS_INCOMPATIBLE] = "CPU described in %s is incompatible with the CPU provided by hypervisor on the host",
	[CPUS_IDENTICAL] = "CPU described in %s is identical to the CPU provided by hypervisor on the host",
	[CPUS_SUPERSET] = "The CPU provided by hypervisor on the host is a superset of CPU described in %s",
};

/* An incompatible CPU is a failure without an error, unless --error asks for one. */
static bool say_verdict(struct session *session, const struct args *args, const char *const *words,
			enum cpus_verdict verdict, const char *missing, GError **err)
{
	const char *path = args_string(args, "file");
	g_auto(GStrv) parts = g_strsplit(words[verdict], "%s", 2);

	if (verdict == CPUS_INCOMPATIBLE && args_flag(args, "error"))
		return fail(err, LODGE_ERROR_STATE, "%s%s%s: it lacks %s", parts[0], path, parts[1], missing);
	fprintf(session->out, "%s%s%s\n", parts[0], path, parts[1]);
	return verdict != CPUS_INCOMPATIBLE;
}

static bool compare(struct session *session, const struct args *args, bool hypervisor, GError **err)
{
	autoptr(host_cpus) cpus = host_cpus_read(err);
	auto_described struct described described = { NULL, NULL };
	g_autofree char *missing = NULL;
	enum cpus_verdict verdict;
	xmlNode *cpu;

	if (!cpus || !read_file(&described, args_string(args, "file"), err))
		return false;
	if (hypervisor && !read_hypervisor(cpus, args, err))
		return false;
	cpu = described.cpus->pdata[0];
	if (args_flag(args, "validate") && !validate(cpu, err))
		return false;
	if (!cpus_compare(cpus->catalog, hypervisor ? &cpus->catalog->hypervisor : &cpus->catalog->host, cpu, &verdict,
			  &missing, err))
		return false;
	return say_verdict(session, args, hypervisor ? hypervisor_words : host_words, verdict, missing, err);
}

static bool host_compare(struct session *session, const struct args *args, GError **err)
{
	return compare(session, args, false, err);
}

static bool hypervisor_compare(struct session *session, const struct args *args, GError **err)
{
	return compare(session, args, true, err);
}

#define FILE_ARG \
	{ \
		.name = "file", .type = ARG_DATA, .flags = ARG_REQUIRED, \
		.help = "file with a <cpu>, or a definition or capabilities that have one", .complete = COMPLETE_FILE \
	}
#define COMPARE_ARGS \
	{ .name = "error", .type = ARG_FLAG, .help = "when incompatible, say in an error why" }, \
	{ \
		.name = "validate", .type = ARG_FLAG, .help = "refuse what may not stand in a <cpu>" \
	}

static const struct arg_row args_compare[] = { FILE_ARG, COMPARE_ARGS, ARG_END };
static const struct arg_row args_hypervisor_compare[] = { FILE_ARG, HYPERVISOR_ARGS, COMPARE_ARGS, ARG_END };

const struct command cmd_cpu_compare = {
	.name = "cpu-compare",
	.group = GROUP_HOST,
	.flags = COMMAND_NO_CONNECT,
	.help = "compare the host's CPU with one that a file describes",
	.about = "A host that lacks something makes the exit status 1.",
	.args = args_compare,
	.run = host_compare,
};

const struct command cmd_hypervisor_cpu_compare = {
	.name = "hypervisor-cpu-compare",
	.group = GROUP_HOST,
	.flags = COMMAND_NO_CONNECT,
	.help = "compare the CPU that a VM can have here with one that a file describes",
	.about = "When a VM here would lack something the exit status is 1.",
	.args = args_hypervisor_compare,
	.run = hypervisor_compare,
};

/* --- baseline --- */

/* Either a file, or --model alone. */
static bool read_cpus(struct described *described, const struct args *args, bool hypervisor, GError **err)
{
	const char *path = args_string(args, "file");
	const char *model = hypervisor ? args_string(args, "model") : NULL;
	g_autofree char *text = NULL;

	if (path && model)
		return fail(err, LODGE_ERROR_USAGE, "options --file and --model are mutually exclusive");
	if (path)
		return read_file(described, path, err);
	if (!model)
		return fail(err, LODGE_ERROR_USAGE, "a file or --model is needed");
	text = g_markup_printf_escaped("<cpu><model>%s</model></cpu>", model);
	described->cpus = cpus_parse(text, "--model", &described->doc, err);
	return described->cpus != NULL;
}

static bool baseline(struct session *session, const struct args *args, bool hypervisor, GError **err)
{
	autoptr(host_cpus) cpus = host_cpus_read(err);
	auto_described struct described described = { NULL, NULL };
	g_autofree char *xml = NULL;
	struct cpu_bits limit;

	if (!cpus || !read_cpus(&described, args, hypervisor, err))
		return false;
	if (hypervisor && !read_hypervisor(cpus, args, err))
		return false;
	memset(&limit, 0xff, sizeof(limit));
	if (hypervisor)
		limit = cpus->catalog->hypervisor;
	for (size_t i = 0; args_flag(args, "migratable") && i < G_N_ELEMENTS(limit.bits); i++)
		limit.bits[i] &= ~cpus->catalog->fixed.bits[i];
	xml = cpus_baseline(cpus->catalog, described.cpus, &limit, args_flag(args, "features"), err);
	if (!xml)
		return false;
	fputs(xml, session->out);
	return true;
}

static bool host_baseline(struct session *session, const struct args *args, GError **err)
{
	return baseline(session, args, false, err);
}

static bool hypervisor_baseline(struct session *session, const struct args *args, GError **err)
{
	return baseline(session, args, true, err);
}

#define BASELINE_ARGS \
	{ .name = "features", .type = ARG_FLAG, .help = "name the features of the model, too" }, \
	{ \
		.name = "migratable", .type = ARG_FLAG, .help = "leave out what ties a VM to one host" \
	}

static const struct arg_row args_baseline[] = { FILE_ARG, BASELINE_ARGS, ARG_END };
static const struct arg_row args_hypervisor_baseline[] = {
	{ .name = "file",
	  .type = ARG_DATA,
	  .help = "file with one <cpu> or more, or definitions or capabilities that have them",
	  .complete = COMPLETE_FILE },
	HYPERVISOR_ARGS,
	BASELINE_ARGS,
	{ .name = "model", .type = ARG_STRING, .help = "instead of a file: this model" },
	ARG_END,
};

const struct command cmd_cpu_baseline = {
	.name = "cpu-baseline",
	.group = GROUP_HOST,
	.flags = COMMAND_NO_CONNECT,
	.help = "show the CPU that all CPUs of a file have in common, for a definition",
	.args = args_baseline,
	.run = host_baseline,
};

const struct command cmd_hypervisor_cpu_baseline = {
	.name = "hypervisor-cpu-baseline",
	.group = GROUP_HOST,
	.flags = COMMAND_NO_CONNECT,
	.help = "show the CPU that all CPUs of a file have in common and a VM here can have",
	.args = args_hypervisor_baseline,
	.run = hypervisor_baseline,
};
