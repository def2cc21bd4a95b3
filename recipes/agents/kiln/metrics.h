/* Figures of application, kernel and machine as OpenMetrics text (OpenMetrics 1.0). */
#ifndef KILN_METRICS_H
#define KILN_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "application.h"
#include "kernel.h"
#include "tables.h"
#include "text.h"

#define METRICS_DEVICES 8

struct metrics {
	/* the application: all processes but the agent's */
	bool up, healthy;
	uint64_t restarts, crashes, processes, threads, open_files, most_open_files;
	uint64_t cpu_ticks, virtual_bytes, resident_bytes, start_time_ms; /* since 1970 */
	struct output_counts output[2];
	/* the kernel */
	struct kernel_counts kernel;
	/* the machine */
	uint64_t memory_bytes, free_bytes, shared_bytes, buffer_bytes, uptime_ms, load_hundredths[3];
	struct traffic device[METRICS_DEVICES];
	size_t devices;
	/* the agent itself */
	uint64_t agent_resident_bytes, agent_cpu_ticks, events_lost, requests;
};

void metrics_write(struct text *text, const struct metrics *metrics);

#endif
