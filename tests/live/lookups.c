// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Looks names up by every function; without a name server. Compiled for glibc and for musl.
 * `lookups end`: the process ends in a look-up. `lookups wait NUMBER`: so many threads look names up and
 * get no answer; then one more name is looked up, and the process ends. `lookups late`: names that are
 * not there, the first of which is answered after 300 milliseconds, between others.
 */
#define _GNU_SOURCE
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int ending;

#ifdef __GLIBC__
extern void *__libc_malloc(size_t size);

/* What getaddrinfo needs: the process ends in it. */
void *malloc(size_t size)
{
	if (ending)
		_exit(0);
	return __libc_malloc(size);
}
#endif

/* No addresses: that is found out without asking anybody. */
static int look_odd_names_up(void)
{
	static const int lens[] = { 0, 254, 255, 256, 1000, 2000 };
	struct addrinfo numeric = { .ai_flags = AI_NUMERICHOST }, *found;
	char name[2001];
	unsigned int i;

	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		memset(name, 'x', sizeof(name));
		name[lens[i]] = 0;
		if (!getaddrinfo(name, NULL, &numeric, &found))
			return 1;
	}
	return 0;
}

static void *wait_for_an_answer(void *unused)
{
	struct addrinfo *found;

	getaddrinfo("waits.example", NULL, NULL, &found);
	return unused;
}

static int name_server(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(53) };
	int server = socket(AF_INET, SOCK_DGRAM, 0), size = 1 << 24;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(server, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(server, (struct sockaddr *)&address, sizeof(address)))
		_exit(1);
	return server;
}

/* Is the name server, which is asked from another port for each look-up, and says nothing. */
static int wait_for(int threads)
{
	int server = name_server(), asked, i;
	struct sockaddr_in from;
	static char seen[1 << 16], query[512];
	socklen_t len = sizeof(from);
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 1 << 17);
	for (i = 0; i < threads; i++)
		if (pthread_create(&thread, &attributes, wait_for_an_answer, NULL))
			return 2;
	for (asked = 0; asked < threads; len = sizeof(from)) {
		if (recvfrom(server, query, sizeof(query), 0, (struct sockaddr *)&from, &len) < 0)
			return 3;
		asked += !seen[ntohs(from.sin_port)];
		seen[ntohs(from.sin_port)] = 1;
	}
	return 0;
}

/* Is the name server, which knows no name. */
static void *answer_late(void *server)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	unsigned char message[512];
	ssize_t size;
	int i;

	for (i = 0;; i++) {
		size = recvfrom(*(int *)server, message, sizeof(message), 0, (struct sockaddr *)&from, &len);
		if (!i)
			usleep(300000);
		message[2] |= 0x80;
		message[3] = 3;
		sendto(*(int *)server, message, size, 0, (struct sockaddr *)&from, len);
	}
	return NULL;
}

static int look_up_late(void)
{
	struct addrinfo numeric = { .ai_flags = AI_NUMERICHOST }, *found;
	struct hostent host, *result;
	int server = name_server(), error;
	char buffer[8192];
	pthread_t thread;

	if (pthread_create(&thread, NULL, answer_late, &server))
		return 2;
	getaddrinfo("127.0.0.9", NULL, &numeric, &found);
	getaddrinfo("late.example.", NULL, NULL, &found);
	gethostbyname_r("nobody.example.", &host, buffer, sizeof(buffer), &result, &error);
	gethostbyname2_r("127.0.0.4", AF_INET, &host, buffer, 1, &result, &error);
	gethostbyname("nothing.example.");
	return 0;
}

int main(int argc, char **argv)
{
	struct addrinfo numeric = { .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM }, *found;
	struct hostent host, *result;
	char buffer[8192], name[] = "127.0.0.9";
	char byte;
	int error;

	if (argc == 3 && !strcmp(argv[1], "wait")) {
		/* Nobody gives up before all wait, however slow the machine is. */
		setenv("RES_OPTIONS", "timeout:30 attempts:5", 1);
		error = wait_for(atoi(argv[2]));
		getaddrinfo(name, "80", &numeric, &found);
		_exit(error);
	}
	if (argc == 2 && !strcmp(argv[1], "odd"))
		return look_odd_names_up();
	if (argc == 2 && !strcmp(argv[1], "late"))
		return look_up_late();
	ending = argc == 2;
	/* With two arguments it waits for input, or its end. */
	if (argc == 3 && read(0, &byte, 1) < 0)
		return 1;
	getaddrinfo(name, "80", &numeric, &found);
	getaddrinfo("::7", NULL, &numeric, &found);
	getaddrinfo("no name", NULL, &numeric, &found);
	gethostbyname("127.0.0.1");
	gethostbyname2("127.0.0.2", AF_INET);
	gethostbyname_r("127.0.0.3", &host, buffer, sizeof(buffer), &result, &error);
	gethostbyname2_r("127.0.0.4", AF_INET, &host, buffer, sizeof(buffer), &result, &error);
	return 0;
}
