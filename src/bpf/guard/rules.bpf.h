/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* guard: which rule is for a file. */
#ifndef EBTOOLS_GUARD_RULES_H
#define EBTOOLS_GUARD_RULES_H

/* Refuse what is forbidden. */
const volatile __u8 enforce = 0;
/* The acts that there are rules of to deny them; those of rules for what is below a directory. */
const volatile __u8 acts_denied = 0, acts_below = 0;
/* For each act the first rule that denies it below a directory. */
const volatile __u16 first_below[FILE_ACTS] = {};
/* Does the kernel say with a rename whether it is an exchange? Since Linux 5.19. */
const volatile __u8 rename_has_flags = 0;

/* The tracer's mount namespace. */
__u64 own_mounts = 0;

/* The number of a rule that denies, and whether another one allows. */
#define RULE 0xffff
#define ALLOWED (1 << 16)

static __always_inline __u32 both(__u32 one, __u32 other)
{
	return ((one & RULE) ? one & RULE : other & RULE) | ((one | other) & ALLOWED);
}

static __always_inline __u32 of_marks(const struct marks *marks, __u32 act, bool is_below)
{
	__u8 allowed = is_below ? marks->below_allowed : marks->itself_allowed;
	__u32 rule;

	act &= FILE_ACTS - 1;
	rule = is_below ? marks->below[act] : marks->itself[act];
	return rule | (allowed >> act & 1 ? ALLOWED : 0);
}

/* Global functions, which have numbers for arguments, are verified once: event.bpf.h. */
__noinline __u32 rule_of_file(__u64 inode, __u32 act, __u32 is_below)
{
	struct marks *marks = bpf_map_lookup_elem(&files, &inode);

	return marks ? of_marks(marks, act, is_below) : 0;
}

__noinline __u32 rule_of_entry(__u64 at, __u32 act)
{
	struct dentry *dentry = (void *)at, *parent = BPF_CORE_READ(dentry, d_parent);
	struct entry entry = {};
	struct marks *marks;

	if (dentry == parent)
		return 0;
	entry.directory = (__u64)BPF_CORE_READ(parent, d_inode);
	bpf_probe_read_kernel_str(entry.name, NAME_LEN, BPF_CORE_READ(dentry, d_name.name));
	marks = bpf_map_lookup_elem(&entries, &entry);
	return marks ? of_marks(marks, act, false) : 0;
}

/* The same as both(): what the verifier knows nothing of afterwards, in a loop. */
__noinline __u32 both_in_loop(__u32 one, __u32 other)
{
	return both(one, other);
}

/* Of rules for what is below a directory: a file that is too deep is taken for one that is denied. */
#define TOO_DEEP(found, act) both(found, first_below[(act) & (FILE_ACTS - 1)])

/* The directories above a file, up to the root of its file system, whatever part of that is mounted. */
__noinline __u32 rule_above(__u64 at, __u32 act)
{
	struct dentry *dentry = (void *)at, *parent;
	__u32 found = 0;
	int i;

	for (i = 0; i < NAMES_MAX; i++) {
		parent = BPF_CORE_READ(dentry, d_parent);
		if (dentry == parent)
			return found;
		dentry = parent;
		found = both_in_loop(
			found, rule_of_file((__u64)BPF_CORE_READ(dentry, d_inode), act, true));
	}
	return TOO_DEEP(found, act);
}

/*
 * What of a rule counts by a mount: in another namespace than the tracer's other users may mount what
 * they like where they like, and so be allowed what they like.
 */
__noinline __u32 counts_by(__u64 at)
{
	struct mount *mount = (void *)at;

	return (__u64)BPF_CORE_READ(mount, mnt_ns) == own_mounts ? RULE | ALLOWED : RULE;
}

/* File systems that are mounted in each other. */
#define MOUNTS_MAX 32

/* The directories that the file system is mounted in, and that of those, and so on. */
__noinline __u32 rule_of_mounts(__u64 mnt, __u32 act)
{
	struct mount *mount = mount_of((void *)mnt), *upper;
	__u32 counts = counts_by((__u64)mount), found = 0, here;
	struct dentry *dentry;
	int i;

	for (i = 0; i < MOUNTS_MAX; i++) {
		upper = BPF_CORE_READ(mount, mnt_parent);
		if (mount == upper)
			return found;
		dentry = BPF_CORE_READ(mount, mnt_mountpoint);
		mount = upper;
		here = rule_of_file((__u64)BPF_CORE_READ(dentry, d_inode), act, true);
		here = both_in_loop(here, rule_above((__u64)dentry, act));
		found = both_in_loop(found, here & counts);
	}
	return TOO_DEEP(found, act);
}

/* Names of a file that the kernel has in mind. */
#define ENTRIES_MAX 16

/*
 * The same for the entries that an inode has in its own file system. What overlayfs opens below it has
 * the path of the overlay on older kernels, like 6.1; its entry is in use as long as the overlay's is.
 */
__noinline __u32 rule_above_entries(__u64 inode, __u32 act)
{
	struct hlist_node *node = BPF_CORE_READ((struct inode *)inode, i_dentry.first);
	__u32 found = 0;
	int i;

	if (!bpf_core_field_exists(struct dentry, d_u.d_alias))
		return 0;
	for (i = 0; i < ENTRIES_MAX; i++) {
		if (!node)
			return found;
		found = both_in_loop(
			found,
			rule_above((__u64)node - bpf_core_field_offset(struct dentry, d_u.d_alias),
				   act));
		node = BPF_CORE_READ(node, next);
	}
	return TOO_DEEP(found, act);
}

/* The rule that forbids an act on a file; 0 for none. The inode may be another one than the entry's. */
static __always_inline __u32 rule_for(__u32 act, struct place place, struct inode *inode)
{
	struct dentry *dentry = place.dentry;
	__u64 shown = (__u64)BPF_CORE_READ(dentry, d_inode);
	__u32 found =
		both(rule_of_file((__u64)inode, act, false), rule_of_entry((__u64)dentry, act));

	if (shown != (__u64)inode) {
		found = both(found, rule_of_file(shown, act, false));
		if (acts_below >> act & 1)
			found = both(found, rule_above_entries((__u64)inode, act));
	}
	if (acts_below >> act & 1)
		found = both(found, both(rule_above((__u64)dentry, act),
					 rule_of_mounts((__u64)place.mnt, act)));
	return found & ALLOWED ? 0 : found;
}

#endif
