/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_AGENT_H
#define LODGE_CORE_AGENT_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "core/base/cleanup.h"
#include "core/home.h"

/*
 * The program in the guest that does what only the inside can do: JSON over the channel "org.qemu.guest_agent.0", QEMU's guest
 * agent protocol. What comes from it is a guest's word: limited in size and depth, and nobody waits for it longer than he wants.
 */
struct agent;

#define AGENT_CHANNEL "org.qemu.guest_agent.0"
#define AGENT_SYNC_MS 5000 /* to answer the first greeting */
#define AGENT_TIMEOUT_MS 30000
#define AGENT_MAX_ANSWER (8u << 20) /* bytes */

/*
 * Connects to the agent of a running VM and synchronises with it. timeout_ms -1: AGENT_SYNC_MS. One front end at a time has the
 * agent; others wait for it as long. LODGE_ERROR_UNSUPPORTED: the VM has no such channel; LODGE_ERROR_STATE: no agent
 * answers.
 */
struct agent *agent_open(const struct home *home, const char *vm_name, int timeout_ms, GError **err);
void agent_free(struct agent *agent);
DEFINE_AUTOPTR(agent, agent_free)

/*
 * Executes one command: "return" (new reference). arguments: stolen, may be NULL. An error object of the agent becomes
 * LODGE_ERROR_GUEST with the agent's words. timeout_ms 0: does not wait, NULL without an error; -1: AGENT_TIMEOUT_MS; G_MAXINT: for ever.
 */
json_t *agent_execute(struct agent *agent, const char *command, json_t *arguments, int timeout_ms, GError **err);

/* The whole answer object of a message given as it is ({"execute": ...}). new reference. */
json_t *agent_execute_raw(struct agent *agent, const json_t *message, int timeout_ms, GError **err);

/* open, execute, free. */
json_t *agent_once(const struct home *home, const char *vm_name, const char *command, json_t *arguments, GError **err);

/* mode: "powerdown", "reboot" or "halt". The agent says nothing when it succeeds. */
bool agent_shutdown(const struct home *home, const char *vm_name, const char *mode, GError **err);

/* The guest's vCPUs go on or off line until as many are on line; how many really are: see the guest. */
bool agent_set_vcpus(const struct home *home, const char *vm_name, unsigned online, GError **err);

#endif
