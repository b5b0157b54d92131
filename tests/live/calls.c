// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * calls WORD [ARG]... - makes system calls in ways that usual programs do not.
 * Prints `pid NUMBER` first, where the number matters.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int fail(const char *what)
{
	fprintf(stderr, "calls: %s: %s\n", what, strerror(errno));
	return 1;
}

/* --- exec -------------------------------------------------------------------------------- */

static int do_execveat(char **argv)
{
	int dir = open("/bin", O_PATH | O_DIRECTORY);

	syscall(SYS_execveat, dir, argv[0], argv, environ, 0);
	return fail("execveat");
}

static int do_fexecve(char **argv)
{
	int fd = open(argv[0], O_PATH | O_CLOEXEC);

	syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
	return fail("fexecve");
}

static int do_memfd(char **argv)
{
	static char buffer[1 << 16];
	int from = open(argv[0], O_RDONLY), to = memfd_create("in memory", 0);
	ssize_t len;

	while ((len = read(from, buffer, sizeof(buffer))) > 0)
		if (write(to, buffer, len) != len)
			return fail("write");
	syscall(SYS_execveat, to, "", argv, environ, AT_EMPTY_PATH);
	return fail("memfd");
}

static void *exec_in_thread(void *argv)
{
	execve(((char **)argv)[0], argv, environ);
	fail("thread");
	return NULL;
}

static int do_thread(char **argv)
{
	pthread_t thread;

	printf("pid %d\n", getpid());
	fflush(stdout);
	pthread_create(&thread, NULL, exec_in_thread, argv);
	pthread_join(thread, NULL);
	return 1;
}

static void *exec_when_told(void *argv)
{
	printf("%d\n", gettid());
	fflush(stdout);
	getchar();
	return exec_in_thread(argv);
}

/* PROGRAM ...: a second thread says its number, waits for a line, and becomes that program. */
static int do_waiting_thread(char **argv)
{
	pthread_t thread;

	pthread_create(&thread, NULL, exec_when_told, argv);
	pthread_join(thread, NULL);
	return 1;
}

/* argv on pages that nobody has touched: mapped from a file, never read. */
static int do_untouched(char **argv)
{
	int fd = open("untouched", O_RDWR | O_CREAT | O_TRUNC, 0600);
	char *page, *args[3];

	if (write(fd, argv[1], strlen(argv[1]) + 1) < 0 || fdatasync(fd))
		return fail("write");
	page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	args[0] = argv[0];
	args[1] = page;
	args[2] = NULL;
	execve(argv[0], args, environ);
	return fail("untouched");
}

static int do_no_args(char **argv)
{
	char *none[] = { NULL };

	execve(argv[0], none, environ);
	return fail("no args");
}

/* A bad address for the file's name. */
static int do_bad_file(char **argv)
{
	syscall(SYS_execve, 16, argv, environ);
	return errno == EFAULT ? 0 : fail("bad file");
}

/*
 * FILE: becomes a program that cannot be loaded, which is found out when the old one is gone already: its
 * only part is beyond all addresses.
 */
static int do_no_return(char **argv)
{
	Elf64_Ehdr header = { .e_ident = ELFMAG "\2\1\1", .e_type = ET_EXEC, .e_version = 1, .e_entry = 4096,
			      .e_phoff = sizeof(header), .e_ehsize = sizeof(header), .e_phnum = 1,
			      .e_phentsize = sizeof(Elf64_Phdr) };
	Elf64_Phdr part = { .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = 1UL << 62,
			    .p_filesz = 4096, .p_memsz = 4096, .p_align = 4096 };
	int fd = open(argv[0], O_RDWR | O_CREAT | O_TRUNC, 0700), status;

#if defined(__x86_64__)
	header.e_machine = EM_X86_64;
#else
	header.e_machine = EM_AARCH64;
#endif
	if (write(fd, &header, sizeof(header)) < 0 || write(fd, &part, sizeof(part)) < 0 ||
	    ftruncate(fd, 8192) || close(fd))
		return fail("no return");
	if (!fork())
		_exit(execv(argv[0], argv));
	wait(&status);
	return WIFSIGNALED(status) ? 0 : fail("it returned");
}

/* A bad address for argv, and for one argument. */
static int do_bad_address(char **argv)
{
	char *args[] = { argv[0], (char *)16, NULL };

	if (!fork())
		_exit(execve(argv[0], args, environ) ? 0 : 1);
	wait(NULL);
	syscall(SYS_execve, argv[0], 16, environ);
	syscall(SYS_execve, "/no/such", 0, environ);
	syscall(SYS_execve, argv[0], 16, environ);
	return errno == EFAULT ? 0 : fail("bad address");
}

/* COUNT arguments of SIZE bytes. */
static int do_many(char **argv)
{
	long count = atol(argv[1]), size = atol(argv[2]), i;
	char **args = calloc(count + 2, sizeof(*args)), *text = malloc(size + 1);

	memset(text, 'x', size);
	text[size] = 0;
	args[0] = argv[0];
	for (i = 1; i <= count; i++)
		args[i] = text;
	execve(argv[0], args, environ);
	return fail("many");
}

/* --- 32-bit calls from a 64-bit program: everything they point to is below 4 GiB ----------- */

#if defined(__x86_64__)
static long call32(long number, long a, long b, long c)
{
	long result;

	asm volatile("int $0x80"
		     : "=a"(result)
		     : "a"(number), "b"(a), "c"(b), "d"(c)
		     : "memory", "r8", "r9", "r10", "r11");
	return result;
}

static char *low;

static unsigned int low_string(const char *text)
{
	char *at = low;

	strcpy(at, text);
	low += strlen(text) + 1;
	return (unsigned int)(unsigned long)at;
}

static int low_memory(void)
{
	low = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	return low == MAP_FAILED ? fail("mmap") : 0;
}

static int do_exec32(char **argv)
{
	unsigned int *args;
	long i, error;

	if (low_memory())
		return 1;
	args = (unsigned int *)low;
	low += 256;
	for (i = 0; argv[i] && i < 60; i++)
		args[i] = low_string(argv[i]);
	args[i] = 0;
	error = call32(11, low_string(argv[0]), (long)args, 0);
	return error == -ENOENT ? 0 : 1;
}

static int do_unlink32(char **argv)
{
	return low_memory() || call32(10, low_string(argv[0]), 0, 0) ||
	       call32(301, AT_FDCWD, low_string(argv[1]), 0) || call32(40, low_string(argv[2]), 0, 0);
}

/* Nobody has this number. */
static int do_kill32(char **argv)
{
	(void)argv;
	return call32(37, 0x7ffffff0, SIGTERM, 0) != -ESRCH;
}

/* FILE NAME: opens an absolute and a relative name. */
static int do_open32(char **argv)
{
	return low_memory() || call32(5, low_string(argv[0]), O_RDONLY, 0) < 0 ||
	       call32(295, AT_FDCWD, low_string(argv[1]), O_WRONLY) < 0;
}
#else
static int do_exec32(char **argv)
{
	(void)argv;
	return 77;
}
#define do_unlink32 do_exec32
#define do_open32 do_exec32
#define do_kill32 do_exec32
#endif

/* --- opens ----------------------------------------------------------------------------------- */

/* DIR NAME: by each call, below a descriptor, of nothing, and with a bad address. */
static int do_opens(char **argv)
{
	struct { unsigned long long flags, mode, resolve; } how = { .flags = O_RDWR | O_CLOEXEC };
	int dir = open(argv[0], O_PATH | O_DIRECTORY);

	if (syscall(SYS_openat, dir, argv[1], O_WRONLY | O_APPEND) < 0 ||
	    syscall(SYS_openat2, dir, argv[1], &how, sizeof(how)) < 0)
		return fail("openat");
#ifdef SYS_open
	if (syscall(SYS_open, argv[1], O_RDONLY | O_NONBLOCK) < 0 || syscall(SYS_creat, argv[1], 0600) < 0)
		return fail("open");
#else /* newer architectures have openat alone */
	if (open(argv[1], O_RDONLY | O_NONBLOCK) < 0 || creat(argv[1], 0600) < 0)
		return fail("open");
#endif
	return open("no such file", O_RDONLY) == -1 && open("", O_RDONLY) == -1 &&
	       open((char *)8, O_RDONLY) == -1 ? 0 : 1;
}

/*
 * DIR /NAME: openat2 that the kernel refuses before it opens anything, and open with flags that it does not know or
 * leaves out, and below a directory that stands for the root.
 */
static int do_odd_opens(char **argv)
{
	struct { unsigned long long flags, mode, resolve, unknown; } how = { .flags = O_WRONLY, .unknown = 1 };
	int dir = open(argv[0], O_PATH | O_DIRECTORY);
	const char *name = argv[1];

	/* Too short, with unknown bytes, not readable, and with a flag that there is not. */
	if (syscall(SYS_openat2, AT_FDCWD, name, &how, 8) != -1 || errno != EINVAL ||
	    syscall(SYS_openat2, AT_FDCWD, name, &how, sizeof(how)) != -1 || errno != E2BIG ||
	    syscall(SYS_openat2, AT_FDCWD, name, 16, 24) != -1 || errno != EFAULT)
		return fail("openat2");
	how.flags = 1ULL << 40;
	if (syscall(SYS_openat2, AT_FDCWD, name, &how, 24) != -1 || errno != EINVAL)
		return fail("flags of openat2");
	how.flags = O_RDONLY;
	how.resolve = 0x10; /* RESOLVE_IN_ROOT */
	if (syscall(SYS_openat2, dir, name, &how, 24) < 0)
		return fail("openat2 in a root");
	if (syscall(SYS_openat, dir, name + 1, O_PATH | O_APPEND | O_NONBLOCK | 1 << 30) < 0 ||
	    syscall(SYS_openat, dir, name + 1, O_RDWR | 1 << 29) < 0)
		return fail("openat");
	return 0;
}

/* N: opens a file by so many names of a thread, each once. */
static int do_names(char **argv)
{
	int i, fd, n = atoi(argv[0]);
	char name[16];

	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "name%d", i);
		if (prctl(PR_SET_NAME, name) || (fd = open("/dev/null", O_RDONLY)) < 0)
			return fail("open");
		close(fd);
	}
	return 0;
}

/* --- functions ------------------------------------------------------------------------------- */

static jmp_buf out;
static volatile int times_left;

/* Calls itself depth times; what it returns is known. */
__attribute__((noinline)) int recursive(int depth)
{
	/* Something behind the call, or it would be a loop. */
	int result = depth ? recursive(depth - 1) : 1000;

	asm volatile("" : "+r"(result));
	return result;
}

/* Returns what it is given. */
__attribute__((noinline)) unsigned long echo(unsigned long number)
{
	asm volatile("" : "+r"(number));
	return number;
}

/* NUMBER TIMES...: so often each. */
static int do_echo(char **argv)
{
	for (; argv[0] && argv[1]; argv += 2)
		for (long times = atol(argv[1]); times > 0; times--)
			echo(strtoul(argv[0], NULL, 10));
	return 0;
}

__attribute__((noinline)) int fails(void)
{
	asm volatile("");
	return -1;
}

/* Is left by longjmp every other time. */
__attribute__((noinline)) int left(int number)
{
	if (number & 1)
		longjmp(out, 1);
	asm volatile("");
	return number;
}

__attribute__((noinline)) int sleeps(void)
{
	usleep(50000);
	asm volatile("");
	return 0;
}

/*
 * A part of a function that is jumped to, as compilers make them. What lies on the stack there is no
 * return address.
 */
#if defined(__x86_64__)
__asm__(".text\n .type jumper, @function\n"
	"jumper: push $7\n jmp jumper.cold\n 1: pop %rax\n ret\n .size jumper, . - jumper\n"
	".type jumper.cold, @function\n"
	"jumper.cold: nop\n jmp 1b\n .size jumper.cold, . - jumper.cold\n");
long jumper(void);
#else
static long jumper(void) { return 7; }
#endif

/* N: N times. */
static int do_functions(char **argv)
{
	for (times_left = atoi(argv[0]); times_left > 0; times_left--) {
		recursive(3);
		fails();
		if (!setjmp(out))
			left(times_left);
	}
	recursive(99);
	if (jumper() != 7)
		return 1;
	return sleeps();
}

static pthread_mutex_t hold = PTHREAD_MUTEX_INITIALIZER;

static void *echo_and_wait(void *done)
{
	echo(1);
	__atomic_add_fetch((int *)done, 1, __ATOMIC_RELEASE);
	pthread_mutex_lock(&hold);
	return NULL;
}

/* NUMBER: so many threads that each call echo, and stay; 77 where they cannot be made. */
static int do_threads(char **argv)
{
	int many = atoi(argv[0]), done = 0, i;
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_mutex_lock(&hold);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 1 << 15);
	for (i = 0; i < many; i++)
		if (pthread_create(&thread, &attributes, echo_and_wait, &done))
			_exit(77);
	while (__atomic_load_n(&done, __ATOMIC_ACQUIRE) < many)
		sched_yield();
	_exit(0);
}

static int waiting[2];

static void *wait_by_poll(void *tid)
{
	struct pollfd pipe = { .fd = waiting[0], .events = POLLIN };

	__atomic_store_n((pid_t *)tid, gettid(), __ATOMIC_RELEASE);
	poll(&pipe, 1, -1);
	return NULL;
}

static void *wait_by_ppoll(void *tid)
{
	struct pollfd pipe = { .fd = waiting[0], .events = POLLIN };

	__atomic_store_n((pid_t *)tid, gettid(), __ATOMIC_RELEASE);
	ppoll(&pipe, 1, NULL, NULL);
	return NULL;
}

/* Is this thread in this system call, and stays there? */
static int waits(pid_t *tid, long call)
{
	char path[64], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", __atomic_load_n(tid, __ATOMIC_ACQUIRE));
	fd = open(path, O_RDONLY);
	if (fd == -1)
		return 0;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = 0;
	close(fd);
	return strtol(text, NULL, 10) == call && text[0] != 'r';
}

/*
 * poll|ppoll WAITING QUICK end|stay: so many threads that wait in that call, so many calls of poll that return at
 * once meanwhile; then all return, or nothing does until it is killed.
 */
static int do_waiters(char **argv)
{
	int by_poll = !strcmp(argv[0], "poll"), many = atoi(argv[1]), i;
	pthread_t *threads = calloc(many + 1, sizeof(*threads));
	pid_t *tids = calloc(many + 1, sizeof(*tids));

	if (!threads || !tids || pipe(waiting))
		return fail("pipe");
	for (i = 0; i < many; i++)
		if (pthread_create(&threads[i], NULL, by_poll ? wait_by_poll : wait_by_ppoll, &tids[i]))
			return fail("pthread_create");
	for (i = 0; i < many; i++)
		while (!waits(&tids[i], by_poll ? 7 : SYS_ppoll))
			sched_yield();
	for (i = atoi(argv[2]); i > 0; i--)
		poll(NULL, 0, 0);
	puts("ready");
	fflush(stdout);
	while (!strcmp(argv[3], "stay"))
		pause();
	close(waiting[1]);
	for (i = 0; i < many; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

/* Spins until so much processor time is used. */
__attribute__((noinline)) int spin(long milliseconds)
{
	clock_t end = clock() + milliseconds * (CLOCKS_PER_SEC / 1000);
	volatile long i;

	while (clock() < end)
		for (i = 0; i < 1000000; i++)
			;
	return 0;
}

/* MILLISECONDS */
static int do_busy(char **argv)
{
	int result = spin(atol(argv[0]));

	asm volatile("" : "+r"(result));
	return result;
}

/* --- packets --------------------------------------------------------------------------------- */

#define ETHERNET "000000000000000000000000"
#define ADDRESSES4 "0a000001" "0a000002"
#define ADDRESSES6 "fe800000000000000000000000000001" "fe800000000000000000000000000002"

static const char *const frames[] = {
	/* An echo request behind a VLAN's tag. */
	ETHERNET "81000005" "0800" "4500001c" "00010000" "4001" "0000" ADDRESSES4 "0800000000000000",
	/* UDP to port 53 behind two tags. */
	ETHERNET "88a80001" "81000002" "0800" "4500001c" "00010000" "4011" "0000" ADDRESSES4 "0001003500080000",
	/* IPv6 with two extensions, TCP to port 443. */
	ETHERNET "86dd" "60000000" "0024" "0040" ADDRESSES6 "3c00000000000000" "0600000000000000"
		"000701bb00000000000000005000000000000000",
	/* Fragments that are not the first, of UDP. */
	ETHERNET "86dd" "60000000" "0010" "2c40" ADDRESSES6 "1100000800000001" "0001003500080000",
	ETHERNET "0800" "4500001c" "00010001" "4011" "0000" ADDRESSES4 "0001003500080000",
	/* An IPv4 header with an option, TCP to port 22. */
	ETHERNET "0800" "4600002c" "00010000" "4006" "0000" ADDRESSES4 "01010101"
		"000700160000000000000000500000000000" "0000",
	ETHERNET "86dd" "60000000" "0008" "3a40" ADDRESSES6 "8100000000000000",
	/* IPv6 with an authentication header, TCP to port 8080; and for mobile hosts, with UDP to port 54. */
	ETHERNET "86dd" "60000000" "002c" "3340" ADDRESSES6 "060400000000000100000001" "000102030405060708090a0b"
		"00071f90000000000000000050000000" "00000000",
	ETHERNET "86dd" "60000000" "0010" "8740" ADDRESSES6 "1100000000000000" "0001003600080000",
	/* Cut off, and of a type that nobody knows. */
	ETHERNET "0800" "4500",
	ETHERNET "1234" "00",
};

/* INTERFACE N: sends a frame from each of so many addresses, by one processor. */
static int do_sources(char **argv)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(argv[0]) };
	/* UDP; the address is the four bytes from 26 on. */
	unsigned char bytes[42] = { [12] = 8, [14] = 0x45, [17] = 28, [22] = 64, [23] = 17, [26] = 10 };
	int i, fd = socket(AF_PACKET, SOCK_RAW, 0), n = atoi(argv[1]);
	cpu_set_t first;

	CPU_ZERO(&first);
	CPU_SET(0, &first);
	if (sched_setaffinity(0, sizeof(first), &first))
		return fail("sched_setaffinity");
	for (i = 0; i < n; i++) {
		bytes[27] = i >> 16;
		bytes[28] = i >> 8;
		bytes[29] = i;
		if (sendto(fd, bytes, sizeof(bytes), 0, (void *)&to, sizeof(to)) < 0)
			return fail("sendto");
	}
	return 0;
}

/* Each of these once. */
static int send_frames(const char *interface, const char *const *frames, unsigned long many)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(interface) };
	int fd = socket(AF_PACKET, SOCK_RAW, 0);
	unsigned long i, len;
	unsigned char bytes[256];

	for (i = 0; i < many; i++) {
		for (len = 0; frames[i][2 * len]; len++)
			sscanf(frames[i] + 2 * len, "%2hhx", &bytes[len]);
		/* ENOBUFS: it was dropped on its way out. */
		if (sendto(fd, bytes, len, 0, (void *)&to, sizeof(to)) < 0 && errno != ENOBUFS)
			return fail("sendto");
	}
	return 0;
}

/* INTERFACE: sends frames of all kinds, each once. */
static int do_frames(char **argv)
{
	return send_frames(argv[0], frames, sizeof(frames) / sizeof(frames[0]));
}

/* INTERFACE: sends a datagram and a SYN from 10.7.0.2 to 10.7.0.1 whose checksums are wrong. */
static int do_bad_sums(char **argv)
{
	static const char *const bad[] = {
		ETHERNET "0800" "4500001c000100004011" "66c0" "0a070002" "0a070001" "0001232800081234",
		ETHERNET "0800" "45000028000100004006" "66bf" "0a070002" "0a070001"
			"00012328000000010000000050020400" "12340000",
	};

	return send_frames(argv[0], bad, sizeof(bad) / sizeof(bad[0]));
}

/* Requests to the kernel by netlink, one behind the other. */
static struct {
	unsigned int len;
	unsigned char bytes[1024];
} requests;

static void *put(const void *bytes, unsigned int len)
{
	void *at = requests.bytes + requests.len;

	memcpy(at, bytes, len);
	requests.len += NLMSG_ALIGN(len);
	return at;
}

/* A request of this type, which begins with a struct of its own. */
static struct nlmsghdr *put_request(int type, int flags, const void *begin, unsigned int len)
{
	struct nlmsghdr header = { .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags };
	struct nlmsghdr *request = put(&header, sizeof(header));

	put(begin, len);
	return request;
}

static struct rtattr *put_attribute(int type, const void *bytes, unsigned int len)
{
	struct rtattr header = { .rta_len = RTA_LENGTH(len), .rta_type = type };
	struct rtattr *attribute = put(&header, sizeof(header));

	put(bytes, len);
	return attribute;
}

static void put_number(int type, unsigned int number)
{
	number = htonl(number);
	put_attribute(type, &number, sizeof(number));
}

static void end_request(struct nlmsghdr *request)
{
	request->nlmsg_len = requests.bytes + requests.len - (unsigned char *)request;
}

/* Sends them, and takes so many answers. */
static int send_requests(int protocol, int answers, const char *what)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char rest[256];
	} answer = {};
	int fd = socket(AF_NETLINK, SOCK_RAW, protocol);

	if (send(fd, requests.bytes, requests.len, 0) < 0)
		return fail(what);
	while (answers--) {
		if (recv(fd, &answer, sizeof(answer), 0) < 0)
			return fail(what);
		errno = -answer.error.error;
		if (errno)
			return fail(what);
	}
	return 0;
}

/* `tc qdisc replace dev INTERFACE root KIND`, with these options. */
static int queue_by(const char *interface, const char *kind, const void *options, unsigned int len)
{
	struct tcmsg message = { .tcm_parent = TC_H_ROOT, .tcm_ifindex = if_nametoindex(interface) };
	struct nlmsghdr *request = put_request(
		RTM_NEWQDISC, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, &message, sizeof(message));

	put_attribute(TCA_KIND, kind, strlen(kind) + 1);
	if (len)
		put_attribute(TCA_OPTIONS, options, len);
	end_request(request);
	return send_requests(NETLINK_ROUTE, 1, kind);
}

/* INTERFACE: lets packets wait there for their time. */
static int do_fq(char **argv)
{
	return queue_by(argv[0], "fq", NULL, 0);
}

/* INTERFACE PERCENT [MS]: loses so many of the packets that are sent there, by chance; the others wait so long. */
static int do_netem(char **argv)
{
	struct tc_netem_qopt options = {
		.limit = 1000,
		.loss = 0xffffffffU / 100 * atoi(argv[1]),
		.latency = argv[2] ? atoi(argv[2]) * (1000000 / 64) : 0, /* of 64 ns each */
	};

	return queue_by(argv[0], "netem", &options, sizeof(options));
}

/* HOOK: a firewall (nftables) that drops all that comes in (1) or goes out (3). */
static int do_firewall(char **argv)
{
	struct nfgenmsg none = { .nfgen_family = NFPROTO_INET }, batch = {
		.res_id = htons(NFNL_SUBSYS_NFTABLES),
	};
	int flags = NLM_F_CREATE | NLM_F_ACK, of = NFNL_SUBSYS_NFTABLES << 8;
	struct nlmsghdr *request;
	struct rtattr *hook;

	end_request(put_request(NFNL_MSG_BATCH_BEGIN, 0, &batch, sizeof(batch)));
	request = put_request(of | NFT_MSG_NEWTABLE, flags, &none, sizeof(none));
	put_attribute(NFTA_TABLE_NAME, "t", 2);
	end_request(request);
	request = put_request(of | NFT_MSG_NEWCHAIN, flags, &none, sizeof(none));
	put_attribute(NFTA_CHAIN_TABLE, "t", 2);
	put_attribute(NFTA_CHAIN_NAME, "c", 2);
	hook = put_attribute(NLA_F_NESTED | NFTA_CHAIN_HOOK, "", 0);
	put_number(NFTA_HOOK_HOOKNUM, atoi(argv[0]));
	put_number(NFTA_HOOK_PRIORITY, 0);
	hook->rta_len = requests.bytes + requests.len - (unsigned char *)hook;
	put_number(NFTA_CHAIN_POLICY, NF_DROP);
	put_attribute(NFTA_CHAIN_TYPE, "filter", 7);
	end_request(request);
	end_request(put_request(NFNL_MSG_BATCH_END, 0, &batch, sizeof(batch)));
	return send_requests(NETLINK_NETFILTER, 2, "firewall");
}

/* An address of IPv4 or IPv6, and a port. */
static socklen_t address_of(struct sockaddr_storage *address, const char *text, const char *port)
{
	struct sockaddr_in *four = (void *)address;
	struct sockaddr_in6 *six = (void *)address;

	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(atoi(port));
		return sizeof(*four);
	}
	inet_pton(AF_INET6, text, &six->sin6_addr);
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(atoi(port));
	return sizeof(*six);
}

/*
 * ADDRESS PORT COUNT BYTES: sends so many datagrams, which begin with their number; says of how many it
 * was told that they were dropped.
 */
static int do_send(char **argv)
{
	struct sockaddr_storage address;
	socklen_t len = address_of(&address, argv[0], argv[1]);
	int fd = socket(address.ss_family, SOCK_DGRAM, 0), count = atoi(argv[2]), told = 0, on = 1, i;
	static char bytes[1400];

	setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
	setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on));
	for (i = 0; i < count; i++) {
		memcpy(bytes, &i, sizeof(i));
		if (sendto(fd, bytes, atoi(argv[3]), 0, (void *)&address, len) > 0)
			continue;
		/* Nobody listens, says the answer to one before, and this one was not sent. */
		if (errno == ECONNREFUSED && i--)
			continue;
		/* EPERM: a cgroup's program has dropped it. */
		if (errno != ENOBUFS && errno != EPERM)
			return fail("sendto");
		told++;
	}
	printf("told of %d\n", told);
	return 0;
}

/*
 * ADDRESS PORT COUNT: says when it is ready, receives datagrams until the last of so many has come, or
 * none for three seconds; then says how many there were, and in how many milliseconds.
 */
static int do_receive(char **argv)
{
	struct sockaddr_storage address;
	socklen_t len = address_of(&address, argv[0], argv[1]);
	int fd = socket(address.ss_family, SOCK_DGRAM, 0), count = atoi(argv[2]), last = -1, got = 0;
	struct timeval patience = { .tv_sec = 3 };
	int room = 1 << 20;
	struct timespec first = {}, now = {};
	char bytes[2048];

	if (bind(fd, (void *)&address, len))
		return fail("bind");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	printf("ready\n");
	fflush(stdout);
	while (last < count - 1 && recv(fd, bytes, sizeof(bytes), 0) > 0) {
		memcpy(&last, bytes, sizeof(last));
		clock_gettime(CLOCK_MONOTONIC, &now);
		first = got++ ? first : now;
	}
	printf("received %d in %ld ms\n", got,
	       (now.tv_sec - first.tv_sec) * 1000 + (now.tv_nsec - first.tv_nsec) / 1000000);
	return 0;
}

/*
 * ADDRESS PORT COUNT: sends itself so many datagrams before it receives any, with room for few; says how many
 * it has got.
 */
static int do_full(char **argv)
{
	struct sockaddr_storage address;
	socklen_t len = address_of(&address, argv[0], argv[1]);
	int fd = socket(address.ss_family, SOCK_DGRAM, 0), count = atoi(argv[2]), room = 8192, got = 0;
	int from = socket(address.ss_family, SOCK_DGRAM, 0), i;
	char bytes[1000] = {};

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	if (bind(fd, (void *)&address, len))
		return fail("bind");
	for (i = 0; i < count; i++)
		if (sendto(from, bytes, sizeof(bytes), 0, (void *)&address, len) < 0)
			return fail("sendto");
	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		got++;
	printf("received %d in 0 ms\n", got);
	return 0;
}

/* PORT: a server accepts a connection and sends a word by it, in a thread of its own. */
static void *do_accept(void *listener)
{
	int fd = accept((long)listener, NULL, NULL);

	if (write(fd, "a word of 20 bytes.\n", 20) != 20)
		fail("write");
	close(fd);
	return NULL;
}

/* PORT: the server's call has begun before a line comes, and somebody else connects after it. */
static int do_serve(char **argv)
{
	struct sockaddr_storage address;
	socklen_t len = address_of(&address, "127.0.0.1", argv[0]);
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd;
	char bytes[64];
	pthread_t server;

	if (bind(listener, (void *)&address, len) || listen(listener, 1))
		return fail("listen");
	pthread_create(&server, NULL, do_accept, (void *)(long)listener);
	printf("pid %d\n", getpid());
	fflush(stdout);
	if (read(0, bytes, sizeof(bytes)) < 0)
		return fail("read");
	if (!fork()) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(fd, (void *)&address, len))
			return fail("connect");
		while (read(fd, bytes, sizeof(bytes)) > 0)
			;
		return 0;
	}
	pthread_join(server, NULL);
	return wait(NULL) < 0;
}

/* --- connections of TCP ------------------------------------------------------------------- */

/* ADDRESS PORT [TIMES]: connects, and tries it so often again if there is no answer. */
static int do_tcp_connect(char **argv)
{
	struct sockaddr_storage address;
	socklen_t len = address_of(&address, argv[0], argv[1]);
	int fd = socket(address.ss_family, SOCK_STREAM, 0), times = argv[2] ? atoi(argv[2]) : 1;

	setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &times, sizeof(times));
	printf("%s\n", connect(fd, (void *)&address, len) ? strerror(errno) : "connected");
	return 0;
}

/* ADDRESS PORT: connects, does not wait for it, and closes. */
static int do_tcp_give_up(char **argv)
{
	struct sockaddr_storage address;
	socklen_t len = address_of(&address, argv[0], argv[1]);
	int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);

	return connect(fd, (void *)&address, len) && errno == EINPROGRESS ? close(fd) : fail("connect");
}

/* ADDRESS PORT N: so many connects of one socket that get no answer and are taken back; then one elsewhere. */
static int do_tcp_take_back(char **argv)
{
	struct sockaddr_storage address;
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	socklen_t len = address_of(&address, argv[0], argv[1]);
	int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0), i;

	for (i = 0; i < atoi(argv[2]); i++)
		if (!connect(fd, (void *)&address, len) || errno != EINPROGRESS ||
		    connect(fd, &none, sizeof(none)))
			return fail("connect");
	len = address_of(&address, "192.0.2.1", argv[1]);
	return connect(fd, (void *)&address, len) && errno == ENETUNREACH ? close(fd) : fail("connect");
}

/* ADDRESS PORT: connects to no more than half of the address. */
static int do_tcp_short_address(char **argv)
{
	struct sockaddr_storage address;
	int fd = socket(address_of(&address, argv[0], argv[1]) ? address.ss_family : 0, SOCK_STREAM, 0);

	return connect(fd, (void *)&address, 8) && errno == EINVAL ? 0 : fail("connect");
}

/* Listens in the network of the process PID, if there is one: the descriptor. */
static int listens(struct sockaddr_storage *address, socklen_t len, const char *pid)
{
	int own = open("/proc/self/ns/net", O_RDONLY), listener, on = 1;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/ns/net", pid ? pid : "self");
	if (setns(open(path, O_RDONLY), CLONE_NEWNET))
		return -1;
	listener = socket(address->ss_family, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (void *)address, len) || listen(listener, 7) || setns(own, CLONE_NEWNET))
		return -1;
	return listener;
}

/* Both ends of a connection, of which the first has asked for it. */
static int connected(int *ends, const char *text, const char *port, const char *pid)
{
	struct sockaddr_storage address;
	socklen_t len = address_of(&address, text, port);
	int listener = listens(&address, len, pid);

	ends[0] = socket(address.ss_family, SOCK_STREAM, 0);
	if (listener < 0 || connect(ends[0], (void *)&address, len))
		return fail("connect");
	ends[1] = accept(listener, NULL, NULL);
	close(listener);
	return ends[1] < 0 ? fail("accept") : 0;
}

/* Sends so many bytes, and says that there are no more; the other end reads them all. */
static int transfer(int from, int to, long bytes)
{
	static char buffer[1 << 16];
	long part, sent;
	pid_t child = fork();

	if (!child) {
		for (; bytes > 0; bytes -= sent) {
			part = bytes < (long)sizeof(buffer) ? bytes : (long)sizeof(buffer);
			sent = send(from, buffer, part, 0);
			if (sent < 0)
				_exit(1);
		}
		_exit(shutdown(from, SHUT_WR));
	}
	while (read(to, buffer, sizeof(buffer)) > 0)
		;
	return waitpid(child, NULL, 0) != child;
}

/* ADDRESS PORT UP DOWN [PID]: a connection by which so many bytes go, to the network of that process. */
static int do_tcp_transfer(char **argv)
{
	int ends[2];

	return connected(ends, argv[0], argv[1], argv[4]) || transfer(ends[0], ends[1], atol(argv[2])) ||
	       transfer(ends[1], ends[0], atol(argv[3]));
}

/* How many segments have come: linux/tcp.h has a longer struct tcp_info than the C library. */
static unsigned int segments_in(int fd)
{
	unsigned int info[36] = {};
	socklen_t len = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &len) ? 0 : info[35];
}

/*
 * ADDRESS PORT TIMES [PID]: a connection by which a byte goes both ways so often. Says how many segments have
 * come to it while it was established: SYN and what answers that are before, and the end of the end that does
 * not begin with it behind.
 */
static int do_tcp_echo(char **argv)
{
	unsigned int came;
	int ends[2], i;
	char byte = 0;

	if (connected(ends, argv[0], argv[1], argv[3]))
		return 1;
	for (i = atoi(argv[2]); i > 0; i--) {
		if (write(ends[0], &byte, 1) != 1 || read(ends[1], &byte, 1) != 1 ||
		    write(ends[1], &byte, 1) != 1 || read(ends[0], &byte, 1) != 1)
			return fail("echo");
	}
	came = segments_in(ends[0]);
	if (shutdown(ends[0], SHUT_WR) || read(ends[1], &byte, 1))
		return fail("shutdown");
	printf("segments %u %u\n", came - 1, segments_in(ends[1]) - 2);
	return 0;
}

/* ADDRESS PORT: connects twice where one port is left for that. */
static int do_tcp_no_port(char **argv)
{
	struct sockaddr_storage address;
	socklen_t len = address_of(&address, argv[0], argv[1]);
	int listener = listens(&address, len, NULL), i;
	long failed = 0;

	for (i = 0; i < 2; i++)
		failed += !!connect(socket(address.ss_family, SOCK_STREAM, 0), (void *)&address, len);
	return listener >= 0 && failed == 1 && errno == EADDRNOTAVAIL ? 0 : fail("connect");
}

/* The connection is ended without a word to wait for. */
static int reset(int fd)
{
	struct linger none = { .l_onoff = 1 };

	return setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none)) || close(fd);
}

/* ADDRESS PORT: one end resets the connection. */
static int do_tcp_reset(char **argv)
{
	int ends[2];

	return connected(ends, argv[0], argv[1], NULL) || reset(ends[0]);
}

/* ADDRESS PORT: a connection is reset before it is accepted, which it is then; another one never is. */
static int do_tcp_unaccepted(char **argv)
{
	struct sockaddr_storage address;
	socklen_t len = address_of(&address, argv[0], argv[1]);
	int listener = listens(&address, len, NULL), first = socket(address.ss_family, SOCK_STREAM, 0),
	    second = socket(address.ss_family, SOCK_STREAM, 0);

	if (connect(first, (void *)&address, len) || connect(second, (void *)&address, len))
		return fail("connect");
	return reset(first) || accept(listener, NULL, NULL) < 0 || close(listener);
}

/*
 * ADDRESS PORT PID INTERFACE: what leads to the other end, in the network of that process, is taken away;
 * what is sent then gets no answer.
 */
/* Says that it has no more to send, and closes that end before it is confirmed. */
static int do_tcp_shutdown(char **argv)
{
	int ends[2];

	return connected(ends, argv[0], argv[1], NULL) || shutdown(ends[0], SHUT_WR) || close(ends[0]) ||
	       close(ends[1]);
}

static int do_tcp_half_open(char **argv)
{
	struct pollfd end = { .events = POLLIN };
	int ends[2], patience = 500;
	char command[64];

	if (connected(ends, argv[0], argv[1], argv[2]))
		return 1;
	snprintf(command, sizeof(command), "busybox ip link set %s down", argv[3]);
	setsockopt(ends[0], IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof(patience));
	if (system(command) || send(ends[0], "x", 1, 0) != 1)
		return fail("half open");
	end.fd = ends[0];
	return poll(&end, 1, -1) != 1;
}

/* ADDRESS PORT N: so many short connections, one after the other. */
static int do_tcp_many(char **argv)
{
	struct sockaddr_storage address;
	socklen_t len = address_of(&address, argv[0], argv[1]);
	int listener = listens(&address, len, NULL), i, from, to;

	for (i = 0; i < atoi(argv[2]); i++) {
		from = socket(address.ss_family, SOCK_STREAM, 0);
		if (connect(from, (void *)&address, len))
			return fail("connect");
		to = accept(listener, NULL, NULL);
		/* The other end waits for a while behind its end, and takes no port here. */
		if (to < 0 || close(to) || read(from, &to, 1) || close(from))
			return fail("accept");
	}
	return 0;
}

/* --- deletes --------------------------------------------------------------------------------- */

/* DIR NAME DIR2: relative to a descriptor, a directory that way, and with a bad descriptor. */
static int do_unlinkat(char **argv)
{
	int dir = open(argv[0], O_PATH | O_DIRECTORY);

	if (unlinkat(dir, argv[1], 0) || unlinkat(dir, argv[2], AT_REMOVEDIR))
		return fail("unlinkat");
	return unlinkat(999, argv[1], 0) && errno == EBADF ? 0 : fail("bad descriptor");
}

/* DIR NAME: delete an absolute name inside a chroot. */
static int do_chroot(char **argv)
{
	return chroot(argv[0]) || chdir("/") || unlink(argv[1]) ? fail("chroot") : 0;
}

#ifndef SYS_open_tree
#define SYS_open_tree 428
#endif

/* DIR NAME: deletes a name below a copy of a directory that is mounted nowhere, and is the root. */
static int do_detached(char **argv)
{
	int copy = syscall(SYS_open_tree, AT_FDCWD, argv[0], 1 /* OPEN_TREE_CLONE */);

	return copy < 0 || fchdir(copy) || chroot(".") || unlink(argv[1]) ? fail("detached") : 0;
}

/* N: several processes delete N files each. */
static int do_unlinks(char **argv)
{
	int child, i, n = atoi(argv[0]);
	char name[64];

	for (child = 0; child < 4; child++) {
		if (fork())
			continue;
		for (i = 0; i < n; i++) {
			snprintf(name, sizeof(name), "unlinks-%d-%d", child, i);
			close(open(name, O_WRONLY | O_CREAT, 0600));
			if (unlink(name))
				_exit(1);
		}
		_exit(0);
	}
	while (wait(NULL) > 0)
		;
	return 0;
}

/* N: several processes rename a file N times, to a name that is free. */
static int do_renames(char **argv)
{
	int child, i, n = atoi(argv[0]);
	char names[2][64];

	for (child = 0; child < 4; child++) {
		if (fork())
			continue;
		for (i = 0; i < 2; i++)
			snprintf(names[i], sizeof(names[i]), "renames-%d-%d", child, i);
		close(open(names[0], O_WRONLY | O_CREAT, 0600));
		for (i = 0; i < n; i++)
			if (rename(names[i & 1], names[~i & 1]))
				_exit(1);
		_exit(0);
	}
	while (wait(NULL) > 0)
		;
	return 0;
}

/* Ends by a system call that strict mode forbids. */
static int do_strict(char **argv __attribute__((unused)))
{
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
	return syscall(SYS_getppid);
}

/* DIR: delete in a working directory that is deleted. */
static int do_deleted_cwd(char **argv)
{
	return chdir(argv[0]) || rmdir(argv[0]) || !unlink("nothing") ? fail("deleted cwd") : 0;
}

static int do_bad_name(char **argv)
{
	(void)argv;
	return unlink((char *)16) && errno == EFAULT && unlink("") && errno == ENOENT ? 0 : fail("bad name");
}

/* OLD NEW: rename, and exchange. */
static int do_rename(char **argv)
{
	return rename(argv[0], argv[1]) ? fail("rename") : 0;
}

static int do_exchange(char **argv)
{
	return renameat2(AT_FDCWD, argv[0], AT_FDCWD, argv[1], RENAME_EXCHANGE) ? fail("exchange") : 0;
}

/* What one request to io_uring ends with; -ENOSYS where the kernel has none. */
static long by_ring(const struct io_uring_sqe *request)
{
	struct io_uring_params params = {};
	int ring = syscall(SYS_io_uring_setup, 1, &params);
	struct io_uring_sqe *entry;
	struct io_uring_cqe *done;
	unsigned int *tail, *index;
	char *queue, *completions;

	if (ring < 0)
		return -ENOSYS;
	queue = mmap(NULL, params.sq_off.array + params.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED,
		     ring, IORING_OFF_SQ_RING);
	completions = mmap(NULL, params.cq_off.cqes + params.cq_entries * sizeof(*done),
			   PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
	entry = mmap(NULL, params.sq_entries * sizeof(*entry), PROT_READ | PROT_WRITE, MAP_SHARED, ring,
		     IORING_OFF_SQES);
	if (queue == MAP_FAILED || completions == MAP_FAILED || entry == MAP_FAILED)
		return -fail("mmap");
	*entry = *request;
	index = (unsigned int *)(queue + params.sq_off.array);
	tail = (unsigned int *)(queue + params.sq_off.tail);
	index[0] = 0;
	__atomic_store_n(tail, 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -fail("io_uring_enter");
	done = (struct io_uring_cqe *)(completions + params.cq_off.cqes);
	return done->res;
}

/* NAME: one unlinkat by io_uring; 77 where the kernel has none. */
static int do_uring(char **argv)
{
	struct io_uring_sqe request = {
		.opcode = IORING_OP_UNLINKAT, .fd = AT_FDCWD, .addr = (unsigned long)argv[0] };
	long result = by_ring(&request);

	return result == 0 ? 0 : result == -EINVAL || result == -ENOSYS ? 77 : 1;
}

/* --- clones ---------------------------------------------------------------------------------- */

static void *nothing(void *arg)
{
	return arg;
}

/* A process by each call, and a thread. */
static int do_clones(char **argv)
{
	struct { unsigned long long flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls; } args = {
		.exit_signal = SIGCHLD };
	pthread_t thread;
	int children;

	(void)argv;
	if (syscall(SYS_clone3, &args, sizeof(args)) == 0)
		_exit(0);
	if (syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0) == 0)
		_exit(0);
	if (vfork() == 0)
		_exit(0);
	for (children = 0; wait(NULL) > 0; children++)
		;
	if (children != 3 || pthread_create(&thread, NULL, nothing, NULL))
		return fail("clone");
	return pthread_join(thread, NULL);
}

/* --- many calls ------------------------------------------------------------------------------ */

static void on_alarm(int number)
{
	(void)number;
}

/* NUMBER: so many calls that a signal interrupts. */
static int do_interrupted(char **argv)
{
	struct sigaction action = { .sa_handler = on_alarm };
	int i, n = atoi(argv[0]);
	sigset_t alarm, none;

	sigemptyset(&none);
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	sigaction(SIGALRM, &action, NULL);
	sigprocmask(SIG_BLOCK, &alarm, NULL);
	for (i = 0; i < n; i++) {
		ualarm(2000, 0);
		if (sigsuspend(&none) != -1 || errno != EINTR)
			return fail("sigsuspend");
	}
	return 0;
}

/* NUMBER: so many calls of each of two numbers that no call has. */
static int do_unknown(char **argv)
{
	int i, n = atoi(argv[0]);

	for (i = 0; i < n; i++) {
		syscall(1000);
		syscall(100000);
		syscall(-2);
	}
	return 0;
}

/* NUMBER: so many of getppid, half as many that fail, and one that takes 50 ms. */
static int do_getppids(char **argv)
{
	struct timespec time = { .tv_nsec = 50000000 };
	int i, n = atoi(argv[0]);

	for (i = 0; i < n; i++)
		syscall(SYS_getppid);
	for (i = 0; i < n / 2; i++)
		syscall(SYS_getpgid, -1);
	syscall(SYS_nanosleep, &time, NULL);
#if defined(__x86_64__)
	call32(64, 0, 0, 0);
#endif
	return 0;
}

/* A USDT probe, as sys/sdt.h makes them: an address, a base, no semaphore, provider and name. */
__asm__(".pushsection .note.stapsdt, \"?\", \"note\"\n"
	".balign 4\n .4byte 8, 2f - 1f, 3\n .asciz \"stapsdt\"\n"
	"1: .8byte main, 0, 0\n .asciz \"ebtools\"\n .asciz \"probe\"\n .asciz \"\"\n"
	"2: .balign 4\n .popsection\n");

/*
 * QUERY: passes the USDT probes that MySQL has where it is built with them; no package is. Arguments are
 * where the notes say: the query, a number, the database, the user.
 */
#if defined(__x86_64__)
#define ARGUMENTS "8@%%rdi 8@%%rsi 8@%%rdx 8@%%rcx"
#define FIRST "rdi"
#else
#define ARGUMENTS "8@x0 8@x1 8@x2 8@x3"
#define FIRST "x0"
#endif
#define USDT(name, arguments)                                                                      \
	"9: nop\n .pushsection .note.stapsdt, \"\", \"note\"\n"                                    \
	".balign 4\n .4byte 8, 2f - 1f, 3\n .asciz \"stapsdt\"\n"                                   \
	"1: .8byte 9b, 0, 0\n .asciz \"mysql\"\n .asciz \"" name "\"\n .asciz \"" arguments "\"\n" \
	"2: .balign 4\n .popsection\n"

/* All threads have begun a query before one ends; so many, if any. */
static pthread_barrier_t all_query;
static int mysql_threads, mysql_fails;

__attribute__((noinline)) int mysql_query(const char *query, long connection, const char *database, const char *user)
{
	register long is_error __asm__(FIRST);

	__asm__ volatile(USDT("query__start", ARGUMENTS) : : "r"(query), "r"(connection), "r"(database), "r"(user));
	if (mysql_threads)
		pthread_barrier_wait(&all_query);
	else
		usleep(10000);
	is_error = mysql_fails;
	__asm__ volatile(USDT("query__done", ARGUMENTS) : : "r"(is_error));
	return 0;
}

/*
 * UID: is what a hostile process could do to a profiler: code of its own making, told of in a map of names
 * that is a pipe until it is a file, which it gives to this user.
 */
static int do_jit(char **argv)
{
	/* Counts down from the argument; as a compiler at run time would make it. */
#if defined(__x86_64__)
	static const unsigned char code[] = { 0x48, 0x83, 0xef, 0x01, 0x75, 0xfa, 0xc3 };
#else
	static const unsigned char code[] = { 0x00, 0x04, 0x00, 0xf1, 0xe1, 0xff, 0xff, 0x54, 0xc0, 0x03, 0x5f, 0xd6 };
#endif
	void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void (*compiled)(long times);
	char name[64];
	FILE *map;

	if (at == MAP_FAILED)
		return fail("mmap");
	memcpy(at, code, sizeof(code));
	__builtin___clear_cache(at, (char *)at + sizeof(code));
	snprintf(name, sizeof(name), "/tmp/perf-%d.map", getpid());
	if (mkfifo(name, 0600))
		return fail("mkfifo");
	*(void **)&compiled = at;
	compiled(300000000);
	unlink(name);
	map = fopen(name, "w");
	if (fchown(fileno(map), atoi(argv[0]), -1))
		return fail("chown");
	fprintf(map, "%lx %lx %s\n", (unsigned long)at, (unsigned long)sizeof(code),
		argv[1] ? argv[1] : "compiled_function");
	fclose(map);
	for (clock_t end = clock() + 2 * CLOCKS_PER_SEC; clock() < end;)
		compiled(30000000);
	unlink(name);
	return 0;
}

/* Counts down with another frame pointer than the stack's. */
long stray(unsigned long *frame, long times);
#if defined(__x86_64__)
__asm__(".text\n .type stray, @function\n"
	"stray: push %rbp\n mov %rdi, %rbp\n 1: sub $1, %rsi\n jnz 1b\n pop %rbp\n ret\n .size stray, . - stray\n");
#else
__asm__(".text\n .type stray, %function\n"
	"stray: stp x29, x30, [sp, #-16]!\n mov x29, x0\n 1: subs x1, x1, #1\n b.ne 1b\n ldp x29, x30, [sp], #16\n ret\n"
	".size stray, . - stray\n");
#endif

/* SECONDS: runs as if it was called from the stack, like code without frame pointers. */
static int do_stray(char **argv)
{
	unsigned long frame[2] = { 0, (unsigned long)frame };
	time_t end = time(NULL) + atol(argv[0]);

	while (time(NULL) <= end)
		stray(frame, 10000000);
	return 0;
}

static const char *cut;

/* Cuts the file off, so that what is behind the code is gone, and makes it as long as before. */
static void *cut_and_mend(void *keep)
{
	struct stat is;

	if (stat(cut, &is))
		return NULL;
	while (!truncate(cut, (long)keep) && !truncate(cut, is.st_size))
		;
	return NULL;
}

/* FILE KEEP SECONDS: runs the code at 4096 in a file, which it cuts off to KEEP bytes again and again, if not 0. */
static int do_mapped(char **argv)
{
	void (*code)(long times);
	int fd = open(argv[0], O_RDONLY);
	void *at = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 4096);
	long keep = atol(argv[1]);
	time_t end = time(NULL) + atol(argv[2]);
	pthread_t thread;

	if (at == MAP_FAILED)
		return fail("mmap");
	cut = argv[0];
	if (keep && pthread_create(&thread, NULL, cut_and_mend, (void *)keep))
		return fail("thread");
	*(void **)&code = at;
	while (time(NULL) <= end)
		code(10000000);
	return 0;
}

static void *mysql_connection(void *query)
{
	pthread_setname_np(pthread_self(), "one_connection");
	/* Without a query: what cannot be read. */
	mysql_query(*(char *)query ? query : (char *)16, 1, "shop", "bob");
	return NULL;
}

/* QUERY [THREADS]: newer servers name their threads. "wrong": a query that fails. */
static int do_mysql(char **argv)
{
	int i, many = argv[1] ? atoi(argv[1]) : 1;
	pthread_t *threads = calloc(many, sizeof(*threads));
	pthread_attr_t attributes;

	if (!threads)
		return fail("calloc");
	mysql_fails = !strcmp(argv[0], "wrong");
	if (argv[1])
		mysql_threads = many;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 1 << 17);
	pthread_barrier_init(&all_query, NULL, many);
	for (i = 0; i < many; i++)
		if (pthread_create(&threads[i], &attributes, mysql_connection, argv[0]))
			return fail("thread");
	for (i = 0; i < many; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

/* --- files of others ------------------------------------------------------------------------- */

static void say_pid(void)
{
	printf("pid %d\n", getpid());
	fflush(stdout);
}

/* Maps the beginning of a file as a library is mapped, and before all others. */
static unsigned char *map_code(int fd)
{
	unsigned char *at = mmap((void *)0x10000000, 8192, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

	return fd < 0 || at == MAP_FAILED ? NULL : at;
}

static int wait_for_input(void)
{
	char byte;

	return read(0, &byte, 1) >= 0 ? 0 : fail("read");
}

/* FILE...: has them mapped until there is input. */
static int do_map(char **argv)
{
	for (; *argv; argv++)
		if (!map_code(open(*argv, O_RDONLY)))
			return fail("map");
	say_pid();
	return wait_for_input();
}

/* FILE...: maps them when there is input, as a program that loads a library long after its start. */
static int do_map_later(char **argv)
{
	say_pid();
	return wait_for_input() || do_map(argv);
}

/* FILE: has it mapped, and holds a lease on it until there is input; then it waits for more. */
static int do_lease(char **argv)
{
	int fd = open(argv[0], O_RDONLY);

	signal(SIGIO, SIG_IGN);
	if (!map_code(fd) || fcntl(fd, F_SETLEASE, F_WRLCK))
		return fail("lease");
	say_pid();
	if (wait_for_input() || fcntl(fd, F_SETLEASE, F_UNLCK))
		return fail("unlease");
	return wait_for_input();
}

/*
 * DIR FILE: has DIR/d/FILE mapped, and when somebody has read it puts DIR/e, which has another FILE, in the
 * place of DIR/d.
 */
static int do_exchange_after_reading(char **argv)
{
	int notify = inotify_init();
	char path[256], event[512];

	if (chdir(argv[0]))
		return fail("chdir");
	snprintf(path, sizeof(path), "d/%s", argv[1]);
	if (!map_code(open(path, O_RDONLY)) || inotify_add_watch(notify, path, IN_CLOSE_NOWRITE) < 0)
		return fail("map");
	say_pid();
	if (read(notify, event, sizeof(event)) < 0 || renameat2(AT_FDCWD, "d", AT_FDCWD, "e", RENAME_EXCHANGE))
		return fail("exchange");
	say_pid();
	return wait_for_input();
}

/* A B: exchanges them again and again, until it is killed. */
static int do_exchange_on(char **argv)
{
	say_pid();
	while (!do_exchange(argv))
		;
	return 1;
}

/* FILE: has it mapped as its program's code until there is input; 3 if a byte was ever another than in the file. */
static int do_compare(char **argv)
{
	struct pollfd input = { .fd = 0, .events = POLLIN };
	static unsigned char bytes[8192];
	int changed = 0;
	int fd = open(argv[0], O_RDONLY);
	unsigned char *code = map_code(fd);

	/* Every page is there, so that probes would be put in. */
	if (!code || read(fd, bytes, sizeof(bytes)) != sizeof(bytes) || memcmp(code, bytes, sizeof(bytes)))
		return fail("map");
	say_pid();
	while (!poll(&input, 1, 1))
		changed |= memcmp(code, bytes, sizeof(bytes)) != 0;
	return changed ? 3 : 0;
}

/* FILE: cuts it off and makes it whole again until there is input. */
static int do_cut(char **argv)
{
	struct pollfd input = { .fd = 0, .events = POLLIN };
	int fd = open(argv[0], O_RDWR);
	struct stat stat;
	char *bytes;

	if (fstat(fd, &stat) || !(bytes = malloc(stat.st_size)) || read(fd, bytes, stat.st_size) != stat.st_size)
		return fail("read");
	say_pid();
	while (!poll(&input, 1, 0))
		if (ftruncate(fd, 4096) || pwrite(fd, bytes, stat.st_size, 0) != stat.st_size)
			return fail("write");
	return 0;
}

/* --- what guard refuses: each way to do it, and what becomes of it ------------------------------ */

static void tell(const char *way, long result)
{
	printf("%s: %s\n", way, result >= 0 ? "done" : errno == EPERM ? "EPERM" : strerror(errno));
	fflush(stdout);
}

/* For results that have the error in them. */
static void tell_error(const char *way, long result)
{
	errno = -result;
	tell(way, result);
}

/* In another process: nothing that it changes stays. */
static long in_child(long (*act)(char **argv), char **argv)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		_exit(act(argv) < 0 ? errno : 0);
	waitpid(pid, &status, 0);
	errno = WEXITSTATUS(status);
	return errno ? -1 : 0;
}

static long by_open(char **argv)
{
	return open(argv[0], O_RDONLY);
}

static long by_open_in_child(char **argv)
{
	return in_child(by_open, argv);
}

static void *by_open_in_thread(void *argv)
{
	return (void *)(by_open(argv) < 0 ? (long)-errno : 0);
}

static long by_chroot(char **argv)
{
	char *slash = strrchr(argv[0], '/');
	char dir[4096];

	snprintf(dir, sizeof(dir), "%.*s", (int)(slash - argv[0]), argv[0]);
	return chroot(dir) || chdir("/") ? -1 : open(slash, O_RDONLY);
}

/* The directory, and so a part of the file system, somewhere else. */
static long by_bind_mount(char **argv)
{
	char *slash = strrchr(argv[0], '/');
	char dir[4096], path[4096];

	snprintf(dir, sizeof(dir), "%.*s", (int)(slash - argv[0]), argv[0]);
	snprintf(path, sizeof(path), "/mnt%s", slash);
	mkdir("/mnt", 0755);
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount(dir, "/mnt", NULL, MS_BIND, NULL))
		return -1;
	return open(path, O_RDONLY);
}

/* By a handle, with nothing of the path, on the file system of the working directory. */
static long by_handle(char **argv)
{
	struct { struct file_handle head; unsigned char bytes[128]; } handle = { .head.handle_bytes = 128 };
	int mount_id;

	if (name_to_handle_at(AT_FDCWD, argv[0], &handle.head, &mount_id, 0))
		return -1;
	return open_by_handle_at(open(".", O_RDONLY), &handle.head, O_RDONLY);
}

static void tell_ring(const char *way, struct io_uring_sqe request)
{
	char worker[64];

	tell_error(way, by_ring(&request));
	snprintf(worker, sizeof(worker), "%s of a worker", way);
	request.flags = IOSQE_ASYNC;
	tell_error(worker, by_ring(&request));
}

/* FILE LINK: opens a file, and another name of it. */
static int do_try_open(char **argv)
{
	struct { unsigned long long flags, mode, resolve; } how = { .flags = O_RDONLY };
	struct io_uring_sqe request = {
		.opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .addr = (unsigned long)argv[0] };
	pthread_t thread;
	char proc[64];
	void *result;
	int fd;

	tell("open", by_open(argv));
	tell("open for writing", open(argv[0], O_WRONLY | O_CREAT | O_TRUNC, 0600));
	tell("openat2", syscall(SYS_openat2, AT_FDCWD, argv[0], &how, sizeof(how)));
	tell("hard link", by_open(argv + 1));
	fd = open(argv[0], O_PATH);
	tell("O_PATH", fd);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	tell("/proc/self/fd", open(proc, O_RDONLY));
	if (pthread_create(&thread, NULL, by_open_in_thread, argv) || pthread_join(thread, &result))
		return fail("thread");
	tell_error("thread", (long)result);
	tell("grandchild", in_child(by_open_in_child, argv));
	tell("chroot", in_child(by_chroot, argv));
	tell("bind mount", in_child(by_bind_mount, argv));
	tell("handle", by_handle(argv));
	tell_ring("io_uring", request);
#if defined(__x86_64__)
	tell_error("32-bit", low_memory() ? -ENOMEM : call32(5, low_string(argv[0]), O_RDONLY, 0));
#endif
	return 0;
}

static char *const no_words[] = { NULL };

static long by_execve(char **argv)
{
	return execve(argv[0], argv, no_words);
}

static long by_fexecve(char **argv)
{
	return syscall(SYS_execveat, open(argv[0], O_PATH), "", argv, no_words, AT_EMPTY_PATH);
}

static void *exec_of_thread(void *argv)
{
	by_execve(argv);
	return (void *)(long)errno;
}

static long by_thread(char **argv)
{
	pthread_t thread;
	void *error;

	if (pthread_create(&thread, NULL, exec_of_thread, argv) || pthread_join(thread, &error))
		return -1;
	errno = (long)error;
	return -1;
}

#if defined(__x86_64__)
static long by_execve32(char **argv)
{
	unsigned int *args;
	long error;

	if (low_memory())
		return -1;
	args = (unsigned int *)low;
	low += 256;
	args[0] = low_string(argv[0]);
	args[1] = 0;
	error = call32(11, args[0], (long)args, 0);
	errno = -error;
	return -1;
}
#endif

/* FILE...: runs each of them. */
static int do_try_exec(char **argv)
{
	char *none = NULL, *one[2] = { NULL, none };

	for (; *argv; argv++) {
		printf("%s\n", strrchr(*argv, '/') + 1);
		one[0] = *argv;
		tell("execve", in_child(by_execve, one));
		tell("fexecve", in_child(by_fexecve, one));
		tell("exec of a thread", in_child(by_thread, one));
#if defined(__x86_64__)
		tell("32-bit exec", in_child(by_execve32, one));
#endif
	}
	return 0;
}

/* FILE DIR OTHER: deletes them, one way after the other, and renames OTHER to FILE. */
static int do_try_delete(char **argv)
{
	struct io_uring_sqe request = {
		.opcode = IORING_OP_UNLINKAT, .fd = AT_FDCWD, .addr = (unsigned long)argv[0] };

	tell("unlink", unlink(argv[0]));
	tell("unlinkat", unlinkat(AT_FDCWD, argv[0], 0));
	tell("rmdir", rmdir(argv[1]));
	tell("rename over it", rename(argv[2], argv[0]));
	tell("exchange", renameat2(AT_FDCWD, argv[2], AT_FDCWD, argv[0], RENAME_EXCHANGE));
	tell("exchange back", renameat2(AT_FDCWD, argv[2], AT_FDCWD, argv[0], RENAME_EXCHANGE));
	tell_ring("io_uring", request);
#if defined(__x86_64__)
	tell_error("32-bit", low_memory() ? -ENOMEM : call32(10, low_string(argv[0]), 0, 0));
#endif
	return 0;
}

/* FILE OTHER NEW: gives a file other names. */
static int do_try_rename(char **argv)
{
	struct io_uring_sqe request = {
		.opcode = IORING_OP_RENAMEAT, .fd = AT_FDCWD, .addr = (unsigned long)argv[0], .len = AT_FDCWD,
		.addr2 = (unsigned long)argv[2] };
	char proc[64];

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", open(argv[0], O_PATH));
	tell("rename", rename(argv[0], argv[2]));
	tell("rename over it", rename(argv[1], argv[0]));
	tell("exchange", renameat2(AT_FDCWD, argv[1], AT_FDCWD, argv[0], RENAME_EXCHANGE));
	tell("link", link(argv[0], argv[2]));
	tell("link of /proc/self/fd", linkat(AT_FDCWD, proc, AT_FDCWD, argv[2], AT_SYMLINK_FOLLOW));
	tell_ring("io_uring", request);
	return 0;
}

/* ADDRESS PORT: connects and sends to it, by each kind of socket. */
static int do_try_connect(char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(atoi(argv[1])) };
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6, .sin6_port = to.sin_port };
	struct io_uring_sqe request = { .opcode = IORING_OP_CONNECT, .addr = (unsigned long)&to, .off = sizeof(to) };
	struct sockaddr *v4 = (void *)&to, *v6 = (void *)&to6;
	char mapped[64];

	snprintf(mapped, sizeof(mapped), "::ffff:%s", argv[0]);
	if (inet_pton(AF_INET, argv[0], &to.sin_addr) != 1 || inet_pton(AF_INET6, mapped, &to6.sin6_addr) != 1)
		return fail("address");
	tell("tcp", connect(socket(AF_INET, SOCK_STREAM, 0), v4, sizeof(to)));
	tell("tcp fast open", sendto(socket(AF_INET, SOCK_STREAM, 0), "x", 1, MSG_FASTOPEN, v4, sizeof(to)));
	tell("udp", connect(socket(AF_INET, SOCK_DGRAM, 0), v4, sizeof(to)));
	tell("udp to it", sendto(socket(AF_INET, SOCK_DGRAM, 0), "x", 1, 0, v4, sizeof(to)));
	tell("mapped tcp", connect(socket(AF_INET6, SOCK_STREAM, 0), v6, sizeof(to6)));
	tell("mapped udp", connect(socket(AF_INET6, SOCK_DGRAM, 0), v6, sizeof(to6)));
	tell("mapped udp to it", sendto(socket(AF_INET6, SOCK_DGRAM, 0), "x", 1, 0, v6, sizeof(to6)));
	request.fd = socket(AF_INET, SOCK_STREAM, 0);
	tell_ring("io_uring", request);
	return 0;
}

/* N: two opens that fail, with another name of the thread each time. */
static int do_combinations(char **argv)
{
	char name[16];
	int i;

	for (i = 0; i < atoi(argv[0]); i++) {
		snprintf(name, sizeof(name), "combo%d", i);
		prctl(PR_SET_NAME, name);
		open("/no-such-directory/file", O_RDONLY);
		open("/dev/null/file", O_RDONLY);
	}
	return 0;
}

/* --- readline ---------------------------------------------------------------------------- */

/* FILE: reads its lines with libreadline; 77 where there is none. */
static int do_readline(char **argv)
{
	void *library = dlopen("libreadline.so.8", RTLD_NOW);
	char *(*readline)(const char *prompt);
	FILE **instream, **outstream;
	char *line;

	if (!library)
		return 77;
	*(void **)&readline = dlsym(library, "readline");
	instream = dlsym(library, "rl_instream");
	outstream = dlsym(library, "rl_outstream");
	if (!readline || !instream || !outstream)
		return 77;
	*instream = fopen(argv[0], "r");
	*outstream = stderr;
	while ((line = readline("")))
		free(line);
	return 0;
}

/* --- ends -------------------------------------------------------------------------------- */

/* A child that does nothing but wait for a signal. */
static pid_t waiter(void)
{
	pid_t child = fork();

	while (!child)
		pause();
	return child;
}

static int killed_by(pid_t child, int signal)
{
	int status;

	waitpid(child, &status, 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == signal ? 0 : fail("it was not killed");
}

/* SIGNAL CODE: for a child, with somebody else as its sender. */
static int do_sigqueue(char **argv)
{
	siginfo_t info = { .si_signo = atoi(argv[0]), .si_code = atoi(argv[1]), .si_pid = 1, .si_uid = 99 };
	pid_t child = waiter();

	say_pid();
	if (syscall(SYS_rt_sigqueueinfo, child, info.si_signo, &info))
		return fail("rt_sigqueueinfo");
	return killed_by(child, info.si_signo);
}

static int do_pidfd(char **argv)
{
	pid_t child = waiter();
	int fd = syscall(SYS_pidfd_open, child, 0);

	(void)argv;
	say_pid();
	if (syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0))
		return fail("pidfd_send_signal");
	return killed_by(child, SIGKILL);
}

/* ADDRESS, which is not mapped. */
static int do_fault(char **argv)
{
	*(volatile int *)strtoul(argv[0], NULL, 0) = 1;
	return 0;
}

/* A timer of its own ends it. */
static int do_timer(char **argv)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	struct itimerspec soon = { .it_value.tv_nsec = 1000000 };
	timer_t timer;

	(void)argv;
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &soon, NULL))
		return fail("timer");
	return pause();
}

/* Writes to a pipe that nobody reads. */
static int do_pipe(char **argv)
{
	int ends[2];

	(void)argv;
	signal(SIGPIPE, SIG_DFL);
	if (pipe(ends) || close(ends[0]))
		return fail("pipe");
	return write(ends[1], "", 1) != 1;
}

static int do_abort(char **argv)
{
	(void)argv;
	abort();
}

/* Has a filter by which getppid ends the process. */
static int do_seccomp(char **argv)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	(void)argv;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return fail("seccomp");
	syscall(SYS_getppid);
	return 0;
}

/* A child for each code that there is. */
static int do_codes(char **argv)
{
	int code;

	(void)argv;
	for (code = 0; code < 256; code++) {
		if (!fork())
			_exit(code);
		wait(NULL);
	}
	return 0;
}

static void *leave_last(void *leader)
{
	pthread_join(*(pthread_t *)leader, NULL);
	prctl(PR_SET_NAME, "its-thread");
	syscall(SYS_exit, 9);
	return NULL;
}

/* The first thread leaves with 7, and a second one later with 9. */
static int do_first_thread_ends(char **argv)
{
	static pthread_t self;
	pthread_t thread;

	(void)argv;
	self = pthread_self();
	if (pthread_create(&thread, NULL, leave_last, &self))
		return fail("thread");
	syscall(SYS_exit, 7);
	return 0;
}

/* A child has a child, which is killed when it has lost its parent. */
static int do_orphan(char **argv)
{
	int to_leave[2], status;
	char byte;

	(void)argv;
	if (pipe(to_leave))
		return fail("pipe");
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (!fork()) {
		if (!fork()) {
			close(to_leave[1]);
			if (read(to_leave[0], &byte, 1) < 0)
				_exit(1);
			raise(SIGUSR2);
		}
		_exit(3);
	}
	wait(&status);
	close(to_leave[1]);
	return killed_by(-1, SIGUSR2);
}

/* A child is to get a signal when its parent ends, which does. */
static int do_parent_death(char **argv)
{
	int ready[2];
	char byte;

	(void)argv;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (pipe(ready))
		return fail("pipe");
	if (!fork()) {
		say_pid();
		if (!fork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (close(ready[1]);;)
				pause();
		}
		close(ready[1]);
		_exit(read(ready[0], &byte, 1) != 0);
	}
	close(ready[1]);
	wait(NULL);
	return killed_by(-1, SIGKILL);
}

/* The first process of a PID namespace ends, and another one is left. */
static int do_namespace_ends(char **argv)
{
	pid_t first;

	(void)argv;
	if (unshare(CLONE_NEWPID))
		return fail("unshare");
	first = fork();
	if (!first) {
		waiter();
		_exit(0);
	}
	printf("pid %d\n", first);
	return waitpid(first, NULL, 0) == first ? 0 : fail("wait");
}

static int write_line(const char *dir, const char *name, const char *line)
{
	char path[256];
	int fd, done;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY);
	done = fd >= 0 && write(fd, line, strlen(line)) == (ssize_t)strlen(line);
	close(fd);
	return done ? 0 : -1;
}

/* A child takes more memory than its cgroup may have, of version 1 or 2. */
static int do_oom(char **argv)
{
	const char *v1 = "/sys/fs/cgroup/memory", *v2 = "/sys/fs/cgroup";
	const char *root = access(v1, F_OK) ? v2 : v1, *limit = root == v1 ? "memory.limit_in_bytes" : "memory.max";
	volatile char *memory;
	char dir[64];
	pid_t child;
	int at, result;

	(void)argv;
	snprintf(dir, sizeof(dir), "%s/ebtools-oom-%d", root, getpid());
	write_line(root, "cgroup.subtree_control", "+memory");
	if (mkdir(dir, 0700) || write_line(dir, limit, "8M"))
		return fail("cgroup");
	write_line(dir, "memory.swap.max", "0");
	child = fork();
	if (!child) {
		if (write_line(dir, "cgroup.procs", "0"))
			_exit(1);
		for (memory = malloc(64 << 20), at = 0; at < 64 << 20; at += 4096)
			memory[at] = 1;
		_exit(2);
	}
	printf("pid %d\n", child);
	result = killed_by(child, SIGKILL);
	while (rmdir(dir) && errno == EBUSY)
		sched_yield();
	return result;
}

/* Prints what /proc says of it. */
static int do_own_stat(char **argv)
{
	char line[1024];
	FILE *file = fopen("/proc/self/stat", "r");

	(void)argv;
	if (!file || !fgets(line, sizeof(line), file))
		return fail("stat");
	fputs(line, stdout);
	return 0;
}

/* Runs for 100 ms. */
static int do_burn(char **argv)
{
	(void)argv;
	while (clock() < CLOCKS_PER_SEC / 10)
		;
	return 0;
}

/*
 * Signals to itself, which takes none: one that it ignores, one that is waiting already, and where there
 * is no room for what goes with it, one that does without and one that does not.
 */
static int do_signals(char **argv)
{
	struct rlimit none = { 0, 0 };
	union sigval value = { 0 };
	pid_t self = getpid();
	sigset_t all;

	(void)argv;
	say_pid();
	signal(SIGUSR2, SIG_IGN);
	kill(self, SIGUSR2);
	sigfillset(&all);
	if (sigprocmask(SIG_BLOCK, &all, NULL) || kill(self, SIGUSR1) || kill(self, SIGUSR1))
		return fail("kill");
	if (setrlimit(RLIMIT_SIGPENDING, &none) || kill(self, SIGRTMIN))
		return fail("no room");
	return sigqueue(self, SIGRTMIN + 1, value) == 0 || errno != EAGAIN;
}

/* COUNT: so many kills, of a child that waits for none. */
static int do_kills(char **argv)
{
	int i, many = atoi(argv[0]);
	sigset_t all;
	pid_t child;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	child = waiter();
	for (i = 0; i < many; i++)
		if (kill(child, SIGUSR1))
			return fail("kill");
	kill(child, SIGKILL);
	return killed_by(child, SIGKILL);
}

/* COUNT: so many children end at the same time, each with another code than the one before. */
static int do_ends(char **argv)
{
	int i, ready[2], status, sum = 0, many = atoi(argv[0]);
	char byte;

	if (pipe(ready))
		return fail("pipe");
	for (i = 0; i < many; i++) {
		pid_t child = fork();

		if (child < 0)
			return fail("fork");
		if (!child) {
			close(ready[1]);
			_exit(read(ready[0], &byte, 1) ? 1 : i % 256);
		}
	}
	for (close(ready[1]); wait(&status) > 0; many--)
		sum += WEXITSTATUS(status);
	printf("pid %d\n", sum);
	return many != 0;
}

static const struct {
	const char *word;
	int (*run)(char **argv);
} calls[] = {
	{ "execveat", do_execveat },
	{ "fexecve", do_fexecve },
	{ "memfd", do_memfd },
	{ "thread", do_thread },
	{ "waiting-thread", do_waiting_thread },
	{ "untouched", do_untouched },
	{ "no-args", do_no_args },
	{ "bad-address", do_bad_address },
	{ "bad-file", do_bad_file },
	{ "no-return", do_no_return },
	{ "many", do_many },
	{ "exec32", do_exec32 },
	{ "unlink32", do_unlink32 },
	{ "open32", do_open32 },
	{ "opens", do_opens },
	{ "combinations", do_combinations },
	{ "names", do_names },
	{ "sources", do_sources },
	{ "odd-opens", do_odd_opens },
	{ "frames", do_frames },
	{ "bad-sums", do_bad_sums },
	{ "fq", do_fq },
	{ "netem", do_netem },
	{ "firewall", do_firewall },
	{ "tcp-connect", do_tcp_connect },
	{ "tcp-give-up", do_tcp_give_up },
	{ "tcp-take-back", do_tcp_take_back },
	{ "tcp-short-address", do_tcp_short_address },
	{ "tcp-echo", do_tcp_echo },
	{ "tcp-transfer", do_tcp_transfer },
	{ "tcp-no-port", do_tcp_no_port },
	{ "tcp-reset", do_tcp_reset },
	{ "tcp-shutdown", do_tcp_shutdown },
	{ "tcp-unaccepted", do_tcp_unaccepted },
	{ "tcp-half-open", do_tcp_half_open },
	{ "tcp-many", do_tcp_many },
	{ "send", do_send },
	{ "receive", do_receive },
	{ "full", do_full },
	{ "serve", do_serve },
	{ "jit", do_jit },
	{ "mapped", do_mapped },
	{ "stray", do_stray },
	{ "mysql", do_mysql },
	{ "functions", do_functions },
	{ "echo", do_echo },
	{ "threads", do_threads },
	{ "waiters", do_waiters },
	{ "strict", do_strict },
	{ "busy", do_busy },
	{ "unlinkat", do_unlinkat },
	{ "chroot", do_chroot },
	{ "deleted-cwd", do_deleted_cwd },
	{ "bad-name", do_bad_name },
	{ "detached", do_detached },
	{ "unlinks", do_unlinks },
	{ "renames", do_renames },
	{ "rename", do_rename },
	{ "exchange", do_exchange },
	{ "uring", do_uring },
	{ "clones", do_clones },
	{ "getppids", do_getppids },
	{ "unknown", do_unknown },
	{ "interrupted", do_interrupted },
	{ "map", do_map },
	{ "map-later", do_map_later },
	{ "lease", do_lease },
	{ "exchange-on", do_exchange_on },
	{ "exchange-after-reading", do_exchange_after_reading },
	{ "compare", do_compare },
	{ "cut", do_cut },
	{ "try-open", do_try_open },
	{ "try-exec", do_try_exec },
	{ "try-delete", do_try_delete },
	{ "try-rename", do_try_rename },
	{ "try-connect", do_try_connect },
	{ "readline", do_readline },
	{ "sigqueue", do_sigqueue },
	{ "pidfd", do_pidfd },
	{ "signals", do_signals },
	{ "kills", do_kills },
	{ "ends", do_ends },
	{ "kill32", do_kill32 },
	{ "fault", do_fault },
	{ "timer", do_timer },
	{ "pipe", do_pipe },
	{ "abort", do_abort },
	{ "seccomp", do_seccomp },
	{ "codes", do_codes },
	{ "first-thread-ends", do_first_thread_ends },
	{ "orphan", do_orphan },
	{ "parent-death", do_parent_death },
	{ "namespace-ends", do_namespace_ends },
	{ "oom", do_oom },
	{ "own-stat", do_own_stat },
	{ "burn", do_burn },
};

int main(int argc, char **argv)
{
	unsigned long i;

	for (i = 0; argc > 2 && i < sizeof(calls) / sizeof(calls[0]); i++)
		if (!strcmp(argv[1], calls[i].word))
			return calls[i].run(argv + 2);
	fprintf(stderr, "calls: wrong usage\n");
	return 2;
}
