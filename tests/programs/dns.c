/* SPDX-License-Identifier: MIT */
/*
 * Both ends of a resolver, on the loopback interface: nothing of it is pooled.
 *
 *	dns port			prints a port that is free
 *	dns serve PORT MS		answers each query for an address with 127.0.0.1, MS milliseconds later
 *	dns ask PORT COUNT AT-ONCE	asks for COUNT names of the zone test, AT-ONCE at a time; prints how many had that answer
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { PACKET = 512, WAITING = 1 << 12, HEADER = 12, PATIENCE_MS = 3000, TRIES = 20 };

struct answer {
	struct sockaddr_in to;
	uint64_t due_ms;
	size_t bytes;
	unsigned char packet[PACKET];
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int open_port(unsigned port, bool is_server)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
	        .sin_port = htons((uint16_t)port),
	        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int made = socket(AF_INET, SOCK_DGRAM, 0), failed;

	failed = is_server ? bind(made, (struct sockaddr *)&at, sizeof at)
	                   : connect(made, (struct sockaddr *)&at, sizeof at);
	if (failed != 0) {
		perror("dns");
		exit(1);
	}
	return made;
}

/* Where the first question ends; 0: nowhere in so many bytes. */
static size_t question_end(const unsigned char *packet, size_t bytes)
{
	size_t end = HEADER;

	while (end < bytes && packet[end] != 0)
		end += packet[end] + 1u;
	return end + 5 <= bytes ? end + 5 : 0;
}

/* Makes an answer of a query; returns its bytes, 0: it is none. */
static size_t answer(unsigned char *packet, size_t bytes)
{
	static const unsigned char address[] = {0xc0, HEADER, 0, 1, 0, 1, 0, 0, 14, 16, 0, 4, 127, 0, 0, 1};
	size_t end = question_end(packet, bytes);
	bool is_address = end != 0 && packet[end - 3] == 1;

	if (end == 0 || end + sizeof address > PACKET)
		return 0;
	packet[2] = 0x84 | (packet[2] & 1);
	memset(packet + 3, 0, HEADER - 3);
	packet[5] = 1;
	packet[7] = is_address;
	memcpy(packet + end, address, sizeof address);
	return end + (is_address ? sizeof address : 0);
}

__attribute__((noreturn)) static void serve(unsigned port, uint64_t delay_ms)
{
	static struct answer waiting[WAITING];
	struct pollfd server = {.fd = open_port(port, true), .events = POLLIN};
	unsigned first = 0, last = 0;

	for (;;) {
		uint64_t now = now_ms();
		bool is_full = last - first == WAITING;
		struct answer *next = &waiting[first % WAITING], *new = &waiting[last % WAITING];
		socklen_t bytes = sizeof new->to;
		ssize_t got;

		if (first != last && next->due_ms <= now) {
			sendto(server.fd, next->packet, next->bytes, 0, (struct sockaddr *)&next->to,
			        sizeof next->to);
			first++;
			continue;
		}
		if (poll(&server, !is_full, first != last ? (int)(next->due_ms - now) : -1) <= 0)
			continue;
		got = recvfrom(server.fd, new->packet, PACKET, 0, (struct sockaddr *)&new->to, &bytes);
		new->bytes = got > 0 ? answer(new->packet, (size_t)got) : 0;
		new->due_ms = now_ms() + delay_ms;
		last += new->bytes > 0;
	}
}

static void query(int client, unsigned number)
{
	unsigned char packet[PACKET] = {number >> 8, number & 255, 1, 0, 0, 1};
	int name = snprintf((char *)packet + HEADER + 1, 64, "n%u", number);
	static const unsigned char rest[] = {4, 't', 'e', 's', 't', 0, 0, 1, 0, 1};

	packet[HEADER] = (unsigned char)name;
	memcpy(packet + HEADER + 1 + name, rest, sizeof rest);
	send(client, packet, (size_t)(HEADER + 1 + name) + sizeof rest, 0);
}

/* Whether there is no error, and one answer: 127.0.0.1. */
static bool is_right(const unsigned char *packet, size_t bytes)
{
	return (packet[3] & 15) == 0 && packet[7] == 1 && packet[bytes - 4] == 127 && packet[bytes - 1] == 1;
}

/* What has no answer, or an error, is asked for again: datagrams may be lost, here and behind the resolver. */
static int ask(unsigned port, unsigned count, unsigned at_once)
{
	struct pollfd client = {.fd = open_port(port, false), .events = POLLIN};
	bool *is_done = calloc(count, sizeof *is_done);
	unsigned done = 0, asked = 0, right = 0, silent = 0, again = 0;
	unsigned char packet[PACKET];

	while (done < count && silent < TRIES) {
		ssize_t got;
		unsigned number;

		while (asked < count && asked - done < at_once)
			query(client.fd, asked++);
		if (poll(&client, 1, PATIENCE_MS) == 0) {
			silent++;
			for (unsigned i = 0; i < asked; i++)
				is_done[i] ? (void)0 : query(client.fd, i);
			continue;
		}
		got = recv(client.fd, packet, PACKET, 0);
		number = (unsigned)(packet[0] << 8 | packet[1]);
		if (got < HEADER || number >= asked || is_done[number])
			continue;
		if (!is_right(packet, (size_t)got) && again < count) {
			query(client.fd, number);
			again++;
			continue;
		}
		is_done[number] = true;
		done++;
		right += is_right(packet, (size_t)got);
	}
	printf("%u answered, %u rightly\n", done, right);
	return 0;
}

static int print_free_port(void)
{
	struct sockaddr_in at;
	socklen_t bytes = sizeof at;

	getsockname(open_port(0, true), (struct sockaddr *)&at, &bytes);
	printf("%u\n", ntohs(at.sin_port));
	return 0;
}

int main(int count, char **argument)
{
	unsigned number[3] = {0};

	for (int i = 0; i < 3 && i + 2 < count; i++)
		number[i] = (unsigned)atoi(argument[i + 2]);
	if (count == 2 && strcmp(argument[1], "port") == 0)
		return print_free_port();
	if (count == 4 && strcmp(argument[1], "serve") == 0)
		serve(number[0], number[1]);
	if (count == 5 && strcmp(argument[1], "ask") == 0)
		return ask(number[0], number[1], number[2]);
	fprintf(stderr, "usage: dns port | serve PORT MS | ask PORT COUNT AT-ONCE\n");
	return 2;
}
