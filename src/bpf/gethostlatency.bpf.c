// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* gethostlatency: names that are looked up, and how long it takes. */
#include "ebtools.bpf.h"
#include "uprobe.bpf.h"

#define HOST_MAX 1024 /* NI_MAXHOST is 1025 */
#define ADDRESSES_MAX 32
#define TAIL_MAX (HOST_MAX + ADDRESSES_MAX * 20)
/* What is kept of a name while it is looked up: DNS has no longer ones. A power of two. */
#define KEPT_MAX 256

enum function {
	GETADDRINFO = 1,
	GETHOSTBYNAME,
	GETHOSTBYNAME2,
	GETHOSTBYNAME_R,
	GETHOSTBYNAME2_R,
};

/* What else than its result an event may have. */
enum no_result {
	THREAD_ENDED = 1 << 30, /* in the call: it was killed, perhaps because it took so long */
	NOT_FOUND, /* of the _r ones, which return 0 then */
};

struct address {
	__u32 family;
	__u8 bytes[16]; /* the first four, for IPv4 */
};

/* Tail: the host, and addresses. The header's time is that of the call's beginning. */
struct event {
	struct event_header header;
	__u64 latency_ns;
	/* Of getaddrinfo EAI_..., of the _r ones an errno; of the others 1 for a failure; enum no_result. */
	__s32 ret;
	__u32 function; /* enum function */
	__u32 host_len;
	__u32 addresses;
	__u32 cut; /* the host's name is longer */
	__u32 has_host;
};

#include "event.bpf.h"
#include "in_flight.bpf.h"

enum function *export_function;
enum no_result *export_no_result;
struct address *export_address;

/* Addresses are wanted. */
const volatile __u8 with_addresses = 0;
/* Look-ups that take less are not wanted, or those that succeed. */
const volatile __u64 slower_ns = 0;
const volatile __u8 only_failed = 0;

/* A call that is older than this has lost its return: nobody waits so long for a name. */
#define STALE_NS (300ULL * 1000 * 1000 * 1000)

/*
 * A look-up that has begun and not ended. Its record is made at the end: with a server that does not answer
 * many threads wait, and records are large.
 */
struct call {
	__u64 time_ns; /* when it began */
	__u64 host; /* where the name is */
	__u64 result; /* where the function will put the address of what it finds, unless it returns that */
	__u32 function;
	__u32 kept_len; /* with its NUL; 0 when it was not readable */
	__u8 kept[KEPT_MAX];
};

IN_FLIGHT(calls, struct call, 16384);

/* A new one: large for the stack. */
static const struct call no_call;

static __always_inline void begun(struct call *call, __u32 function, __u64 host, __u64 result)
{
	long len = host ? read_user_string(call->kept, KEPT_MAX, (void *)host) : 0;

	call->kept_len = len > 0 ? len : 0;
	call->function = function;
	call->host = host;
	call->result = result;
	/* Last: from now on it takes time. */
	call->time_ns = bpf_ktime_get_boot_ns();
}

/* result: where the function will put the address of what it finds. */
static __always_inline int begin(__u32 function, const char *host, const void *result)
{
	struct call *call;

	if (!task_wanted())
		return 0;
	call = in_flight_find(&calls, thread_key());
	/* One of them uses another to do its work: a look-up is one call. */
	if (call && call->function != function &&
	    bpf_ktime_get_boot_ns() - call->time_ns < STALE_NS)
		return 0;
	if (call)
		count_lost(LOST_RETURN_MISSED);
	else
		call = in_flight_begin(&calls, thread_key(), &no_call);
	if (call)
		begun(call, function, (__u64)host, (__u64)result);
	return 0;
}

static __always_inline __u64 read_pointer(__u64 from)
{
	__u64 pointer = 0;

	bpf_probe_read_user(&pointer, sizeof(pointer), (void *)from);
	return pointer;
}

static __always_inline __u32 read_number(__u64 from)
{
	__u32 number = 0;

	bpf_probe_read_user(&number, sizeof(number), (void *)from);
	return number;
}

#define AF_INET 2
#define AF_INET6 10

/* Puts an address into the tail, behind those that are there; a global function: event.bpf.h. */
__noinline bool write_address(__u32 slot, __u32 family, __u64 from)
{
	struct record *record = record_at(slot);
	__u32 size = family == AF_INET ? 4 : 16;
	struct address *to;
	__u64 at;

	if (!record || (family != AF_INET && family != AF_INET6))
		return false;
	at = *(volatile __u32 *)&record->event.host_len;
	if (at >= HOST_MAX || *(volatile __u32 *)&record->event.addresses >= ADDRESSES_MAX)
		return false;
	at += *(volatile __u32 *)&record->event.addresses * sizeof(struct address);
	if (at > TAIL_MAX - sizeof(struct address))
		return false;
	to = (void *)record->tail + at;
	__builtin_memset(to->bytes, 0, sizeof(to->bytes));
	bpf_probe_read_kernel(&to->family, sizeof(family), &family);
	if (bpf_probe_read_user(to->bytes, size, (void *)from))
		return false;
	record->event.addresses += 1;
	return true;
}

/* struct addrinfo of glibc and musl, and what its ai_addr leads to: sockaddr_in, sockaddr_in6. */
__noinline int write_addrinfos(__u32 slot, __u64 info)
{
	int i;

	for (i = 0; i < ADDRESSES_MAX && info; i++) {
		__u32 family = read_number(info + 4);
		__u64 sockaddr = read_pointer(info + 24);

		write_address(slot, family, sockaddr + (family == AF_INET ? 4 : 8));
		info = read_pointer(info + 40);
	}
	return 0;
}

/* struct hostent of both. */
__noinline int write_hostent(__u32 slot, __u64 hostent)
{
	__u32 family = read_number(hostent + 16);
	__u64 list = read_pointer(hostent + 24);
	int i;

	for (i = 0; i < ADDRESSES_MAX; i++) {
		__u64 address = read_pointer(list + 8 * i);

		if (!address || !write_address(slot, family, address))
			break;
	}
	return 0;
}

/*
 * The name into the tail. What is kept may be cut, or was on a page that nobody had touched before: the
 * function has, meanwhile.
 */
static __always_inline void fill_host(struct record *record, struct call *call)
{
	__u64 kept = call->kept_len;
	long len = 0;

	if (call->host && (!kept || kept == KEPT_MAX))
		len = read_user_string(record->tail, HOST_MAX, (void *)call->host);
	record->event.cut = len == HOST_MAX;
	if (len <= 0 && kept) {
		record->event.cut = kept == KEPT_MAX;
		/* The compiler may leave nothing out: old verifiers know no other limit. */
		asm volatile("%0 &= %1" : "+r"(kept) : "i"(2 * KEPT_MAX - 1));
		bpf_probe_read_kernel(record->tail, kept, call->kept);
		len = kept;
	}
	record->event.has_host = len > 0;
	record->event.host_len = len > 0 && len <= HOST_MAX ? len - 1 : 0;
}

static __always_inline void submit(struct call *call, __u64 latency_ns, __s32 ret, __u64 result)
{
	struct record *record = record_begin();
	__u64 len;

	if (!record)
		return;
	record->event.header.time_ns = call->time_ns;
	record->event.latency_ns = latency_ns;
	record->event.ret = ret;
	record->event.function = call->function;
	record->event.addresses = 0;
	fill_host(record, call);
	if (with_addresses && result) {
		if (call->function == GETADDRINFO)
			write_addrinfos(record->slot, result);
		else
			write_hostent(record->slot, result);
	}
	len = record->event.host_len + record->event.addresses * sizeof(struct address);
	record_submit(record, len > TAIL_MAX ? TAIL_MAX : len);
}

/* result: where what was found is; 0 if nothing was. */
static __always_inline int finish(struct call *call, __s32 ret, __u64 result)
{
	__u64 latency_ns = bpf_ktime_get_boot_ns() - call->time_ns;

	if (latency_ns >= slower_ns && (ret || !only_failed) && !count_only())
		submit(call, latency_ns, ret, result);
	in_flight_end(&calls, thread_key());
	return 0;
}

static __always_inline int end(__u32 function, __u64 ret)
{
	struct call *call = in_flight_find(&calls, thread_key());
	__u64 result;

	if (!call || call->function != function)
		return 0;
	if (function == GETHOSTBYNAME || function == GETHOSTBYNAME2)
		return finish(call, !ret, ret);
	if ((__s32)ret)
		return finish(call, ret, 0);
	result = read_pointer(call->result);
	return finish(call, result || function == GETADDRINFO ? 0 : NOT_FOUND, result);
}

SEC("tracepoint/sched/sched_process_exit")
int on_thread_end(void *ctx)
{
	struct call *call = in_flight_find(&calls, thread_key());

	return call ? finish(call, THREAD_ENDED, 0) : 0;
}

SEC("uprobe")
int BPF_KPROBE(on_getaddrinfo, const char *host, void *service, void *hints, void *result)
{
	ON_OWN_STACK(ctx);
	return begin(GETADDRINFO, host, result);
}

SEC("uprobe")
int BPF_KPROBE(on_gethostbyname, const char *host)
{
	ON_OWN_STACK(ctx);
	return begin(GETHOSTBYNAME, host, NULL);
}

SEC("uprobe")
int BPF_KPROBE(on_gethostbyname2, const char *host)
{
	ON_OWN_STACK(ctx);
	return begin(GETHOSTBYNAME2, host, NULL);
}

SEC("uprobe")
int BPF_KPROBE(on_gethostbyname_r, const char *host, void *hostent, void *buffer, long size,
	       void *result)
{
	ON_OWN_STACK(ctx);
	return begin(GETHOSTBYNAME_R, host, result);
}

SEC("uprobe")
int BPF_KPROBE(on_gethostbyname2_r, const char *host, int family, void *hostent, void *buffer,
	       long size, void *result)
{
	ON_OWN_STACK(ctx);
	return begin(GETHOSTBYNAME2_R, host, result);
}

SEC("uretprobe")
int BPF_KRETPROBE(on_getaddrinfo_return, int ret)
{
	ON_OWN_STACK(ctx);
	return end(GETADDRINFO, ret);
}

SEC("uretprobe")
int BPF_KRETPROBE(on_gethostbyname_return, __u64 ret)
{
	ON_OWN_STACK(ctx);
	return end(GETHOSTBYNAME, ret);
}

SEC("uretprobe")
int BPF_KRETPROBE(on_gethostbyname2_return, __u64 ret)
{
	ON_OWN_STACK(ctx);
	return end(GETHOSTBYNAME2, ret);
}

SEC("uretprobe")
int BPF_KRETPROBE(on_gethostbyname_r_return, int ret)
{
	ON_OWN_STACK(ctx);
	return end(GETHOSTBYNAME_R, ret);
}

SEC("uretprobe")
int BPF_KRETPROBE(on_gethostbyname2_r_return, int ret)
{
	ON_OWN_STACK(ctx);
	return end(GETHOSTBYNAME2_R, ret);
}

/*
 * All functions of a file by one link, which says by its cookie which one it is: where the kernel
 * has uprobe.multi.
 */
SEC("uprobe")
int BPF_KPROBE(on_call, const char *host, void *second, void *third, void *fourth, void *fifth,
	       void *sixth)
{
	__u32 function = bpf_get_attach_cookie(ctx);
	const void *result = NULL;

	ON_OWN_STACK(ctx);
	/* Or clang reads from an address that it chooses, which the verifier refuses. */
	barrier_var(fourth);
	barrier_var(fifth);
	barrier_var(sixth);
	if (function == GETADDRINFO)
		result = fourth;
	else if (function == GETHOSTBYNAME_R)
		result = fifth;
	else if (function == GETHOSTBYNAME2_R)
		result = sixth;
	return begin(function, host, result);
}

SEC("uretprobe")
int BPF_KRETPROBE(on_call_return, __u64 ret)
{
	ON_OWN_STACK(ctx);
	return end(bpf_get_attach_cookie(ctx), ret);
}
