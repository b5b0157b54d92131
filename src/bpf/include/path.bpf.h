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
#define NAMES_MAX 256
#define NAME_LEN 256 /* NAME_MAX and a NUL */

struct place {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

/*
 * The members of struct path are read through what contains it: every type whose members are read
 * costs the loader a search through all types of the kernel.
 */
#define PLACE(from, path)                                                                          \
	(struct place)                                                                             \
	{                                                                                          \
		.mnt = BPF_CORE_READ(from, path.mnt), .dentry = BPF_CORE_READ(from, path.dentry),  \
	}

static __always_inline struct fs_struct *current_fs(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ(task, fs);
}

static __always_inline struct place working_directory(void)
{
	struct fs_struct *fs = current_fs();

	return PLACE(fs, pwd);
}

static __always_inline struct place root_directory(void)
{
	struct fs_struct *fs = current_fs();

	return PLACE(fs, root);
}

static __always_inline struct place place_of_file(struct file *file)
{
	return PLACE(file, f_path);
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

static __always_inline struct mount *mount_of(struct vfsmount *mnt)
{
	return (void *)mnt - bpf_core_field_offset(struct mount, mnt);
}

/*
 * Is this mount, which is on no other one, the first of the current task's mount namespace? One that
 * was unmounted while it was in use is on no other one either, and in no namespace; what open_tree()
 * makes is in a namespace that no task is in.
 */
static __always_inline bool is_first_mount(struct mount *mount)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct mnt_namespace *namespace = BPF_CORE_READ(mount, mnt_ns);

	return namespace && namespace == BPF_CORE_READ(task, nsproxy, mnt_ns);
}

/* How many mounts may lie on each other at the root of a namespace: a rootfs, and what is on it. */
#define ROOT_MOUNTS_MAX 4

/* Is the current task's root directory that of its mount namespace, so that absolute names are paths? */
static __always_inline bool has_root_of_namespace(void)
{
	struct place root = root_directory();
	struct mount *mount = mount_of(root.mnt), *upper;
	int i;

	for (i = 0; i < ROOT_MOUNTS_MAX; i++) {
		if (root.dentry != BPF_CORE_READ(mount, mnt.mnt_root))
			return false;
		upper = BPF_CORE_READ(mount, mnt_parent);
		if (mount == upper)
			return is_first_mount(mount);
		root.dentry = BPF_CORE_READ(mount, mnt_mountpoint);
		mount = upper;
	}
	return false;
}

/*
 * One step up: writes a name at record->start + record->used, or crosses a mount. True if there is
 * more. A global function: event.bpf.h says why.
 */
__noinline bool write_name(__u32 slot)
{
	struct record *record = record_at(slot);
	struct dentry *dentry, *parent;
	struct mount *mount, *upper;
	const unsigned char *name;
	__u64 at, used;
	long len;

	if (!record)
		return false;
	dentry = (void *)record->dentry;
	mount = (void *)record->mount;
	if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
		upper = BPF_CORE_READ(mount, mnt_parent);
		if (mount == upper) {
			if (is_first_mount(mount))
				record->state = PATH_WHOLE;
			return false;
		}
		record->dentry = (__u64)BPF_CORE_READ(mount, mnt_mountpoint);
		record->mount = (__u64)upper;
		return true;
	}
	name = BPF_CORE_READ(dentry, d_name.name);
	parent = BPF_CORE_READ(dentry, d_parent);
	at = *(volatile __u64 *)&record->start;
	used = *(volatile __u64 *)&record->used;
	if (at > TAIL_MAX - NAMES_LEN || used > NAMES_LEN - NAME_LEN)
		return false;
	len = bpf_probe_read_kernel_str(record->tail + at + used, NAME_LEN, name);
	if (len < 1 || len > NAME_LEN)
		return false;
	/* The root of a tree that is not mounted here, as after a lazy umount. */
	if (dentry == parent && record->tail[at + used] == '/')
		return false;
	record->used = used + len;
	/* What never was in a directory, like a memfd. */
	if (dentry == parent) {
		record->state = PATH_WHOLE;
		return false;
	}
	record->dentry = (__u64)parent;
	return true;
}

/*
 * Writes the names of a place, at most NAMES_LEN bytes of them, into a record's tail; record->used
 * says how many, record->state how it turned out. The way goes up over mounts to the root of the
 * mount namespace, so that a chroot's files are shown where they are.
 */
__noinline int write_names(__u32 slot, __u64 at, __u64 dentry, __u64 mnt)
{
	struct record *record = record_at(slot);
	int i;

	if (!record)
		return 0;
	record->used = 0;
	record->state = PATH_NONE;
	if (!dentry || !mnt)
		return 0;
	record->start = at;
	record->dentry = dentry;
	record->mount = (__u64)mount_of((void *)mnt);
	record->state = PATH_CUT;
	for (i = 0; i < NAMES_MAX; i++)
		if (!write_name(slot))
			break;
	return 0;
}

/* The same, and moves *at behind the names; returns how it turned out. */
static __always_inline enum path_state names_of(struct place place, struct record *record,
						__u64 *at)
{
	struct dentry *dentry = place.dentry;
	struct mount *mount = mount_of(place.mnt);
	enum path_state state;
	__u64 used;

	write_names(record->slot, *at, (__u64)dentry, (__u64)place.mnt);
	used = *(volatile __u64 *)&record->used;
	if (used > NAMES_LEN)
		used = NAMES_LEN;
	*at += used;
	state = *(volatile __u32 *)&record->state;
	if (state == PATH_WHOLE && dentry != BPF_CORE_READ(mount, mnt.mnt_root) &&
	    !BPF_CORE_READ(dentry, d_hash.pprev))
		state = PATH_DELETED;
	return state;
}

#endif
