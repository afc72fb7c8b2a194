/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/command.h"

/*
 * Every command there is, by group and name: what is not here does not exist. A command is a row in tui/cmd/, and this is
 * the one list of them.
 */
extern const struct command cmd_allocpages, cmd_autostart, cmd_blkiotune, cmd_capabilities, cmd_cd, cmd_complete,
	cmd_connect, cmd_console, cmd_cpu_baseline, cmd_cpu_compare, cmd_cpu_models, cmd_cpu_stats,
	cmd_create, cmd_define, cmd_desc, cmd_destroy, cmd_domblkerror, cmd_domblkinfo, cmd_domblklist,
	cmd_domblkstat, cmd_domcapabilities, cmd_domcontrol, cmd_domdisplay, cmd_domfsfreeze, cmd_domfsinfo,
	cmd_domfsthaw, cmd_domfstrim, cmd_domhostname, cmd_domid, cmd_domif_getlink, cmd_domiflist,
	cmd_domifstat, cmd_dominfo, cmd_domjobinfo, cmd_dommemstat, cmd_domname, cmd_domrename, cmd_domstate,
	cmd_domstats, cmd_domtime, cmd_domuuid, cmd_domxml_from_native, cmd_domxml_to_native, cmd_dump,
	cmd_dumpxml, cmd_echo, cmd_edit, cmd_emulatorpin, cmd_event, cmd_exit, cmd_freecell, cmd_freepages,
	cmd_guestinfo, cmd_guests, cmd_guestvcpus, cmd_help, cmd_host, cmd_hostname,
	cmd_hypervisor_cpu_baseline, cmd_hypervisor_cpu_compare, cmd_inject_nmi, cmd_iothreadinfo,
	cmd_kvmstat, cmd_list, cmd_maxvcpus, cmd_memtune, cmd_metadata, cmd_metrics, cmd_node_memory_tune,
	cmd_nodecpumap, cmd_nodecpustats, cmd_nodeinfo, cmd_nodememstats, cmd_nodesuspend, cmd_numatune,
	cmd_pwd, cmd_qemu_agent_command, cmd_qemu_monitor_command, cmd_qemu_monitor_event, cmd_quit,
	cmd_reboot, cmd_reset, cmd_resume, cmd_run, cmd_schedinfo, cmd_send_key, cmd_set_lifecycle_action,
	cmd_set_user_password, cmd_setmaxmem, cmd_setmem, cmd_setvcpus, cmd_shutdown, cmd_start, cmd_stats,
	cmd_suspend, cmd_sysinfo, cmd_top, cmd_ttyconsole, cmd_undefine, cmd_uri, cmd_vcpucount, cmd_vcpuinfo,
	cmd_vcpupin, cmd_version, cmd_xml_validate;

const struct command *const commands[] = {
	/* domain */
	&cmd_autostart, &cmd_blkiotune, &cmd_console, &cmd_cpu_stats, &cmd_create, &cmd_define, &cmd_desc,
	&cmd_destroy, &cmd_domdisplay, &cmd_domfsfreeze, &cmd_domfsthaw, &cmd_domfstrim, &cmd_domhostname, &cmd_domid,
	&cmd_domjobinfo, &cmd_domname, &cmd_domrename, &cmd_domtime, &cmd_domuuid, &cmd_domxml_from_native,
	&cmd_domxml_to_native, &cmd_dump, &cmd_dumpxml, &cmd_edit, &cmd_emulatorpin, &cmd_guestvcpus, &cmd_inject_nmi,
	&cmd_iothreadinfo, &cmd_memtune, &cmd_metadata, &cmd_numatune, &cmd_qemu_agent_command,
	&cmd_qemu_monitor_command, &cmd_qemu_monitor_event, &cmd_reboot, &cmd_reset, &cmd_resume, &cmd_schedinfo,
	&cmd_send_key, &cmd_set_lifecycle_action, &cmd_set_user_password, &cmd_setmaxmem, &cmd_setmem, &cmd_setvcpus,
	&cmd_shutdown, &cmd_start, &cmd_suspend, &cmd_ttyconsole, &cmd_undefine, &cmd_vcpucount, &cmd_vcpuinfo,
	&cmd_vcpupin,
	/* monitor */
	&cmd_domblkerror, &cmd_domblkinfo, &cmd_domblklist, &cmd_domblkstat, &cmd_domcontrol, &cmd_domfsinfo,
	&cmd_domif_getlink, &cmd_domiflist, &cmd_domifstat, &cmd_dominfo, &cmd_dommemstat, &cmd_domstate,
	&cmd_domstats, &cmd_event, &cmd_guestinfo, &cmd_list,
	/* host */
	&cmd_allocpages, &cmd_capabilities, &cmd_cpu_baseline, &cmd_cpu_compare, &cmd_cpu_models,
	&cmd_domcapabilities, &cmd_freecell, &cmd_freepages, &cmd_hostname, &cmd_hypervisor_cpu_baseline,
	&cmd_hypervisor_cpu_compare, &cmd_maxvcpus, &cmd_node_memory_tune, &cmd_nodecpumap, &cmd_nodecpustats,
	&cmd_nodeinfo, &cmd_nodememstats, &cmd_nodesuspend, &cmd_sysinfo, &cmd_uri, &cmd_version,
	/* lodge */
	&cmd_guests, &cmd_host, &cmd_kvmstat, &cmd_metrics, &cmd_run, &cmd_stats, &cmd_top, &cmd_xml_validate,
	/* shell */
	&cmd_cd, &cmd_complete, &cmd_connect, &cmd_echo, &cmd_exit, &cmd_help, &cmd_pwd, &cmd_quit,
	NULL,
};
