// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The least that a tracer can do for an event: see it, and put when, who and what into a ring, with
 * no filter, no accounts, no wake-up, and names cut at a fixed length. Others are measured by it.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "kernel.bpf.h"

#define COMM_LEN 16
#define NAME_LEN 64
#define ARGS_LEN 64

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} events SEC(".maps");

struct event {
	__u64 time_ns;
	__u32 pid;
	__u32 tid;
	__s64 ret;
	__u8 comm[COMM_LEN];
	__u8 name[NAME_LEN];
};

struct exec {
	struct event event;
	__u32 ppid;
	__u32 args_len;
	__u8 args[ARGS_LEN];
};

static __always_inline void fill(struct event *event, long ret)
{
	__u64 id = bpf_get_current_pid_tgid();

	event->time_ns = bpf_ktime_get_boot_ns();
	event->pid = id >> 32;
	event->tid = id;
	event->ret = ret;
	bpf_get_current_comm(event->comm, sizeof(event->comm));
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_open, struct pt_regs *regs, long ret)
{
	long number = call_number(regs);
	struct event *event;

	if (!IS_OPENAT(number, false) && !IS_OPEN(number, false))
		return 0;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event)
		return 0;
	fill(event, ret);
	bpf_probe_read_user_str(event->name, sizeof(event->name),
				(void *)call_argument(regs, IS_OPENAT(number, false), false));
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	__u64 start = task->mm->arg_start, len = task->mm->arg_end - start;
	struct exec *exec = bpf_ringbuf_reserve(&events, sizeof(*exec), 0);

	if (!exec)
		return 0;
	fill(&exec->event, 0);
	exec->ppid = task->real_parent->tgid;
	bpf_probe_read_kernel_str(exec->event.name, sizeof(exec->event.name), bprm->filename);
	exec->args_len = len < ARGS_LEN ? len : ARGS_LEN;
	bpf_probe_read_user(exec->args, len < ARGS_LEN ? len : ARGS_LEN, (void *)start);
	bpf_ringbuf_submit(exec, BPF_RB_NO_WAKEUP);
	return 0;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(on_enter_empty)
{
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_exit_empty)
{
	return 0;
}
