// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* unlinksnoop: who deletes which file or directory. */
#include "ebtools.bpf.h"

/* For a rename two names and two directories, else one of each. */
#define TAIL_MAX (2 * PATH_MAX + 2 * NAMES_LEN)
#define CALLS_MAX 512

enum kind {
	KIND_FILE,
	KIND_DIRECTORY,
	KIND_REPLACED, /* by a rename of another file to its name */
};

/* Tail: the name and the names of its directory; for a rename, the same of the old name. */
struct event {
	struct event_header header;
	__s32 ret; /* 0, or -errno */
	__u32 kind; /* enum kind */
	struct name path;
	struct name from;
};

#include "event.bpf.h"
#include "calls.bpf.h"
#include "name.bpf.h"

enum kind *export_kind;

/* -x: only failures. */
const volatile __u8 only_failed = 0;

/* First way: kprobes. They see io_uring and 32-bit calls too. */

static __always_inline long read_filename(__u8 *to, struct filename *filename)
{
	to[0] = 0;
	if (IS_ERR_OR_NULL(filename))
		return 0;
	if (is_user_address(filename)) /* renames, before Linux 5.11 */
		return bpf_probe_read_user_str(to, PATH_MAX, filename);
	return bpf_probe_read_kernel_str(to, PATH_MAX, filename_name(filename));
}

/* A call on a name that is wanted: its record with the path; NULL when there is none. */
static __always_inline struct record *begin(__u32 kind, int dfd, struct filename *filename,
					    __u64 *at)
{
	struct record *call;
	long len;

	if (!task_wanted())
		return NULL;
	call = call_begin();
	if (!call)
		return NULL;
	len = read_filename(call->tail, filename);
	if (!name_wanted(call->tail)) {
		call_done(call);
		return NULL;
	}
	call->event.kind = kind;
	call->event.ret = 0;
	no_name(&call->event.from);
	fill_name(&call->event.path, call, at, 0, dfd, len);
	return call;
}

static __always_inline int end(long ret)
{
	struct record *call = call_find();
	__u32 len;

	if (!call)
		return 0;
	call->event.ret = ret;
	len = call->event.path.len + call->event.path.base_len + call->event.from.len +
	      call->event.from.base_len;
	if (len > TAIL_MAX)
		len = TAIL_MAX;
	if ((!only_failed || ret < 0) && !count_only())
		event_output(&call->event, len);
	call_done(call);
	return 0;
}

SEC("kprobe")
int BPF_KPROBE(on_unlink_entry, int dfd, struct filename *filename)
{
	__u64 at = 0;

	begin(KIND_FILE, dfd, filename, &at);
	return 0;
}

SEC("kprobe")
int BPF_KPROBE(on_rmdir_entry, int dfd, struct filename *filename)
{
	__u64 at = 0;

	begin(KIND_DIRECTORY, dfd, filename, &at);
	return 0;
}

SEC("kretprobe")
int BPF_KRETPROBE(on_return, int ret)
{
	return end(ret);
}

/* Renames: until the return, .ret says whether there was a file of the new name. */

#define REPLACES_UNKNOWN 0
#define REPLACES_NOTHING 1
#define REPLACES_A_FILE 2

SEC("kprobe")
int BPF_KPROBE(on_rename_entry, int from_dfd, struct filename *from, int to_dfd,
	       struct filename *to)
{
	__u64 at = 0;
	struct record *call = begin(KIND_REPLACED, to_dfd, to, &at);
	long len;

	if (!call)
		return 0;
	if (at > PATH_MAX + NAMES_LEN)
		at = PATH_MAX + NAMES_LEN;
	len = read_filename(call->tail + at, from);
	fill_name(&call->event.from, call, &at, PATH_MAX + NAMES_LEN, from_dfd, len);
	return 0;
}

/* In the kernel below a rename; overlayfs enters it again for its layers. */
SEC("kprobe")
int on_vfs_rename(struct pt_regs *ctx)
{
	struct record *call = call_find();
	struct dentry *to;
	unsigned int flags;

	if (!call || call->event.kind != KIND_REPLACED || call->event.ret != REPLACES_UNKNOWN)
		return 0;
	vfs_rename_arguments(ctx, &to, &flags);
	call->event.ret = BPF_CORE_READ(to, d_inode) && !(flags & RENAME_EXCHANGE)
				  ? REPLACES_A_FILE
				  : REPLACES_NOTHING;
	return 0;
}

SEC("kretprobe")
int BPF_KRETPROBE(on_rename_return, int ret)
{
	struct record *call = call_find();

	if (!call)
		return 0;
	if (call->event.ret != REPLACES_A_FILE || ret < 0) {
		call_done(call);
		return 0;
	}
	return end(ret);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_thread_end, struct task_struct *task)
{
	struct record *call = call_find();

	if (call)
		call_missed(call);
	return 0;
}

/*
 * Second way: when the system call ends, its arguments are still in the saved
 * registers, and the name is resident because the kernel has just read it.
 */

static __always_inline int ended(long ret, __u32 kind, int dfd, const char *path)
{
	struct record *record;
	__u64 at = 0;
	long len;

	if ((only_failed && ret >= 0) || !task_wanted())
		return 0;
	record = record_begin();
	if (!record)
		return 0;
	record->tail[0] = 0;
	len = bpf_probe_read_user_str(record->tail, PATH_MAX, path);
	if (!name_wanted(record->tail) || count_only()) {
		record_release(record);
		return 0;
	}
	record->event.kind = kind;
	record->event.ret = ret;
	fill_name(&record->event.path, record, &at, 0, dfd, len);
	no_name(&record->event.from);
	if (at > TAIL_MAX)
		at = TAIL_MAX;
	record_submit(record, at);
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
