/* SPDX-License-Identifier: GPL-2.0-or-later */
/* States, reasons and what may be done when. */
#include "core/model/lifecycle.h"

#include <string.h>

#include "core/base/error.h"
#include "core/model/stats-page.h"

static const char *const action_names[] = {
	[DOMAIN_DO_START] = "start",	   [DOMAIN_DO_SUSPEND] = "suspend", [DOMAIN_DO_RESUME] = "resume",
	[DOMAIN_DO_SHUTDOWN] = "shutdown", [DOMAIN_DO_REBOOT] = "reboot",   [DOMAIN_DO_RESET] = "reset",
	[DOMAIN_DO_DESTROY] = "destroy",   [DOMAIN_DO_SAVE] = "save",	    [DOMAIN_DO_DUMP] = "dump",
	[DOMAIN_DO_INJECT] = "inject",	   [DOMAIN_DO_MIGRATE] = "migrate", [DOMAIN_DO_PMSUSPEND] = "pmsuspend",
	[DOMAIN_DO_PMWAKEUP] = "pmwakeup", [DOMAIN_DO_CHANGE] = "change",   [DOMAIN_DO_UNDEFINE] = "undefine",
	[DOMAIN_DO_RENAME] = "rename",
};
G_STATIC_ASSERT(G_N_ELEMENTS(action_names) == DOMAIN_N_ACTIONS);

static void test_refusals(void)
{
	static const struct {
		enum domain_state state;
		enum domain_action action;
		const char *says;
	} cases[] = {
		{ DOMAIN_SHUTOFF, DOMAIN_DO_SUSPEND, "domain is not running" },
		{ DOMAIN_SHUTOFF, DOMAIN_DO_DESTROY, "domain is not running" },
		{ DOMAIN_SHUTOFF, DOMAIN_DO_SHUTDOWN, "domain is not running" },
		{ DOMAIN_NOSTATE, DOMAIN_DO_RESET, "domain is not running" },
		{ DOMAIN_RUNNING, DOMAIN_DO_START, "domain is already running" },
		{ DOMAIN_PAUSED, DOMAIN_DO_START, "domain is already running" },
		{ DOMAIN_RUNNING, DOMAIN_DO_RESUME, "domain is already running" },
		{ DOMAIN_CRASHED, DOMAIN_DO_RESUME, "domain is crashed" },
		{ DOMAIN_PMSUSPENDED, DOMAIN_DO_RESUME, "domain is pmsuspended" },
		{ DOMAIN_PMSUSPENDED, DOMAIN_DO_SUSPEND, "domain is pmsuspended" },
		{ DOMAIN_PAUSED, DOMAIN_DO_SHUTDOWN, "domain is paused" },
		{ DOMAIN_CRASHED, DOMAIN_DO_REBOOT, "domain is crashed" },
		{ DOMAIN_RUNNING, DOMAIN_DO_PMWAKEUP, "domain is not suspended by its guest" },
		{ DOMAIN_RUNNING, DOMAIN_DO_RENAME, "cannot rename active domain" },
		{ DOMAIN_CRASHED, DOMAIN_DO_RENAME, "cannot rename active domain" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;

		g_assert_false(domain_allows(cases[i].state, cases[i].action, &error));
		g_assert_error(error, LODGE_ERROR, LODGE_ERROR_STATE);
		g_assert_cmpstr(error->message, ==, cases[i].says);
	}
}

/* Every state by every action: a refusal says why, in one sentence without a place holder. */
static void test_table(void)
{
	static const char *const allowed[] = {
		[DOMAIN_NOSTATE] = "",
		[DOMAIN_RUNNING] =
			"suspend shutdown reboot reset destroy save dump inject migrate pmsuspend change undefine ",
		[DOMAIN_BLOCKED] =
			"suspend shutdown reboot reset destroy save dump inject migrate pmsuspend change undefine ",
		[DOMAIN_PAUSED] = "suspend resume reset destroy save dump migrate change undefine ",
		[DOMAIN_SHUTDOWN] =
			"suspend shutdown reboot reset destroy save dump inject migrate pmsuspend change undefine ",
		[DOMAIN_SHUTOFF] = "start undefine rename ",
		[DOMAIN_CRASHED] = "reset destroy dump undefine ",
		[DOMAIN_PMSUSPENDED] = "destroy pmwakeup undefine ",
	};
	G_STATIC_ASSERT(G_N_ELEMENTS(allowed) == DOMAIN_N_STATES);

	for (int state = 0; state < DOMAIN_N_STATES; state++) {
		GString *text = g_string_new(NULL);

		for (int action = 0; action < DOMAIN_N_ACTIONS; action++) {
			g_autoptr(GError) error = NULL;

			if (domain_allows((enum domain_state)state, (enum domain_action)action, &error))
				g_string_append_printf(text, "%s ", action_names[action]);
			else
				g_assert_null(strchr(error->message, '%'));
		}
		g_assert_cmpstr(text->str, ==, allowed[state]);
		g_string_free(text, TRUE);
	}
}

static void test_names(void)
{
	g_assert_cmpstr(domain_state_name(DOMAIN_BLOCKED), ==, "idle");
	g_assert_cmpstr(domain_state_name(DOMAIN_SHUTDOWN), ==, "in shutdown");
	g_assert_cmpstr(domain_state_name(DOMAIN_SHUTOFF), ==, "shut off");
	g_assert_cmpstr(domain_state_name((enum domain_state)99), ==, "no state");
	g_assert_cmpstr(domain_reason_name(DOMAIN_RUNNING, DOMAIN_RUNNING_WAKEUP), ==, "event wakeup");
	g_assert_cmpstr(domain_reason_name(DOMAIN_PAUSED, DOMAIN_PAUSED_STARTING_UP), ==, "starting up");
	g_assert_cmpstr(domain_reason_name(DOMAIN_SHUTOFF, DOMAIN_SHUTOFF_CRASHED), ==, "crashed");
	g_assert_cmpstr(domain_reason_name(DOMAIN_SHUTOFF, 99), ==, "unknown");
	g_assert_cmpstr(domain_reason_name((enum domain_state)99, 1), ==, "unknown");
	g_assert_false(domain_state_active(DOMAIN_SHUTOFF));
	g_assert_false(domain_state_active((enum domain_state)99));
	g_assert_true(domain_state_active(DOMAIN_CRASHED));
}

/* --- the guest's last words --- */

static void assert_tail(const struct stats_page *page, unsigned max, const char *joined)
{
	g_autoptr(GPtrArray) lines = stats_tail_lines(page, max);
	g_autofree char *text = NULL;

	g_ptr_array_add(lines, NULL);
	text = g_strjoinv("|", (char **)lines->pdata);
	g_assert_cmpstr(text, ==, joined);
}

static void write_text(struct stats_page *page, const char *text)
{
	stats_tail_write(page, text, strlen(text));
}

static void test_tail(void)
{
	g_autofree struct stats_page *page = g_new0(struct stats_page, 1);

	assert_tail(page, 10, "");
	write_text(page, "one\r\n\r\ntwo \033[1;31mred\033[0m\tx\x7f\n\033]0;title\atext\033(B\n\xff");
	assert_tail(page, 10, "one|two red x|text|\xef\xbf\xbd");
	assert_tail(page, 2, "text|\xef\xbf\xbd");
	assert_tail(page, 0, "");
}

static void test_tail_wraps(void)
{
	g_autofree struct stats_page *page = g_new0(struct stats_page, 1);
	g_autofree char *flood = g_strnfill(3 * STATS_TAIL_SIZE, 'x');
	char line[32];

	for (int i = 0; i < 2000; i++) {
		g_snprintf(line, sizeof(line), "line %d\n", i);
		write_text(page, line);
	}
	assert_tail(page, 3, "line 1997|line 1998|line 1999");
	/* One line longer than the ring: what is left of it has no beginning. */
	stats_tail_write(page, flood, 3 * STATS_TAIL_SIZE);
	write_text(page, "\nend");
	assert_tail(page, 5, "end");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/lifecycle/refusals", test_refusals);
	g_test_add_func("/lifecycle/table", test_table);
	g_test_add_func("/lifecycle/names", test_names);
	g_test_add_func("/lifecycle/tail", test_tail);
	g_test_add_func("/lifecycle/tail-wraps", test_tail_wraps);
	return g_test_run();
}
