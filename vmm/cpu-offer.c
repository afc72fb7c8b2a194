/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>
#include <sys/ioctl.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "vmm/accel-kvm.h"
#include "vmm/cpuid.h"

static bool kvm_offer(struct cpu_features *set, GError **err)
{
	g_autofree struct cpuid_leaf *leaves = g_new0(struct cpuid_leaf, KVM_MAX_CPUID);
	auto_fd int fd = kvm_open(err);
	size_t n;

	if (fd < 0 || !kvm_supported_leaves(fd, leaves, &n, err))
		return false;
	cpu_features_from_leaves(set, leaves, n);
	cpu_features_add(set, CPU_FEATURE_X2APIC);
	if (ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0)
		cpu_features_add(set, CPU_FEATURE_TSC_DEADLINE);
	return true;
}

bool cpu_features_offer(const char *accel, struct cpu_features *set, GError **err)
{
	if (strcmp(accel, accel_kvm_class.name) == 0)
		return kvm_offer(set, err);
	cpu_features_soft(set);
	return true;
}
