/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/cmd/scope.h"

#include "core/base/error.h"

bool scope_of(const struct args *args, const struct dom *dom, struct scope *scope, GError **err)
{
	bool active = dom->id >= 0;

	scope->live = args_flag(args, "live");
	scope->config = args_flag(args, "config");
	if (!scope->live && !scope->config)
		*(active ? &scope->live : &scope->config) = true;
	if (scope->live && !active)
		return fail(err, LODGE_ERROR_STATE, "domain is not running");
	if (scope->config && !dom->persistent)
		return fail(err, LODGE_ERROR_STATE, "transient domains do not have any persistent config");
	return true;
}

struct domain *scope_definition(struct session *session, const struct dom *dom, const struct scope *scope, GError **err)
{
	return dom_definition(session->home, dom, scope->live, err);
}

static struct domain *changed(struct session *session, const struct dom *dom, bool live,
			      bool (*change)(struct domain *domain, void *opaque, GError **err), void *opaque,
			      GError **err)
{
	autoptr(domain) domain = dom_definition(session->home, dom, live, err);

	if (!domain || !change(domain, opaque, err) || !domain_recheck(domain, err))
		return NULL;
	return g_steal_pointer(&domain);
}

bool scope_change(struct session *session, const struct dom *dom, const struct scope *scope,
		  bool (*change)(struct domain *domain, void *opaque, GError **err),
		  bool (*live)(const struct dom *dom, const struct domain *domain, void *opaque, GError **err),
		  void *opaque, GError **err)
{
	autoptr(domain) running = NULL;
	autoptr(domain) stored = NULL;

	if (!home_writable(session->home, "change a domain", err))
		return false;
	if (scope->live && !domain_allows(dom->state.state, DOMAIN_DO_CHANGE, err))
		return false;
	if (scope->live && !(running = changed(session, dom, true, change, opaque, err)))
		return false;
	if (scope->config && !(stored = changed(session, dom, false, change, opaque, err)))
		return false;
	if (running &&
	    ((live && !live(dom, running, opaque, err)) || !domains_set_live(session->home, dom, running, err)))
		return false;
	return !stored || domains_define(session->home, stored, err);
}
