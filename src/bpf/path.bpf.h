/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where a directory or file is. The names on the way up to the root are put into
 * a tail one after the other, each with its NUL, the last one first; user space
 * turns them round. All names are the kernel's own copies. Include it behind event.bpf.h.
 */
#ifndef EBTOOLS_PATH_H
#define EBTOOLS_PATH_H

#include "event.bpf.h"

/* The most names of a path: a deeper one is marked. */
#define NAMES_MAX 48
#define NAME_LEN 256 /* NAME_MAX and a NUL */

struct place {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

static __always_inline struct place working_directory(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	struct fs_struct *fs = BPF_CORE_READ(task, fs);

	return (struct place){
		.mnt = BPF_CORE_READ(fs, pwd.mnt),
		.dentry = BPF_CORE_READ(fs, pwd.dentry),
	};
}

static __always_inline struct place root_directory(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	struct fs_struct *fs = BPF_CORE_READ(task, fs);

	return (struct place){
		.mnt = BPF_CORE_READ(fs, root.mnt),
		.dentry = BPF_CORE_READ(fs, root.dentry),
	};
}

static __always_inline struct place place_of_file(struct file *file)
{
	return (struct place){
		.mnt = BPF_CORE_READ(file, f_path.mnt),
		.dentry = BPF_CORE_READ(file, f_path.dentry),
	};
}

/* The directory that a file descriptor of the current task stands for; nowhere if it is not open. */
static __always_inline struct place place_of_fd(int fd)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files = BPF_CORE_READ(table, fd);
	struct file *file = NULL;

	if (fd >= 0 && fd < BPF_CORE_READ(table, max_fds))
		bpf_probe_read_kernel(&file, sizeof(file), files + fd);
	if (!file)
		return (struct place){};
	return place_of_file(file);
}

/* Where a walk is, kept in the stack of the one who walks. */
struct walk {
	struct dentry *dentry;
	struct mount *mount;
};

/*
 * One step up: writes a name at `at` + record->used, or crosses a mount. True if there is more.
 * Not inline, and with its results in memory: on its way out all the verifier's cases become one.
 */
static __noinline bool write_name(struct record *record, __u64 at, struct walk *walk)
{
	struct dentry *dentry, *parent;
	struct mount *mount, *upper;
	__u64 used;
	long len;

	if (!record || !walk || at > TAIL_MAX - NAMES_LEN)
		return false;
	dentry = walk->dentry;
	mount = walk->mount;
	if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
		upper = BPF_CORE_READ(mount, mnt_parent);
		if (mount == upper) {
			record->state = PATH_WHOLE;
			return false;
		}
		walk->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
		walk->mount = upper;
		return true;
	}
	used = *(volatile __u64 *)&record->used;
	if (used > NAMES_LEN - NAME_LEN)
		return false;
	len = bpf_probe_read_kernel_str(record->tail + at + used, NAME_LEN,
					BPF_CORE_READ(dentry, d_name.name));
	if (len < 1 || len > NAME_LEN)
		return false;
	parent = BPF_CORE_READ(dentry, d_parent);
	/* The root of a tree that is not mounted here, as after a lazy umount. */
	if (dentry == parent && record->tail[at + used] == '/')
		return false;
	record->used = used + len;
	/* What never was in a directory, like a memfd. */
	if (dentry == parent) {
		record->state = PATH_WHOLE;
		return false;
	}
	walk->dentry = parent;
	return true;
}

/*
 * Writes the names of a place into the tail of a record at `at`, at most NAMES_LEN bytes of them;
 * record->used says how many, record->state how it turned out. The way goes up over mounts to the
 * root of the mount namespace, so that a chroot's files are shown where they are.
 */
static __noinline int write_names(struct record *record, __u64 at, struct dentry *dentry,
				  struct vfsmount *mnt)
{
	struct walk walk = {
		.dentry = dentry,
		.mount = (void *)mnt - bpf_core_field_offset(struct mount, mnt),
	};
	int i;

	if (!record)
		return 0;
	record->used = 0;
	record->state = PATH_NONE;
	if (!dentry || !mnt)
		return 0;
	record->state = PATH_CUT;
	for (i = 0; i < NAMES_MAX; i++)
		if (!write_name(record, at, &walk))
			break;
	return 0;
}

/* The same, and moves *at behind the names; returns how it turned out. */
static __always_inline enum path_state names_of(struct place place, struct record *record,
						__u64 *at)
{
	struct dentry *dentry = place.dentry;
	struct vfsmount *mnt = place.mnt;
	enum path_state state;
	__u64 used;

	write_names(record, *at, place.dentry, place.mnt);
	used = *(volatile __u64 *)&record->used;
	if (used > NAMES_LEN)
		used = NAMES_LEN;
	*at += used;
	state = *(volatile __u32 *)&record->state;
	if (state == PATH_WHOLE && dentry != BPF_CORE_READ(mnt, mnt_root) &&
	    !BPF_CORE_READ(dentry, d_hash.pprev))
		state = PATH_DELETED;
	return state;
}

#endif
