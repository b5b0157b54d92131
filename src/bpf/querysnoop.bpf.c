// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* querysnoop: queries of PostgreSQL, MySQL and MariaDB, and how long they take. */
#include "ebtools.bpf.h"
#include "uprobe.bpf.h"
#include <bpf/usdt.bpf.h>

/* The longest query that is shown whole, with a NUL. */
#define QUERY_MAX 65536
/* The most that is read of a database's name, and of the message of an error. */
enum part {
	PART_MAX = 256,
};
#define PARTS_MAX (2 * PART_MAX)
#define TAIL_MAX (QUERY_MAX + PARTS_MAX)
/* What is kept of each query that waits; a power of two. */
#define KEPT_MAX 512
/* Those that are longer need a slot of calls.bpf.h, or are cut. */
#define CALLS_MAX 128
#define USER_MAX 96
/* Servers name their threads by what they do. */
#define COMM_OF_PROCESS

enum server {
	POSTGRESQL = 1,
	MYSQL, /* and MariaDB */
};

/* What a client wants of MySQL: enum_server_command of my_command.h. */
enum command {
	COM_QUERY = 3,
	COM_STMT_PREPARE = 22,
	COM_STMT_EXECUTE = 23,
};

/* How much of the query is in the tail. */
enum text {
	TEXT_WHOLE,
	TEXT_CUT, /* the query is longer */
	TEXT_UNREADABLE, /* nothing; of COM_STMT_EXECUTE the number is not known */
};

/* How a query ended, as far as the client was told. */
enum outcome {
	SUCCEEDED,
	FAILED,
	ENDED, /* with its process or thread, which failed or was killed */
};

/*
 * Tail: the query, the database's name, and the message of an error, with its NUL. The header's time is
 * that of the query's beginning.
 */
struct event {
	struct event_header header;
	__u64 latency_ns;
	__u64 statement; /* of COM_STMT_EXECUTE: the number of what was prepared */
	__u32 server; /* enum server */
	__u32 command; /* enum command */
	__u32 query_len;
	__u32 text; /* enum text */
	__u32 database_len;
	__u32 message_len;
	__u32 outcome; /* enum outcome */
	__u8 error[4]; /* MySQL's number; 0 where it is not known */
	__u8 sqlstate[8];
	__u8 user[USER_MAX]; /* of PostgreSQL the process's title, which has it; else the user */
};

#include "event.bpf.h"

enum server *export_server;
enum command *export_command;
enum text *export_text;
enum outcome *export_outcome;
enum part *export_part;

#include "querysnoop/mysql.bpf.h"
#include "querysnoop/postgresql.bpf.h"

/* A query whose server process, or thread, ended: PostgreSQL's own workers do when they are done, with 0. */
SEC("tracepoint/sched/sched_process_exit")
int on_thread_end(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct call *call = own_call();

	if (!call)
		return 0;
	if (!call->event.outcome && BPF_CORE_READ(task, exit_code))
		call->event.outcome = ENDED;
	return finish(call);
}
