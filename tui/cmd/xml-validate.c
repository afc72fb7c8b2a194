/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "core/base/error.h"
#include "core/model/schema.h"
#include "core/model/xml.h"
#include "tui/command.h"

/* Kinds by the names of virt-xml-validate's schema files, where those differ from ours. */
static const struct {
	const char *alias;
	enum xml_kind kind;
} aliases[] = {
	{ "storagepool", XML_POOL },	    { "storagevol", XML_VOLUME },
	{ "domainsnapshot", XML_SNAPSHOT }, { "domaincheckpoint", XML_CHECKPOINT },
	{ "domainbackup", XML_BACKUP },	    { "nwfilterbinding", XML_NWFILTER_BINDING },
};

static const struct schema *schema_named(const char *name, GError **err)
{
	GString *names;

	for (unsigned i = 0; i < XML_N_KINDS; i++) {
		if (!strcmp(schema_of(i)->name, name))
			return schema_of(i);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(aliases); i++) {
		if (!strcmp(aliases[i].alias, name))
			return schema_of(aliases[i].kind);
	}
	names = g_string_new(NULL);
	for (unsigned i = 0; i < XML_N_KINDS; i++)
		g_string_append_printf(names, "%s%s", i ? ", " : "", schema_of(i)->name);
	fail(err, LODGE_ERROR_USAGE, "--schema '%s': there are %s", name, names->str);
	g_string_free(names, TRUE);
	return NULL;
}

static const struct schema *schema_of_doc(xmlDoc *doc, GError **err)
{
	xmlNode *root = xmlDocGetRootElement(doc);
	g_autofree char *type = xml_get(root, "@type");
	const struct schema *schema = schema_for_root((const char *)root->name, type);

	if (!schema)
		fail_xml(err, root, NULL, "no kind of document begins with this element");
	return schema;
}

static bool validate(struct session *session, const char *path, const struct schema *schema, bool normalize,
		     GError **err)
{
	auto_xml xmlDoc *doc = xml_parse_file(path, err);
	g_autofree char *text = NULL;

	if (!doc)
		return false;
	schema = schema ? schema : schema_of_doc(doc, err);
	if (!schema || !schema_check(schema, doc, true, err))
		return false;
	if (!normalize) {
		fprintf(session->out, "%s validates\n", path);
		return true;
	}
	schema_order(schema, doc);
	text = xml_format(xmlDocGetRootElement(doc));
	fputs(text, session->out);
	return true;
}

/* Every file is looked at; the last failure is the command's own, those before it are said at once. */
static bool run(struct session *session, const struct args *args, GError **err)
{
	const char *name = args_string(args, "schema");
	const struct schema *schema = name ? schema_named(name, err) : NULL;
	g_autoptr(GError) last = NULL;

	if (name && !schema)
		return false;
	for (const char *const *path = args_rest(args); *path; path++) {
		g_autoptr(GError) error = NULL;

		if (validate(session, *path, schema, args_flag(args, "normalize"), &error))
			continue;
		if (last)
			fprintf(session->err_out, "error: %s\n", last->message);
		g_clear_error(&last);
		last = g_steal_pointer(&error);
	}
	if (!last)
		return true;
	g_propagate_error(err, g_steal_pointer(&last));
	return false;
}

static const struct arg_row rows[] = {
	{ .name = "schema", .type = ARG_STRING, .help = "kind of the documents; otherwise their first element tells" },
	{ .name = "normalize", .type = ARG_FLAG, .help = "print the document in canonical order and form" },
	{ .name = "file",
	  .type = ARG_REST,
	  .flags = ARG_REQUIRED,
	  .help = "files to check, - for standard input",
	  .complete = COMPLETE_FILE },
	ARG_END,
};

const struct command cmd_xml_validate = {
	.name = "xml-validate",
	.group = GROUP_LODGE,
	.flags = COMMAND_LODGE | COMMAND_NO_CONNECT,
	.help = "check XML documents against what may stand in them",
	.about =
		"Elements and attributes that are not known are errors here, while define keeps them (its --validate asks for the "
		"same strictness). An error names file, line, element and what is allowed.",
	.args = rows,
	.run = run,
};
