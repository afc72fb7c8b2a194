/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "core/base/error.h"
#include "tui/cmd/life.h"

static struct domain *read_domain(struct session *session, const struct args *args, GError **err)
{
	const char *path = args_string(args, "xml");
	g_autofree char *text = NULL;
	autoptr(dom) dom = NULL;

	if (!path == !args_string(args, "domain"))
		return fail_null(err, LODGE_ERROR_USAGE, "one of --domain and --xml is needed");
	if (path) {
		text = life_read_file(path, err);
		return text ? domain_parse(text, strlen(text), path, 0, err) : NULL;
	}
	dom = life_find(session, args, err);
	return dom ? dom_definition(session->home, dom, !dom->persistent, err) : NULL;
}

static bool to_native(struct session *session, const struct args *args, GError **err)
{
	const char *format = args_string(args, "format");
	autoptr(domain) domain = NULL;
	g_autofree char *line = NULL;

	if (strcmp(format, "qemu-argv") != 0)
		return fail(err, LODGE_ERROR_INPUT, "unsupported config type %s: there is qemu-argv", format);
	domain = read_domain(session, args, err);
	line = domain ? domain_to_argv(domain, err) : NULL;
	if (!line)
		return false;
	fprintf(session->out, "%s\n", line);
	return true;
}

static const struct arg_row args[] = {
	{ .name = "format", .type = ARG_DATA, .flags = ARG_REQUIRED, .help = "what is printed: qemu-argv" },
	{ .name = "domain", .type = ARG_STRING, .help = "domain name, id or uuid", .complete = COMPLETE_DOMAIN },
	{ .name = "xml",
	  .type = ARG_DATA,
	  .help = "file with a definition, - for standard input",
	  .complete = COMPLETE_FILE },
	ARG_END,
};

const struct command cmd_domxml_to_native = {
	.name = "domxml-to-native",
	.group = GROUP_DOMAIN,
	.help = "turn a definition into a QEMU command line",
	.args = args,
	.run = to_native,
};
