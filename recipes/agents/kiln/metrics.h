/* Figures of application, kernel and machine as OpenMetrics text (OpenMetrics 1.0). */
#ifndef KILN_METRICS_H
#define KILN_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "application.h"
#include "companion.h"
#include "integrity.h"
#include "guard_text.h"
#include "kernel.h"
#include "rules.h"
#include "tables.h"
#include "text.h"

#define METRICS_DEVICES 8
#define METRICS_DISKS 4

/* What the kernel counts of TCP, for the whole machine. */
struct tcp {
	uint64_t connections, opened, accepted, failed, resets, received, sent, retransmitted, errors, overflows, drops;
};

struct metrics {
	/* the application: all processes but the agent's */
	bool up, healthy, frozen;
	uint64_t restarts, crashes, processes, threads, open_files, most_open_files;
	uint64_t cpu_ticks, virtual_bytes, resident_bytes, peak_bytes, start_time_ms; /* since 1970 */
	uint64_t faults[2]; /* minor, major */
	struct output_counts output[2];
	struct process_counts process[CONF_PROCESSES]; /* declared beside it */
	size_t declared;
	/* the kernel */
	struct kernel_counts kernel;
	struct guard_counts guard;
	/* the rules */
	const struct rule_state *rule;
	size_t rules;
	/* the machine */
	uint64_t memory_bytes, free_bytes, shared_bytes, buffer_bytes, uptime_ms, load_hundredths[3];
	uint64_t switches, forks, boot_ms[3]; /* agent, application, healthy; 0: not yet */
	struct traffic device[METRICS_DEVICES];
	size_t devices;
	struct tcp tcp;
	struct disk disk[METRICS_DISKS];
	size_t disks;
	/* its files */
	struct integrity integrity;
	/* the agent itself */
	uint64_t agent_resident_bytes, agent_cpu_ticks, events_lost, requests;
};

void metrics_write(struct text *text, const struct metrics *metrics);

#endif
