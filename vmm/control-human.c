/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/control-private.h"

#include <Zydis/Zydis.h>
#include <inttypes.h>
#include <string.h>

#include "core/base/error.h"
#include "vmm/paging.h"

/*
 * human-monitor-command: the lines people type. What a line does is done by the method of the same meaning; what it
 * shows is text. A line that is not understood is answered with text as well, not with an error.
 */
#define MAX_ITEMS 4096u
#define LINE_BYTES 16u

struct human {
	struct control_call *call;
	const struct x86_cpu_state *cpu; /* the vCPU that virtual addresses are about */
	GString *out;
	char **words;
	unsigned n_words;
};

struct human_row {
	const char *name, *also;
	const char *usage, *help;
	void (*run)(struct human *human);
};

static const struct human_row rows[];

static void run_method(struct human *human, const char *name, json_t *args_consume)
{
	g_autoptr(GError) error = NULL;
	auto_json json_t *result = control_run(human->call, name, args_consume, &error);

	if (!result && error)
		g_string_append_printf(human->out, "Error: %s\n", error->message);
}

static void do_help(struct human *human)
{
	for (const struct human_row *row = rows; row->name; row++)
		g_string_append_printf(human->out, "%s%s%s%s%s -- %s\n", row->name, row->also ? "|" : "",
				       row->also ? row->also : "", *row->usage ? " " : "", row->usage, row->help);
}

static void do_info(struct human *human)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *text = control_info(human->call, human->n_words > 1 ? human->words[1] : "", &error);

	if (text)
		g_string_append(human->out, text);
	else
		g_string_append_printf(human->out, "%s\n", error->message);
}

static void do_stop(struct human *human)
{
	run_method(human, "stop", NULL);
}

static void do_cont(struct human *human)
{
	run_method(human, "cont", NULL);
}

static void do_quit(struct human *human)
{
	run_method(human, "quit", NULL);
}

static void do_reset(struct human *human)
{
	run_method(human, "system_reset", NULL);
}

static void do_powerdown(struct human *human)
{
	run_method(human, "system_powerdown", NULL);
}

static void do_wakeup(struct human *human)
{
	run_method(human, "system_wakeup", NULL);
}

static void do_nmi(struct human *human)
{
	run_method(human, "inject-nmi", NULL);
}

static bool parse_number(const char *text, uint64_t *value)
{
	char *end;

	*value = g_ascii_strtoull(text, &end, 0);
	return *text && g_ascii_isdigit(*text) && !*end;
}

/* A number, or a register as $rax. */
static bool parse_value(const struct human *human, const char *text, uint64_t *value)
{
	static const char *const names[X86_N_GPRS] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
						       "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15" };

	if (*text != '$')
		return parse_number(text, value);
	for (size_t i = 0; i < X86_N_GPRS; i++) {
		if (strcmp(text + 1, names[i]) == 0) {
			*value = human->cpu->gpr[i];
			return true;
		}
	}
	*value = human->cpu->rip;
	return strcmp(text, "$rip") == 0 || strcmp(text, "$pc") == 0;
}

/* MiB, as people type it. */
static void do_balloon(struct human *human)
{
	uint64_t mib;

	if (human->n_words < 2 || !parse_number(human->words[1], &mib) || mib > UINT32_MAX) {
		g_string_append(human->out, "balloon: a number of MiB is expected\n");
		return;
	}
	run_method(human, "balloon", json_pack("{s:I}", "value", (json_int_t)(mib << 20)));
}

/* "ctrl-alt-f1", then a time to hold in ms. */
static void do_sendkey(struct human *human)
{
	g_auto(GStrv) keys = NULL;
	json_t *list, *args;
	uint64_t hold;

	if (human->n_words < 2) {
		g_string_append(human->out, "sendkey: keys are expected, as ctrl-alt-f1\n");
		return;
	}
	keys = g_strsplit(human->words[1], "-", -1);
	list = json_array();
	for (char **key = keys; *key; key++) {
		uint64_t number;

		if (parse_number(*key, &number) && strlen(*key) > 1)
			json_array_append_new(list,
					      json_pack("{s:s, s:I}", "type", "number", "data", (json_int_t)number));
		else
			json_array_append_new(list, json_pack("{s:s, s:s}", "type", "qcode", "data", *key));
	}
	args = json_pack("{s:o}", "keys", list);
	if (human->n_words > 2 && parse_number(human->words[2], &hold))
		json_object_set_new(args, "hold-time", json_integer((json_int_t)MIN(hold, INT32_MAX)));
	run_method(human, "send-key", args);
}

static void do_memory_dump(struct human *human)
{
	g_autofree char *protocol = NULL;

	if (human->n_words < 2) {
		g_string_append(human->out, "dump-guest-memory: a file name is expected\n");
		return;
	}
	protocol = g_strconcat("file:", human->words[human->n_words - 1], NULL);
	run_method(human, "dump-guest-memory",
		   json_pack("{s:b, s:s, s:b}", "paging", 0, "protocol", protocol, "detach", 1));
}

/* --- memory by address --- */

/* "/16xw": count, format (x d u o c i), size (b h w g). */
static bool parse_format(const char *text, uint64_t *count, char *format, unsigned *size)
{
	static const char sizes[] = "bhwg";
	char *end = (char *)(uintptr_t)text;

	if (g_ascii_isdigit(*text))
		*count = g_ascii_strtoull(text, &end, 10);
	for (; *end; end++) {
		if (strchr("xduoci", *end))
			*format = *end;
		else if (strchr(sizes, *end))
			*size = 1u << (strchr(sizes, *end) - sizes);
		else
			return false;
	}
	return *count >= 1 && *count <= MAX_ITEMS;
}

static void show_item(struct human *human, uint64_t value, char format, unsigned size)
{
	GString *out = human->out;
	uint64_t sign = UINT64_C(1) << (size * 8 - 1);

	switch (format) {
	case 'd':
		g_string_append_printf(out, " %" PRId64, (int64_t)((value ^ sign) - sign));
		break;
	case 'u':
		g_string_append_printf(out, " %" PRIu64, value);
		break;
	case 'o':
		g_string_append_printf(out, " 0%" PRIo64, value);
		break;
	case 'c':
		g_string_append_printf(out, " '%c'", g_ascii_isprint((char)value) ? (char)value : '.');
		break;
	default:
		g_string_append_printf(out, " 0x%0*" PRIx64, (int)size * 2, value);
		break;
	}
}

static void show_memory(struct human *human, const struct x86_cpu_state *cpu, uint64_t addr, uint64_t count,
			char format, unsigned size)
{
	unsigned per_line = MAX(1u, LINE_BYTES / size);

	for (uint64_t i = 0; i < count; i++, addr += size) {
		uint64_t value = 0;

		if (i % per_line == 0)
			g_string_append_printf(human->out, "%s%016" PRIx64 ":", i ? "\n" : "", addr);
		if (!paging_read(human->call->vm->mem, cpu, addr, &value, size)) {
			g_string_append(human->out, " Cannot access memory");
			break;
		}
		show_item(human, GUINT64_FROM_LE(value), format, size);
	}
	g_string_append_c(human->out, '\n');
}

static void show_code(struct human *human, const struct x86_cpu_state *cpu, uint64_t addr, uint64_t count)
{
	bool is64 = human->cpu->seg[X86_CS].attr & X86_ATTR_L, is32 = human->cpu->seg[X86_CS].attr & X86_ATTR_DB;
	ZydisMachineMode mode = is64 ? ZYDIS_MACHINE_MODE_LONG_64 :
				is32 ? ZYDIS_MACHINE_MODE_LEGACY_32 :
				       ZYDIS_MACHINE_MODE_REAL_16;

	for (uint64_t i = 0; i < count; i++) {
		uint8_t bytes[15] = { 0 };
		size_t len = sizeof(bytes);
		ZydisDisassembledInstruction insn;

		while (len && !paging_read(human->call->vm->mem, cpu, addr, bytes, len))
			len--;
		if (!len || !ZYAN_SUCCESS(ZydisDisassembleIntel(mode, addr, bytes, len, &insn))) {
			g_string_append_printf(human->out, "0x%016" PRIx64 ":  (bad)\n", addr);
			return;
		}
		g_string_append_printf(human->out, "0x%016" PRIx64 ":  %s\n", addr, insn.text);
		addr += insn.info.length;
	}
}

static void examine(struct human *human, bool physical)
{
	const struct x86_cpu_state *cpu = physical ? NULL : human->cpu;
	const char *command = human->words[0], *slash = strchr(command, '/');
	uint64_t count = 1, addr;
	unsigned size = 4, at = 1;
	char format = 'x';

	if (!slash && human->n_words > 1 && human->words[1][0] == '/') {
		slash = human->words[1];
		at = 2;
	}
	if ((slash && !parse_format(slash + 1, &count, &format, &size)) || human->n_words <= at ||
	    !parse_value(human, human->words[at], &addr)) {
		g_string_append_printf(human->out, "%s/COUNT FORMAT SIZE ADDRESS is expected, as %s/16xw 0x1000\n",
				       physical ? "xp" : "x", physical ? "xp" : "x");
		return;
	}
	if (format == 'i')
		show_code(human, cpu, addr, count);
	else
		show_memory(human, cpu, addr, count, format, size);
}

static void do_x(struct human *human)
{
	examine(human, false);
}

static void do_xp(struct human *human)
{
	examine(human, true);
}

/* A number or a register: "p $rip", "p/x 4096". */
static void do_print(struct human *human)
{
	const char *slash = strchr(human->words[0], '/');
	uint64_t value = 0, count = 1;
	unsigned size = 8;
	char format = 'd';

	if (human->n_words < 2 || !parse_value(human, human->words[human->n_words - 1], &value) ||
	    (slash && !parse_format(slash + 1, &count, &format, &size))) {
		g_string_append(human->out, "p: a number or a register ($rax) is expected\n");
		return;
	}
	if (format == 'x')
		g_string_append_printf(human->out, "0x%" PRIx64 "\n", value);
	else
		g_string_append_printf(human->out, "%" PRId64 "\n", (int64_t)value);
}

static const struct human_row rows[] = {
	{ "balloon", NULL, "MIB", "ask the guest to make do with so much memory", do_balloon },
	{ "c", "cont", "", "let the guest go on", do_cont },
	{ "dump-guest-memory", NULL, "FILE", "write the guest's memory and registers as an ELF core file",
	  do_memory_dump },
	{ "help", "?", "", "show this", do_help },
	{ "info", NULL, "SUBJECT", "show something; info alone lists the subjects", do_info },
	{ "nmi", NULL, "", "raise a non-maskable interrupt on every vCPU", do_nmi },
	{ "p", "print", "NUMBER|$REGISTER", "show a value; p/x in hexadecimal", do_print },
	{ "q", "quit", "", "end the VM at once", do_quit },
	{ "sendkey", NULL, "KEYS [MS]", "press keys, as ctrl-alt-f1", do_sendkey },
	{ "stop", "s", "", "pause the guest", do_stop },
	{ "system_powerdown", NULL, "", "press the power button", do_powerdown },
	{ "system_reset", NULL, "", "press the reset button", do_reset },
	{ "system_wakeup", NULL, "", "wake the guest from sleep", do_wakeup },
	{ "x", NULL, "/FORMAT ADDRESS", "show memory by virtual address, as x/8xg or x/4i", do_x },
	{ "xp", NULL, "/FORMAT ADDRESS", "show memory by physical address", do_xp },
	{ .name = NULL },
};

static const struct human_row *find_row(const char *word)
{
	size_t len = strcspn(word, "/");

	for (const struct human_row *row = rows; row->name; row++) {
		if ((strlen(row->name) == len && strncmp(row->name, word, len) == 0) ||
		    (row->also && strlen(row->also) == len && strncmp(row->also, word, len) == 0))
			return row;
	}
	return NULL;
}

/* Words without the empty ones between several spaces. */
static char **split_words(const char *line, unsigned *n)
{
	g_auto(GStrv) all = g_strsplit_set(line, " \t\n", -1);
	GPtrArray *words = g_ptr_array_new();

	for (char **word = all; *word; word++) {
		if (**word)
			g_ptr_array_add(words, g_strdup(*word));
	}
	*n = words->len;
	g_ptr_array_add(words, NULL);
	return (char **)g_ptr_array_free(words, FALSE);
}

static json_t *human_command(struct control_call *call, GError **err)
{
	g_autoptr(GString) out = g_string_new(NULL);
	struct human human = { .call = call, .out = out };
	struct x86_cpu_state cpu;
	const struct human_row *row;
	g_auto(GStrv) words = split_words(control_string(call, "command-line"), &human.n_words);

	human.words = words;
	human.cpu = &cpu;
	if (!paging_cpu_state(call->vm, control_int(call, "cpu-index", 0), &cpu))
		return fail_null(err, LODGE_ERROR_INPUT, "the guest has no such vCPU");
	row = human.n_words ? find_row(words[0]) : NULL;
	if (row)
		row->run(&human);
	else if (human.n_words)
		g_string_append_printf(out, "unknown command: '%s'\n", words[0]);
	return json_string(out->str);
}

const struct control_method control_human_methods[] = {
	CONTROL_METHOD("human-monitor-command", "run a line of the human monitor and answer with its text",
		       human_command, { "command-line", CONTROL_STRING, true }, { "cpu-index", CONTROL_INT, false }),
	CONTROL_END,
};
