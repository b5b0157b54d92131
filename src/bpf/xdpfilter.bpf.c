// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* xdpfilter: counts the packets that an interface receives, and drops those that match. */
#include "ebtools.bpf.h"
#include "tables.bpf.h"
#include <bpf/bpf_endian.h>

#define ENTRIES_MAX 16384
#define VLANS_MAX 2
#define EXTENSIONS_MAX 6

/* linux/if_ether.h; in the packet's byte order. */
#define IPV4 bpf_htons(0x0800)
#define IPV6 bpf_htons(0x86dd)
#define VLAN bpf_htons(0x8100)
#define VLAN_OUTER bpf_htons(0x88a8)

/* linux/in6.h, linux/icmpv6.h */
#define IPPROTO_HOPOPTS 0
#define IPPROTO_ROUTING 43
#define IPPROTO_FRAGMENT 44
#define IPPROTO_AH 51
#define IPPROTO_ICMPV6 58
#define IPPROTO_DSTOPTS 60
#define IPPROTO_MH 135

/* ICMP and ICMPv6: type of an echo. */
#define ECHO_REQUEST 8
#define ECHO_REPLY 0
#define ECHO6_REQUEST 128
#define ECHO6_REPLY 129

enum by {
	BY_PROTOCOL = 0,
	BY_SRC = 1,
	BY_DST = 2,
	BY_PORT = 3,
};

enum protocol {
	PROTOCOL_CUT = 255, /* reserved: the header of IP is cut off */
};

enum echo {
	ECHO_NONE = 0,
	ECHO_ASKS = 1,
	ECHO_ANSWERS = 2,
};

struct packet_key {
	__u8 address[16]; /* an IPv4 address is in the first four */
	__u16 ethertype; /* host order; 0: shorter than an Ethernet header */
	__u16 port;
	__u8 protocol; /* of IP */
	__u8 echo; /* enum echo */
	__u8 dropped;
	__u8 reserved;
	__u32 cpu; /* so that no two CPUs write to the same memory */
};

struct packet_value {
	__u64 packets;
	__u64 bytes;
};

TABLES(packet_table, struct packet_key, struct packet_value, ENTRIES_MAX);

/* A network: its first byte tells IPv4 (4) from IPv6 (6), the address follows. */
struct network {
	__u32 bits; /* 8 more than the network's own */
	__u8 family;
	__u8 address[16];
	__u8 reserved[3];
};

struct networks {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct network);
	__type(value, __u8);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
} drop_src SEC(".maps"), drop_dst SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u16);
	__type(value, __u8);
	__uint(max_entries, 1024);
} drop_ports SEC(".maps");

struct packet_key *export_packet_key;
struct packet_value *export_packet_value;
struct network *export_network;
enum by *export_by;
enum echo *export_echo;
enum protocol *export_protocol;

const volatile __u8 count_by = BY_PROTOCOL;
/* What there are rules of. */
const volatile __u8 with_src = 0, with_dst = 0, with_ports = 0;
/* IP protocols, a bit each. */
const volatile __u64 drop_protocols[4] = {};
const volatile __u8 drop_arp = 0, drop_echo = 0, drop_echo6 = 0;

/* What is known of a packet. */
struct packet {
	void *at;
	void *end;
	__u8 src[16];
	__u8 dst[16];
	__u16 ethertype; /* the packet's order */
	__u16 src_port; /* host order */
	__u16 dst_port;
	__u8 protocol;
	__u8 echo;
};

/* The next header; NULL where the packet has no more. */
#define TAKE(p, type)                                                                              \
	({                                                                                         \
		type *taken_ = (p)->at;                                                            \
		if ((void *)(taken_ + 1) > (p)->end)                                               \
			taken_ = NULL;                                                             \
		else                                                                               \
			(p)->at = taken_ + 1;                                                      \
		taken_;                                                                            \
	})

static __always_inline void read_ports(struct packet *p)
{
	struct ports {
		__be16 src, dst;
	} *ports;
	struct icmp {
		__u8 type, code;
	} *icmp;

	switch (p->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		ports = TAKE(p, struct ports);
		if (ports) {
			p->src_port = bpf_ntohs(ports->src);
			p->dst_port = bpf_ntohs(ports->dst);
		}
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		icmp = TAKE(p, struct icmp);
		if (!icmp)
			break;
		if (icmp->type == (p->protocol == IPPROTO_ICMP ? ECHO_REQUEST : ECHO6_REQUEST))
			p->echo = ECHO_ASKS;
		if (icmp->type == (p->protocol == IPPROTO_ICMP ? ECHO_REPLY : ECHO6_REPLY))
			p->echo = ECHO_ANSWERS;
		break;
	}
}

static __always_inline void read_ipv4(struct packet *p)
{
	void *start = p->at;
	struct iphdr *ip = TAKE(p, struct iphdr);

	if (!ip)
		return;
	__builtin_memcpy(p->src, &ip->saddr, 4);
	__builtin_memcpy(p->dst, &ip->daddr, 4);
	p->protocol = ip->protocol;
	p->at = start + ip->ihl * 4;
	/* A fragment that is not the first has no ports. */
	if (ip->ihl >= 5 && !(ip->frag_off & bpf_htons(0x1fff)))
		read_ports(p);
}

static __always_inline bool is_extension(__u8 protocol)
{
	return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING ||
	       protocol == IPPROTO_FRAGMENT || protocol == IPPROTO_AH ||
	       protocol == IPPROTO_DSTOPTS || protocol == IPPROTO_MH;
}

static __always_inline void read_ipv6(struct packet *p)
{
	struct extension {
		__u8 next, len;
		__be16 offset; /* of a fragment */
		__u32 rest;
	} *extension;
	struct ipv6hdr *ip = TAKE(p, struct ipv6hdr);
	void *start;
	int i;

	if (!ip)
		return;
	__builtin_memcpy(p->src, &ip->saddr, 16);
	__builtin_memcpy(p->dst, &ip->daddr, 16);
	p->protocol = ip->nexthdr;
	for (i = 0; i < EXTENSIONS_MAX; i++) {
		if (!is_extension(p->protocol))
			break;
		start = p->at;
		extension = TAKE(p, struct extension);
		if (!extension)
			return;
		if (p->protocol == IPPROTO_FRAGMENT && (extension->offset & bpf_htons(0xfff8))) {
			p->protocol = extension->next;
			return;
		}
		if (p->protocol == IPPROTO_AH) /* RFC 4302 */
			p->at = start + 8 + extension->len * 4;
		else if (p->protocol != IPPROTO_FRAGMENT)
			p->at = start + 8 + extension->len * 8;
		p->protocol = extension->next;
	}
	read_ports(p);
}

static __always_inline void read_packet(struct packet *p)
{
	struct ethhdr *ethernet = TAKE(p, struct ethhdr);
	struct tag {
		__be16 tag, ethertype;
	} *tag;
	int i;

	if (!ethernet)
		return;
	p->ethertype = ethernet->h_proto;
	for (i = 0; i < VLANS_MAX; i++) {
		if (p->ethertype != VLAN && p->ethertype != VLAN_OUTER)
			break;
		tag = TAKE(p, struct tag);
		if (!tag)
			return;
		p->ethertype = tag->ethertype;
	}
	if (p->ethertype == IPV4)
		read_ipv4(p);
	else if (p->ethertype == IPV6)
		read_ipv6(p);
}

static __always_inline bool in_network(void *networks, const struct packet *p, const __u8 *address)
{
	struct network key = {.bits = 8 + 128, .family = 6};

	if (p->ethertype != IPV4 && p->ethertype != IPV6)
		return false;
	if (p->ethertype == IPV4) {
		key.bits = 8 + 32;
		key.family = 4;
	}
	__builtin_memcpy(key.address, address, 16);
	return bpf_map_lookup_elem(networks, &key);
}

static __always_inline bool port_matches(__u16 port)
{
	return port && bpf_map_lookup_elem(&drop_ports, &port);
}

static __always_inline bool is_dropped(const struct packet *p)
{
	bool is_ip = p->ethertype == IPV4 || p->ethertype == IPV6;

	if (is_ip && (drop_protocols[p->protocol >> 6 & 3] >> (p->protocol & 63) & 1))
		return true;
	if (drop_arp && p->ethertype == bpf_htons(0x0806))
		return true;
	if (drop_echo && p->echo && p->protocol == IPPROTO_ICMP)
		return true;
	if (drop_echo6 && p->echo && p->protocol == IPPROTO_ICMPV6)
		return true;
	if (with_ports && (port_matches(p->src_port) || port_matches(p->dst_port)))
		return true;
	return (with_src && in_network(&drop_src, p, p->src)) ||
	       (with_dst && in_network(&drop_dst, p, p->dst));
}

static __always_inline void count(const struct packet *p, bool dropped, __u64 bytes)
{
	struct packet_key key = {
		.ethertype = bpf_ntohs(p->ethertype),
		.dropped = dropped,
		.cpu = bpf_get_smp_processor_id(),
	};
	struct packet_value none = {}, *value;

	key.protocol = p->protocol;
	key.echo = p->echo;
	if (count_by == BY_SRC)
		__builtin_memcpy(key.address, p->src, 16);
	else if (count_by == BY_DST)
		__builtin_memcpy(key.address, p->dst, 16);
	else if (count_by == BY_PORT)
		key.port = p->dst_port;
	value = table_entry(&packet_table, &key, &none);
	if (!value)
		return;
	/* Packets are received one after the other on a CPU. */
	value->packets++;
	value->bytes += bytes;
	count_submitted();
}

SEC("xdp")
int on_packet(struct xdp_md *ctx)
{
	struct packet p = {
		.at = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
		.protocol = PROTOCOL_CUT,
	};
	bool dropped;

	read_packet(&p);
	dropped = is_dropped(&p);
	count(&p, dropped, p.end - (void *)(long)ctx->data);
	return dropped ? XDP_DROP : XDP_PASS;
}
