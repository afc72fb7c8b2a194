/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/control-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "vmm/paging.h"

/* Methods that write guest memory to files: the whole as a core dump, or a piece as it is. */
#define PIECE 65536u

/* What the waiting client, if there is one, is to be told about a dump. */
struct dump_call {
	struct control *control;
	struct control_waiter *waiter; /* NULL: the client did not want to wait */
};

static json_t *dump_status(const struct dump *dump)
{
	static const char *const names[] = {
		[DUMP_ACTIVE] = "active", [DUMP_COMPLETED] = "completed", [DUMP_FAILED] = "failed"
	};
	uint64_t completed = 0, total = 0;
	const char *name = dump ? names[dump_progress(dump, &completed, &total)] : "none";

	return json_pack("{s:s, s:I, s:I}", "status", name, "completed", (json_int_t)completed, "total",
			 (json_int_t)total);
}

static void dump_done(void *opaque, const GError *error)
{
	struct dump_call *call = opaque;
	json_t *data = json_pack("{s:o}", "result", dump_status(*control_dump(call->control)));

	if (error)
		json_object_set_new(data, "error", json_string(error->message));
	control_event(call->control, "DUMP_COMPLETED", data);
	if (call->waiter)
		control_answer(call->waiter, error ? NULL : json_object(), error ? g_error_copy(error) : NULL);
	g_free(call);
}

static int create_file(const char *path, GError **err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0600);

	if (fd < 0)
		fail_errno(err, "%s: cannot create", path);
	return fd;
}

static int open_protocol(struct control_call *call, GError **err)
{
	const char *protocol = control_string(call, "protocol");

	if (g_str_has_prefix(protocol, "fd:"))
		return control_take_fd(call, protocol + strlen("fd:"), err);
	if (g_str_has_prefix(protocol, "file:"))
		return create_file(protocol + strlen("file:"), err);
	fail(err, LODGE_ERROR_INPUT, "protocol '%s': fd:NAME or file:PATH is expected", protocol);
	return -1;
}

static bool may_dump(struct control_call *call, GError **err)
{
	const char *format = control_string(call, "format");
	bool begin = json_object_get(call->args, "begin"), length = json_object_get(call->args, "length");

	if (format && strcmp(format, "elf") != 0)
		return fail(err, LODGE_ERROR_UNSUPPORTED, "dump format '%s' is not supported: elf is", format);
	if (control_bool(call, "paging", false))
		return fail(err, LODGE_ERROR_UNSUPPORTED,
			    "dumps by the guest's page tables are not supported: ask for paging false");
	if (begin != length)
		return fail(err, LODGE_ERROR_INPUT, "parameters 'begin' and 'length' belong together");
	if (length && !control_int(call, "length", 0))
		return fail(err, LODGE_ERROR_INPUT, "parameter 'length' is 0");
	if (*control_dump(call->control) && dump_is_active(*control_dump(call->control)))
		return fail(err, LODGE_ERROR_STATE, "a memory dump is being written already");
	return true;
}

static json_t *dump_memory(struct control_call *call, GError **err)
{
	struct dump **dump = control_dump(call->control);
	struct dump_call *later;
	int fd;

	if (!may_dump(call, err))
		return NULL;
	fd = open_protocol(call, err);
	if (fd < 0)
		return NULL;
	g_clear_pointer(dump, dump_free);
	later = g_new0(struct dump_call, 1);
	later->control = call->control;
	*dump = dump_start(call->vm, fd, control_int(call, "begin", 0), control_int(call, "length", 0), dump_done,
			   later, err);
	if (!*dump) {
		g_free(later);
		return NULL;
	}
	if (control_bool(call, "detach", false))
		return json_object();
	later->waiter = control_call_wait(call);
	return NULL;
}

static json_t *query_dump(struct control_call *call, G_GNUC_UNUSED GError **err)
{
	return dump_status(*control_dump(call->control));
}

static json_t *query_dump_capability(G_GNUC_UNUSED struct control_call *call, G_GNUC_UNUSED GError **err)
{
	return json_pack("{s:[s]}", "formats", "elf");
}

/* --- pieces --- */

static bool write_all(int fd, const char *path, const uint8_t *data, size_t len, GError **err)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail_errno(err, "%s: cannot write", path);
		data += n;
		len -= (size_t)n;
	}
	return true;
}

/* The file is only made when the first byte can be read. cpu NULL: addresses are physical. */
static bool save_piece(struct control_call *call, const struct x86_cpu_state *cpu, GError **err)
{
	uint64_t addr = control_int(call, "val", 0), size = control_int(call, "size", 0);
	const char *path = control_string(call, "filename");
	g_autofree uint8_t *buffer = g_malloc(PIECE);
	auto_fd int fd = -1;

	if (!size || size > memory_size(call->vm->mem))
		return fail(err, LODGE_ERROR_INPUT, "size: 1 to %" G_GUINT64_FORMAT " bytes",
			    memory_size(call->vm->mem));
	while (size) {
		size_t len = (size_t)MIN(size, PIECE - addr % PIECE);

		if (!paging_read(call->vm->mem, cpu, addr, buffer, len))
			return fail(err, LODGE_ERROR_INPUT,
				    "Invalid addr 0x%016" G_GINT64_MODIFIER "x/size %zu specified", addr, len);
		if (fd < 0)
			fd = create_file(path, err);
		if (fd < 0 || !write_all(fd, path, buffer, len, err))
			return false;
		addr += len;
		size -= len;
	}
	return true;
}

static json_t *pmemsave(struct control_call *call, GError **err)
{
	return save_piece(call, NULL, err) ? json_object() : NULL;
}

static json_t *memsave(struct control_call *call, GError **err)
{
	uint64_t index = control_int(call, "cpu-index", 0);
	struct x86_cpu_state cpu;

	if (!paging_cpu_state(call->vm, index, &cpu))
		return fail_null(err, LODGE_ERROR_INPUT, "the guest has no vCPU %" G_GUINT64_FORMAT, index);
	return save_piece(call, &cpu, err) ? json_object() : NULL;
}

const struct control_method control_memory_methods[] = {
	CONTROL_METHOD("dump-guest-memory", "write the guest's memory and registers as an ELF core file", dump_memory,
		       { "paging", CONTROL_BOOL, true }, { "protocol", CONTROL_STRING, true },
		       { "detach", CONTROL_BOOL, false }, { "begin", CONTROL_INT, false },
		       { "length", CONTROL_INT, false }, { "format", CONTROL_STRING, false }),
	CONTROL_METHOD("query-dump", "how far the memory dump is", query_dump),
	CONTROL_METHOD("query-dump-guest-memory-capability", "formats of memory dumps", query_dump_capability),
	CONTROL_METHOD("memsave", "write guest memory by virtual address to a file", memsave,
		       { "val", CONTROL_INT, true }, { "size", CONTROL_INT, true },
		       { "filename", CONTROL_STRING, true }, { "cpu-index", CONTROL_INT, false }),
	CONTROL_METHOD("pmemsave", "write guest memory by physical address to a file", pmemsave,
		       { "val", CONTROL_INT, true }, { "size", CONTROL_INT, true },
		       { "filename", CONTROL_STRING, true }),
	CONTROL_END,
};
