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
#define NAMES_MAX 96
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

/*
 * Writes the names of a place into the tail of a record at `at`, at most NAMES_LEN bytes of them;
 * record->used says how many, record->state how it turned out. The way goes up over mounts to the
 * root of the mount namespace, so that a chroot's files are shown where they are.
 *
 * Not inline, and with its results in memory: so all the verifier's cases become one on its way out.
 */
static __noinline int write_names(struct record *record, __u64 at, struct dentry *start_dentry,
				  struct vfsmount *start_mnt)
{
	struct mount *mount = (void *)start_mnt - bpf_core_field_offset(struct mount, mnt);
	struct dentry *dentry = start_dentry;
	__u64 used;
	int i;

	if (!record || at > TAIL_MAX - NAMES_LEN)
		return 0;
	record->used = 0;
	record->state = PATH_NONE;
	if (!start_dentry || !start_mnt)
		return 0;
	record->state = PATH_CUT;
	for (i = 0; i < NAMES_MAX; i++) {
		struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
		struct dentry *top = BPF_CORE_READ(mount, mnt.mnt_root);
		struct mount *upper = BPF_CORE_READ(mount, mnt_parent);
		long len;

		if (dentry == top && mount == upper) {
			record->state = PATH_WHOLE;
			break;
		}
		if (dentry == top) {
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			mount = upper;
			continue;
		}
		used = *(volatile __u64 *)&record->used;
		if (used > NAMES_LEN - NAME_LEN)
			break;
		len = bpf_probe_read_kernel_str(record->tail + at + used, NAME_LEN,
						BPF_CORE_READ(dentry, d_name.name));
		if (len < 1 || len > NAME_LEN)
			break;
		/* The root of a tree that is not mounted here, as after a lazy umount. */
		if (dentry == parent && record->tail[at + used] == '/')
			break;
		record->used = used + len;
		/* What never was in a directory, like a memfd. */
		if (dentry == parent) {
			record->state = PATH_WHOLE;
			break;
		}
		dentry = parent;
	}
	if (record->state == PATH_WHOLE && start_dentry != BPF_CORE_READ(start_mnt, mnt_root) &&
	    !BPF_CORE_READ(start_dentry, d_hash.pprev))
		record->state = PATH_DELETED;
	return 0;
}

/* The same, and moves *at behind the names; returns how it turned out. */
static __always_inline enum path_state names_of(struct place place, struct record *record,
						__u64 *at)
{
	__u64 used;

	write_names(record, *at, place.dentry, place.mnt);
	used = *(volatile __u64 *)&record->used;
	if (used > NAMES_LEN)
		used = NAMES_LEN;
	*at += used;
	return *(volatile __u32 *)&record->state;
}

#endif
