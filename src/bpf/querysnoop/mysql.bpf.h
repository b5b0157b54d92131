/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* querysnoop: servers of MySQL and MariaDB. */
#ifndef EBTOOLS_QUERYSNOOP_MYSQL_H
#define EBTOOLS_QUERYSNOOP_MYSQL_H

#include "queries.bpf.h"

SEC("usdt")
int BPF_USDT(on_query_start, const char *query, void *connection, void *database, const char *user)
{
	struct call *call = begin(MYSQL, COM_QUERY);

	ON_OWN_STACK(ctx);
	if (!call)
		return 0;
	read_string(call, query);
	bpf_probe_read_user_str(call->event.user, USER_MAX, user);
	call->event.database_len = append(call, database, 0, true);
	return 0;
}

SEC("usdt")
int BPF_USDT(on_query_done, int is_error)
{
	ON_OWN_STACK(ctx);
	if (is_error)
		failed();
	return finish_own();
}

/* The client is told of an error. */
static __always_inline int told(__u32 error, const char *message, const char *sqlstate)
{
	struct call *call = failed();

	if (!call)
		return 0;
	__builtin_memcpy(call->event.error, &error, sizeof(call->event.error));
	read_sqlstate(call, sqlstate);
	call->event.message_len = append(call, message, 0, true);
	return 0;
}

/* Protocol_classic::send_error of MySQL; net_send_error of old servers, whose first argument is another. */
SEC("uprobe")
int BPF_KPROBE(on_send_error, void *protocol, __u32 error, const char *message,
	       const char *sqlstate)
{
	ON_OWN_STACK(ctx);
	return told(error, message, sqlstate);
}

/* Protocol::net_send_error_packet of MariaDB. */
SEC("uprobe")
int BPF_KPROBE(on_send_error_packet, void *protocol, void *thd, __u32 error, const char *message,
	       const char *sqlstate)
{
	ON_OWN_STACK(ctx);
	return told(error, message, sqlstate);
}

/* Where the name of a thread's database is, until its query begins. */
struct database {
	__u64 name;
	__u64 len;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, __u64);
	__type(value, struct database);
	__uint(max_entries, 16384);
} databases SEC(".maps");

/* pfs_start_statement, before dispatch_command; and in it, of statements in procedures. */
SEC("uprobe")
int BPF_KPROBE(on_start_statement, void *locker, const char *name, __u32 len)
{
	struct database database = {.name = (__u64)name, .len = len};
	__u64 key = thread_key();

	ON_OWN_STACK(ctx);
	if (!own_call() && task_wanted())
		bpf_map_update_elem(&databases, &key, &database, BPF_ANY);
	return 0;
}

/* Behind the query. */
static __always_inline void read_database(struct call *call)
{
	__u64 key = thread_key();
	struct database *database = bpf_map_lookup_elem(&databases, &key);

	if (!database)
		return;
	if (database->len)
		call->event.database_len =
			append(call, (void *)database->name, database->len, false);
	bpf_map_delete_elem(&databases, &key);
}

/* NULL for other commands too. */
static __always_inline struct call *begin_query(__u32 command)
{
	if (command != COM_QUERY && command != COM_STMT_PREPARE && command != COM_STMT_EXECUTE)
		return NULL;
	return begin(MYSQL, command);
}

/* MariaDB, and MySQL up to 5.6. */
SEC("uprobe")
int BPF_KPROBE(on_dispatch_packet, __u32 command, void *thd, const char *packet, __u32 len)
{
	struct call *call;

	ON_OWN_STACK(ctx);
	call = begin_query(command);
	if (!call)
		return 0;
	if (command == COM_STMT_EXECUTE)
		read_statement(call, packet, sizeof(__u32));
	else
		read_bytes(call, packet, len);
	return 0;
}

/* union COM_DATA of MySQL 5.7 and later: what both COM_QUERY and COM_STMT_PREPARE begin with. */
struct com_query {
	const char *query;
	__u32 len;
	__u32 reserved;
};

SEC("uprobe")
int BPF_KPROBE(on_dispatch_data, void *thd, const void *data, __u32 command)
{
	struct com_query com = {};
	struct call *call;

	ON_OWN_STACK(ctx);
	call = begin_query(command);
	if (!call)
		return 0;
	if (command == COM_STMT_EXECUTE)
		read_statement(call, data, sizeof(__u64));
	else if (bpf_probe_read_user(&com, sizeof(com), data))
		call->event.text = TEXT_UNREADABLE;
	else
		read_bytes(call, com.query, com.len);
	read_database(call);
	return 0;
}

SEC("uretprobe")
int BPF_KRETPROBE(on_dispatch_return)
{
	ON_OWN_STACK(ctx);
	return finish_own();
}

#endif
