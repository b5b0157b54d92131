/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every difference between kernels, once, with the version or commit that made it. */
#ifndef EBTOOLS_KERNEL_H
#define EBTOOLS_KERNEL_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

/* The kernel keeps MAX_ERRNO error numbers at the end of the address space. */
#define MAX_ERRNO 4095
#define IS_ERR_OR_NULL(ptr) (!(ptr) || (unsigned long)(ptr) >= (unsigned long)-MAX_ERRNO)

#define PATH_MAX 4096
#define AT_FDCWD (-100)
#define AT_REMOVEDIR 0x200

/*
 * Linux 7.0 put the first members of struct filename into an embedded struct.
 * A flavour with the one member that is read matches both.
 */
struct filename___name {
	const char *name;
} __attribute__((preserve_access_index));

static __always_inline const char *filename_name(struct filename *filename)
{
	return BPF_CORE_READ((struct filename___name *)filename, name);
}

/*
 * The registers that the task entered the kernel with: during a system call they
 * still hold its arguments. bpf_task_pt_regs came with Linux 5.15
 * (dd6e10fbd9fb), bpf_get_current_task_btf with 5.11; before, the registers are
 * found where the architecture puts them, at the end of the kernel stack.
 */
#if defined(__TARGET_ARCH_x86)
#define STACK_TOP_PADDING 0 /* 64-bit */
#define THREAD_SIZE (4096 << 2) /* without KASAN */
#elif defined(__TARGET_ARCH_arm64)
#define STACK_TOP_PADDING 0
#define THREAD_SIZE (4096 << 2) /* 4 KiB pages, without KASAN */
#endif

static __always_inline struct pt_regs *user_regs(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		return (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	return (struct pt_regs *)(BPF_CORE_READ(task, stack) + THREAD_SIZE - STACK_TOP_PADDING) - 1;
}

#endif
