/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/guest-stubs.h"

/* The shared guests on /dev/kvm; skipped where it is missing or not ours to open. */
int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	guest_stubs_add(&accel_kvm_class);
	return g_test_run();
}
