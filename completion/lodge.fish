# SPDX-License-Identifier: GPL-2.0-or-later
#
# Completion of lodge's command lines for fish: lodge itself knows the commands, their options and the VMs.
# For a lodge that is linked as virsh: complete -c virsh -f -a '(__lodge_candidates)'

function __lodge_candidates
	set -l words (commandline -opc)
	set -l current (commandline -ct)
	$words[1] complete -- $words[2..-1] "$current" 2>/dev/null
end

complete -c lodge -f -a '(__lodge_candidates)'
