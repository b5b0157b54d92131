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

/* A record of a decision, with the rule's text; NULL where there is no memory for it. */
static __always_inline struct record *begin(__u32 act, __u32 number)
{
	struct rule_text *rule = bpf_map_lookup_elem(&rule_texts, &number);
	struct task_struct *task = (void *)bpf_get_current_task();
	struct record *record;

	if (!rule || count_only_of(task, act))
		return NULL;
	record = record_begin_of(task);
	if (!record)
		return NULL;
	bpf_probe_read_kernel(record->tail, RULE_LEN, rule->text);
	__builtin_memset(record->event.address, 0, sizeof(record->event.address));
	record->event.act = act;
	record->event.rule_len = rule->len & (RULE_LEN - 1);
	record->event.names_len = 0;
	record->event.names_state = PATH_NONE;
	record->event.port = 0;
	record->event.family = 0;
	record->event.is_refused = enforce;
	return record;
}

__noinline int show_file(__u32 act, __u32 rule, __u64 dentry, __u64 mnt)
{
	struct place place = {.mnt = (void *)mnt, .dentry = (void *)dentry};
	struct record *record = begin(act, rule);
	__u64 at, start;

	if (!record)
		return 0;
	start = record->event.rule_len & (RULE_LEN - 1);
	at = start;
	record->event.names_state = names_of(place, record, &at);
	record->event.names_len = at - start;
	if (at > TAIL_MAX)
		at = TAIL_MAX;
	record_submit(record, at);
	return 0;
}

/*
 * Is the current task one that rules are for? The command is it before its exec too, so that what is
 * run can be forbidden: only where no other filter says what it must be by then.
 */
static __always_inline bool is_bound(void)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;

	if (task_wanted())
		return true;
	if (settings.follow != FOLLOW_COMMAND || settings.by_pid || settings.by_uid ||
	    settings.by_comm || settings.by_cgroup || pid == tracer)
		return false;
	return bpf_map_lookup_elem(&followed, &pid);
}

/* Shows an act on a file that is forbidden. Is it? */
static __always_inline bool decide(__u32 act, struct place place, struct inode *inode)
{
	__u32 rule;

	if (!(acts_denied >> act & 1) || !is_bound())
		return false;
	rule = rule_for(act, place, inode);
	if (!rule)
		return false;
	show_file(act, rule, (__u64)place.dentry, (__u64)place.mnt);
	return true;
}

static __always_inline bool decide_entry(__u32 act, const struct path *dir, struct dentry *dentry)
{
	struct place place = {.mnt = BPF_CORE_READ(dir, mnt), .dentry = (void *)number_of(dentry)};

	return decide(act, place, BPF_CORE_READ(dentry, d_inode));
}

/* As a branch: the verifier knows no range of what the compiler would calculate instead. */
static __always_inline int result(bool is_forbidden)
{
	int refusal = -EPERM;

	barrier_var(refusal);
	return is_forbidden && enforce ? refusal : 0;
}

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

static __always_inline void show_connect(__u32 rule, const struct destination *network, __u16 port)
{
	struct record *record = begin(ACT_CONNECT, rule);

	if (!record)
		return;
	__builtin_memcpy(record->event.address, network->address, sizeof(network->address));
	record->event.port = port;
	record->event.family = network->family;
	record_submit(record, record->event.rule_len & (RULE_LEN - 1));
}

static __always_inline __u32 rule_in(void *networks, struct destination *network, __u16 port)
{
	__u32 *rule;

	network->port = port;
	rule = bpf_map_lookup_elem(networks, network);
	if (!rule) {
		network->port = 0;
		rule = bpf_map_lookup_elem(networks, network);
	}
	return rule ? *rule : 0;
}

#define V4 4
#define V6 6
#define V4_BITS (32 + 32)
#define V6_BITS (32 + 128)

static __always_inline __u32 rule_for_network(struct destination *network, __u16 port)
{
	__u32 rule = rule_in(&denied_networks, network, port);

	return rule && !rule_in(&allowed_networks, network, port) ? rule : 0;
}

/* What a cgroup's program returns: may it go on? */
#define GOES_ON 1
#define IS_REFUSED 0

static __always_inline int decide_connect(struct destination *network, __u32 rule, __u16 port)
{
	if (!rule)
		return GOES_ON;
	show_connect(rule, network, port);
	return enforce ? IS_REFUSED : GOES_ON;
}

static __always_inline bool connects_are_bound(void)
{
	return task_wanted_of((void *)bpf_get_current_task());
}

static __always_inline int connect4(struct destination *network, __u32 address, __u16 port)
{
	/* The kernel takes 0.0.0.0 for this host. */
	__u32 meant = address ?: bpf_htonl(0x7f000001);

	network->bits = V4_BITS;
	network->family = V4;
	__builtin_memcpy(network->address, &meant, sizeof(meant));
	return decide_connect(network, rule_for_network(network, port), port);
}

static __always_inline int to_ipv4(struct bpf_sock_addr *ctx)
{
	struct destination network = {};

	if (!connects_are_bound())
		return GOES_ON;
	return connect4(&network, ctx->user_ip4, bpf_ntohs(ctx->user_port));
}

static __always_inline int to_ipv6(struct bpf_sock_addr *ctx)
{
	__u32 address[4] = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]};
	struct destination network = {.bits = V6_BITS, .family = V6};
	bool is_any = !(address[0] | address[1] | address[2] | address[3]);
	__u16 port = bpf_ntohs(ctx->user_port);
	struct destination v4 = {};

	if (!connects_are_bound())
		return GOES_ON;
	/* ::ffff:10.0.0.1; and :: is this host, by IPv4 where the socket is bound to such an address. */
	if (!address[0] && !address[1] && address[2] == bpf_htonl(0xffff))
		return connect4(&v4, address[3], port);
	if (is_any && connect4(&v4, 0, port) == IS_REFUSED)
		return IS_REFUSED;
	if (is_any)
		address[3] = bpf_htonl(1);
	__builtin_memcpy(network.address, address, sizeof(address));
	return decide_connect(&network, rule_for_network(&network, port), port);
}

SEC("cgroup/connect4")
int on_connect4(struct bpf_sock_addr *ctx)
{
	return to_ipv4(ctx);
}

SEC("cgroup/connect6")
int on_connect6(struct bpf_sock_addr *ctx)
{
	return to_ipv6(ctx);
}

/* What a socket that is not connected sends. */
SEC("cgroup/sendmsg4")
int on_sendmsg4(struct bpf_sock_addr *ctx)
{
	return to_ipv4(ctx);
}

SEC("cgroup/sendmsg6")
int on_sendmsg6(struct bpf_sock_addr *ctx)
{
	return to_ipv6(ctx);
}

/* --- what user space asks, by running these itself, or by an act of its own ------------------- */

static __always_inline void tell(__u64 number)
{
	__u32 zero = 0;
	struct answer *told = bpf_map_lookup_elem(&answer, &zero);

	if (told)
		told->number = number;
}

/* The file that it has open as this descriptor. */
SEC("raw_tp")
int on_look_at(__u64 *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct dentry *dentry = place_of_fd(ctx[0]).dentry;
	__u32 zero = 0;
	struct answer *told = bpf_map_lookup_elem(&answer, &zero);

	if (!told)
		return 0;
	own_mounts = (__u64)BPF_CORE_READ(task, nsproxy, mnt_ns);
	told->number = (__u64)BPF_CORE_READ(dentry, d_inode);
	told->directory = (__u64)BPF_CORE_READ(dentry, d_parent, d_inode);
	__builtin_memset(told->name, 0, sizeof(told->name));
	bpf_probe_read_kernel_str(told->name, NAME_LEN, BPF_CORE_READ(dentry, d_name.name));
	return 0;
}

__noinline int is_target(__u64 task)
{
	return task_wanted_of((void *)task);
}

/* Processes that a process descends from. */
#define ANCESTORS_MAX 256

/* The uppermost process that it descends from, and that rules would be for. */
SEC("raw_tp")
int on_look_up(void *ctx)
{
	struct task_struct *task = current_process(), *parent;
	__u32 zero = 0;
	struct answer *told = bpf_map_lookup_elem(&answer, &zero);
	int i;

	if (!told)
		return 0;
	told->number = 0;
	for (i = 0; i < ANCESTORS_MAX; i++) {
		parent = BPF_CORE_READ(task, real_parent, group_leader);
		/* The kernel's own, which has no number, is above the first. */
		if (parent == task || !BPF_CORE_READ(parent, tgid))
			break;
		task = parent;
		if (is_target((__u64)task)) {
			told->number = BPF_CORE_READ(task, tgid);
			comm_of(told->comm, task);
		}
	}
	/* There are more: nobody knows. */
	if (i == ANCESTORS_MAX)
		told->number = BPF_CORE_READ(task, tgid);
	return 0;
}

/* Where BPF has no say, such a program can be attached, and is never run: this tells. */
SEC("lsm/file_open")
int BPF_PROG(on_own_open, struct file *file)
{
	if (bpf_get_current_pid_tgid() >> 32 == tracer)
		tell(1);
	return 0;
}

SEC("cgroup/connect4")
int on_own_connect(struct bpf_sock_addr *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	if (BPF_CORE_READ(task, tgid) == tracer)
		tell(1);
	return GOES_ON;
}
