/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/accel.h"

#include <string.h>

#include "core/base/error.h"

const struct accel_class *const accel_classes[] = { &accel_kvm_class, &accel_soft_class, NULL };

void accel_probe_clear(struct accel_probe *probe)
{
	g_free(probe->reason);
	*probe = (struct accel_probe){ 0 };
}

static const struct accel_class *find_class(const char *name)
{
	for (size_t i = 0; accel_classes[i]; i++)
		if (strcmp(accel_classes[i]->name, name) == 0)
			return accel_classes[i];
	return NULL;
}

static const struct accel_class *refuse_name(const char *name, GError **err)
{
	g_autoptr(GString) known = g_string_new("auto");

	for (size_t i = 0; accel_classes[i]; i++)
		g_string_append_printf(known, "%s%s", accel_classes[i + 1] ? ", " : " or ", accel_classes[i]->name);
	return fail_null(err, LODGE_ERROR_USAGE, "accelerator '%s' is not known: it is %s", name, known->str);
}

/* "kvm: native execution, 3.1 G guest instructions/s"; or, when a faster one was passed over, why that: "soft, not kvm: ...". */
static char *explain(const struct accel_class *chosen, const char *reason, const GString *passed_over)
{
	if (passed_over->len)
		return g_strdup_printf("%s%s", chosen->name, passed_over->str);
	return g_strdup_printf("%s: %s", chosen->name, reason);
}

/* The first recommended one; when none is, the first that works at all. */
static const struct accel_class *choose_best(char **why, GError **err)
{
	g_autoptr(GString) passed_over = g_string_new(NULL);
	const struct accel_class *fallback = NULL;
	g_autofree char *fallback_reason = NULL;

	for (size_t i = 0; accel_classes[i]; i++) {
		const struct accel_class *class = accel_classes[i];
		struct accel_probe probe = { 0 };

		class->probe(&probe);
		if (probe.recommended) {
			if (why)
				*why = explain(class, probe.reason, passed_over);
			accel_probe_clear(&probe);
			return class;
		}
		if (probe.usable && !fallback) {
			fallback = class;
			fallback_reason = g_strdup(probe.reason);
		}
		g_string_append_printf(passed_over, ", not %s: %s", class->name, probe.reason);
		accel_probe_clear(&probe);
	}
	if (!fallback)
		return fail_null(err, LODGE_ERROR_UNSUPPORTED, "no accelerator can run here%s", passed_over->str);
	if (why)
		*why = g_strdup_printf("%s: %s", fallback->name, fallback_reason);
	return fallback;
}

const struct accel_class *accel_choose(const char *spec, char **options, char **why, GError **err)
{
	g_auto(GStrv) parts = g_strsplit(spec ? spec : "auto", ",", 2);
	const char *name = parts[0] ? parts[0] : "";
	const struct accel_class *class;

	if (strcmp(name, "auto") == 0) {
		class = choose_best(why, err);
	} else {
		class = find_class(name);
		if (!class)
			return refuse_name(name, err);
		if (why)
			*why = g_strdup_printf("%s: asked for by name", class->name);
	}
	if (class && options)
		*options = parts[0] ? g_strdup(parts[1]) : NULL;
	return class;
}
