/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "core/base/error.h"
#include "tui/cmd/agent.h"

/*
 * What the guest's agent tells about its inside, under the names of typed parameters: "os.name", "fs.0.mountpoint". A
 * kind is a row: the option, the agent's command, and who turns the answer into names.
 */
static void add_users(struct agent_facts *facts, const json_t *users)
{
	const json_t *user;
	size_t i;

	agent_facts_add_number(facts, (json_int_t)json_array_size(users), "user.count");
	json_array_foreach(users, i, user)
	{
		double login = json_number_value(json_object_get(user, "login-time"));

		agent_facts_add(facts, agent_string(user, "user"), "user.%zu.name", i);
		agent_facts_add(facts, agent_string(user, "domain"), "user.%zu.domain", i);
		if (login >= 0 && login < 1e12)
			agent_facts_add_number(facts, (json_int_t)(login * 1000), "user.%zu.login-time", i);
	}
}

static void add_os(struct agent_facts *facts, const json_t *os)
{
	static const char *const members[] = {
		"id",	   "name",    "pretty-name", "version",	       "version-id",
		"machine", "variant", "variant-id",  "kernel-release", "kernel-version",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(members); i++)
		agent_facts_add(facts, agent_string(os, members[i]), "os.%s", members[i]);
}

static void add_timezone(struct agent_facts *facts, const json_t *zone)
{
	agent_facts_add(facts, agent_string(zone, "zone"), "timezone.name");
	agent_facts_add_number(facts, agent_int(zone, "offset"), "timezone.offset");
}

static void add_hostname(struct agent_facts *facts, const json_t *hostname)
{
	agent_facts_add(facts, agent_string(hostname, "host-name"), "hostname");
}

static void add_fs_disks(struct agent_facts *facts, size_t fs, const json_t *disks)
{
	const json_t *disk;
	size_t i;

	agent_facts_add_number(facts, (json_int_t)json_array_size(disks), "fs.%zu.disk.count", fs);
	json_array_foreach(disks, i, disk)
	{
		agent_facts_add(facts, agent_string(disk, "serial"), "fs.%zu.disk.%zu.serial", fs, i);
		agent_facts_add(facts, agent_string(disk, "dev"), "fs.%zu.disk.%zu.device", fs, i);
	}
}

static void add_filesystems(struct agent_facts *facts, const json_t *list)
{
	const json_t *fs;
	size_t i;

	agent_facts_add_number(facts, (json_int_t)json_array_size(list), "fs.count");
	json_array_foreach(list, i, fs)
	{
		agent_facts_add(facts, agent_string(fs, "name"), "fs.%zu.name", i);
		agent_facts_add(facts, agent_string(fs, "mountpoint"), "fs.%zu.mountpoint", i);
		agent_facts_add(facts, agent_string(fs, "type"), "fs.%zu.fstype", i);
		if (json_object_get(fs, "total-bytes"))
			agent_facts_add_number(facts, agent_int(fs, "total-bytes"), "fs.%zu.total-bytes", i);
		if (json_object_get(fs, "used-bytes"))
			agent_facts_add_number(facts, agent_int(fs, "used-bytes"), "fs.%zu.used-bytes", i);
		add_fs_disks(facts, i, json_object_get(fs, "disk"));
	}
}

static void add_dependencies(struct agent_facts *facts, size_t disk, const json_t *names)
{
	const json_t *name;
	size_t i;

	if (!json_array_size(names))
		return;
	agent_facts_add_number(facts, (json_int_t)json_array_size(names), "disk.%zu.dependency.count", disk);
	json_array_foreach(names, i, name)
		agent_facts_add(facts, json_string_value(name), "disk.%zu.dependency.%zu.name", disk, i);
}

static void add_disks(struct agent_facts *facts, const json_t *list)
{
	const json_t *disk;
	size_t i;

	agent_facts_add_number(facts, (json_int_t)json_array_size(list), "disk.count");
	json_array_foreach(list, i, disk)
	{
		const json_t *address = json_object_get(disk, "address");

		agent_facts_add(facts, agent_string(disk, "name"), "disk.%zu.name", i);
		agent_facts_add(facts, json_is_true(json_object_get(disk, "partition")) ? "yes" : "no",
				"disk.%zu.partition", i);
		add_dependencies(facts, i, json_object_get(disk, "dependencies"));
		agent_facts_add(facts, agent_string(address, "serial"), "disk.%zu.serial", i);
		agent_facts_add(facts, agent_string(disk, "alias"), "disk.%zu.guest_alias", i);
		agent_facts_add(facts, agent_string(address, "bus-type"), "disk.%zu.guest_bus", i);
	}
}

static void add_addresses(struct agent_facts *facts, size_t interface, const json_t *addresses)
{
	const json_t *address;
	size_t i;

	agent_facts_add_number(facts, (json_int_t)json_array_size(addresses), "if.%zu.addr.count", interface);
	json_array_foreach(addresses, i, address)
	{
		agent_facts_add(facts, agent_string(address, "ip-address-type"), "if.%zu.addr.%zu.type", interface, i);
		agent_facts_add(facts, agent_string(address, "ip-address"), "if.%zu.addr.%zu.addr", interface, i);
		agent_facts_add_number(facts, agent_int(address, "prefix"), "if.%zu.addr.%zu.prefix", interface, i);
	}
}

static void add_interfaces(struct agent_facts *facts, const json_t *list)
{
	const json_t *interface;
	size_t i;

	agent_facts_add_number(facts, (json_int_t)json_array_size(list), "if.count");
	json_array_foreach(list, i, interface)
	{
		agent_facts_add(facts, agent_string(interface, "name"), "if.%zu.name", i);
		agent_facts_add(facts, agent_string(interface, "hardware-address"), "if.%zu.hwaddr", i);
		add_addresses(facts, i, json_object_get(interface, "ip-addresses"));
	}
}

static const struct {
	const char *option, *command;
	void (*add)(struct agent_facts *facts, const json_t *answer);
} kinds[] = {
	{ "user", "guest-get-users", add_users },
	{ "os", "guest-get-osinfo", add_os },
	{ "timezone", "guest-get-timezone", add_timezone },
	{ "hostname", "guest-get-host-name", add_hostname },
	{ "filesystem", "guest-get-fsinfo", add_filesystems },
	{ "disk", "guest-get-disks", add_disks },
	{ "interface", "guest-network-get-interfaces", add_interfaces },
};

/* Without an option: everything the agent knows, and what it does not is no error. */
static bool is_wanted(const struct args *args, size_t kind, bool *all)
{
	*all = true;
	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
		*all = *all && !args_flag(args, kinds[i].option);
	return *all || args_flag(args, kinds[kind].option);
}

static bool ask(struct agent *agent, const struct args *args, json_t *answers[], GError **err)
{
	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
		g_autoptr(GError) error = NULL;
		bool all;

		if (!is_wanted(args, i, &all))
			continue;
		answers[i] = agent_execute(agent, kinds[i].command, NULL, -1, &error);
		if (!answers[i] && !(all && g_error_matches(error, LODGE_ERROR, LODGE_ERROR_GUEST))) {
			g_propagate_error(err, g_steal_pointer(&error));
			return false;
		}
	}
	return true;
}

static bool guestinfo(struct session *session, const struct args *args, GError **err)
{
	json_t *answers[G_N_ELEMENTS(kinds)] = { NULL };
	autoptr(agent) agent = agent_connect(session, args, NULL, err);
	struct agent_facts *facts;
	bool ok = agent && ask(agent, args, answers, err);

	if (ok) {
		facts = agent_facts_new(session, "guest", 20);
		for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
			if (answers[i])
				kinds[i].add(facts, answers[i]);
		}
		agent_facts_end(facts);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
		json_decref(answers[i]);
	return ok;
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE),
	{ .name = "user", .type = ARG_FLAG, .help = "who is logged in" },
	{ .name = "os", .type = ARG_FLAG, .help = "the operating system" },
	{ .name = "timezone", .type = ARG_FLAG, .help = "the time zone" },
	{ .name = "hostname", .type = ARG_FLAG, .help = "the host name" },
	{ .name = "filesystem", .type = ARG_FLAG, .help = "mounted file systems" },
	{ .name = "disk", .type = ARG_FLAG, .help = "disks" },
	{ .name = "interface", .type = ARG_FLAG, .help = "network interfaces and their addresses" },
	ARG_END,
};

const struct command cmd_guestinfo = {
	.name = "guestinfo",
	.group = GROUP_MONITOR,
	.help = "what the guest's agent tells about its inside",
	.about = "Without an option: everything the agent knows.",
	.args = args,
	.run = guestinfo,
};
