# SPDX-License-Identifier: GPL-2.0-or-later
#
# Prints "file: command" for each command word a bash script calls by a literal name. A reader of shell syntax, not a full parser:
# it knows quotes, substitutions, here-documents, case, arrays, [[ ]], (( )), redirections and functions, which is what our scripts
# use. Names of builtins and of functions are printed like any other; the caller knows better which those are.
#
# kind[] is the stack of what encloses the current character: "code", "case" (code between its patterns), "pattern", "quote" (double),
# "brace" (${ }), "math", "test" ([[ ]]), "array". Only "code" and "case" have commands; expect[] says that the next word is one.

BEGIN {
	# After these words another command word follows.
	split("if then else elif do while until ! { time", words, " ")
	for (i in words)
		opens[words[i]] = 1
	# After these, and their options and arguments, as well; they are commands themselves.
	split("exec env command sudo nice timeout xargs setsid as_root run", words, " ")
	for (i in words)
		prefix[words[i]] = 1
	split("done fi } esac", words, " ")
	for (i in words)
		closes[words[i]] = 1
}

FNR == 1 {
	flush_file()
	file = FILENAME
}
{ text = text $0 "\n" }
END { flush_file() }

function push(what) {
	# The word around a substitution goes on after it.
	saved_word[depth] = word
	saved_skip[depth] = skip_next
	kind[++depth] = what
	expect[depth] = what == "code"
	after[depth] = ""
	word = ""
	plain = 1
	skip_next = 0
}

function pop() {
	depth--
	word = saved_word[depth]
	skip_next = saved_skip[depth]
	plain = 0
}

function end_word(  name) {
	if (word == "" && plain)
		return
	name = word
	if (kind[depth] == "case" || kind[depth] == "code")
		command_word(name)
	else if (kind[depth] == "test" && name == "]]")
		depth--
	word = ""
	plain = 1
}

function command_word(name) {
	if (skip_next) {
		skip_next = 0
		return
	}
	if (in_case == depth && name == "in") {
		in_case = 0
		kind[++depth] = "pattern"
		expect[depth] = 0
		return
	}
	if (!expect[depth] || name ~ /^[A-Za-z_][A-Za-z_0-9]*(\[.*\])?\+?=/)
		return
	if (plain && (name in opens))
		return
	if (after[depth] != "" && name ~ /^(-|[0-9])/)
		return
	after[depth] = ""
	expect[depth] = 0
	if (!plain)
		return
	if (name == "case")
		in_case = depth
	else if (name == "[[")
		kind[++depth] = "test"
	else if (name == "esac" && kind[depth] == "case")
		depth--
	else if (name ~ /^(for|select|function)$/ || (name in closes))
		;
	else if (name ~ /^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/) {
		print file ": " name
		if (name in prefix) {
			expect[depth] = 1
			after[depth] = name
		}
	}
}

function separator() {
	end_word()
	if (kind[depth] == "code" || kind[depth] == "case") {
		expect[depth] = 1
		after[depth] = ""
		skip_next = 0
	}
}

# The position after the here-documents that begin on the line that ends at pos.
function skip_documents(pos,  i, line, eol) {
	for (i = 1; i <= documents; i++) {
		while (pos <= length(text)) {
			eol = index(substr(text, pos), "\n")
			line = substr(text, pos, eol - 1)
			pos += eol
			if (tabs[i])
				sub("^\t*", "", line)
			if (line == delimiter[i])
				break
		}
	}
	documents = 0
	return pos
}

function flush_file(  i, c, two, rest, end) {
	depth = 1
	kind[1] = "code"
	expect[1] = 1
	word = ""
	plain = 1
	in_case = 0
	skip_next = 0
	documents = 0
	for (i = 1; i <= length(text); i++) {
		c = substr(text, i, 1)
		two = substr(text, i, 2)

		if (c == "\\") {
			if (two != "\\\n") {
				word = word substr(two, 2)
				plain = 0
			}
			i++
		} else if (c == "'" && kind[depth] !~ /^(quote|math)$/) {
			end = index(substr(text, i + 1), "'")
			word = word substr(text, i + 1, end - 1)
			plain = 0
			i += end
		} else if (c == "\"") {
			if (kind[depth] == "quote")
				pop()
			else
				push("quote")
		} else if (substr(text, i, 3) == "$((") {
			push("math")
			math_parens[depth] = 2
			i += 2
		} else if (two == "$(" || ((two == "<(" || two == ">(") && kind[depth] ~ /^(code|case)$/)) {
			push("code")
			i++
		} else if (two == "${") {
			push("brace")
			i++
		} else if (c == "$") {
			word = word c
			plain = 0
			# "$#" is no comment, "$'" is no plain quote.
			if (two ~ /^\$[#$?!@*-]$/)
				i++
		} else if (kind[depth] == "quote") {
			continue
		} else if (kind[depth] == "brace") {
			if (c == "}")
				pop()
		} else if (kind[depth] == "math") {
			if (c == "(")
				math_parens[depth]++
			else if (c == ")" && --math_parens[depth] == 0)
				pop()
		} else if (c == "#" && word == "" && plain) {
			i += index(substr(text, i), "\n") - 2
		} else if (kind[depth] == "array") {
			if (c == ")")
				pop()
			else if (c ~ /[ \t\n]/) {
				word = ""
				plain = 1
			} else
				word = word c
		} else if (kind[depth] == "pattern") {
			if (word == "esac" && c ~ /[ \t\n;)]/) {
				depth--
				i--
				word = ""
				plain = 1
			} else if (c ~ /[ \t\n]/) {
				word = ""
				plain = 1
			} else if (c == ")") {
				kind[depth] = "case"
				expect[depth] = 1
				after[depth] = ""
				word = ""
				plain = 1
			} else
				word = word c
		} else if (kind[depth] == "test") {
			if (c ~ /[ \t\n]/ || (word == "]]" && c ~ /[;&|)]/)) {
				end_word()
				if (c !~ /[ \t]/ && kind[depth] != "test")
					i--
			} else
				word = word c
		} else if (two == ";;" && kind[depth] == "case") {
			end_word()
			kind[depth] = "pattern"
			i++
		} else if (two == "((" && word == "" && plain) {
			push("math")
			math_parens[depth] = 2
			i++
		} else if (two == "()") {
			# A function: its name is no call.
			word = ""
			plain = 1
			expect[depth] = 1
			i++
		} else if (c == "(") {
			if (word ~ /=$/)
				push("array")
			else
				push("code")
		} else if (c == ")") {
			end_word()
			pop()
			if (kind[depth] == "code" || kind[depth] == "case")
				word = ""
		} else if (two == "<<" && substr(text, i, 3) != "<<<") {
			end_word()
			rest = substr(text, i + 2)
			tabs[++documents] = sub("^-", "", rest)
			sub("^[ \t]*", "", rest)
			match(rest, /^[^ \t\n;|&)]+/)
			delimiter[documents] = substr(rest, 1, RLENGTH)
			gsub(/['"\\]/, "", delimiter[documents])
			i = length(text) - length(rest) + RLENGTH
		} else if (c == "<" || c == ">") {
			# A number or & in front of it belongs to it; the word after it is a file.
			if (word !~ /^[0-9&]*$/)
				end_word()
			word = ""
			plain = 1
			while (substr(text, i + 1, 1) ~ /[<>&|]/)
				i++
			skip_next = kind[depth] ~ /^(code|case)$/
		} else if (two == "&>") {
			end_word()
		} else if (c == "\n") {
			separator()
			i = skip_documents(i + 1) - 1
		} else if (c ~ /[;&|]/) {
			separator()
		} else if (c ~ /[ \t]/) {
			end_word()
		} else {
			word = word c
		}
	}
	if (depth != 1 && text != "")
		print file ": !unbalanced"
	text = ""
}
