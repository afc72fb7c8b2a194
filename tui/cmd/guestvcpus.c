/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/error.h"
#include "core/model/cpuset.h"
#include "tui/cmd/agent.h"

enum what { CPUS_ALL, CPUS_ONLINE, CPUS_OFFLINABLE };

static char *format_cpus(const json_t *vcpus, enum what what)
{
	struct cpuset *set = g_new0(struct cpuset, 1);
	const json_t *vcpu;
	char *text;
	size_t i;

	json_array_foreach(vcpus, i, vcpu)
	{
		json_int_t id = agent_int(vcpu, "logical-id");

		if (id < 0 || id >= (json_int_t)CPUSET_MAX ||
		    (what == CPUS_ONLINE && !json_is_true(json_object_get(vcpu, "online"))) ||
		    (what == CPUS_OFFLINABLE && !json_is_true(json_object_get(vcpu, "can-offline"))))
			continue;
		cpuset_add(set, (unsigned)id);
	}
	text = cpuset_format(set);
	g_free(set);
	return text;
}

static void show(struct session *session, const json_t *vcpus)
{
	static const char *const names[] = { "vcpus", "online", "offlinable" };
	struct agent_facts *facts = agent_facts_new(session, "vcpus", 15);

	for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *text = format_cpus(vcpus, (enum what)i);

		agent_facts_add(facts, text, "%s", names[i]);
	}
	agent_facts_end(facts);
}

static bool has_cpu(const json_t *vcpus, unsigned id)
{
	const json_t *vcpu;
	size_t i;

	json_array_foreach(vcpus, i, vcpu)
	{
		if (agent_int(vcpu, "logical-id") == (json_int_t)id)
			return true;
	}
	return false;
}

static bool set(struct agent *agent, const json_t *vcpus, const struct cpuset *cpus, bool online, GError **err)
{
	auto_json json_t *answer = NULL;
	json_t *changes = json_array();

	for (unsigned id = 0; id < CPUSET_MAX; id++) {
		if (!cpuset_has(cpus, id))
			continue;
		if (!has_cpu(vcpus, id)) {
			json_decref(changes);
			return fail(err, LODGE_ERROR_USAGE, "the guest has no vCPU %u", id);
		}
		json_array_append_new(changes, json_pack("{s:I, s:b}", "logical-id", (json_int_t)id, "online", online));
	}
	answer = agent_execute(agent, "guest-set-vcpus", json_pack("{s:o}", "vcpus", changes), -1, err);
	return answer != NULL;
}

/* False with --cpulist and no word of what to do with it, and the other way round. */
static bool parse(const struct args *args, struct cpuset *cpus, bool *change, GError **err)
{
	const char *list = args_string(args, "cpulist");

	*change = args_flag(args, "enable") || args_flag(args, "disable");
	if (list && !*change)
		return fail(err, LODGE_ERROR_USAGE,
			    "One of options --enable or --disable is required by option --cpulist");
	if (!list && *change)
		return fail(err, LODGE_ERROR_USAGE, "Options --enable and --disable need --cpulist");
	return !list || cpuset_parse(cpus, list, err);
}

static bool guestvcpus(struct session *session, const struct args *args, GError **err)
{
	g_autofree struct cpuset *cpus = g_new0(struct cpuset, 1);
	struct home *home = session_home(session, err);
	auto_json json_t *vcpus = NULL;
	autoptr(agent) agent = NULL;
	bool change;

	if (!home || !parse(args, cpus, &change, err) ||
	    (change && !home_writable(home, "change a guest's vCPUs", err)))
		return false;
	agent = agent_connect(session, args, NULL, err);
	vcpus = agent ? agent_execute(agent, "guest-get-vcpus", NULL, -1, err) : NULL;
	if (!vcpus)
		return false;
	if (change)
		return set(agent, vcpus, cpus, args_flag(args, "enable"), err);
	show(session, vcpus);
	return true;
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE),
	{ .name = "cpulist", .type = ARG_STRING, .help = "vCPUs to put on or off line, \"1-3,5\"" },
	{ .name = "enable", .type = ARG_FLAG, .help = "put them on line" },
	{ .name = "disable", .type = ARG_FLAG, .help = "put them off line" },
	ARG_END,
};

const struct command cmd_guestvcpus = {
	.name = "guestvcpus",
	.group = GROUP_DOMAIN,
	.help = "show or change which vCPUs the guest uses",
	.about = "The guest's agent does it, with the numbers the guest has for them.",
	.args = args,
	.exclusive = "enable|disable",
	.run = guestvcpus,
};
