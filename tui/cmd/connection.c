/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/error.h"
#include "core/home.h"
#include "tui/cmd/show.h"
#include "tui/report.h"
#include "tui/session.h"

/* uri, hostname, version, connect: what the commands work on. */

static bool run_uri(struct session *session, const struct args *args, GError **err)
{
	struct home *home = session_home(session, err);

	(void)args;
	if (!home)
		return false;
	show_text(session, "uri", home->uri);
	return true;
}

static bool run_hostname(struct session *session, const struct args *args, GError **err)
{
	(void)args;
	(void)err;
	show_text(session, "hostname", g_get_host_name());
	return true;
}

#define LODGE_VERSION "lodge " PACKAGE_VERSION

/* virsh's lines; library, interface and hypervisor are one program here. */
static bool run_version(struct session *session, const struct args *args, GError **err)
{
	struct report *report;

	(void)err;
	if (session->format == REPORT_TABLE) {
		fputs("Compiled against library: " LODGE_VERSION "\nUsing library: " LODGE_VERSION "\n"
		      "Using API: Lodge " PACKAGE_VERSION "\nRunning hypervisor: Lodge " PACKAGE_VERSION "\n",
		      session->out);
		if (args_flag(args, "daemon"))
			fputs("Running against daemon: none\n", session->out);
		return true;
	}
	report = report_record(session, "version");
	report_field(report, "lodge", "Lodge", PACKAGE_VERSION);
	report_field(report, "daemon", "Daemon", NULL);
	report_end(report);
	return true;
}

static bool run_connect(struct session *session, const struct args *args, GError **err)
{
	session_connect(session, args_string(args, "name"), args_flag(args, "readonly"));
	return session_home(session, err) != NULL;
}

static const struct arg_row version_args[] = {
	{ .name = "daemon", .type = ARG_FLAG, .help = "with that of the daemon, of which there is none" },
	ARG_END,
};

static const struct arg_row connect_args[] = {
	{ .name = "name", .type = ARG_DATA, .flags = ARG_EMPTY_OK, .help = "URI of the connection" },
	{ .name = "readonly", .type = ARG_FLAG, .help = "refuse what would change something" },
	ARG_END,
};

const struct command cmd_uri = {
	.name = "uri",
	.group = GROUP_HOST,
	.help = "show the URI of the connection",
	.run = run_uri,
};

const struct command cmd_hostname = {
	.name = "hostname",
	.group = GROUP_HOST,
	.help = "show the name of this host",
	.run = run_hostname,
};

const struct command cmd_version = {
	.name = "version",
	.group = GROUP_HOST,
	.help = "show the version of Lodge",
	.about = "Library, interface and hypervisor are one program, so the lines have one version.",
	.args = version_args,
	.run = run_version,
};

const struct command cmd_connect = {
	.name = "connect",
	.group = GROUP_SHELL,
	.flags = COMMAND_NO_CONNECT,
	.help = "go on with another connection",
	.about =
		"The commands that follow work on lodge:///session or lodge:///system; without a name, on the default.",
	.args = connect_args,
	.run = run_connect,
};
