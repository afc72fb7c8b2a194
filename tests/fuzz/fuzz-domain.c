/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A definition: whatever was accepted is the same text after a second and a third round, its stored and live forms can
 * be read, and every translation of it ends. The first byte says strict, or a command line instead.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/base/error.h"
#include "core/model/domain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct domain *first_round(const char *text, size_t len, GError **err)
{
	if (len && *text == '$') {
		g_autofree char *line = g_strndup(text + 1, len - 1);

		return domain_from_argv(line, err);
	}
	if (len && *text == '!')
		return domain_parse(text + 1, len - 1, "fuzz", DOMAIN_VALIDATE, err);
	return domain_parse(text, len, "fuzz", 0, err);
}

static void check_rounds(const struct domain *domain)
{
	g_autofree char *once = domain_format(domain, DOMAIN_SECRET | DOMAIN_INACTIVE);
	g_autoptr(GError) err = NULL;
	autoptr(domain) second = domain_parse(once, strlen(once), "second", 0, &err);

	if (!second)
		g_error("refused in the second round: %s\n%s", err->message, once);
	g_autofree char *twice = domain_format(second, DOMAIN_SECRET | DOMAIN_INACTIVE);
	if (strcmp(once, twice) != 0)
		g_error("changed in the second round:\n%s\n%s", once, twice);
	autoptr(domain) stored = domain_parse(once, strlen(once), "stored", DOMAIN_STORED, NULL);
	g_assert_nonnull(stored);
	g_assert_cmpstr(stored->name, ==, domain->name);
}

static void check_translations(struct domain *domain)
{
	g_autoptr(GPtrArray) notices = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *line = domain_to_argv(domain, NULL);

	domain_make_live(domain, 1);
	g_autofree char *live = domain_format(domain, 0);
	g_autofree char *migratable = domain_format(domain, DOMAIN_MIGRATABLE);
	autoptr(vm_config) config = domain_vm_config(domain, notices, NULL);
	g_autoptr(GError) err = NULL;
	autoptr(domain) again = domain_parse(live, strlen(live), "live", 0, &err);

	if (!again)
		g_error("the live form is refused: %s", err->message);
	g_assert_nonnull(migratable);
	(void)line;
	(void)config;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);
	g_autoptr(GError) err = NULL;
	autoptr(domain) domain = first_round(text, size, &err);

	if (!domain) {
		g_assert_nonnull(err);
		return 0;
	}
	check_rounds(domain);
	check_translations(domain);
	return 0;
}
