/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The list of all domains, finding one, and definitions that stay unique. No VM runs: run directories are made by hand.
 */
#include "core/domains.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/wire.h"
#include "core/events.h"
#include "core/rundir.h"
#include "core/store.h"
#include "tests/one-home.h"

#define UUID_A "11111111-1111-4111-8111-111111111111"
#define UUID_B "22222222-2222-4222-8222-222222222222"
#define UUID_C "33333333-3333-4333-8333-333333333333"

static struct domain *make_domain(const char *name, const char *uuid)
{
	g_autofree char *text =
		g_strdup_printf("<domain type='qemu'><name>%s</name><uuid>%s</uuid><memory>65536</memory>"
				"<os><type arch='x86_64' machine='q35'>hvm</type></os></domain>",
				name, uuid);
	g_autoptr(GError) error = NULL;
	struct domain *domain = domain_parse(text, strlen(text), name, 0, &error);

	g_assert_no_error(error);
	return domain;
}

static bool define(const struct one_home *one, const char *name, const char *uuid, GError **err)
{
	autoptr(domain) domain = make_domain(name, uuid);

	return domains_define(one->home, domain, err);
}

static void must_define(const struct one_home *one, const char *name, const char *uuid)
{
	GError *error = NULL;

	define(one, name, uuid, &error);
	g_assert_no_error(error);
}

/* A run directory as a VM in this state has it; the lock is held until the descriptor is closed. */
static int fake_run(const struct one_home *one, const char *name, const char *uuid, uint32_t id, unsigned state,
		    unsigned reason)
{
	auto_fd int store = store_lock(one->home, NULL);
	int lock = rundir_make(one->home, name, NULL);
	g_autofree char *path = home_vm_path(one->home, name, "stats");
	auto_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct stats_page *page;

	g_assert_cmpint(store, >=, 0);
	g_assert_cmpint(lock, >=, 0);
	g_assert_cmpint(ftruncate(fd, sizeof(*page)), ==, 0);
	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	stats_page_init(page);
	page->id = id;
	page->pid = (int32_t)getpid();
	g_strlcpy(page->uuid, uuid, sizeof(page->uuid));
	stats_page_set_state(page, state, reason, NULL);
	stats_tail_write(page, "Kernel panic\n", 13);
	munmap(page, sizeof(*page));
	return lock;
}

static char *list_as_text(const struct one_home *one, unsigned flags)
{
	g_autoptr(GPtrArray) doms = domains_list(one->home, flags, NULL);
	GString *text = g_string_new(NULL);

	for (guint i = 0; i < doms->len; i++) {
		const struct dom *dom = doms->pdata[i];

		g_string_append_printf(text, "%d:%s:%s:%s%s%s ", dom->id, dom->name,
				       domain_state_name(dom->state.state),
				       domain_reason_name(dom->state.state, dom->state.reason),
				       dom->persistent ? "+p" : "", dom->autostart ? "+a" : "");
	}
	return g_string_free(text, FALSE);
}

static void assert_list(const struct one_home *one, unsigned flags, const char *wanted)
{
	g_autofree char *text = list_as_text(one, flags);

	g_assert_cmpstr(text, ==, wanted);
}

static void assert_found(const struct one_home *one, const char *key, const char *name)
{
	g_autoptr(GError) error = NULL;
	autoptr(dom) dom = domains_find(one->home, key, &error);

	if (!name) {
		g_assert_null(dom);
		g_assert_error(error, LODGE_ERROR, LODGE_ERROR_STATE);
		return;
	}
	g_assert_no_error(error);
	g_assert_cmpstr(dom->name, ==, name);
}

static void test_not_found(void)
{
	static const char *const keys[] = {
		"", "x", "0", "-1", "99999999999999999999", "../x", ".", UUID_A, "11111111111141118111111111111111"
	};
	autoptr(one_home) one = one_home_new();

	for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
		assert_found(one, keys[i], NULL);
	assert_list(one, DOMAINS_ACTIVE | DOMAINS_INACTIVE, "");
}

static void test_unique(void)
{
	autoptr(one_home) one = one_home_new();
	g_autoptr(GError) same_name = NULL, same_uuid = NULL, running_uuid = NULL, running_name = NULL;
	auto_fd int lock = -1;

	must_define(one, "a", UUID_A);
	must_define(one, "a", UUID_A);
	g_assert_false(define(one, "a", UUID_B, &same_name));
	g_assert_error(same_name, LODGE_ERROR, LODGE_ERROR_STATE);
	g_assert_cmpstr(same_name->message, ==, "domain 'a' already exists with uuid " UUID_A);
	g_assert_false(define(one, "b", UUID_A, &same_uuid));
	g_assert_cmpstr(same_uuid->message, ==, "domain 'a' already exists with uuid " UUID_A);
	/* A transient domain has its name and UUID as well. */
	lock = fake_run(one, "t", UUID_C, 1, DOMAIN_RUNNING, 0);
	g_assert_false(define(one, "c", UUID_C, &running_uuid));
	g_assert_false(define(one, "t", UUID_B, &running_name));
	g_assert_error(running_name, LODGE_ERROR, LODGE_ERROR_STATE);
	must_define(one, "t", UUID_C);
}

static void test_readonly(void)
{
	autoptr(one_home) one = one_home_new();
	autoptr(home) home = home_open(NULL, true, NULL);
	autoptr(domain) domain = make_domain("a", UUID_A);
	g_autoptr(GError) define_error = NULL, undefine_error = NULL, rename_error = NULL;

	g_assert_false(domains_define(home, domain, &define_error));
	g_assert_error(define_error, LODGE_ERROR, LODGE_ERROR_DENIED);
	must_define(one, "a", UUID_A);
	g_assert_false(domains_undefine(home, "a", &undefine_error));
	g_assert_error(undefine_error, LODGE_ERROR, LODGE_ERROR_DENIED);
	g_assert_false(domains_rename(home, "a", "b", &rename_error));
	g_assert_error(rename_error, LODGE_ERROR, LODGE_ERROR_DENIED);
	/* It sees what is left of a VM for what it is, and leaves it where it is. */
	fd_close(&(int){ fake_run(one, "a", UUID_A, 1, DOMAIN_RUNNING, 0) });
	autoptr(dom) dom = domains_find(home, "a", NULL);
	g_autofree char *dir = home_vm_path(home, "a", NULL);
	g_assert_cmpuint(dom->state.reason, ==, DOMAIN_SHUTOFF_CRASHED);
	g_assert_true(g_file_test(dir, G_FILE_TEST_IS_DIR));
}

static void test_list(void)
{
	autoptr(one_home) one = one_home_new();
	auto_fd int first = -1, second = -1, lock = -1;

	must_define(one, "b", UUID_B);
	must_define(one, "A", UUID_A);
	lock = store_lock(one->home, NULL);
	g_assert_true(store_set_autostart(one->home, STORE_VM, "b", true, NULL));
	fd_close(&lock);
	assert_list(one, DOMAINS_ACTIVE | DOMAINS_INACTIVE, "-1:A:shut off:unknown+p -1:b:shut off:unknown+p+a ");
	first = fake_run(one, "z", UUID_C, 5, DOMAIN_PAUSED, DOMAIN_PAUSED_USER);
	second = fake_run(one, "b", UUID_B, 11, DOMAIN_RUNNING, DOMAIN_RUNNING_BOOTED);
	assert_list(one, DOMAINS_ACTIVE | DOMAINS_INACTIVE,
		    "5:z:paused:user 11:b:running:booted+p+a -1:A:shut off:unknown+p ");
	assert_list(one, DOMAINS_ACTIVE, "5:z:paused:user 11:b:running:booted+p+a ");
	assert_list(one, DOMAINS_INACTIVE, "-1:A:shut off:unknown+p ");
	assert_list(one, 0, "");
}

/* By id, UUID, name: in this order, as names may look like ids. */
static void test_find(void)
{
	autoptr(one_home) one = one_home_new();
	auto_fd int lock = -1;

	must_define(one, "7", UUID_A);
	must_define(one, "b", UUID_B);
	assert_found(one, "7", "7");
	lock = fake_run(one, "b", UUID_B, 7, DOMAIN_RUNNING, 0);
	assert_found(one, "7", "b");
	assert_found(one, UUID_A, "7");
	assert_found(one, "22222222222242228222222222222222", "b");
	assert_found(one, "B", NULL);
	autoptr(dom) dom = domains_find_name(one->home, "7", NULL);
	char uuid[37];
	g_assert_true(dom_uuid(one->home, dom, uuid, NULL));
	g_assert_cmpstr(uuid, ==, UUID_A);
}

static void test_between(void)
{
	autoptr(one_home) one = one_home_new();
	auto_fd int starting = fake_run(one, "a", UUID_A, 1, DOMAIN_NOSTATE, 0);
	auto_fd int ending = fake_run(one, "b", UUID_B, 2, DOMAIN_SHUTOFF, DOMAIN_SHUTOFF_SHUTDOWN);

	g_assert_true(starting >= 0 && ending >= 0);
	assert_list(one, DOMAINS_ACTIVE, "1:a:paused:starting up 2:b:in shutdown:unknown ");
}

/* What VMs that are gone have left: crashed, ended in good order, never started. */
static void test_left_over(void)
{
	autoptr(one_home) one = one_home_new();
	autoptr(events) events = events_listen(one->home, NULL);
	g_autoptr(GPtrArray) notices = NULL;
	auto_json json_t *event = NULL;
	auto_json json_t *memory = NULL;

	fd_close(&(int){ fake_run(one, "t", UUID_A, 1, DOMAIN_RUNNING, 0) });
	assert_list(one, DOMAINS_ACTIVE | DOMAINS_INACTIVE, "");
	event = events_next(events, 0, NULL);
	g_assert_cmpstr(json_string_value(json_object_get(event, "type")), ==, "Stopped");
	g_assert_cmpstr(json_string_value(json_object_get(event, "detail")), ==, "Crashed");
	notices = domains_notices();
	g_assert_cmpuint(notices->len, ==, 2);
	g_assert_cmpstr(notices->pdata[1], ==, "t console: Kernel panic");
	must_define(one, "p", UUID_B);
	must_define(one, "q", UUID_C);
	fd_close(&(int){ fake_run(one, "p", UUID_B, 2, DOMAIN_PAUSED, 0) });
	fd_close(&(int){ fake_run(one, "q", UUID_C, 3, DOMAIN_SHUTOFF, DOMAIN_SHUTOFF_SHUTDOWN) });
	assert_list(one, DOMAINS_ACTIVE | DOMAINS_INACTIVE, "-1:p:shut off:crashed+p -1:q:shut off:shutdown+p ");
	/* And the same when it is read back. */
	assert_list(one, DOMAINS_ACTIVE | DOMAINS_INACTIVE, "-1:p:shut off:crashed+p -1:q:shut off:shutdown+p ");
	memory = store_memory(one->home, STORE_VM, "p");
	g_assert_nonnull(
		strstr(json_string_value(json_object_get(json_object_get(memory, "stopped"), "text")), "paused"));
}

/* Somebody changes something: the truth is told, the cleaning left to a later command. */
static void test_left_over_while_locked(void)
{
	autoptr(one_home) one = one_home_new();
	g_autofree char *dir = home_vm_path(one->home, "p", NULL);
	auto_fd int lock = -1;

	must_define(one, "p", UUID_B);
	fd_close(&(int){ fake_run(one, "p", UUID_B, 2, DOMAIN_RUNNING, 0) });
	lock = store_lock(one->home, NULL);
	assert_list(one, DOMAINS_ACTIVE | DOMAINS_INACTIVE, "-1:p:shut off:crashed+p ");
	assert_found(one, "p", "p");
	g_assert_true(g_file_test(dir, G_FILE_TEST_IS_DIR));
	fd_close(&lock);
	assert_list(one, DOMAINS_ACTIVE | DOMAINS_INACTIVE, "-1:p:shut off:crashed+p ");
	g_assert_false(g_file_test(dir, G_FILE_TEST_IS_DIR));
	g_ptr_array_unref(domains_notices());
}

static void test_rename(void)
{
	autoptr(one_home) one = one_home_new();
	g_autoptr(GError) bad = NULL, taken = NULL, active = NULL, missing = NULL, same = NULL;
	g_autofree char *text = NULL;
	auto_fd int lock = -1;

	must_define(one, "a", UUID_A);
	must_define(one, "b", UUID_B);
	g_assert_false(domains_rename(one->home, "a", "x/y", &bad));
	g_assert_nonnull(bad);
	g_assert_false(domains_rename(one->home, "a", "b", &taken));
	g_assert_error(taken, LODGE_ERROR, LODGE_ERROR_STATE);
	g_assert_false(domains_rename(one->home, "a", "a", &same));
	g_assert_error(same, LODGE_ERROR, LODGE_ERROR_STATE);
	g_assert_false(domains_rename(one->home, "c", "d", &missing));
	g_assert_nonnull(missing);
	lock = fake_run(one, "b", UUID_B, 1, DOMAIN_RUNNING, 0);
	g_assert_false(domains_rename(one->home, "b", "c", &active));
	g_assert_cmpstr(active->message, ==, "cannot rename active domain");
	g_assert_true(domains_rename(one->home, "a", "n", NULL));
	assert_found(one, "a", NULL);
	assert_found(one, UUID_A, "n");
	text = store_read(one->home, STORE_VM, "n", NULL, NULL);
	g_assert_nonnull(strstr(text, "<name>n</name>"));
}

static void test_definitions(void)
{
	autoptr(one_home) one = one_home_new();
	autoptr(dom) dom = NULL;
	autoptr(domain) domain = NULL;
	g_autoptr(GError) not_live = NULL, transient = NULL;
	auto_fd int lock = -1;

	must_define(one, "a", UUID_A);
	dom = domains_find(one->home, "a", NULL);
	domain = dom_definition(one->home, dom, false, NULL);
	g_assert_cmpstr(domain->uuid, ==, UUID_A);
	g_assert_null(dom_definition(one->home, dom, true, &not_live));
	g_assert_error(not_live, LODGE_ERROR, LODGE_ERROR_STATE);
	g_assert_false(domains_set_live(one->home, dom, domain, NULL));
	g_clear_pointer(&dom, dom_free);
	lock = fake_run(one, "t", UUID_B, 3, DOMAIN_RUNNING, 0);
	dom = domains_find(one->home, "t", NULL);
	g_assert_null(dom_definition(one->home, dom, false, &transient));
	g_assert_error(transient, LODGE_ERROR, LODGE_ERROR_STATE);
	g_assert_true(domains_set_live(one->home, dom, domain, NULL));
	g_clear_pointer(&domain, domain_free);
	domain = dom_definition(one->home, dom, true, NULL);
	g_assert_nonnull(domain);
}

static void test_undefine(void)
{
	autoptr(one_home) one = one_home_new();
	g_autoptr(GError) missing = NULL;
	auto_fd int lock = -1;

	g_assert_false(domains_undefine(one->home, "a", &missing));
	g_assert_error(missing, LODGE_ERROR, LODGE_ERROR_STATE);
	must_define(one, "a", UUID_A);
	lock = fake_run(one, "a", UUID_A, 3, DOMAIN_RUNNING, DOMAIN_RUNNING_BOOTED);
	g_assert_true(domains_undefine(one->home, "a", NULL));
	assert_list(one, DOMAINS_ACTIVE | DOMAINS_INACTIVE, "3:a:running:booted ");
	fd_close(&lock);
	assert_list(one, DOMAINS_ACTIVE | DOMAINS_INACTIVE, "");
	g_ptr_array_unref(domains_notices());
}

/* Ids grow, also when the counter is lost or damaged while VMs run. */
static void test_ids(void)
{
	autoptr(one_home) one = one_home_new();
	g_autofree char *path = g_build_filename(one->home->runtime_dir, "last-id", NULL);
	auto_fd int lock = fake_run(one, "a", UUID_A, 41, DOMAIN_RUNNING, 0);

	g_assert_cmpint(lock, >=, 0);
	g_assert_cmpint(rundir_next_id(one->home, NULL), ==, 42);
	g_assert_cmpint(rundir_next_id(one->home, NULL), ==, 43);
	g_assert_true(g_file_set_contents(path, "nonsense", -1, NULL));
	g_assert_cmpint(rundir_next_id(one->home, NULL), ==, 42);
	g_assert_cmpint(unlink(path), ==, 0);
	g_assert_cmpint(rundir_next_id(one->home, NULL), ==, 42);
}

/* A runtime directory may be far longer than a socket's address. */
static void test_long_paths(void)
{
	autoptr(one_home) one = one_home_new();
	g_autofree char *long_name = g_strnfill(200, 'l');
	g_autofree char *dir = g_build_filename(one->dir, long_name, NULL);
	auto_fd int listener = -1, client = -1;
	g_autoptr(GError) nobody = NULL;

	g_assert_true(dir_make(dir, 0700, NULL));
	g_assert_cmpint(rundir_connect(dir, "control", &nobody), ==, -1);
	g_assert_error(nobody, LODGE_ERROR, LODGE_ERROR_STATE);
	listener = rundir_listen(dir, "control", NULL);
	g_assert_cmpint(listener, >=, 0);
	client = rundir_connect(dir, "control", NULL);
	g_assert_cmpint(client, >=, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/domains/not-found", test_not_found);
	g_test_add_func("/domains/unique", test_unique);
	g_test_add_func("/domains/readonly", test_readonly);
	g_test_add_func("/domains/list", test_list);
	g_test_add_func("/domains/find", test_find);
	g_test_add_func("/domains/between", test_between);
	g_test_add_func("/domains/left-over", test_left_over);
	g_test_add_func("/domains/left-over-while-locked", test_left_over_while_locked);
	g_test_add_func("/domains/rename", test_rename);
	g_test_add_func("/domains/definitions", test_definitions);
	g_test_add_func("/domains/undefine", test_undefine);
	g_test_add_func("/domains/ids", test_ids);
	g_test_add_func("/domains/long-paths", test_long_paths);
	return g_test_run();
}
