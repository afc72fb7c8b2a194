/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TESTS_TINY_GUEST_H
#define LODGE_TESTS_TINY_GUEST_H

#include <elf.h>
#include <glib.h>
#include <string.h>

/*
 * A kernel of a few bytes as an ELF file with a PVH note: code runs at TINY_GUEST_BASE in 32-bit protected mode without
 * paging, interrupts off. Header-only.
 */
#define TINY_GUEST_BASE 0x100000u

static inline void tiny_guest_write(const char *path, const uint8_t *code, size_t len)
{
	g_autoptr(GByteArray) out = g_byte_array_new();
	const uint32_t note[] = { 4, 4, 18, 0x006e6558, TINY_GUEST_BASE }; /* "Xen", XEN_ELFNOTE_PHYS32_ENTRY */
	const uint32_t head = sizeof(Elf32_Ehdr) + 2 * sizeof(Elf32_Phdr);
	const Elf32_Ehdr e = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS32, ELFDATA2LSB, EV_CURRENT },
			       .e_type = ET_EXEC,
			       .e_machine = EM_386,
			       .e_version = EV_CURRENT,
			       .e_entry = TINY_GUEST_BASE,
			       .e_phoff = sizeof(Elf32_Ehdr),
			       .e_ehsize = sizeof(Elf32_Ehdr),
			       .e_phentsize = sizeof(Elf32_Phdr),
			       .e_phnum = 2 };
	const Elf32_Phdr p[2] = {
		{ .p_type = PT_NOTE,
		  .p_offset = head,
		  .p_filesz = sizeof(note),
		  .p_memsz = sizeof(note),
		  .p_align = 4 },
		{ .p_type = PT_LOAD,
		  .p_offset = head + (uint32_t)sizeof(note),
		  .p_vaddr = TINY_GUEST_BASE,
		  .p_paddr = TINY_GUEST_BASE,
		  .p_filesz = (uint32_t)len,
		  .p_memsz = (uint32_t)len,
		  .p_flags = PF_R | PF_X,
		  .p_align = 1 },
	};

	g_byte_array_append(out, (const uint8_t *)&e, sizeof(e));
	g_byte_array_append(out, (const uint8_t *)p, sizeof(p));
	g_byte_array_append(out, (const uint8_t *)note, sizeof(note));
	g_byte_array_append(out, code, (guint)len);
	g_assert_true(g_file_set_contents(path, (const char *)out->data, (gssize)out->len, NULL));
}

#endif
