// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* execsnoop: programs that start, and with -x the attempts that failed. */
#include "ebtools.bpf.h"

#define ARGS_MAX 65536
#define TAIL_MAX (PATH_MAX + ARGS_MAX + PATH_MAX)
/* Arguments of a failed call that are looked at: their addresses are in an array to walk. */
#define FAILED_ARGS_MAX 128

/* Tail: the file that was asked for, with its NUL; then the arguments, each with its NUL. */
struct event {
	struct event_header header;
	__s32 ret; /* 0, or -errno */
	__u32 path_len; /* with the NUL */
	/*
	 * What the arguments have in all, which may be more than the tail holds.
	 * For a failed call that was cut: ~0, nobody has counted them.
	 */
	__u32 args_bytes;
	__u32 reserved;
	__u64 unreadable; /* bit n: argument n was not readable, and is empty in the tail */
};

#include "event.bpf.h"

/*
 * The new program is in place here, whatever call brought it: its arguments
 * are resident, in one piece, and they are what really runs.
 */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)
{
	struct record *record;
	struct event *event;
	__u64 start, len;
	long path_len;

	if (!task_wanted() || count_only())
		return 0;
	record = record_begin();
	if (!record)
		return 0;
	event = &record->event;
	path_len = bpf_probe_read_kernel_str(record->tail, PATH_MAX, bprm->filename);
	if (path_len < 1 || path_len > PATH_MAX) {
		record_drop(record, LOST_MEMORY_UNREADABLE);
		return 0;
	}
	start = task->mm->arg_start;
	len = task->mm->arg_end - start;
	event->ret = 0;
	event->path_len = path_len;
	event->args_bytes = len;
	event->reserved = 0;
	event->unreadable = 0;
	if (len > ARGS_MAX)
		len = ARGS_MAX;
	if (bpf_probe_read_user(record->tail + path_len, len, (void *)start))
		len = 0;
	record_submit(record, path_len + len);
	return 0;
}

/* A call that failed left the caller's memory as it was: read the arguments from there. */
static __always_inline int failed(long ret, const char *path, const char *const *argv)
{
	struct record *record;
	struct event *event;
	__u32 len = 0;
	long n;
	int i;

	/* -x is needed for this program to run; a success is seen by on_exec. */
	if (ret >= 0 || !task_wanted() || count_only())
		return 0;
	record = record_begin();
	if (!record)
		return 0;
	event = &record->event;
	event->ret = ret;
	event->reserved = 0;
	event->unreadable = 0;
	event->args_bytes = ~0;

	n = bpf_probe_read_user_str(record->tail, PATH_MAX, path);
	if (n < 1 || n > PATH_MAX) {
		record->tail[0] = 0;
		n = 1;
	}
	event->path_len = n;
	len = n;
	for (i = 0; i < FAILED_ARGS_MAX; i++) {
		const char *arg;

		if (bpf_probe_read_user(&arg, sizeof(arg), argv + i))
			break;
		if (!arg) {
			event->args_bytes = len - event->path_len;
			break;
		}
		if (len > PATH_MAX + ARGS_MAX - 1)
			break;
		n = bpf_probe_read_user_str(record->tail + len, PATH_MAX, arg);
		if (n < 1 || n > PATH_MAX) {
			record->tail[len] = 0;
			n = 1;
			if (i < 64)
				event->unreadable |= 1ULL << i;
		}
		len += n;
	}
	if (len > TAIL_MAX)
		len = TAIL_MAX;
	record_submit(record, len);
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_execve")
int on_execve_exit(struct syscall_trace_exit *ctx)
{
	struct pt_regs *regs = user_regs();

	return failed(ctx->ret, (void *)PT_REGS_PARM1_CORE_SYSCALL(regs),
		      (void *)PT_REGS_PARM2_CORE_SYSCALL(regs));
}

SEC("tracepoint/syscalls/sys_exit_execveat")
int on_execveat_exit(struct syscall_trace_exit *ctx)
{
	struct pt_regs *regs = user_regs();

	return failed(ctx->ret, (void *)PT_REGS_PARM2_CORE_SYSCALL(regs),
		      (void *)PT_REGS_PARM3_CORE_SYSCALL(regs));
}
