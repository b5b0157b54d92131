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
#include "calls.bpf.h"

enum server *export_server;
enum command *export_command;
enum text *export_text;
enum outcome *export_outcome;
enum part *export_part;

/* Queries that take less are not wanted, or those that succeed. */
const volatile __u64 slower_ns = 0;
const volatile __u8 only_failed = 0;

/* A query that has begun and not ended. */
struct call {
	__u32 slot; /* one more than that of the whole query; 0 where .kept has it */
	__u32 reserved;
	struct event event;
	__u8 kept[KEPT_MAX + PARTS_MAX]; /* its tail */
};

IN_FLIGHT(calls, struct call, 16384);

/* A new one: large for the stack. */
static const struct call no_call;

static __always_inline struct call *own_call(void)
{
	return in_flight_find(&calls, thread_key());
}

/* The slot that has the whole query; NULL where .kept has it. */
static __always_inline struct record *slot_of(struct call *call)
{
	return call->slot ? record_at(call->slot - 1) : NULL;
}

static __always_inline struct record *whole_claim(struct call *call)
{
	struct record *record = slot_claim(thread_key());

	if (record)
		call->slot = record->slot + 1;
	return record;
}

static __always_inline void whole_release(struct call *call)
{
	struct record *record = slot_of(call);

	call->slot = 0;
	if (record)
		slot_release(record);
}

static __always_inline void call_end(struct call *call)
{
	whole_release(call);
	in_flight_end(&calls, thread_key());
}

/* A call of the current thread's, its header filled; NULL when there is no room, which is counted. */
static __always_inline struct call *call_start(void)
{
	struct call *call = own_call();

	if (call) {
		count_lost(LOST_RETURN_MISSED);
		whole_release(call);
	} else {
		call = in_flight_begin(&calls, thread_key(), &no_call);
	}
	if (call)
		fill_header(&call->event.header);
	return call;
}

static __always_inline void call_output(struct call *call)
{
	struct record *record = slot_of(call);
	__u64 len = call->event.query_len + call->event.database_len + call->event.message_len;

	if (record) {
		if (len > TAIL_MAX)
			len = TAIL_MAX;
		record->event = call->event;
		event_output(&record->event, len);
	} else {
		if (len > sizeof(call->kept))
			len = sizeof(call->kept);
		event_output(&call->event, len);
	}
}

static __always_inline int finish(struct call *call)
{
	call->event.latency_ns = bpf_ktime_get_boot_ns() - call->event.header.time_ns;
	if (call->event.latency_ns >= slower_ns && (call->event.outcome || !only_failed) &&
	    !count_only())
		call_output(call);
	call_end(call);
	return 0;
}

static __always_inline int finish_own(void)
{
	struct call *call = own_call();

	return call ? finish(call) : 0;
}

static __always_inline struct call *begin(__u32 server, __u32 command)
{
	struct call *call;

	if (!task_wanted())
		return NULL;
	call = call_start();
	if (!call)
		return NULL;
	call->event.server = server;
	call->event.command = command;
	call->event.statement = 0;
	call->event.query_len = 0;
	call->event.text = TEXT_WHOLE;
	call->event.database_len = 0;
	call->event.message_len = 0;
	call->event.outcome = SUCCEEDED;
	__builtin_memset(call->event.error, 0, sizeof(call->event.error));
	__builtin_memset(call->event.sqlstate, 0, sizeof(call->event.sqlstate));
	__builtin_memset(call->event.user, 0, USER_MAX);
	return call;
}

static __always_inline long read_part(__u8 *to, __u32 len, bool is_string, const void *from)
{
	long failed;

	if (is_string)
		return bpf_probe_read_user_str(to, PART_MAX, from);
	failed = bpf_probe_read_user(to, len > PART_MAX ? PART_MAX : len, from);
	return failed ?: len;
}

/* So many bytes, or a string with its NUL, to the end of the tail: how many there are; 0 for none. */
static __always_inline __u32 append(struct call *call, const void *from, __u32 len, bool is_string)
{
	struct record *record = slot_of(call);
	__u64 at = call->event.query_len + call->event.database_len;
	long done;

	if (len > PART_MAX)
		len = PART_MAX;
	/* Or the compiler checks another register than it uses. */
	barrier_var(at);
	if (record)
		done = at > QUERY_MAX + PART_MAX
			       ? 0
			       : read_part(record->tail + at, len, is_string, from);
	else
		done = at > KEPT_MAX + PART_MAX ? 0
						: read_part(call->kept + at, len, is_string, from);
	return done > 0 && done <= PART_MAX ? done : 0;
}

/* The thread's query, which has failed; NULL where there is none, or that is known. */
static __always_inline struct call *failed(void)
{
	struct call *call = own_call();

	if (!call || call->event.outcome)
		return NULL;
	call->event.outcome = FAILED;
	return call;
}

static __always_inline void read_sqlstate(struct call *call, const char *from)
{
	bpf_probe_read_user_str(call->event.sqlstate, sizeof(call->event.sqlstate), from);
}

/* What was read of it; max: the most that there was room for. */
static __always_inline void read_so_far(struct call *call, long len, long max)
{
	if (len < 1 || len > max) {
		call->event.text = TEXT_UNREADABLE;
		call->event.query_len = 0;
		return;
	}
	call->event.query_len = len - 1;
	call->event.text = len == max ? TEXT_CUT : TEXT_WHOLE;
}

/* A query that ends with a NUL. */
static __always_inline void read_string(struct call *call, const char *query)
{
	struct record *record;

	read_so_far(call, bpf_probe_read_user_str(call->kept, KEPT_MAX, query), KEPT_MAX);
	if (call->event.text != TEXT_CUT)
		return;
	record = whole_claim(call);
	if (record)
		read_so_far(call, bpf_probe_read_user_str(record->tail, QUERY_MAX, query),
			    QUERY_MAX);
}

static __always_inline void read_bytes(struct call *call, const char *query, __u64 len)
{
	struct record *record = len > KEPT_MAX ? whole_claim(call) : NULL;
	__u64 max = record ? QUERY_MAX : KEPT_MAX;
	long failed;

	if (len > max) {
		call->event.text = TEXT_CUT;
		len = max;
	}
	if (record)
		failed =
			bpf_probe_read_user(record->tail, len > QUERY_MAX ? QUERY_MAX : len, query);
	else
		failed = bpf_probe_read_user(call->kept, len > KEPT_MAX ? KEPT_MAX : len, query);
	if (failed)
		call->event.text = TEXT_UNREADABLE;
	else
		call->event.query_len = len;
}

static __always_inline void read_statement(struct call *call, const void *from, __u32 size)
{
	if (bpf_probe_read_user(&call->event.statement, size, from))
		call->event.text = TEXT_UNREADABLE;
}

/* --- PostgreSQL ------------------------------------------------------------------------------ */

/* A statement is told of again when it is parsed, bound and executed: how much of it is compared. */
#define SAME_MAX 128

/*
 * Are these bytes of the query, up to its NUL, those of the call's text at from? That text has room for max
 * bytes, a power of two.
 */
static __always_inline bool is_same_at(struct call *call, const __u8 *tail, __u32 max,
				       const char *query, __u32 from)
{
	__u8 text[SAME_MAX] = {};
	int i;

	if (bpf_probe_read_user_str(text, SAME_MAX, query + from) < 0)
		return false;
	for (i = 0; i < SAME_MAX - 1; i++) {
		if (from + i >= call->event.query_len)
			return call->event.text == TEXT_CUT || !text[i];
		if (text[i] != tail[(from + i) & (max - 1)])
			return false;
	}
	return true;
}

/* The beginning, and the end. */
static __always_inline bool is_same_in(struct call *call, const __u8 *tail, __u32 max,
				       const char *query)
{
	__u32 len = call->event.query_len;

	return is_same_at(call, tail, max, query, 0) &&
	       (len < SAME_MAX - 2 || is_same_at(call, tail, max, query, len - (SAME_MAX - 2)));
}

static __always_inline bool is_same(struct call *call, const char *query)
{
	struct record *record = slot_of(call);

	if (record)
		return is_same_in(call, record->tail, QUERY_MAX, query);
	return is_same_in(call, call->kept, KEPT_MAX, query);
}

/*
 * Is the current process one that works for another, which tells of the query itself? Its title is
 * "postgres: parallel worker for PID 12", with "CLUSTER: " before the second word if it has one.
 */
static __always_inline bool is_worker(const __u8 *title)
{
	static const __u8 worker[] = "parallel worker for PID ";
	__u32 start = sizeof("postgres: ") - 1, i;

	for (i = start; i < USER_MAX / 2 && title[i]; i++) {
		if (title[i] == ' ') {
			if (title[i - 1] == ':')
				start = i + 1;
			break;
		}
	}
	for (i = 0; i < sizeof(worker) - 1; i++)
		if (title[(start + i) % USER_MAX] != worker[i])
			return false;
	return true;
}

/* query: what the server process does now; NULL when it waits for the client. */
static __always_inline int status(const char *query)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct call *call = own_call();

	if (call) {
		if (query && is_same(call, query))
			return 0;
		finish(call);
	}
	if (!query)
		return 0;
	call = begin(POSTGRESQL, COM_QUERY);
	if (!call)
		return 0;
	bpf_probe_read_user(call->event.user, USER_MAX - 1,
			    (void *)BPF_CORE_READ(task, mm, arg_start));
	if (is_worker(call->event.user))
		call_end(call);
	else
		read_string(call, query);
	return 0;
}

SEC("usdt")
int BPF_USDT(on_statement_status, const char *query)
{
	ON_OWN_STACK(ctx);
	return status(query);
}

/* pgstat_report_activity: where the probe is that the above is attached to. */
SEC("uprobe")
int BPF_KPROBE(on_report_activity, int state, const char *query)
{
	ON_OWN_STACK(ctx);
	return status(query);
}

/* StringInfoData: a message of the protocol, whose type is in .cursor until it is sent. */
struct message {
	const char *data;
	__u32 len;
	__u32 maxlen;
	__u32 cursor;
	__u32 padding;
};

/*
 * pq_sendstring: a text in a message. Those of an error are each behind a letter; what was caught is not
 * sent. Rows and what every query has are put together otherwise.
 */
SEC("uprobe")
int BPF_KPROBE(on_text, const void *from, const char *text)
{
	struct message message;
	struct call *call;
	char letter = 0;

	ON_OWN_STACK(ctx);
	if (bpf_probe_read_user(&message, sizeof(message), from) || message.cursor != 'E')
		return 0;
	call = own_call();
	if (!call)
		return 0;
	call->event.outcome = FAILED;
	bpf_probe_read_user(&letter, sizeof(letter), message.data + message.len - 1);
	if (letter == 'C')
		read_sqlstate(call, text);
	else if (letter == 'M')
		call->event.message_len = append(call, text, 0, true);
	return 0;
}

/* --- MySQL and MariaDB ----------------------------------------------------------------------- */

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

static __always_inline bool is_query(__u32 command)
{
	return command == COM_QUERY || command == COM_STMT_PREPARE || command == COM_STMT_EXECUTE;
}

/* MariaDB, and MySQL up to 5.6. */
SEC("uprobe")
int BPF_KPROBE(on_dispatch_packet, __u32 command, void *thd, const char *packet, __u32 len)
{
	struct call *call;

	ON_OWN_STACK(ctx);
	if (!is_query(command))
		return 0;
	call = begin(MYSQL, command);
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
	if (!is_query(command))
		return 0;
	call = begin(MYSQL, command);
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
