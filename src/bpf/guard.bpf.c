// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * guard: acts that rules forbid, shown or refused.
 *
 * Files are known by their inodes, not by what callers name them: so neither another name nor another
 * mount is a way around. User space holds each file of a rule open, and an inode that is in use is at
 * one address for as long as that.
 */
#include "ebtools.bpf.h"
#include <bpf/bpf_endian.h>

enum guard_limit {
	RULE_LEN = 256, /* of a rule's text, with its NUL */
	RULES_MAX = 256,
};
#define TAIL_MAX (RULE_LEN + NAMES_LEN)

enum act {
	ACT_OPEN,
	ACT_EXEC,
	ACT_DELETE,
	ACT_RENAME,
	ACT_CONNECT,
};
#define FILE_ACTS 4

/* Tail: the rule's text, with its NUL; then the names of the file. */
struct event {
	struct event_header header;
	__u8 address[16]; /* of a connect; an IPv4 address is in the first four */
	__u32 act; /* enum act */
	__u32 rule_len;
	__u32 names_len;
	__u32 names_state; /* enum path_state */
	__u32 port;
	__u16 family; /* 4 or 6; 0 where there is no address */
	__u16 is_refused; /* or else only shown */
};

#include "event.bpf.h"
#include "owner.bpf.h"
#include "path.bpf.h"

/*
 * What rules say of a file, for each act on files: the number of a rule that denies it, and a bit for
 * those that allow it. Of itself, and of what is below it.
 */
struct marks {
	__u16 itself[FILE_ACTS];
	__u16 below[FILE_ACTS];
	__u8 itself_allowed;
	__u8 below_allowed;
	__u8 reserved[6];
};

/* By the addresses of inodes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u64);
	__type(value, struct marks);
	__uint(max_entries, 4 * RULES_MAX);
} files SEC(".maps");

/* A name in a directory, for a file that is not there yet, or is replaced by another one. */
struct entry {
	__u64 directory;
	__u8 name[NAME_LEN]; /* bytes after the NUL are 0 */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct entry);
	__type(value, struct marks);
	__uint(max_entries, 2 * RULES_MAX);
} entries SEC(".maps");

/* Where connects go. */
struct destination {
	__u32 bits; /* 32 more than the network's own */
	__u16 port; /* host order; 0: any */
	__u8 family; /* 4 or 6 */
	__u8 reserved;
	__u8 address[16];
};

/* To the numbers of rules. */
struct networks {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct destination);
	__type(value, __u32);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 2 * RULES_MAX);
} denied_networks SEC(".maps"), allowed_networks SEC(".maps");

struct rule_text {
	__u32 len; /* with its NUL */
	__u8 text[RULE_LEN];
};

/* By their numbers, from 1. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct rule_text);
	__uint(max_entries, RULES_MAX + 1);
} rule_texts SEC(".maps");

/* What user space is told. */
struct answer {
	__u64 number; /* an inode's address, a process, or whether it was so */
	__u64 directory; /* of a file: the inode's address, and its name in there */
	__u8 name[NAME_LEN];
	__u8 comm[COMM_LEN]; /* of a process */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct answer);
	__uint(max_entries, 1);
} answer SEC(".maps");

struct marks *export_marks;
struct entry *export_entry;
struct destination *export_destination;
struct rule_text *export_rule_text;
struct answer *export_answer;
enum act *export_act;
enum guard_limit *export_guard_limit;

#include "guard/asked.bpf.h"
#include "guard/connects.bpf.h"
#include "guard/decisions.bpf.h"

#define FMODE_EXEC 0x20 /* of f_flags: include/linux/fs.h */

/*
 * Is a program run that overlayfs has below it? Nobody is asked of that as of a program, only as of a file
 * that is opened; and where the overlay's own file is forbidden, that is shown already.
 */
static __always_inline bool is_run_below(struct file *file)
{
	struct place place = place_of_file(file);
	struct mount *mount = mount_of(place.mnt);
	struct dentry *dentry = place.dentry;
	struct inode *shown = BPF_CORE_READ(dentry, d_inode);

	if (!(BPF_CORE_READ(file, f_flags) & FMODE_EXEC))
		return false;
	/* Since Linux 6.5 by a mount of overlayfs's own, which is in no namespace. */
	if (shown == BPF_CORE_READ(file, f_inode))
		return IS_ERR_OR_NULL(BPF_CORE_READ(mount, mnt_ns));
	return !rule_for(ACT_EXEC, place, shown);
}

/*
 * None of these is called when another LSM, or a BPF program before it, has refused: their results
 * need not be looked at.
 */
SEC("lsm/file_open")
int BPF_PROG(on_open, struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct place place = place_of_file(file);

	if (acts_denied >> ACT_EXEC & 1 && is_run_below(file) && decide(ACT_EXEC, place, inode))
		return result(true);
	return result(decide(ACT_OPEN, place, inode));
}

/* An open that would make the file, which would be there before the open is refused; and mknod. */
SEC("lsm/path_mknod")
int BPF_PROG(on_make, const struct path *dir, struct dentry *dentry)
{
	return result(decide_entry(ACT_OPEN, dir, dentry));
}

/* For a script, and again for what interprets it. */
SEC("lsm/bprm_check_security")
int BPF_PROG(on_exec, struct linux_binprm *bprm)
{
	struct file *file = BPF_CORE_READ(bprm, file);

	return result(decide(ACT_EXEC, place_of_file(file), BPF_CORE_READ(file, f_inode)));
}

SEC("lsm/path_unlink")
int BPF_PROG(on_unlink, const struct path *dir, struct dentry *dentry)
{
	return result(decide_entry(ACT_DELETE, dir, dentry));
}

SEC("lsm/path_rmdir")
int BPF_PROG(on_rmdir, const struct path *dir, struct dentry *dentry)
{
	return result(decide_entry(ACT_DELETE, dir, dentry));
}

/* The file that has the new name is deleted. */
SEC("lsm/path_rename")
int BPF_PROG(on_rename, const struct path *from_dir, struct dentry *from, const struct path *to_dir,
	     struct dentry *to)
{
	__u64 flags = rename_has_flags ? ctx[4] : 0;

	if (decide_entry(ACT_RENAME, from_dir, from) || decide_entry(ACT_RENAME, to_dir, to))
		return result(true);
	if (flags & RENAME_EXCHANGE || !BPF_CORE_READ(to, d_inode))
		return result(false);
	return result(decide_entry(ACT_DELETE, to_dir, to));
}

/* Another name for a file: it is on the same mount, or the kernel has refused already. */
SEC("lsm/path_link")
int BPF_PROG(on_link, struct dentry *from, const struct path *to_dir, struct dentry *to)
{
	return result(decide_entry(ACT_RENAME, to_dir, from) ||
		      decide_entry(ACT_RENAME, to_dir, to));
}
