/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* guard: what user space asks, by running these itself, or by an act of its own. */
#ifndef EBTOOLS_GUARD_ASKED_H
#define EBTOOLS_GUARD_ASKED_H

#include "connects.bpf.h"

static __always_inline void tell(__u64 number)
{
	__u32 zero = 0;
	struct answer *told = bpf_map_lookup_elem(&answer, &zero);

	if (told)
		told->number = number;
}

/* The file that it has open as this descriptor. */
SEC("raw_tp")
int on_look_at(__u64 *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct dentry *dentry = place_of_fd(ctx[0]).dentry;
	__u32 zero = 0;
	struct answer *told = bpf_map_lookup_elem(&answer, &zero);

	if (!told)
		return 0;
	own_mounts = (__u64)BPF_CORE_READ(task, nsproxy, mnt_ns);
	told->number = (__u64)BPF_CORE_READ(dentry, d_inode);
	told->directory = (__u64)BPF_CORE_READ(dentry, d_parent, d_inode);
	__builtin_memset(told->name, 0, sizeof(told->name));
	bpf_probe_read_kernel_str(told->name, NAME_LEN, BPF_CORE_READ(dentry, d_name.name));
	return 0;
}

__noinline int is_target(__u64 task)
{
	return task_wanted_of((void *)task);
}

/* Processes that a process descends from. */
#define ANCESTORS_MAX 256

/* The uppermost process that it descends from, and that rules would be for. */
SEC("raw_tp")
int on_look_up(void *ctx)
{
	struct task_struct *task = current_process(), *parent;
	__u32 zero = 0;
	struct answer *told = bpf_map_lookup_elem(&answer, &zero);
	int i;

	if (!told)
		return 0;
	told->number = 0;
	for (i = 0; i < ANCESTORS_MAX; i++) {
		parent = BPF_CORE_READ(task, real_parent, group_leader);
		/* The kernel's own, which has no number, is above the first. */
		if (parent == task || !BPF_CORE_READ(parent, tgid))
			break;
		task = parent;
		if (is_target((__u64)task)) {
			told->number = BPF_CORE_READ(task, tgid);
			comm_of(told->comm, task);
		}
	}
	/* There are more: nobody knows. */
	if (i == ANCESTORS_MAX)
		told->number = BPF_CORE_READ(task, tgid);
	return 0;
}

/* Where BPF has no say, such a program can be attached, and is never run: this tells. */
SEC("lsm/file_open")
int BPF_PROG(on_own_open, struct file *file)
{
	if (bpf_get_current_pid_tgid() >> 32 == tracer)
		tell(1);
	return 0;
}

SEC("cgroup/connect4")
int on_own_connect(struct bpf_sock_addr *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	if (BPF_CORE_READ(task, tgid) == tracer)
		tell(1);
	return GOES_ON;
}

#endif
