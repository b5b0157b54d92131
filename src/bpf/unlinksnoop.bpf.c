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
	KIND_RENAMED, /* the same, if there was a file of that name */
	KIND_MOVED, /* by a rename to another name */
	KIND_RENAME, /* no event: of a rename nothing is known that it replaces or moves */
};

/* --renames. */
enum renames {
	RENAMES_NONE,
	RENAMES_REPLACED, /* those that put a file in the place of another */
	RENAMES_ALL,
};

/* Tail: the name and the names of its directory; for a rename, the new one, and the same of the old. */
struct event {
	struct event_header header;
	__s32 ret; /* 0, or -errno */
	__u32 kind; /* enum kind */
	struct name path;
	struct name from;
};

#define CALL_EVENTS(call) events_of((call)->event.kind)
static __always_inline int events_of(__u32 kind);

#include "event.bpf.h"
#include "calls.bpf.h"
#include "name.bpf.h"

enum kind *export_kind;
enum renames *export_renames;

/* -x: only failures. */
const volatile __u8 only_failed = 0;
const volatile __u8 renames = RENAMES_NONE;

/* A rename may take two files from their names: the one that moves, and the one that it replaces. */
static __always_inline int events_of(__u32 kind)
{
	if (kind == KIND_RENAME)
		return 0;
	return kind == KIND_REPLACED && renames == RENAMES_ALL ? 2 : 1;
}

/* Of a rename either name may be wanted: user space looks at both. */
static __always_inline bool wanted(struct record *record, __u32 kind)
{
	bool has_two = kind >= KIND_RENAMED && renames == RENAMES_ALL;

	return has_two || name_wanted(record);
}

/*
 * Where the kernel's functions begin and return: first way by fentry and fexit, second by kprobes.
 * They see io_uring and 32-bit calls too. The name is copied at the beginning, since the functions
 * free it.
 */

/* How long the name is, with its NUL; 0 or an error where it is not known. */
static __always_inline long read_filename(__u8 *to, struct filename *filename)
{
	to[0] = 0;
	/* What getname() makes of "". */
	if ((long)filename == -ENOENT)
		return 1;
	if (IS_ERR_OR_NULL(filename))
		return 0;
	if (is_user_address(filename)) /* renames, before Linux 5.11 */
		return read_user_string(to, PATH_MAX, filename);
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
	call = call_begin(thread_key());
	if (!call)
		return NULL;
	call->event.kind = kind;
	call->event.ret = 0;
	if (kind == KIND_RENAME)
		count_call(-1);
	len = read_filename(call->tail, filename);
	if (!wanted(call, kind)) {
		call_done(call);
		return NULL;
	}
	no_name(&call->event.from);
	fill_name(&call->event.path, call, at, 0, dfd, len);
	return call;
}

static __always_inline int begin_delete(__u32 kind, int dfd, struct filename *filename)
{
	__u64 at = 0;

	begin(kind, dfd, filename, &at);
	return 0;
}

static __always_inline void show(struct record *call, long ret)
{
	__u32 len;

	call->event.ret = call_returned(ret);
	len = call->event.path.len + call->event.path.base_len + call->event.from.len +
	      call->event.from.base_len;
	if (len > TAIL_MAX)
		len = TAIL_MAX;
	if ((!only_failed || ret < 0) && !count_only())
		event_output(&call->event, len);
}

static __always_inline int end(long ret)
{
	struct record *call = call_find(thread_key());

	if (!call)
		return 0;
	show(call, ret);
	call_done(call);
	return 0;
}

static __always_inline int begin_rename(int from_dfd, struct filename *from, int to_dfd,
					struct filename *to)
{
	__u64 at = 0;
	struct record *call = begin(KIND_RENAME, to_dfd, to, &at);
	long len;

	if (!call)
		return 0;
	if (at > PATH_MAX + NAMES_LEN)
		at = PATH_MAX + NAMES_LEN;
	len = read_filename(call->tail + at, from);
	fill_name(&call->event.from, call, &at, PATH_MAX + NAMES_LEN, from_dfd, len);
	return 0;
}

/*
 * In the kernel below a rename: now it is known whether there is a file of the new name, and another
 * one. overlayfs comes here again for its layers: .ret is 1 from the first time on.
 */
static __always_inline int in_rename(struct rename rename)
{
	struct record *call = call_find(thread_key());
	/* Not in the macro below: every member in there is looked for in the kernel's types. */
	struct dentry *from = rename.from, *to = rename.to;
	struct inode *replaced = BPF_CORE_READ(to, d_inode);

	if (!call || call->event.kind != KIND_RENAME || call->event.ret)
		return 0;
	call->event.ret = 1;
	if (rename.flags & RENAME_EXCHANGE || replaced == BPF_CORE_READ(from, d_inode))
		return 0;
	if (replaced)
		call->event.kind = KIND_REPLACED;
	else if (renames == RENAMES_ALL)
		call->event.kind = KIND_MOVED;
	count_call(CALL_EVENTS(call));
	return 0;
}

static __always_inline int end_rename(long ret)
{
	struct record *call = call_find(thread_key());

	if (!call)
		return 0;
	if (call->event.kind != KIND_RENAME && ret == 0)
		show(call, ret);
	if (call->event.kind == KIND_REPLACED && ret == 0 && renames == RENAMES_ALL) {
		call->event.kind = KIND_MOVED;
		count_call(-1);
		show(call, ret);
	}
	call_done(call);
	return 0;
}

SEC("fentry")
int BPF_PROG(on_unlink_fentry, int dfd, struct filename *filename)
{
	return begin_delete(KIND_FILE, dfd, filename);
}

SEC("fentry")
int BPF_PROG(on_rmdir_fentry, int dfd, struct filename *filename)
{
	return begin_delete(KIND_DIRECTORY, dfd, filename);
}

SEC("fexit")
int BPF_PROG(on_unlink_fexit, int dfd, struct filename *filename, long ret)
{
	return end((int)ret);
}

SEC("fexit")
int BPF_PROG(on_rmdir_fexit, int dfd, struct filename *filename, long ret)
{
	return end((int)ret);
}

SEC("fentry")
int BPF_PROG(on_rename_fentry, int from_dfd, struct filename *from, int to_dfd, struct filename *to)
{
	return begin_rename(from_dfd, from, to_dfd, to);
}

#define FENTRY_ARGUMENT(n) (ctx[(n) - 1])

SEC("fentry")
int on_vfs_rename_fentry(__u64 *ctx)
{
	return in_rename(RENAME_ARGUMENTS(FENTRY_ARGUMENT));
}

SEC("fexit")
int BPF_PROG(on_rename_fexit, int from_dfd, void *from, int to_dfd, void *to, unsigned int flags,
	     long ret)
{
	return end_rename((int)ret);
}

SEC("kprobe")
int BPF_KPROBE(on_unlink_entry, int dfd, struct filename *filename)
{
	return begin_delete(KIND_FILE, dfd, filename);
}

SEC("kprobe")
int BPF_KPROBE(on_rmdir_entry, int dfd, struct filename *filename)
{
	return begin_delete(KIND_DIRECTORY, dfd, filename);
}

SEC("kretprobe")
int BPF_KRETPROBE(on_return, int ret)
{
	return end(ret);
}

SEC("kprobe")
int BPF_KPROBE(on_rename_entry, int from_dfd, struct filename *from, int to_dfd,
	       struct filename *to)
{
	return begin_rename(from_dfd, from, to_dfd, to);
}

#define KPROBE_ARGUMENT(n) PT_REGS_PARM##n##_CORE(ctx)

SEC("kprobe")
int on_vfs_rename(struct pt_regs *ctx)
{
	return in_rename(RENAME_ARGUMENTS(KPROBE_ARGUMENT));
}

SEC("kretprobe")
int BPF_KRETPROBE(on_rename_return, int ret)
{
	return end_rename(ret);
}

SEC("tracepoint/sched/sched_process_exit")
int on_thread_end(void *ctx)
{
	struct record *call = call_find(thread_key());

	if (call)
		call_missed(call);
	return 0;
}

/*
 * Third way: where all system calls end, 64-bit and 32-bit ones. The saved registers still have the
 * arguments, and the name is resident because the kernel has just read it. What a rename has replaced
 * is gone then, and nothing tells whether it was there.
 */

/* A call on a name that is wanted: its record with the name; NULL when there is none. */
static __always_inline struct record *begin_ended(__u32 kind, __u64 path, long *len)
{
	struct record *record;

	if (!task_wanted() || count_only())
		return NULL;
	record = record_begin();
	if (!record)
		return NULL;
	record->tail[0] = 0;
	*len = read_user_string(record->tail, PATH_MAX, (void *)path);
	record->event.kind = kind;
	if (wanted(record, kind))
		return record;
	record_release(record);
	return NULL;
}

static __always_inline void ended(long ret, __u32 kind, int dfd, __u64 path)
{
	__u64 at = 0;
	long len;
	struct record *record = begin_ended(kind, path, &len);

	if (!record)
		return;
	record->event.ret = call_returned(ret);
	fill_name(&record->event.path, record, &at, 0, dfd, len);
	no_name(&record->event.from);
	if (at > TAIL_MAX)
		at = TAIL_MAX;
	record_submit(record, at);
}

/* A rename as the caller asked for it. */
struct rename_request {
	int from_dfd;
	int to_dfd;
	__u64 from;
	__u64 to;
};

static __noinline void renamed(__u32 kind, const struct rename_request *asked)
{
	__u64 at = 0;
	long len;
	struct record *record = begin_ended(kind, asked->to, &len);

	if (!record)
		return;
	record->event.ret = 0;
	fill_name(&record->event.path, record, &at, 0, asked->to_dfd, len);
	if (at > PATH_MAX + NAMES_LEN)
		at = PATH_MAX + NAMES_LEN;
	len = read_user_string(record->tail + at, PATH_MAX, (void *)asked->from);
	fill_name(&record->event.from, record, &at, PATH_MAX + NAMES_LEN, asked->from_dfd, len);
	if (at > TAIL_MAX)
		at = TAIL_MAX;
	record_submit(record, at);
}

static __noinline int rename_ended(struct pt_regs *regs, long number)
{
	bool compat = is_compat_call();
	struct rename_request asked = {.from_dfd = AT_FDCWD, .to_dfd = AT_FDCWD};
	__u64 flags = 0;
	int done = 0;

	if (IS_RENAME(number, compat)) {
		asked.from = call_argument(regs, 0, compat);
		asked.to = call_argument(regs, 1, compat);
	} else {
		asked.from_dfd = call_argument(regs, 0, compat);
		asked.from = call_argument(regs, 1, compat);
		asked.to_dfd = call_argument(regs, 2, compat);
		asked.to = call_argument(regs, 3, compat);
		if (IS_RENAMEAT2(number, compat))
			flags = call_argument(regs, 4, compat);
		else if (!IS_RENAMEAT(number, compat))
			goto out;
	}
	if (flags & RENAME_EXCHANGE)
		goto out;
	if (!(flags & RENAME_NOREPLACE))
		renamed(KIND_RENAMED, &asked);
	if (renames == RENAMES_ALL)
		renamed(KIND_MOVED, &asked);
out:
	barrier_var(done);
	return done;
}

/* Not inline, and with a result that the compiler does not know: as in opensnoop.bpf.c. */
static __noinline int call_ended(struct pt_regs *regs, long number, long ret)
{
	bool compat = is_compat_call();
	__u64 first = call_argument(regs, 0, compat);
	int done = 0;

	if (IS_UNLINKAT(number, compat))
		ended(ret,
		      call_argument(regs, 2, compat) & AT_REMOVEDIR ? KIND_DIRECTORY : KIND_FILE,
		      first, call_argument(regs, 1, compat));
	else if (IS_UNLINK(number, compat))
		ended(ret, KIND_FILE, AT_FDCWD, first);
	else if (IS_RMDIR(number, compat))
		ended(ret, KIND_DIRECTORY, AT_FDCWD, first);
	barrier_var(done);
	return done;
}

SEC("tracepoint/raw_syscalls/sys_exit")
int on_call_exit(__u64 *ctx)
{
	struct pt_regs *regs = syscall_regs(ctx);
	long number = call_number(regs), ret = syscall_ret(ctx);

	if (MAY_BE_UNLINK(number) && (!only_failed || ret < 0))
		return call_ended(regs, number, ret);
	if (renames && !ret && !only_failed && MAY_BE_RENAME(number))
		return rename_ended(regs, number);
	return 0;
}
