/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_STORE_JOURNAL_H
#define LODGE_CORE_STORE_JOURNAL_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "core/base/cleanup.h"
#include "core/home.h"

/*
 * Changes of several files that happen as one. The steps are written to state_dir/journal, whole and synced; that is
 * the moment the change is made. Then they are carried out, and the journal is removed. When that is interrupted, or
 * refused by the host, journal_finish() does the rest: each step can be done again.
 *
 * A step moves a file (or removes it); a file that is not there is no step. All under the store's lock.
 */
struct journal;

struct journal *journal_new(void);
void journal_free(struct journal *journal);
DEFINE_AUTOPTR(journal, journal_free)

void journal_add(struct journal *journal, char *from_consume, char *to_consume); /* to NULL: removed */
/*
 * Of the step with this number: when from is there, to gets this content, or becomes this symbolic link, and from is
 * removed.
 */
void journal_set_content(struct journal *journal, size_t step, const char *text);
void journal_set_link(struct journal *journal, size_t step, const char *target);

/*
 * True: the change is made and will never be lost, though its last steps may be left to journal_finish(). False:
 * nothing has changed. At least one step.
 */
bool journal_commit(const struct home *home, const struct journal *journal, GError **err);

bool journal_exists(const struct home *home);
bool journal_finish(const struct home *home, GError **err);

#endif
