/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every difference between kernels, once, with the version or commit that made it. */
#ifndef EBTOOLS_KERNEL_H
#define EBTOOLS_KERNEL_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

/* The kernel keeps MAX_ERRNO error numbers at the end of the address space. */
#define MAX_ERRNO 4095
#define EPERM 1
#define ENOENT 2
#define IS_ERR_OR_NULL(ptr) (!(ptr) || (unsigned long)(ptr) >= (unsigned long)-MAX_ERRNO)

#define PATH_MAX 4096
#define AT_FDCWD (-100)
#define AT_REMOVEDIR 0x200
#define CLONE_THREAD 0x00010000
#define PF_KTHREAD 0x00200000
#define O_ACCMODE 3
/* VALID_OPEN_FLAGS of linux/fcntl.h, the same bits on all architectures: open ignores others. */
#define O_VALID 037777703
/* O_LARGEFILE, the kernel's own value, which it adds to 64-bit calls; and all that O_PATH leaves. */
#if defined(__TARGET_ARCH_x86)
#define O_LARGEFILE 00100000
#define O_PATH_FLAGS (00200000 | 00400000 | O_CLOEXEC | O_PATH)
#elif defined(__TARGET_ARCH_arm64)
#define O_LARGEFILE 00400000
#define O_PATH_FLAGS (00040000 | 00100000 | O_CLOEXEC | O_PATH)
#endif
#define O_CLOEXEC 02000000
#define O_PATH 010000000
#define RESOLVE_IN_ROOT 0x10
#define O_CREAT_WRONLY_TRUNC (00000100 | 00000001 | 00001000) /* what creat means */

/* A pointer that the verifier knows for one, as a number. */
static __always_inline __u64 number_of(const void *pointer)
{
	__u64 number = 0;

	bpf_probe_read_kernel(&number, sizeof(number), &pointer);
	return number;
}

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

/*
 * do_renameat2 takes struct filename since Linux 5.11 (e886663cfd02), which the later 5.10.y have
 * too; before, user pointers. Only addresses of the kernel have the highest bit.
 */
static __always_inline bool is_user_address(const void *address)
{
	return (long)address > 0;
}

/*
 * vfs_rename got a struct for its arguments in Linux 5.12 (9fe61450972d).
 * Before, they were old_dir, old_dentry, new_dir, new_dentry, delegated_inode, flags.
 */
#define RENAME_NOREPLACE (1 << 0)
#define RENAME_EXCHANGE (1 << 1)

struct rename {
	struct dentry *from;
	struct dentry *to;
	unsigned long flags;
};

/* argument(n): argument n of vfs_rename, from 1. Only those that there are must be asked for. */
#define RENAME_ARGUMENTS(argument)                                                                 \
	({                                                                                         \
		struct rename rename;                                                              \
		if (bpf_core_type_exists(struct renamedata)) {                                     \
			struct renamedata *data = (void *)argument(1);                             \
			rename.from = BPF_CORE_READ(data, old_dentry);                             \
			rename.to = BPF_CORE_READ(data, new_dentry);                               \
			rename.flags = BPF_CORE_READ(data, flags);                                 \
		} else {                                                                           \
			rename.from = (void *)argument(2);                                         \
			rename.to = (void *)argument(4);                                           \
			rename.flags = argument(6);                                                \
		}                                                                                  \
		rename;                                                                            \
	})

/*
 * A cgroup knows those above it by level: their numbers before Linux 6.1 (7f203bc89eb6), and since
 * then themselves.
 */
struct cgroup___ids {
	u64 ancestor_ids[0];
} __attribute__((preserve_access_index));

/*
 * Is a cgroup another one, or below it? Not inline, and with barriers: the compiler would read both
 * offsets before it looks which one there is, in front of a loop or of the branch.
 */
__attribute__((unused)) static __noinline bool is_cgroup_within(struct cgroup *cgroup,
								struct cgroup *other)
{
	bool has_themselves = bpf_core_field_exists(cgroup->ancestors);
	int level = BPF_CORE_READ(other, level);
	__u64 offset, found = 0;

	if (level < 0 || level > BPF_CORE_READ(cgroup, level))
		return false;
	if (has_themselves) {
		offset = bpf_core_field_offset(struct cgroup, ancestors);
		barrier_var(offset);
	} else {
		offset = bpf_core_field_offset(struct cgroup___ids, ancestor_ids);
		barrier_var(offset);
	}
	bpf_probe_read_kernel(&found, sizeof(found),
			      (void *)cgroup + offset + level * sizeof(found));
	return found == (has_themselves ? (__u64)other : BPF_CORE_READ(other, kn, id));
}

/*
 * The cgroup (v2) that a socket was made in; NULL where it has none. Before Linux 5.15 (8520e224f547) there
 * was one number for that and for what version 1 knows of it, which the lowest bits tell apart.
 */
struct sock_cgroup_data___number {
	__u64 val;
} __attribute__((preserve_access_index));

static __always_inline struct cgroup *cgroup_in(void *data)
{
	__u64 number;

	if (bpf_core_field_exists(((struct sock_cgroup_data *)data)->cgroup))
		return BPF_CORE_READ((struct sock_cgroup_data *)data, cgroup);
	number = BPF_CORE_READ((struct sock_cgroup_data___number *)data, val);
	return number & 3 ? NULL : (struct cgroup *)number;
}

/*
 * Does the current task itself do what is seen: it was not interrupted? On x86 what counts interrupts is a
 * variable of each CPU, from Linux 6.2 to 6.14 in a struct of such ones. Programs get at no variable that the
 * kernel does not list, and it must not list any: user space gives the addresses of the CPUs' own memory and
 * of the variable, 0 where there are none. false where it cannot be told. A real-time kernel keeps
 * the count of softirqs with the task.
 */
#define INTERRUPTS 0x00ff0000 /* hardirqs and NMI: linux/preempt.h */
#define SERVES_SOFTIRQ 0x00000100

struct task_struct___rt {
	int softirq_disable_cnt;
} __attribute__((preserve_access_index));

static __always_inline bool is_undisturbed(struct task_struct *task, __u64 cpus, __u64 variable)
{
	struct task_struct___rt *rt = (void *)task;
	int count = INTERRUPTS;

#if defined(__TARGET_ARCH_x86)
	__u64 cpu = 0;

	if (!variable)
		return false;
	if (bpf_core_type_exists(struct pcpu_hot))
		variable += bpf_core_field_offset(struct pcpu_hot, preempt_count);
	bpf_probe_read_kernel(&cpu, sizeof(cpu),
			      (void *)cpus + bpf_get_smp_processor_id() * sizeof(cpu));
	if (bpf_probe_read_kernel(&count, sizeof(count), (void *)cpu + variable))
		return false;
#elif defined(__TARGET_ARCH_arm64)
	count = BPF_CORE_READ(task, thread_info.preempt.count);
#endif
	if (bpf_core_field_exists(rt->softirq_disable_cnt))
		count |= BPF_CORE_READ(rt, softirq_disable_cnt);
	return !(count & (INTERRUPTS | SERVES_SOFTIRQ));
}

/* Is the system call that the current task is in a 32-bit one? */
static __always_inline bool is_compat_call(void)
{
#if defined(__TARGET_ARCH_x86)
#define COMPAT(info) ((info).status & 2) /* TS_COMPAT */
#elif defined(__TARGET_ARCH_arm64)
#define COMPAT(info) ((info).flags & (1 << 22)) /* TIF_32BIT */
#endif
	struct thread_info info;

	/* Read without a helper, where there is a pointer that the verifier trusts. */
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf))
		return COMPAT(bpf_get_current_task_btf()->thread_info);
	info = BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), thread_info);
	return COMPAT(info);
}

/* The number of the system call that was entered with regs, which a BTF tracepoint has given. */
static __always_inline long call_number(struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	return (int)regs->orig_ax; /* as the kernel takes it */
#elif defined(__TARGET_ARCH_arm64)
	return regs->syscallno;
#endif
}

/*
 * Reads a string of the process's memory: how long it is, with its NUL, or an error. For an empty one
 * some kernels, 5.10 among them, say 0 (strncpy_from_user_nofault).
 */
static __always_inline long read_user_string(__u8 *to, __u32 size, const void *from)
{
	long len = bpf_probe_read_user_str(to, size, from);

	if (len)
		return len;
	to[0] = 0;
	return 1;
}

/* The number of the system call that the current task is in, where no registers are given. */
static __always_inline long current_call_number(void)
{
	struct pt_regs *regs = user_regs();

#if defined(__TARGET_ARCH_x86)
	return (int)BPF_CORE_READ(regs, orig_ax);
#elif defined(__TARGET_ARCH_arm64)
	return BPF_CORE_READ(regs, syscallno);
#endif
}

/* The kernel's own codes, of which callers see nothing: linux/errno.h. */
#define EINTR 4
#define ERESTARTSYS 512
#define ERESTARTNOINTR 513
#define ERESTARTNOHAND 514
#define ERESTART_RESTARTBLOCK 516

/*
 * What a call returns. Whether one that a signal has interrupted fails or is begun again, the
 * kernel decides behind the tracepoint: it has not done what it should, and is an EINTR.
 */
static __always_inline long call_returned(long ret)
{
	if (ret == -ERESTARTSYS || ret == -ERESTARTNOINTR || ret == -ERESTARTNOHAND ||
	    ret == -ERESTART_RESTARTBLOCK)
		return -EINTR;
	return ret;
}

/* Is this the end of a call that its caller has not made: in the child that it has made? */
static __always_inline bool is_return_in_child(long number, bool compat, long ret)
{
	if (ret)
		return false;
	if (number == 435) /* clone3, on all architectures */
		return true;
	if (compat) /* fork, clone, vfork */
		return number == 2 || number == 120 || number == 190;
#if defined(__TARGET_ARCH_x86)
	return number >= 56 && number <= 58; /* clone, fork, vfork */
#elif defined(__TARGET_ARCH_arm64)
	return number == 220; /* clone */
#endif
}

/* Argument n, from 0 to 4, of that system call; 32-bit callers use other registers on x86. */
static __always_inline unsigned long call_argument(struct pt_regs *regs, int n, bool compat)
{
#if defined(__TARGET_ARCH_x86)
	if (compat)
		return (__u32)(n == 0	? regs->bx
			       : n == 1 ? regs->cx
			       : n == 2 ? regs->dx
			       : n == 3 ? regs->si
					: regs->di);
	return n == 0	? regs->di
	       : n == 1 ? regs->si
	       : n == 2 ? regs->dx
	       : n == 3 ? regs->r10
			: regs->r8;
#elif defined(__TARGET_ARCH_arm64)
	return n == 0 ? regs->orig_x0 : regs->regs[n];
#endif
}

/* Numbers of system calls: asm/unistd.h of each architecture. */
#if defined(__TARGET_ARCH_x86)
#define X32_BIT 0x40000000
#define IS_EXECVE(number, compat)                                                                  \
	((compat) ? (number) == 11 : (number) == 59 || (number) == (X32_BIT | 520))
#define IS_EXECVEAT(number, compat)                                                                \
	((compat) ? (number) == 358 : (number) == 322 || (number) == (X32_BIT | 545))
#define IS_FORK(number, compat) ((number) == ((compat) ? 2 : 57))
#define IS_VFORK(number, compat) ((number) == ((compat) ? 190 : 58))
#define IS_CLONE(number, compat) ((number) == ((compat) ? 120 : 56))
#define IS_CLONE3(number) ((number) == 435)
#define IS_SOCKETCALL(number, compat) ((compat) && (number) == 102)
#define IS_ACCEPT(number, compat) ((compat) ? (number) == 364 : (number) == 43 || (number) == 288)
#define IS_KILL(number, compat) ((number) == ((compat) ? 37 : 62))
#define IS_TKILL(number, compat) ((number) == ((compat) ? 238 : 200))
#define IS_TGKILL(number, compat) ((number) == ((compat) ? 270 : 234))
#define IS_CONNECT(number, compat) ((number) == ((compat) ? 362 : 42))
#define IS_LISTEN(number, compat) ((number) == ((compat) ? 363 : 50))
#define IS_SIGQUEUE(number, compat)                                                                \
	((compat) ? (number) == 178 : (number) == 129 || (number) == (X32_BIT | 524))
#define IS_TGSIGQUEUE(number, compat)                                                              \
	((compat) ? (number) == 335 : (number) == 297 || (number) == (X32_BIT | 536))
#define IS_OPENAT(number, compat) ((number) == ((compat) ? 295 : 257))
#define IS_OPENAT2(number) ((number) == 437)
#define IS_OPEN(number, compat) ((number) == ((compat) ? 5 : 2))
#define IS_CREAT(number, compat) ((number) == ((compat) ? 8 : 85))
/* MAY_BE: whatever the caller is; quickly, because every system call asks. */
#define IS_UNLINK(number, compat) ((number) == ((compat) ? 10 : 87))
#define IS_RMDIR(number, compat) ((number) == ((compat) ? 40 : 84))
#define IS_UNLINKAT(number, compat) ((number) == ((compat) ? 301 : 263))
#define IS_RENAME(number, compat) ((number) == ((compat) ? 38 : 82))
#define IS_RENAMEAT(number, compat) ((number) == ((compat) ? 302 : 264))
#define IS_RENAMEAT2(number, compat) ((number) == ((compat) ? 353 : 316))
#elif defined(__TARGET_ARCH_arm64)
#define IS_EXECVE(number, compat) ((number) == ((compat) ? 11 : 221))
#define IS_EXECVEAT(number, compat) ((number) == ((compat) ? 387 : 281))
#define IS_FORK(number, compat) ((compat) && (number) == 2)
#define IS_VFORK(number, compat) ((compat) && (number) == 190)
#define IS_CLONE(number, compat) ((number) == ((compat) ? 120 : 220))
#define IS_CLONE3(number) ((number) == 435)
#define IS_SOCKETCALL(number, compat) false
#define IS_ACCEPT(number, compat)                                                                  \
	((compat) ? (number) == 285 || (number) == 366 : (number) == 202 || (number) == 242)
#define IS_KILL(number, compat) ((number) == ((compat) ? 37 : 129))
#define IS_TKILL(number, compat) ((number) == ((compat) ? 238 : 130))
#define IS_TGKILL(number, compat) ((number) == ((compat) ? 268 : 131))
#define IS_SIGQUEUE(number, compat) ((number) == ((compat) ? 178 : 138))
#define IS_TGSIGQUEUE(number, compat) ((number) == ((compat) ? 363 : 240))
#define IS_CONNECT(number, compat) ((number) == ((compat) ? 283 : 203))
#define IS_LISTEN(number, compat) ((number) == ((compat) ? 284 : 201))
#define IS_OPENAT(number, compat) ((number) == ((compat) ? 322 : 56))
#define IS_OPENAT2(number) ((number) == 437)
#define IS_OPEN(number, compat) ((compat) && (number) == 5)
#define IS_CREAT(number, compat) ((compat) && (number) == 8)
#define IS_UNLINK(number, compat) ((compat) && (number) == 10)
#define IS_RMDIR(number, compat) ((compat) && (number) == 40)
#define IS_UNLINKAT(number, compat) ((number) == ((compat) ? 328 : 35))
#define IS_RENAME(number, compat) ((compat) && (number) == 38)
#define IS_RENAMEAT(number, compat) ((number) == ((compat) ? 329 : 38))
#define IS_RENAMEAT2(number, compat) ((number) == ((compat) ? 382 : 276))
#endif

#define IS_PIDFD_SEND_SIGNAL(number) ((number) == 424)

/* Is it one of a 64-bit or of a 32-bit caller? That is quicker to say than which of them it is. */
#define MAY_BE(is_call, number) (is_call(number, false) || is_call(number, true))
#define MAY_BE_OPEN(number)                                                                        \
	(MAY_BE(IS_OPENAT, number) || IS_OPENAT2(number) || MAY_BE(IS_OPEN, number) ||             \
	 MAY_BE(IS_CREAT, number))
#define MAY_BE_UNLINK(number)                                                                      \
	(MAY_BE(IS_UNLINKAT, number) || MAY_BE(IS_UNLINK, number) || MAY_BE(IS_RMDIR, number))
#define MAY_BE_RENAME(number)                                                                      \
	(MAY_BE(IS_RENAME, number) || MAY_BE(IS_RENAMEAT, number) || MAY_BE(IS_RENAMEAT2, number))
#define MAY_BE_SIGNAL_CALL(number)                                                                 \
	(MAY_BE(IS_KILL, number) || MAY_BE(IS_TKILL, number) || MAY_BE(IS_TGKILL, number) ||       \
	 MAY_BE(IS_SIGQUEUE, number) || MAY_BE(IS_TGSIGQUEUE, number) ||                           \
	 IS_PIDFD_SEND_SIGNAL(number))
#define MAY_BE_SOCKET_CALL(number)                                                                 \
	(MAY_BE(IS_ACCEPT, number) || MAY_BE(IS_CONNECT, number) || MAY_BE(IS_LISTEN, number) ||   \
	 MAY_BE(IS_SOCKETCALL, number))

/*
 * How much of a process is in memory, in pages. Linux 6.2 made these numbers ones for each CPU that are
 * added up now and then (f1a7941243c1): what is not added up yet is left out.
 */
struct mm_rss_stat___atomic {
	atomic_long_t count[4];
} __attribute__((preserve_access_index));

struct mm_struct___atomic {
	struct mm_rss_stat___atomic rss_stat;
} __attribute__((preserve_access_index));

__attribute__((unused)) static __noinline __u64 rss_pages_of(struct mm_struct *mm)
{
	__u64 at, step, sum = 0;
	int i;

	if (bpf_core_type_exists(struct mm_rss_stat___atomic)) {
		at = bpf_core_field_offset(struct mm_struct___atomic, rss_stat);
		step = sizeof(long);
		barrier_var(at);
	} else {
		at = bpf_core_field_offset(struct mm_struct, rss_stat) +
		     bpf_core_field_offset(struct percpu_counter, count);
		step = bpf_core_type_size(struct percpu_counter);
		barrier_var(at);
	}
	for (i = 0; i < 4; i++) {
		long pages = 0;

		if (i == 2) /* MM_SWAPENTS */
			continue;
		bpf_probe_read_kernel(&pages, sizeof(pages), (void *)mm + at + i * step);
		sum += pages > 0 ? pages : 0;
	}
	return sum;
}

/* A directory of kernfs has the one above it in parent, and since Linux 6.15 in __parent. */
struct kernfs_node___rcu {
	struct kernfs_node *__parent;
} __attribute__((preserve_access_index));

__attribute__((unused)) static __noinline __u64 kernfs_parent(struct kernfs_node *node)
{
	__u64 at, parent = 0;

	if (bpf_core_field_exists(node->parent)) {
		at = bpf_core_field_offset(struct kernfs_node, parent);
		barrier_var(at);
	} else {
		at = bpf_core_field_offset(struct kernfs_node___rcu, __parent);
		barrier_var(at);
	}
	bpf_probe_read_kernel(&parent, sizeof(parent), (void *)node + at);
	return parent;
}

#endif
