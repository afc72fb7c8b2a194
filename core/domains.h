/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_DOMAINS_H
#define LODGE_CORE_DOMAINS_H

#include <glib.h>
#include <stdbool.h>

#include "core/home.h"
#include "core/model/domain.h"
#include "core/model/lifecycle.h"
#include "core/model/stats-page.h"

/*
 * Every domain there is: definitions from the store, running ones from their run directories. Nothing is cached between
 * calls; a row is cheap (no XML is parsed for it).
 *
 * A VM runs exactly while somebody holds the lock of its run directory (warden and VM process do). A run directory
 * without a held lock is what a killed VM left behind: domains_list() and domains_find() take the lock, read the last
 * state from the statistics page, remember "shut off (crashed)" with the reason and the last console lines, emit the
 * event, remove the directory, and add one line to home-independent notices (domains_notices()).
 */
struct dom {
	char *name;
	int id; /* -1: not running */
	bool persistent, autostart;
	struct stats_state state;      /* .state and .reason as core/model/lifecycle.h, also when shut off */
	int pid;		       /* the VM process; 0 */
	const struct stats_page *page; /* mapped while the row lives; NULL when shut off */
};

void dom_free(struct dom *dom);
DEFINE_AUTOPTR(dom, dom_free)

enum { DOMAINS_ACTIVE = 1 << 0, DOMAINS_INACTIVE = 1 << 1 };
/* struct dom, active ones by id first, then the others by name. */
GPtrArray *domains_list(const struct home *home, unsigned flags, GError **err);

/*
 * By id, UUID or name (in virsh's order: a running id, a UUID, a name). LODGE_ERROR_STATE "failed to get domain 'X'".
 */
struct dom *domains_find(const struct home *home, const char *key, GError **err);
struct dom *domains_find_name(const struct home *home, const char *name, GError **err);

/* The persistent definition, or (live) that of the running VM. LODGE_ERROR_STATE when there is none. */
struct domain *dom_definition(const struct home *home, const struct dom *dom, bool live, GError **err);
bool dom_uuid(const struct home *home, const struct dom *dom, char uuid[37], GError **err);

/*
 * Lines about crashed VMs that were cleaned up by this process since the last call; char *, may be empty. Front ends
 * print them on stderr.
 */
GPtrArray *domains_notices(void);

/*
 * Definitions. define: new or replacing one of the same name and UUID; refuses (LODGE_ERROR_STATE) when name and UUID
 * belong to different domains. undefine only removes the definition: guards and clean-up are the command's.
 */
bool domains_define(const struct home *home, struct domain *domain, GError **err);
/* Under store_lock(): no other domain, defined or running, has its UUID, and its name has no other UUID. */
bool domains_check_unique(const struct home *home, const struct domain *domain, GError **err);
bool domains_undefine(const struct home *home, const char *name, GError **err);
bool domains_rename(const struct home *home, const char *from, const char *to, GError **err);
/* The live definition of a running VM is replaced (after a live change). */
bool domains_set_live(const struct home *home, const struct dom *dom, const struct domain *domain, GError **err);

#endif
