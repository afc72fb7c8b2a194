/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_AML_H
#define LODGE_VMM_AML_H

#include <glib.h>
#include <stdint.h>

#include "core/base/cleanup.h"

/*
 * A small writer of ACPI Machine Language (ACPI 6.4 chapter 20) and resource templates (section 6.4). Calls append
 * terms in the order they are made; blocks are opened with aml_begin_*() and closed with aml_end(), which fills in
 * their lengths. Misuse is a programming error.
 *
 * Names are written as in ASL: "PCI0", "_CRS", "\\_SB", "^PCI0.S00"; short segments are padded with '_'.
 */
struct aml;

struct aml *aml_new(void);
void aml_free(struct aml *aml);
DEFINE_AUTOPTR(aml, aml_free)

/* The bytes so far; every block must be closed. Valid until the next call. */
const GByteArray *aml_bytes(const struct aml *aml);

/* Blocks. A package takes data objects, a conditional takes its predicate first. */
void aml_begin_scope(struct aml *aml, const char *name);
void aml_begin_device(struct aml *aml, const char *name);
void aml_begin_method(struct aml *aml, const char *name, unsigned n_args); /* serialized, so that it may create names */
void aml_begin_package(struct aml *aml, unsigned n_elements);		   /* at most 255 */
void aml_begin_if(struct aml *aml);
void aml_begin_else(struct aml *aml);
void aml_begin_resources(struct aml *aml); /* a buffer; ended with an end tag */
void aml_end(struct aml *aml);

/* Name(name, ...): the data object follows. */
void aml_name(struct aml *aml, const char *name);
void aml_name_int(struct aml *aml, const char *name, uint64_t val);
void aml_name_eisaid(struct aml *aml, const char *name, const char *id);

/* Data objects and references. */
void aml_int(struct aml *aml, uint64_t val);
void aml_string(struct aml *aml, const char *text);
void aml_eisaid(struct aml *aml, const char *id); /* "PNP0A08" */
void aml_uuid(struct aml *aml, const char *text); /* as ToUUID(): a 16 byte buffer */
void aml_ref(struct aml *aml, const char *name);
void aml_arg(struct aml *aml, unsigned n);
void aml_local(struct aml *aml, unsigned n);

/* Operators: their operands follow, in ASL order. */
enum aml_operator { AML_STORE, AML_AND, AML_OR, AML_EQUAL, AML_NOT, AML_RETURN, AML_N_OPERATORS };
void aml_operator(struct aml *aml, enum aml_operator op);

/* The unused target of AML_AND and the like. */
void aml_no_target(struct aml *aml);

/* CreateDWordField(Arg<arg>, index, name) */
void aml_create_dword_field(struct aml *aml, unsigned arg, unsigned index, const char *name);

/* Resource descriptors; only between aml_begin_resources() and aml_end(). */
void aml_io(struct aml *aml, uint16_t base, uint8_t len); /* fixed ports, 16-bit decode */
void aml_irq(struct aml *aml, unsigned irq);		  /* edge, active high, exclusive; below 16 */
void aml_memory32(struct aml *aml, uint32_t base, uint32_t len);

/* Windows a bridge passes on (resource producer). len is not 0. */
void aml_bus_window(struct aml *aml, uint16_t first, uint16_t len);
void aml_io_window(struct aml *aml, uint16_t base, uint32_t len);
void aml_memory32_window(struct aml *aml, uint32_t base, uint32_t len);
void aml_memory64_window(struct aml *aml, uint64_t base, uint64_t len);

#endif
