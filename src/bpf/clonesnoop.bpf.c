// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* clonesnoop: new processes and threads. */
#include "ebtools.bpf.h"

#define TAIL_MAX 8 /* there is none */

enum kind {
	KIND_PROCESS,
	KIND_THREAD,
	KIND_ANY, /* for only_kind */
};

enum call {
	CALL_KERNEL, /* none: the kernel's own work */
	CALL_FORK,
	CALL_VFORK,
	CALL_CLONE,
	CALL_CLONE3,
};

struct event {
	struct event_header header; /* of the parent */
	__u64 flags; /* CLONE_... */
	__u32 child; /* the new process, or that of the new thread */
	__u32 child_tid;
	__u32 kind; /* enum kind */
	__u32 call; /* enum call */
};

#include "event.bpf.h"

enum kind *export_kind;
enum call *export_call;

const volatile __u8 only_kind = KIND_ANY;

static __always_inline enum call call_of(struct task_struct *parent)
{
	struct pt_regs *regs = user_regs();
	bool compat = is_compat_call();
	long number;

	if (BPF_CORE_READ(parent, flags) & PF_KTHREAD)
		return CALL_KERNEL;
#if defined(__TARGET_ARCH_x86)
	number = BPF_CORE_READ(regs, orig_ax);
#elif defined(__TARGET_ARCH_arm64)
	number = BPF_CORE_READ(regs, syscallno);
#endif
	return IS_CLONE(number, compat)	  ? CALL_CLONE
	       : IS_CLONE3(number)	  ? CALL_CLONE3
	       : IS_FORK(number, compat)  ? CALL_FORK
	       : IS_VFORK(number, compat) ? CALL_VFORK
					  : CALL_KERNEL;
}

/* In the parent, when the child is complete but does not run yet. */
SEC("tracepoint/task/task_newtask")
int on_clone(__u64 *ctx)
{
	__u64 flags = clone_flags(ctx);
	__u32 kind = flags & CLONE_THREAD ? KIND_THREAD : KIND_PROCESS;
	struct record *record;

	if (only_kind != KIND_ANY && kind != only_kind)
		return 0;
	if (!task_wanted() || count_only_of(NULL, kind))
		return 0;
	record = record_begin();
	if (!record)
		return 0;
	record->event.flags = flags;
	record->event.child_tid = new_tid(ctx);
	record->event.child =
		kind == KIND_THREAD ? bpf_get_current_pid_tgid() >> 32 : record->event.child_tid;
	record->event.kind = kind;
	record->event.call = call_of((void *)bpf_get_current_task());
	record_submit(record, 0);
	return 0;
}
