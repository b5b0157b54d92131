/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From a wanted event to a record in the ring. A tool defines before it
 * includes this header:
 *
 *   struct event { struct event_header header; ... };   the fixed part
 *   #define TAIL_MAX 4096                               the most of the variable part
 *
 * and in its program:
 *
 *   if (!task_wanted() || count_only())
 *           return 0;
 *   record = record_begin();
 *   if (!record)
 *           return 0;
 *   ... fill every byte of record->event but its header, and some of record->tail ...
 *   record_submit(record, bytes of tail);
 */
#ifndef EBTOOLS_EVENT_H
#define EBTOOLS_EVENT_H

#include "ebtools.bpf.h"
#include "count.bpf.h"
#include "filter.bpf.h"
#include "owner.bpf.h"
#include "task.bpf.h"

/* User space sizes it: --buffer. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

/*
 * Records are put together in slots of memory and copied to the ring with the
 * length they turned out to have. The first CALLS_MAX slots are for calls.bpf.h; behind them a
 * CPU has SCRATCH_SLOTS, because a program may be preempted or interrupted by another one.
 */
#ifndef CALLS_MAX
#define CALLS_MAX 0
#endif

struct record {
	__u64 users;
	__u64 key; /* of calls.bpf.h; 0 for none */
	__u32 slot; /* its own number */
	/*
	 * Where a loop is while it fills the tail. In memory, so that its body can be a global
	 * function, which has numbers for arguments: the verifier checks such a function once, and
	 * not in every iteration and at every call.
	 */
	__u32 state; /* how it ended */
	__u64 start; /* where what it writes begins */
	__u64 used; /* how much it has written */
	__u64 dentry, mount; /* where a walk is: path.bpf.h */
	struct event event;
	__u8 tail[TAIL_MAX];
};

/* An array, not a per-CPU one: those hold at most 32 KiB. User space adds slots for each CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct record);
	__uint(max_entries, CALLS_MAX + SCRATCH_SLOTS);
} records SEC(".maps");

static __always_inline struct record *record_at(__u32 slot)
{
	return bpf_map_lookup_elem(&records, &slot);
}

/* Makes the Rust type. */
struct event *export_event;

/*
 * A slot belongs to whoever finds itself alone after it joined. Two that meet
 * may both leave, but never both stay; an atomic addition is all that kernels
 * before 5.12 have.
 */
static __always_inline bool record_claim(struct record *record)
{
	__sync_fetch_and_add(&record->users, 1);
	if (*(volatile __u64 *)&record->users == 1)
		return true;
	__sync_fetch_and_add(&record->users, -1);
	return false;
}

static __always_inline void record_release(struct record *record)
{
	__sync_fetch_and_add(&record->users, -1);
}

/* NULL when all of this CPU are in use, which is counted. */
static __always_inline struct record *scratch_claim(void)
{
	__u32 first = CALLS_MAX + bpf_get_smp_processor_id() * SCRATCH_SLOTS;
	int i;

	for (i = 0; i < SCRATCH_SLOTS; i++) {
		struct record *record = record_at(first + i);

		if (record && record_claim(record)) {
			record->slot = first + i;
			return record;
		}
	}
	count_lost(LOST_SCRATCH_BUSY);
	return NULL;
}

static __always_inline void no_relations(struct event_header *header)
{
	header->ns_pid = 0;
	header->reserved = 0;
	__builtin_memset(header->parent_comm, 0, sizeof(header->parent_comm));
}

/* What no helper knows, and hardly anybody asks for; collect: bits of enum collect. */
static __always_inline void fill_relations(struct event_header *header, struct task_struct *task,
					   __u32 collect)
{
	no_relations(header);
	if (collect & COLLECT_NS_PID)
		header->ns_pid = pid_in_own_namespace(task);
	if (collect & COLLECT_PARENT)
		comm_of(header->parent_comm, BPF_CORE_READ(task, real_parent, group_leader));
}

/* The header of the current task's record. What is in no column costs nothing. */
static __always_inline void fill_header(struct event_header *header)
{
	__u32 collect = settings.collect; /* read once: programs that are short are fast */
	__u64 id = bpf_get_current_pid_tgid();

	header->time_ns = bpf_ktime_get_boot_ns();
	header->pid = id >> 32;
	header->tid = id;
	header->ppid = collect & COLLECT_PPID ? CURRENT_READ(real_parent, tgid) : 0;
	header->uid = collect & COLLECT_UID ? bpf_get_current_uid_gid() : 0;
	header->cgroup_id = collect & COLLECT_CGROUP ? bpf_get_current_cgroup_id() : 0;
	event_comm(header->comm);
	if (collect & (COLLECT_NS_PID | COLLECT_PARENT))
		fill_relations(header, (void *)bpf_get_current_task(), collect);
	else
		no_relations(header);
}

/* A record's header for any task. */
static __always_inline void fill_header_of(struct event_header *header, struct task_struct *task)
{
	__u32 collect = settings.collect;

	header->time_ns = bpf_ktime_get_boot_ns();
	header->pid = BPF_CORE_READ(task, tgid);
	header->tid = BPF_CORE_READ(task, pid);
	header->ppid = collect & COLLECT_PPID ? BPF_CORE_READ(task, real_parent, tgid) : 0;
	header->uid = collect & COLLECT_UID ? uid_of(task) : 0;
	header->cgroup_id = collect & COLLECT_CGROUP ? cgroup_id_of(task) : 0;
	event_comm_of(header->comm, task);
	fill_relations(header, task, collect);
}

/* A record's header for an owner: what else it may have, nobody knows any more. */
static __always_inline void fill_header_by(struct event_header *header, const struct owner *owner)
{
	__builtin_memset(header, 0, sizeof(*header));
	header->time_ns = bpf_ktime_get_boot_ns();
	header->pid = owner->pid;
	header->tid = owner->tid;
	header->uid = settings.collect & COLLECT_UID ? owner->uid : 0;
	header->cgroup_id = settings.collect & COLLECT_CGROUP ? owner->cgroup_id : 0;
	__builtin_memcpy(header->comm, owner->comm, COMM_LEN);
}

/* A record with its header filled; NULL when there is no memory for it, which is counted. */
static __always_inline struct record *record_begin(void)
{
	struct record *record = scratch_claim();

	if (record)
		fill_header(&record->event.header);
	return record;
}

/* The same for any task. */
static __always_inline struct record *record_begin_of(struct task_struct *task)
{
	struct record *record = scratch_claim();

	if (record)
		fill_header_of(&record->event.header, task);
	return record;
}

/* In the ring. */
#define RING_SIZE(size) ((BPF_RINGBUF_HDR_SZ + (size) + 7) & ~7ULL)

/*
 * There is no wake-up for each event: the reader looks by itself on a short tick, and is woken when a
 * good part of the ring has been filled meanwhile, from before to after. Where the reader is in the ring
 * is not asked: that memory is the reader's, and slow to get.
 */
static __always_inline __u64 wake_flags(__u64 before, __u64 after)
{
	if (before >> settings.wake_shift != after >> settings.wake_shift)
		return BPF_RB_FORCE_WAKEUP;
	return BPF_RB_NO_WAKEUP;
}

static __always_inline void event_output(struct event *event, __u64 tail_len)
{
	__u64 size = sizeof(*event) + tail_len;
	__u64 before = bpf_ringbuf_query(&events, BPF_RB_PROD_POS);

	if (bpf_ringbuf_output(&events, event, size, wake_flags(before, before + RING_SIZE(size))))
		count_lost(LOST_RING_FULL);
	else
		count_submitted();
}

/* tail_len: at most TAIL_MAX, and the verifier must know it. */
static __always_inline void record_submit(struct record *record, __u64 tail_len)
{
	event_output(&record->event, tail_len);
	record_release(record);
}

/*
 * A record with a short tail, made in the ring itself: no slot, and nothing is copied. Those after it
 * have to wait for it there, so that the program must be one that is not preempted; and only one at a
 * time on a CPU. What is behind the tail's end is what the ring had there before.
 */
#ifndef SHORT_TAIL
#define SHORT_TAIL 64
#endif

struct short_record {
	struct event event;
	__u8 tail[SHORT_TAIL];
};

/* Its header filled; NULL when the ring has no room, which is not counted: a slot's record may fit. */
static __always_inline struct short_record *short_begin(void)
{
	struct short_record *record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);

	if (record)
		fill_header(&record->event.header);
	return record;
}

static __always_inline void short_submit(struct short_record *record)
{
	__u64 after = bpf_ringbuf_query(&events, BPF_RB_PROD_POS);

	count_submitted_alone();
	bpf_ringbuf_submit(record, wake_flags(after - RING_SIZE(sizeof(*record)), after));
}

static __always_inline void short_drop(struct short_record *record)
{
	bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
}

static __always_inline void record_drop(struct record *record, enum lost_reason reason)
{
	count_lost(reason);
	record_release(record);
}

#endif
