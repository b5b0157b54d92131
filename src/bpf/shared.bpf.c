// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Not a tool and never loaded: its skeleton gives user space the types of
 * shared.bpf.h once for all tools.
 */
#include "shared.bpf.h"

struct settings *export_settings;
struct event_header *export_event_header;
struct counters *export_counters;
struct task_key *export_task_key;
struct count_key *export_count_key;
enum path_state *export_path_state;
enum follow *export_follow;
enum collect *export_collect;
enum count_by *export_count_by;
enum limit *export_limit;
enum lost_reason *export_lost_reason;
enum packets_by *export_packets_by;
enum ip_protocol *export_ip_protocol;
enum echo *export_echo;
enum rule *export_rule;
struct network *export_network;
struct packet_settings *export_packet_settings;
struct packet_key *export_packet_key;
struct owned_key *export_owned_key;
struct packet_value *export_packet_value;
