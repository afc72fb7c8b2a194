/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest without an operating system, entered through PVH in 32-bit protected mode without paging (Xen's
 * hvm/start_info.h). The first letter of its command line says what it does with the machine; see the table below.
 * "up" on the console is the first sign of life.
 */
#define COM1 0x3f8
#define LSR (COM1 + 5)
#define LSR_READY 0x01
#define LSR_BREAK 0x10
#define PM1_CONTROL 0x604
#define PM1_STATUS 0x600
#define POWER_BUTTON 0x100
#define SMI_COMMAND 0xb2
#define ACPI_ENABLE 0xf1
#define SLEEP_S5 0x3400
#define RESET_REGISTER 0xcf9
#define RESET_NOW 0x06
#define KEYBOARD_COMMAND 0x64
#define KEYBOARD_RESET 0xfe
#define PVPANIC 0x505

#define START_INFO_COMMAND_LINE 24

	.section .note.Xen, "a", @note
	.align 4
	.long 4, 4, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long start

	.text
	.code32
	.globl start
start:
	cld
	movl $stack_top, %esp
	movl START_INFO_COMMAND_LINE(%ebx), %ebp
	movl $up, %esi
	call print
	movb (%ebp), %al
	movl $actions, %edi
1:	cmpb $0, (%edi)
	je sleep
	cmpb (%edi), %al
	je 2f
	addl $8, %edi
	jmp 1b
2:	jmp *4(%edi)

	.macro action letter, label
	.byte \letter, 0, 0, 0
	.long \label
	.endm

	.align 8
actions:
	action 'b', button	    /* powers off when the power button is pressed */
	action 'e', echo	    /* sends back what it is sent, "<break>" for a break; q powers off */
	action 'k', keyboard_reset  /* resets through the keyboard controller */
	action 'l', linux_panic	    /* says what a panicked Linux says and spins */
	action 'm', many_ports	    /* says on each of four serial ports which one it is */
	action 'p', poweroff
	action 'r', reset	    /* resets through 0xcf9 */
	action 's', spin	    /* never leaves the processor */
	action 't', triple_fault
	action 'v', pvpanic
	action 'w', write_forever   /* prints as fast as it can */
	.byte 0

/* esi: text that ends with 0. */
print:
	movw $COM1, %dx

/* dx: the port. */
print_at:
1:	lodsb
	testb %al, %al
	je 2f
	outb %al, %dx
	jmp 1b
2:	ret

sleep:
	cli
	hlt
	jmp sleep

spin:
	jmp spin

echo:
	movw $LSR, %dx
	inb %dx, %al
	testb $LSR_BREAK, %al
	jne 1f
	testb $LSR_READY, %al
	je echo
	movw $COM1, %dx
	inb %dx, %al
	cmpb $'q', %al
	je poweroff
	outb %al, %dx
	jmp echo
1:	movw $COM1, %dx
	inb %dx, %al
	movl $break_text, %esi
	call print
	jmp echo

many_ports:
	movb $'0', port_text_number
	movl $port_addresses, %edi
1:	movw (%edi), %dx
	movl $port_text, %esi
	call print_at
	incb port_text_number
	addl $2, %edi
	cmpl $port_addresses_end, %edi
	jne 1b
	jmp sleep

write_forever:
	movl $line, %esi
	call print
	jmp write_forever

button:
	movw $SMI_COMMAND, %dx
	movb $ACPI_ENABLE, %al
	outb %al, %dx
	movl $acpi_text, %esi
	call print
1:	pause
	movw $PM1_STATUS, %dx
	inw %dx, %ax
	testw $POWER_BUTTON, %ax
	je 1b
	jmp poweroff

linux_panic:
	movl $panic_text, %esi
	call print
	jmp spin

poweroff:
	movw $PM1_CONTROL, %dx
	movw $SLEEP_S5, %ax
	outw %ax, %dx
	jmp sleep

reset:
	movw $RESET_REGISTER, %dx
	movb $RESET_NOW, %al
	outb %al, %dx
	jmp sleep

keyboard_reset:
	movb $KEYBOARD_RESET, %al
	outb %al, $KEYBOARD_COMMAND
	jmp sleep

pvpanic:
	movw $PVPANIC, %dx
	movb $1, %al
	outb %al, %dx
	jmp sleep

/* No descriptor for the exception, none for the double fault either. */
triple_fault:
	lidt no_table
	int3

	.section .rodata
up:	.asciz "up\r\n"
line:	.asciz "All work and no play makes Jack a dull boy.\r\n"
acpi_text:
	.asciz "acpi\r\n"
break_text:
	.asciz "<break>"
panic_text:
	.ascii "[    0.1] Kernel panic - not syncing: no init\r\n"
	.asciz "[    0.2] ---[ end Kernel panic - not syncing: no init ]---\r\n"

port_addresses:
	.word 0x3f8, 0x2f8, 0x3e8, 0x2e8
port_addresses_end:

	.data
port_text:
	.ascii "port "
port_text_number:
	.asciz "0\r\n"
no_table:
	.word 0
	.long 0

	.bss
	.align 16
	.skip 4096
stack_top:

	.section .note.GNU-stack, "", @progbits
