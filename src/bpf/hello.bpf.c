// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* hello: the smallest tool. A line in trace_pipe for each new process or thread. */
#include "ebtools.bpf.h"
#include "count.bpf.h"
#include "filter.bpf.h"

/* Every clone, fork and vfork comes by here, in the parent. */
SEC("tracepoint/task/task_newtask")
int on_clone(void *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	__u32 uid = bpf_get_current_uid_gid();

	/* Is it an event that the user asked for? Is it only to be counted? */
	if (!task_wanted() || count_only())
		return 0;
	bpf_printk("Hello, World! pid %d uid %d at %llu", pid, uid, bpf_ktime_get_boot_ns());
	count_submitted();
	return 0;
}
