/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kernel image loaders. The first byte chooses the VM (RAM size, initrd, command line), the rest is the image. A file
 * that is taken must give an entry point in RAM; one that is refused must say why.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "vmm/boot.h"

#define MIB (UINT64_C(1) << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bits 1:0 RAM, bit 2 an initrd, bit 3 a long command line. */
static void load(uint8_t choice, const uint8_t *kernel, size_t kernel_size)
{
	static const uint64_t sizes[] = { 1 * MIB, 4 * MIB, 32 * MIB, 96 * MIB };
	static const uint8_t initrd[5000];
	g_autofree char *append = g_strnfill(choice & 8 ? 3000 : 10, 'a');
	autoptr(memory) mem = memory_new(sizes[choice & 3], NULL);
	struct boot_spec spec = {
		.kernel = kernel,
		.kernel_size = kernel_size,
		.initrd = choice & 4 ? initrd : NULL,
		.initrd_size = choice & 4 ? sizeof(initrd) : 0,
		.kernel_name = "kernel",
		.initrd_name = "initrd",
		.append = append,
		.rsdp = 0xe0000,
		.acpi_base = 0xe0000,
		.acpi_size = 0x10000,
	};
	struct x86_cpu_state state;
	g_autoptr(GError) error = NULL;

	g_assert_nonnull(mem);
	if (!boot_load(mem, &spec, &state, &error)) {
		g_assert_nonnull(error);
		return;
	}
	g_assert_no_error(error);
	g_assert_cmpuint(state.rip, >=, MIB);
	g_assert_cmpuint(state.rip, <, memory_low_size(mem));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0)
		load(data[0], data + 1, size - 1);
	return 0;
}
