// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* profile: the stacks of what runs, some times a second on each CPU. */
#include "shared.bpf.h"

struct event {
	struct event_header header;
	/* Bytes of addresses in the tail: first the kernel's, then the program's, the last call first. */
	__u32 kernel_len;
	__u32 user_len;
	__u32 pid; /* as the tracer sees it in /proc */
	__u32 image; /* another one when the process has become another program */
};

/* kernel.perf_event_max_stack is 127 by default. */
#define STACK_LEN (128 * sizeof(__u64))
#define TAIL_MAX 4096

#include "event.bpf.h"
#include "stack.bpf.h"

const volatile __u8 with_kernel = 1;
const volatile __u8 with_user = 1;
const volatile __u8 with_idle = 0;
/* The name is that of the process, not of the thread. */
const volatile __u8 names_process = 0;

static __always_inline __u32 image(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ(task, self_exec_id) +
	       (__u32)(BPF_CORE_READ(task, group_leader, start_boottime) >> 10);
}

SEC("perf_event")
int on_sample(struct bpf_perf_event_data *ctx)
{
	struct record *record;
	__u64 kernel = 0, user = 0;

	/* Thread 0 of each CPU runs when there is nothing to run. */
	if (!with_idle && !(__u32)bpf_get_current_pid_tgid())
		return 0;
	if (!task_wanted())
		return 0;
	record = record_begin();
	if (!record)
		return 0;
	if (names_process)
		comm_of(record->event.header.comm, current_process());
	/* There is none when it ran its own code, or when it is the kernel's own thread. */
	if (with_kernel)
		kernel = read_stack(ctx, record->tail, STACK_LEN, 0);
	if (with_user)
		user = read_stack(ctx, record->tail + kernel, STACK_LEN, BPF_F_USER_STACK);
	record->event.kernel_len = kernel;
	record->event.user_len = user;
	record->event.pid = pid_for_tracer();
	record->event.image = image();
	record_submit(record, kernel + user);
	return 0;
}
