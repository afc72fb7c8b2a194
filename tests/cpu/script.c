/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cases written by hand: small programs with loops, calls and jump tables, which random sequences do not have, and
 * every operand of the decimal instructions. Each is assembled here, copied into CODE and run from many random
 * states.
 *
 * They may rely on: RBX, RSI, RDI, RBP and RSP (or the 32-bit halves) point into DATA, 1 KiB apart; RCX is 1 to
 * 12. They end behind their last instruction.
 */
#include <string.h>

#include "tests/cpu/conform.h"

/* clang-format off */
#define SCRIPT(name, code) \
	__asm__(".pushsection .rodata\n" #name ":\n" code "\n" #name "_end:\n.popsection"); \
	extern const uint8_t name[], name##_end[]
#define SCRIPT32(name, code) SCRIPT(name, ".code32\n" code "\n.code64")

SCRIPT(gcd,
	"or $1, %ecx; mov %ebx, %eax\n"
	"1: xor %edx, %edx; div %ecx; mov %ecx, %eax; mov %edx, %ecx; test %ecx, %ecx; jnz 1b");
SCRIPT(fibonacci,
	"call 1f; jmp 3f\n"
	"1: cmp $2, %ecx; mov %ecx, %eax; jb 2f; push %rcx; dec %ecx; call 1b; pop %rcx\n"
	"push %rax; sub $2, %ecx; call 1b; pop %rdx; add %rdx, %rax\n"
	"2: ret\n"
	"3:");
SCRIPT(strings,
	"cld; mov %rcx, %rdx; rep movsb; mov %rdx, %rcx; std; rep movsw; mov %edx, %eax; mov %rdx, %rcx; cld; rep stosl\n"
	"lea 8(%rdx), %rcx; repne scasb; setne %r8b; mov %rdx, %rcx; repe cmpsb; sete %r9b; lodsq");
SCRIPT(overlap,
	"cld; lea 3(%rsi), %rdi; rep movsb; lea 40(%rsi), %rcx; sub %rsi, %rcx; lea 1(%rsi), %rdi; rep movsb\n"
	"std; mov $17, %ecx; lea -5(%rsi), %rdi; rep movsw; mov $9, %ecx; lea 8(%rdi), %rsi; rep movsq");
SCRIPT(bubble_sort,
	"mov %ecx, %edx\n"
	"1: mov %ecx, %r8d; mov %rsi, %r9\n"
	"2: mov (%r9), %eax; cmp 4(%r9), %eax; jle 3f; xchg 4(%r9), %eax; mov %eax, (%r9)\n"
	"3: add $4, %r9; dec %r8d; jnz 2b; dec %edx; jnz 1b");
SCRIPT(checksum,
	"mov $-1, %eax\n"
	"1: xorb (%rsi), %al; inc %rsi; mov $8, %dl\n"
	"2: shr %eax; jnc 3f; xor $0xedb88320, %eax\n"
	"3: dec %dl; jnz 2b; loop 1b; not %eax; crc32q (%rsi), %rax");
SCRIPT(atomics,
	"1: mov (%rdi), %eax\n"
	"2: lea 1(%rax), %edx; lock cmpxchg %edx, (%rdi); jne 2b; lock xadd %rdx, 8(%rdi); lock btsl %ecx, 16(%rdi); adc $0, %r8\n"
	"lock incw 20(%rdi); xchg %r9b, 24(%rdi); lock negq 32(%rdi); lock cmpxchg8b 40(%rdi); dec %ecx; jnz 1b");
SCRIPT(floats,
	"fninit; fldz; fld1\n"
	"1: push %rcx; fildl (%rsp); pop %rcx; fdivrp %st, %st(1); fadd %st, %st(1); fld1; fxch; fsqrt; fstp %st(0); loop 1b\n"
	"fldpi; fsin; fldl2e; fyl2x; fxtract; fstpl (%rdi); fistpll 8(%rdi); fbstp 16(%rdi); fnstsw %ax");
SCRIPT(dot_product,
	"xorps %xmm0, %xmm0\n"
	"1: movups (%rsi), %xmm1; mulps 16(%rsi), %xmm1; addps %xmm1, %xmm0; cvtps2pd %xmm1, %xmm2; maxpd %xmm2, %xmm3\n"
	"lea 4(%rsi), %rsi; and $-16, %rsi; loop 1b\n"
	"haddps %xmm0, %xmm0; haddps %xmm0, %xmm0; cvttss2si %xmm0, %rax; comiss %xmm1, %xmm0; stmxcsr (%rdi)");
SCRIPT(gathers,
	"vpcmpeqd %ymm1, %ymm1, %ymm1; vpsrld $22, %ymm2, %ymm2\n"
	"1: vmovdqa %ymm1, %ymm3; vpgatherdd %ymm3, (%rbx,%ymm2,1), %ymm4; vpermd %ymm4, %ymm2, %ymm5; vpaddd %ymm5, %ymm6, %ymm6\n"
	"vpmaskmovd %ymm6, %ymm5, (%rdi); vpsrld $1, %ymm2, %ymm2; loop 1b; vzeroupper");
SCRIPT(jump_table,
	"1: lea 3f(%rip), %rax; mov %ecx, %edx; and $3, %edx; lea (%rax,%rdx,8), %rax; jmp *%rax\n"
	".balign 8\n"
	"3: add %ecx, %ebx; jmp 4f; .balign 8; xor %ecx, %ebx; jmp 4f; .balign 8; rol $3, %ebx; jmp 4f; .balign 8; not %ebx; add %ebx, %eax\n"
	"4: dec %ecx; jg 1b");
SCRIPT(big_numbers,
	"mov %rcx, %r10; xor %eax, %eax\n"
	"1: mov (%rsi), %rax; adc (%rbx), %rax; mov %rax, (%rdi); lea 8(%rsi), %rsi; lea 8(%rbx), %rbx; lea 8(%rdi), %rdi; dec %rcx; jnz 1b\n"
	"setc %r8b; mov %r10, %rdx; mulx (%rsi), %r11, %r12; adcx %r11, %r13; adox %r12, %r14; mov (%rsi), %rax; mulq (%rbx); sbb %rdx, %rax");
SCRIPT(frames,
	"enter $32, $0; mov %rcx, -8(%rbp); enter $16, $2; lea -8(%rbp), %rax; push (%rax); pop 8(%rdi); leave; push %rsp; pop %r8; pushw $77; popw %ax\n"
	"leave; pushfq; orl $0x801, (%rsp); popfq; setbe %al; lahf; sahf; seto %dl");
SCRIPT(rotate_carry,
	"1: rcl $1, %rax; rcr $1, %rdx; rcl %cl, %bl; rcr %cl, %r8w; shld %cl, %rax, %r9; shrd $5, %r10, (%rdi); adc %r8, %r9; loop 1b; cmc; rcl $3, %r11d");
SCRIPT(bit_strings,
	"1: btsq %rcx, (%rdi); setc %al; lea -37(%rcx,%rcx,2), %rdx; btcl %edx, (%rdi); adc %al, %r8b; btrw %dx, (%rdi); bsf (%rdi), %r9; bsr %r9, %r10\n"
	"popcnt (%rsi), %r11; lzcnt %r11d, %r12d; tzcnt %r12w, %r13w; movbe (%rsi), %r14; pext %r14, %r9, %r15; loop 1b");
SCRIPT(loops,
	"lea 5(%rcx), %r8; xor %eax, %eax\n"
	"1: inc %eax; cmp $4, %al; loopne 1b; mov %r8, %rcx\n"
	"2: test $16, %cl; loope 2b; mov %r8d, %ecx\n"
	"3: jecxz 4f; sub $1, %ecx; jmp 3b\n"
	"4: jrcxz 5f; ud2\n"
	"5:");
SCRIPT32(fibonacci32,
	"call 1f; jmp 3f\n"
	"1: cmp $2, %ecx; mov %ecx, %eax; jb 2f; push %ecx; dec %ecx; call 1b; pop %ecx\n"
	"push %eax; sub $2, %ecx; call 1b; pop %edx; add %edx, %eax\n"
	"2: ret\n"
	"3:");
SCRIPT32(old_times,
	"pusha; incl 28(%esp); decw 20(%esp); popa; pushf; pop %edx; push %ds; pop %es; xlat; test %al, %al; into; .byte 0xd6; arpl %cx, %dx\n"
	"1: aam; test %al, %al; aad $7; inc %eax; daa; test %al, %al; push %cs; call 2f; loop 1b; jmp 3f\n"
	"2: lds (%esp), %eax; push %ss; pop %ds; lret\n"
	"3:");
SCRIPT32(every_daa, "daa");
SCRIPT32(every_das, "das");
SCRIPT32(every_aaa, "aaa");
SCRIPT32(every_aas, "aas");
/* clang-format on */

struct script {
	const char *name;
	const uint8_t *start, *end;
	bool is32;
	bool decimal; /* one instruction: AL, CF and AF are counted through */
	uint16_t features[2];
};

#define NO_FEATURE CPU_N_FEATURES
#define ROW(name, ...) \
	{ \
#name, name, name##_end, false, false, \
		{ \
			__VA_ARGS__ \
		} \
	}
#define ROW32(name, decimal) \
	{ \
#name, name, name##_end, true, decimal, \
		{ \
			NO_FEATURE, NO_FEATURE \
		} \
	}
#define BASIC NO_FEATURE, NO_FEATURE

static const struct script scripts[] = {
	ROW(gcd, BASIC),
	ROW(fibonacci, BASIC),
	ROW(strings, BASIC),
	ROW(overlap, BASIC),
	ROW(bubble_sort, BASIC),
	ROW(checksum, CPU_FEATURE_SSE4_2, NO_FEATURE),
	ROW(atomics, BASIC),
	ROW(floats, BASIC),
	ROW(dot_product, CPU_FEATURE_SSE3, NO_FEATURE),
	ROW(gathers, CPU_FEATURE_AVX2, NO_FEATURE),
	ROW(jump_table, BASIC),
	ROW(big_numbers, CPU_FEATURE_BMI2, CPU_FEATURE_ADX),
	ROW(frames, CPU_FEATURE_LAHF_LM, NO_FEATURE),
	ROW(rotate_carry, BASIC),
	ROW(bit_strings, CPU_FEATURE_BMI2, CPU_FEATURE_MOVBE),
	ROW(loops, BASIC),
	ROW32(fibonacci32, false),
	ROW32(old_times, false),
	ROW32(every_daa, true),
	ROW32(every_das, true),
	ROW32(every_aaa, true),
	ROW32(every_aas, true),
};

size_t scripts_n(void)
{
	return G_N_ELEMENTS(scripts);
}

static bool offered(const struct script *script, const struct cpu_features *features)
{
	for (size_t i = 0; i < G_N_ELEMENTS(script->features); i++) {
		if (script->features[i] != NO_FEATURE &&
		    !cpu_features_has(features, (enum cpu_feature)script->features[i]))
			return false;
	}
	return true;
}

static void set_pointers(struct conform_case *c, struct rng *rng)
{
	static const enum x86_gpr pointers[] = { X86_RBX, X86_RSI, X86_RDI, X86_RBP, X86_RSP };

	for (unsigned i = 0; i < G_N_ELEMENTS(pointers); i++)
		c->start.gpr[pointers[i]] = DATA_BASE + 1024 * (i + 2) + rng_below(rng, 256);
	c->start.gpr[X86_RCX] = 1 + rng_below(rng, 12);
	c->start.rflags &= ~(uint64_t)(X86_FLAG_AC | X86_FLAG_TF | X86_FLAG_NT);
}

bool script_make(const struct cpu_features *features, uint64_t seed, uint64_t number, struct conform_case *c)
{
	const struct script *script = &scripts[number % G_N_ELEMENTS(scripts)];
	struct rng rng = rng_for(seed, number);
	uint64_t round = number / G_N_ELEMENTS(scripts);

	if (!offered(script, features))
		return false;
	gen_start(&rng, script->is32, c);
	c->number = number;
	c->script = script->name;
	c->n_insns = script->decimal ? 1 : INSNS_MAX;
	c->len = (uint8_t)(script->end - script->start);
	g_assert_cmpuint(script->end - script->start, <=, CODE_MAX);
	memcpy(c->code, script->start, c->len);
	/* Aligned as the assembler's directives expect, and where far jumps find it. */
	c->start.rip = CODE_BASE + 0x400;
	set_pointers(c, &rng);
	if (!script->decimal)
		return true;
	c->start.gpr[X86_RAX] = (c->start.gpr[X86_RAX] & ~UINT64_C(0xff)) | (round & 0xff);
	c->start.rflags &= ~(uint64_t)(X86_FLAG_CF | X86_FLAG_AF);
	c->start.rflags |= (round & 0x100 ? X86_FLAG_CF : 0) | (round & 0x200 ? X86_FLAG_AF : 0);
	return true;
}
