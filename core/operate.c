/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/operate.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>

#include "core/agent.h"
#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/monitor.h"

/* How long a VM that was told to quit may take before it is killed. */
#define QUIT_TIMEOUT_MS 10000

static bool may(const struct home *home, const struct dom *dom, enum domain_action action, const char *what,
		GError **err)
{
	return home_writable(home, what, err) && domain_allows(dom->state.state, action, err);
}

/* --- asking the guest --- */

static const struct {
	const char *word;
	unsigned mode; /* 0: only containers have it */
} modes_table[] = {
	{ "acpi", OPERATE_ACPI }, { "agent", OPERATE_AGENT }, { "initctl", 0 }, { "signal", 0 }, { "paravirt", 0 },
};

static bool add_mode(const char *word, unsigned *modes, GError **err)
{
	for (size_t i = 0; i < G_N_ELEMENTS(modes_table); i++) {
		if (strcmp(modes_table[i].word, word))
			continue;
		if (!modes_table[i].mode)
			return fail(err, LODGE_ERROR_UNSUPPORTED,
				    "mode %s is for containers and Xen; use acpi or agent", word);
		*modes |= modes_table[i].mode;
		return true;
	}
	return fail(err, LODGE_ERROR_USAGE, "unknown mode %s specified; allowed: acpi, agent", word);
}

bool operate_parse_modes(const char *text, unsigned *modes, GError **err)
{
	g_auto(GStrv) words = g_strsplit(text, ",", -1);

	*modes = 0;
	for (size_t i = 0; words[i]; i++) {
		if (!add_mode(g_strstrip(words[i]), modes, err))
			return false;
	}
	return *modes || fail(err, LODGE_ERROR_USAGE, "no mode given; allowed: acpi, agent");
}

static bool execute(const struct home *home, const struct dom *dom, const char *command, json_t *arguments,
		    GError **err)
{
	auto_json json_t *answer = monitor_once(home, dom->name, command, arguments, err);

	return answer != NULL;
}

static bool press_power(const struct home *home, const struct dom *dom, bool reboot, GError **err)
{
	return execute(home, dom, reboot ? "x-lodge-reboot" : "x-lodge-shutdown", NULL, err);
}

static char *agent_alias(const struct domain *domain)
{
	for (xmlNode *channel = xml_first(domain->root, "devices/channel"); channel; channel = xml_next(channel)) {
		if (xml_is(channel, "target/@name", AGENT_CHANNEL))
			return xml_get(channel, "alias/@name");
	}
	return NULL;
}

/* The guest has opened the agent's channel: somebody listens. */
static bool agent_listens(const struct home *home, const struct dom *dom)
{
	autoptr(domain) domain = dom_definition(home, dom, true, NULL);
	g_autofree char *alias = domain ? agent_alias(domain) : NULL;
	auto_json json_t *ports = alias ? monitor_once(home, dom->name, "query-chardev", NULL, NULL) : NULL;
	json_t *port;
	size_t i;

	json_array_foreach(ports, i, port)
	{
		const char *label = json_string_value(json_object_get(port, "label"));

		if (label && !strcmp(label, alias))
			return json_is_true(json_object_get(port, "frontend-open"));
	}
	return false;
}

/* Both ways a guest is asked; which one comes first when nothing is said depends on whether an agent listens. */
static bool ask_guest(const struct home *home, const struct dom *dom, unsigned modes, bool reboot, GError **err)
{
	g_autoptr(GError) refused = NULL;
	const char *mode = reboot ? "reboot" : "powerdown";

	if (!modes)
		modes = agent_listens(home, dom) ? OPERATE_AGENT | OPERATE_ACPI : OPERATE_ACPI;
	if (modes & OPERATE_AGENT && agent_shutdown(home, dom->name, mode, &refused))
		return true;
	if (modes & OPERATE_ACPI)
		return press_power(home, dom, reboot, err);
	g_propagate_error(err, g_steal_pointer(&refused));
	return false;
}

bool operate_shutdown(const struct home *home, const struct dom *dom, unsigned modes, GError **err)
{
	return may(home, dom, DOMAIN_DO_SHUTDOWN, "shut a domain down", err) && ask_guest(home, dom, modes, false, err);
}

bool operate_reboot(const struct home *home, const struct dom *dom, unsigned modes, GError **err)
{
	return may(home, dom, DOMAIN_DO_REBOOT, "reboot a domain", err) && ask_guest(home, dom, modes, true, err);
}

bool operate_reset(const struct home *home, const struct dom *dom, GError **err)
{
	return may(home, dom, DOMAIN_DO_RESET, "reset a domain", err) && execute(home, dom, "system_reset", NULL, err);
}

bool operate_suspend(const struct home *home, const struct dom *dom, GError **err)
{
	return may(home, dom, DOMAIN_DO_SUSPEND, "suspend a domain", err) && execute(home, dom, "stop", NULL, err);
}

bool operate_resume(const struct home *home, const struct dom *dom, GError **err)
{
	return may(home, dom, DOMAIN_DO_RESUME, "resume a domain", err) && execute(home, dom, "cont", NULL, err);
}

/* --- the end --- */

/* 1: ended, 0: the time is over, -1: error. A process that is gone already has ended. */
static int wait_process(int pid, int timeout_ms, GError **err)
{
	auto_fd int fd = pid > 0 ? pidfd_open(pid, 0) : -1;
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	int64_t end = timeout_ms < 0 ? INT64_MAX : g_get_monotonic_time() + (int64_t)timeout_ms * 1000;

	if (fd < 0)
		return 1;
	for (;;) {
		int64_t left = timeout_ms < 0 ? -1 : MAX(0, (end - g_get_monotonic_time() + 999) / 1000);
		int ready = poll(&poll_fd, 1, (int)left);

		if (ready > 0 || (!ready && !left))
			return ready > 0;
		if (ready < 0 && errno != EINTR) {
			fail_errno(err, "cannot wait for process %d", pid);
			return -1;
		}
	}
}

bool operate_wait(const struct dom *dom, int timeout_ms, GError **err)
{
	int pid = dom->pid, warden = dom->page ? dom->page->warden_pid : 0, ended;
	int64_t start = g_get_monotonic_time();

	ended = wait_process(pid, timeout_ms, err);
	if (ended > 0) {
		int64_t left = timeout_ms - (g_get_monotonic_time() - start) / 1000;

		ended = wait_process(warden, timeout_ms < 0 ? -1 : (int)MAX(0, left), err);
	}
	return ended > 0;
}

int operate_start(const struct home *home, const struct dom *dom, const struct launch_options *options,
		  GPtrArray *notices, GError **err)
{
	autoptr(domain) domain = NULL;

	if (!home_writable(home, "start a domain", err))
		return -1;
	/* It has stopped, and its warden is still writing that down. */
	if (dom->id >= 0 && (dom->state.state != DOMAIN_SHUTOFF || !operate_wait(dom, QUIT_TIMEOUT_MS, NULL))) {
		fail(err, LODGE_ERROR_STATE, "Domain is already active");
		return -1;
	}
	domain = dom_definition(home, dom, false, err);
	return domain ? launch(home, domain, options, notices, err) : -1;
}

/*
 * What the warden, or whoever cleans up when there is none, takes for the reason: a VM that is killed at its user's
 * wish has not crashed, and no on_crash policy applies.
 */
static bool mark_destroyed(const struct home *home, const struct dom *dom, GError **err)
{
	g_autofree char *path = home_vm_path(home, dom->name, "stats");
	auto_fd int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	struct stats_page *page;

	if (fd < 0)
		return errno == ENOENT || fail_errno(err, "%s: cannot open", path);
	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return fail_errno(err, "%s: cannot map", path);
	stats_page_set_state(page, DOMAIN_SHUTOFF, DOMAIN_SHUTOFF_DESTROYED, "");
	munmap(page, sizeof(*page));
	return true;
}

static bool kill_process(int pid, GError **err)
{
	auto_fd int fd = pid > 0 ? pidfd_open(pid, 0) : -1;

	if (fd < 0 || !pidfd_send_signal(fd, SIGKILL, NULL, 0) || errno == ESRCH)
		return true;
	return fail_errno(err, "cannot end process %d", pid);
}

static bool kill_vm(const struct home *home, const struct dom *dom, GError **err)
{
	return mark_destroyed(home, dom, err) && kill_process(dom->pid, err) && operate_wait(dom, -1, err);
}

/*
 * The process is what the page says it is, and not another one that has got its number meanwhile. A VM that was
 * restarted under a new name (NAME-1) has the warden it was started with.
 */
static bool is_warden(int pid, const char *name)
{
	static const char role[] = "lodge\0--role\0warden";
	g_autofree char *path = g_strdup_printf("/proc/%d/cmdline", pid);
	g_autofree char *text = NULL;
	size_t len = 0;

	return g_file_get_contents(path, &text, &len, NULL) && len > sizeof(role) &&
	       !memcmp(text, role, sizeof(role)) && g_str_has_prefix(name, text + sizeof(role));
}

/* The warden ends its VM, and starts no other by a policy. False: there is no warden. */
static bool tell_warden(const struct dom *dom, bool graceful)
{
	int pid = dom->page ? dom->page->warden_pid : 0;
	auto_fd int fd = pid > 0 ? pidfd_open(pid, 0) : -1;

	return fd >= 0 && is_warden(pid, dom->name) && !pidfd_send_signal(fd, graceful ? SIGUSR2 : SIGUSR1, NULL, 0);
}

bool operate_destroy(const struct home *home, const struct dom *dom, bool graceful, GError **err)
{
	g_autoptr(GError) refused = NULL;

	if (!may(home, dom, DOMAIN_DO_DESTROY, "destroy a domain", err))
		return false;
	if (tell_warden(dom, graceful)) {
		if (wait_process(dom->page->warden_pid, graceful ? QUIT_TIMEOUT_MS : -1, &refused) > 0)
			return true;
	} else if (execute(home, dom, "quit", NULL, &refused) && operate_wait(dom, QUIT_TIMEOUT_MS, &refused)) {
		return true;
	} else if (!graceful) {
		return kill_vm(home, dom, err);
	}
	return fail(err, LODGE_ERROR_STATE, "the VM process does not end by itself%s%s", refused ? ": " : "",
		    refused ? refused->message : "");
}

bool operate_undefine(const struct home *home, const struct dom *dom, GError **err)
{
	if (!home_writable(home, "undefine a domain", err))
		return false;
	if (!dom->persistent)
		return fail(err, LODGE_ERROR_STATE, "cannot undefine transient domain");
	return domains_undefine(home, dom->name, err);
}
