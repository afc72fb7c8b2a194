/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/guest-stubs.h"

/* Choosing an accelerator, and the shared guests on the software CPU. */

static void test_refuse_name(void)
{
	static const char *const bad[] = { "", "xen", "KVM", ",soft", "soft2,x", "auto2" };

	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autofree char *why = NULL;
		g_autoptr(GError) err = NULL;

		g_assert_null(accel_choose(bad[i], NULL, &why, &err));
		g_assert_error(err, LODGE_ERROR, LODGE_ERROR_USAGE);
		g_assert_nonnull(strstr(err->message, "auto, kvm or soft"));
		g_assert_null(why);
	}
}

static void test_by_name(void)
{
	g_autofree char *options = NULL, *why = NULL;

	g_assert_true(accel_choose("soft", &options, &why, NULL) == &accel_soft_class);
	g_assert_null(options);
	g_assert_true(g_str_has_prefix(why, "soft: "));
	g_assert_true(accel_choose("kvm,a=b,c", &options, NULL, NULL) == &accel_kvm_class);
	g_assert_cmpstr(options, ==, "a=b,c");
}

/* What auto takes and says agrees with what the probes say. */
static void test_auto(void)
{
	struct accel_probe kvm = { 0 };
	g_autofree char *why = NULL, *options = NULL;
	const struct accel_class *chosen = accel_choose("auto", &options, &why, NULL);

	g_assert_nonnull(chosen);
	g_assert_null(options);
	g_assert_nonnull(why);
	g_assert_null(strchr(why, '\n'));
	accel_kvm_class.probe(&kvm);
	g_assert_true(chosen == (kvm.recommended ? &accel_kvm_class : &accel_soft_class));
	g_assert_true(g_str_has_prefix(why, chosen->name));
	g_assert_cmpint(strstr(why, ", not kvm: ") != NULL, ==, !kvm.recommended);
	g_test_message("%s", why);
	g_assert_true(accel_choose(NULL, NULL, NULL, NULL) == chosen);
	accel_probe_clear(&kvm);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/accel/refuse-name", test_refuse_name);
	g_test_add_func("/accel/by-name", test_by_name);
	g_test_add_func("/accel/auto", test_auto);
	guest_stubs_add(&accel_soft_class);
	return g_test_run();
}
