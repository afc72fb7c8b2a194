/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/later.h"

#include <glib.h>

/* virsh's commands that tui/commands.c does not have, by what is missing for them. */
static const struct {
	const char *reason, *names;
} rows[] = {
	{ "it has no saved states yet",
	  "save restore save-image-define save-image-dumpxml save-image-edit managedsave managedsave-remove managedsave-edit "
	  "managedsave-dumpxml managedsave-define" },
	{ "it has no snapshots yet",
	  "snapshot-create snapshot-create-as snapshot-current snapshot-delete snapshot-dumpxml snapshot-edit snapshot-info "
	  "snapshot-list snapshot-parent snapshot-revert" },
	{ "it has no checkpoints yet",
	  "checkpoint-create checkpoint-create-as checkpoint-delete checkpoint-dumpxml checkpoint-edit checkpoint-info "
	  "checkpoint-list checkpoint-parent" },
	{ "it makes no backups yet", "backup-begin backup-dumpxml" },
	{ "it does not migrate yet",
	  "migrate migrate-setmaxdowntime migrate-getmaxdowntime migrate-compcache migrate-setspeed migrate-getspeed "
	  "migrate-postcopy domdirtyrate-calc" },
	{ "a memory dump is the only job, and it is not ended early", "domjobabort" },
	{ "it adds and removes no devices yet; edit changes the definition",
	  "attach-device attach-disk attach-interface change-media detach-device detach-device-alias detach-disk "
	  "detach-interface domif-setlink iothreadadd iothreaddel iothreadset setvcpu update-device update-memory-device" },
	{ "it has no block jobs yet", "blockcommit blockcopy blockjob blockpull blockresize domblkthreshold" },
	{ "it sets no limits for disks and interfaces of running domains yet", "blkdeviotune domiftune" },
	{ "it has no I/O threads yet", "iothreadpin" },
	{ "it has no storage pools and volumes yet",
	  "find-storage-pool-sources-as find-storage-pool-sources pool-autostart pool-build pool-create-as pool-create "
	  "pool-define-as pool-define pool-delete pool-destroy pool-dumpxml pool-edit pool-info pool-list pool-name "
	  "pool-refresh pool-start pool-undefine pool-uuid pool-event pool-capabilities vol-clone vol-create-as "
	  "vol-create vol-create-from vol-delete vol-download vol-dumpxml vol-info vol-key vol-list vol-name vol-path "
	  "vol-pool vol-resize vol-upload vol-wipe" },
	{ "it has no virtual networks yet",
	  "net-autostart net-create net-define net-desc net-destroy net-dhcp-leases net-dumpxml net-edit net-event net-info "
	  "net-list net-metadata net-name net-start net-undefine net-update net-uuid net-port-list net-port-create "
	  "net-port-dumpxml net-port-delete domifaddr" },
	{ "it has no network filters yet",
	  "nwfilter-define nwfilter-dumpxml nwfilter-edit nwfilter-list nwfilter-undefine nwfilter-binding-create "
	  "nwfilter-binding-delete nwfilter-binding-dumpxml nwfilter-binding-list" },
	{ "it does not configure the host's interfaces yet",
	  "iface-begin iface-bridge iface-commit iface-define iface-destroy iface-dumpxml iface-edit iface-list iface-mac "
	  "iface-name iface-rollback iface-start iface-unbridge iface-undefine" },
	{ "it passes no host devices to guests yet",
	  "nodedev-create nodedev-destroy nodedev-detach nodedev-dumpxml nodedev-list nodedev-reattach nodedev-reset "
	  "nodedev-event nodedev-define nodedev-undefine nodedev-start nodedev-autostart nodedev-info nodedev-update" },
	{ "it keeps no secrets yet",
	  "secret-define secret-dumpxml secret-event secret-get-value secret-list secret-set-value secret-undefine" },
	{ "its domains have no graphical display yet", "screenshot vncdisplay domdisplay-reload" },
	{ "its guests do not sleep yet", "dompmsuspend dompmwakeup" },
	{ "its guest agent commands wait for a fixed time", "guest-agent-timeout" },
	{ "it has no perf events; kvmstat has counters of its own", "perf" },
	{ "it opens the files of a definition itself", "dom-fd-associate" },
	{ "it encrypts no guest memory", "domlaunchsecinfo domsetlaunchsecstate nodesevinfo" },
	{ "it is for containers, and Lodge runs virtual machines", "lxc-enter-namespace send-process-signal" },
	{ "its guest agent commands do not reach SSH keys yet", "get-user-sshkeys set-user-sshkeys" },
	{ "it is for QEMU's own processes", "qemu-attach" },
};

const char *later_reason(const char *name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_auto(GStrv) names = g_strsplit(rows[i].names, " ", -1);

		if (g_strv_contains((const char *const *)names, name))
			return rows[i].reason;
	}
	return NULL;
}
