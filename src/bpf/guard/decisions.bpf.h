/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* guard: what a rule says of an act, shown and told the kernel. */
#ifndef EBTOOLS_GUARD_DECISIONS_H
#define EBTOOLS_GUARD_DECISIONS_H

#include "rules.bpf.h"

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

#endif
