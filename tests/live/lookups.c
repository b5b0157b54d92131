// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Looks names up by every function; without a name server. Compiled for glibc and for musl. */
#define _GNU_SOURCE
#include <netdb.h>
#include <stddef.h>
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

int main(int argc, char **argv)
{
	struct addrinfo numeric = { .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM }, *found;
	struct hostent host, *result;
	char buffer[8192], name[] = "127.0.0.9";
	char byte;
	int error;

	(void)argv;
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
