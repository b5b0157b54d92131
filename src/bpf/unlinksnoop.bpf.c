// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* unlinksnoop: who deletes which file or directory. */
#include "ebtools.bpf.h"

#define TAIL_MAX PATH_MAX

enum kind {
	KIND_FILE,
	KIND_DIRECTORY,
};

/* Tail: the name as the caller gave it. */
struct event {
	struct event_header header;
	__s32 ret; /* 0, or -errno */
	__s32 dfd; /* the directory that a relative name starts from, or AT_FDCWD */
	__u32 path_len; /* without a NUL; 0 when the name was not readable */
	__u32 kind; /* enum kind */
};

#include "event.bpf.h"

enum kind *export_kind;

/* -x: only failures. */
const volatile __u8 only_failed = 0;

/*
 * A delete that has begun, by thread: the kernel frees the name before it
 * returns. Its tail is a record's.
 */
struct call {
	struct event event;
	__u8 path[PATH_MAX];
};

/* Preallocated: memory must not be allocated where a kprobe may be (and 5.10 warns of it). */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, struct call);
	__uint(max_entries, 1024);
} calls SEC(".maps");

static __always_inline void fill(struct event *event, __u32 kind, int dfd, long path_len)
{
	event->ret = 0;
	event->dfd = dfd;
	event->kind = kind;
	/* The length counts the NUL. */
	event->path_len = path_len > 0 && path_len <= PATH_MAX ? path_len - 1 : 0;
}

/* First way: kprobes. They see io_uring and 32-bit calls too. */

static __always_inline int begin(__u32 kind, int dfd, struct filename *filename)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct record *record;
	long len = 0;

	if (!task_wanted())
		return 0;
	if (bpf_map_lookup_elem(&calls, &tid))
		count_lost(LOST_RETURN_MISSED);
	record = record_begin();
	if (!record)
		return 0;
	if (!IS_ERR_OR_NULL(filename))
		len = bpf_probe_read_kernel_str(record->tail, PATH_MAX, filename_name(filename));
	fill(&record->event, kind, dfd, len);
	if (bpf_map_update_elem(&calls, &tid, &record->event, BPF_ANY))
		record_drop(record, LOST_MAP_FULL);
	else
		scratch_release(record);
	return 0;
}

static __always_inline int end(long ret)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct call *call = bpf_map_lookup_elem(&calls, &tid);
	__u32 len;

	if (!call)
		return 0;
	call->event.ret = ret;
	len = call->event.path_len;
	if (len > PATH_MAX)
		len = 0;
	if ((!only_failed || ret < 0) && !count_only())
		event_output(&call->event, len);
	bpf_map_delete_elem(&calls, &tid);
	return 0;
}

SEC("kprobe")
int BPF_KPROBE(on_unlink_entry, int dfd, struct filename *filename)
{
	return begin(KIND_FILE, dfd, filename);
}

SEC("kprobe")
int BPF_KPROBE(on_rmdir_entry, int dfd, struct filename *filename)
{
	return begin(KIND_DIRECTORY, dfd, filename);
}

SEC("kretprobe")
int BPF_KRETPROBE(on_return, int ret)
{
	return end(ret);
}

/*
 * Second way: when the system call ends, its arguments are still in the saved
 * registers, and the name is resident because the kernel has just read it.
 */

static __always_inline int ended(long ret, __u32 kind, int dfd, const char *path)
{
	struct record *record;
	__u32 len;

	if ((only_failed && ret >= 0) || !task_wanted() || count_only())
		return 0;
	record = record_begin();
	if (!record)
		return 0;
	fill(&record->event, kind, dfd, bpf_probe_read_user_str(record->tail, PATH_MAX, path));
	record->event.ret = ret;
	len = record->event.path_len;
	if (len > PATH_MAX)
		len = 0;
	record_submit(record, len);
	return 0;
}

SEC("tracepoint")
int on_unlink_exit(struct syscall_trace_exit *ctx)
{
	struct pt_regs *regs = user_regs();

	return ended(ctx->ret, KIND_FILE, AT_FDCWD, (void *)PT_REGS_PARM1_CORE_SYSCALL(regs));
}

SEC("tracepoint")
int on_rmdir_exit(struct syscall_trace_exit *ctx)
{
	struct pt_regs *regs = user_regs();

	return ended(ctx->ret, KIND_DIRECTORY, AT_FDCWD, (void *)PT_REGS_PARM1_CORE_SYSCALL(regs));
}

SEC("tracepoint")
int on_unlinkat_exit(struct syscall_trace_exit *ctx)
{
	struct pt_regs *regs = user_regs();
	__u32 kind = PT_REGS_PARM3_CORE_SYSCALL(regs) & AT_REMOVEDIR ? KIND_DIRECTORY : KIND_FILE;

	return ended(ctx->ret, kind, PT_REGS_PARM1_CORE_SYSCALL(regs),
		     (void *)PT_REGS_PARM2_CORE_SYSCALL(regs));
}
