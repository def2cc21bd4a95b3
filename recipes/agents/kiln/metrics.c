#include "metrics.h"

#include <string.h>

enum kind { GAUGE, COUNTER };

static void line_of(struct text *text, const char *keyword, const char *name, const char *rest)
{
	text_string(text, keyword);
	text_string(text, name);
	text_string(text, " ");
	text_string(text, rest);
	text_string(text, "\n");
}

/* The unit is the last word of the name, or empty. */
static void family(struct text *text, const char *name, enum kind kind, const char *unit, const char *help)
{
	line_of(text, "# TYPE ", name, kind == COUNTER ? "counter" : "gauge");
	if (unit[0])
		line_of(text, "# UNIT ", name, unit);
	line_of(text, "# HELP ", name, help);
}

/* `value` is in units of 10^-digits. */
static void sample(struct text *text, const char *name, enum kind kind, const char *label, const char *of,
		   uint64_t value, unsigned int digits)
{
	text_string(text, name);
	text_string(text, kind == COUNTER ? "_total" : "");
	if (label) {
		text_string(text, "{");
		text_string(text, label);
		text_string(text, "=");
		text_json(text, of, strlen(of));
		text_string(text, "}");
	}
	text_string(text, " ");
	if (digits)
		text_fraction(text, value, digits);
	else
		text_unsigned(text, value);
	text_string(text, "\n");
}

static void one(struct text *text, const char *name, enum kind kind, const char *unit, const char *help,
		uint64_t value, unsigned int digits)
{
	family(text, name, kind, unit, help);
	sample(text, name, kind, NULL, NULL, value, digits);
}

static void write_application(struct text *text, const struct metrics *m)
{
	one(text, "kiln_application_up", GAUGE, "", "Whether the application runs.", m->up, 0);
	one(text, "kiln_application_healthy", GAUGE, "", "Whether it runs and all its ports are listened on.", m->healthy, 0);
	one(text, "kiln_application_frozen", GAUGE, "", "Whether a rule has stopped it where it was.", m->frozen, 0);
	one(text, "kiln_application_restarts", COUNTER, "", "Times it was started again.", m->restarts, 0);
	one(text, "kiln_application_crashes", COUNTER, "", "Times a signal ended it unasked.", m->crashes, 0);
	one(text, "kiln_application_processes", GAUGE, "", "Its processes.", m->processes, 0);
	one(text, "process_cpu_seconds", COUNTER, "seconds", "CPU time of all its processes, ended ones too.", m->cpu_ticks, 2);
	one(text, "process_resident_memory_bytes", GAUGE, "bytes",
	    "Memory its processes have in use; shared pages count for each.", m->resident_bytes, 0);
	one(text, "process_resident_memory_peak_bytes", GAUGE, "bytes", "Sum of the most each of its processes had in use.",
	    m->peak_bytes, 0);
	family(text, "process_page_faults", COUNTER, "", "Page faults of all its processes; major ones had to wait for a disk.");
	sample(text, "process_page_faults", COUNTER, "kind", "minor", m->faults[0], 0);
	sample(text, "process_page_faults", COUNTER, "kind", "major", m->faults[1], 0);
	one(text, "process_virtual_memory_bytes", GAUGE, "bytes", "Address space of its processes.", m->virtual_bytes, 0);
	one(text, "process_threads", GAUGE, "", "Threads of its processes.", m->threads, 0);
	one(text, "process_open_fds", GAUGE, "", "Open file descriptors of its processes.", m->open_files, 0);
	one(text, "process_max_fds", GAUGE, "", "Most file descriptors one process may open.", m->most_open_files, 0);
	if (m->up)
		one(text, "process_start_time_seconds", GAUGE, "seconds", "When it was last started, since 1970.",
		    m->start_time_ms, 3);
}

#ifdef KILN_COMPANION
static void write_processes(struct text *text, const struct metrics *m)
{
	if (m->declared)
		family(text, "kiln_process_up", GAUGE, "", "Whether a process beside the application runs.");
	for (size_t i = 0; i < m->declared; i++)
		sample(text, "kiln_process_up", GAUGE, "process", m->process[i].name, m->process[i].up, 0);
	if (m->declared)
		family(text, "kiln_process_restarts", COUNTER, "", "Times it was started again.");
	for (size_t i = 0; i < m->declared; i++)
		sample(text, "kiln_process_restarts", COUNTER, "process", m->process[i].name, m->process[i].restarts, 0);
}
#else
static void write_processes(struct text *text, const struct metrics *m) { (void)text, (void)m; }
#endif

static void write_output(struct text *text, const struct metrics *m)
{
	int i;

	family(text, "kiln_log_lines", COUNTER, "", "Lines the application wrote.");
	for (i = 0; i < 2; i++)
		sample(text, "kiln_log_lines", COUNTER, "stream", m->output[i].stream, m->output[i].lines, 0);
	family(text, "kiln_log_dropped_lines", COUNTER, "", "Lines not passed on because the console was too slow.");
	for (i = 0; i < 2; i++)
		sample(text, "kiln_log_dropped_lines", COUNTER, "stream", m->output[i].stream, m->output[i].dropped, 0);
}

static void write_kernel(struct text *text, const struct metrics *m)
{
	static const char *const levels[] = {"emergency", "alert", "critical", "error", "warning"};
	int i;

	family(text, "kiln_kernel_messages", COUNTER, "", "Kernel messages of level warning and worse.");
	for (i = 0; i <= KMSG_WARNING; i++)
		sample(text, "kiln_kernel_messages", COUNTER, "level", levels[i], m->kernel.by_level[i], 0);
	one(text, "kiln_kernel_messages_suppressed", COUNTER, "", "Kernel messages counted but not reported: too many at once.",
	    m->kernel.kept, 0);
	one(text, "kiln_kernel_messages_overwritten", COUNTER, "", "Times kernel messages were lost before they were read.",
	    m->kernel.lost, 0);
	one(text, "kiln_refused_system_calls", COUNTER, "", "System calls the kernel refused, as far as it told.",
	    m->kernel.refused, 0);
}

static void label(struct text *text, const char *name, const char *value)
{
	text_string(text, name);
	text_json(text, value, strlen(value));
}

static void write_guard_event(struct text *text, const struct guard_counts *guard, size_t i)
{
	label(text, "kiln_guard_events_total{kind=", guard->event[i].kind);
	label(text, ",verdict=", guard->event[i].verdict);
	text_string(text, "} ");
	text_unsigned(text, guard->event[i].count);
	text_string(text, "\n");
}

static void write_calls(struct text *text, const struct guard_counts *guard, const char *name, const char *help, bool failed)
{
	const char *call = call_names;
	size_t i;

	family(text, name, COUNTER, "", help);
	for (i = 0; i < CALL_COUNT; i++, call += strlen(call) + 1) {
		uint64_t count = failed ? guard->call[i].failed : guard->call[i].made;

		if (count && *call)
			sample(text, name, COUNTER, "call", call, count, 0);
	}
}

/* Only where the kernel has a guard with a policy. */
static void write_guard(struct text *text, const struct metrics *m)
{
	size_t i;

	if (!m->guard.sealed)
		return;
	family(text, "kiln_guard_events", COUNTER, "", "What the kernel's guard was asked about, by kind and verdict.");
	for (i = 0; i < m->guard.events; i++)
		write_guard_event(text, &m->guard, i);
	one(text, "kiln_guard_lost_events", COUNTER, "", "Events of the guard that were counted but found no room.",
	    m->guard.lost, 0);
	write_calls(text, &m->guard, "kiln_system_calls", "System calls of all processes but the agent.", false);
	write_calls(text, &m->guard, "kiln_system_call_errors", "System calls among these that failed.", true);
}

static void write_machine(struct text *text, const struct metrics *m)
{
	static const char *const spans[] = {"1", "5", "15"};
	static const char *const milestones[] = {"agent", "application", "healthy"};
	int i;

	one(text, "kiln_memory_size_bytes", GAUGE, "bytes", "Memory of the machine that the kernel manages.", m->memory_bytes, 0);
	one(text, "kiln_memory_free_bytes", GAUGE, "bytes", "Memory nobody uses.", m->free_bytes, 0);
	one(text, "kiln_memory_shared_bytes", GAUGE, "bytes", "Memory in tmpfs and shared mappings.", m->shared_bytes, 0);
	one(text, "kiln_memory_buffer_bytes", GAUGE, "bytes", "Memory with blocks of disks.", m->buffer_bytes, 0);
	family(text, "kiln_load_average", GAUGE, "", "Processes that run or want to, averaged over so many minutes.");
	for (i = 0; i < 3; i++)
		sample(text, "kiln_load_average", GAUGE, "minutes", spans[i], m->load_hundredths[i], 2);
	one(text, "kiln_uptime_seconds", GAUGE, "seconds", "Time since boot.", m->uptime_ms, 3);
	one(text, "kiln_context_switches", COUNTER, "", "Times a processor turned to another thread.", m->switches, 0);
	one(text, "kiln_forks", COUNTER, "", "Processes and threads made since boot.", m->forks, 0);
	family(text, "kiln_boot_seconds", GAUGE, "seconds", "From the kernel's start to the first time a milestone was reached.");
	for (i = 0; i < 3; i++)
		if (m->boot_ms[i])
			sample(text, "kiln_boot_seconds", GAUGE, "milestone", milestones[i], m->boot_ms[i], 3);
}

static void direction(struct text *text, const struct metrics *m, const char *name, const char *unit, const char *help,
		      bool sent, int figure)
{
	size_t i;

	family(text, name, COUNTER, unit, help);
	for (i = 0; i < m->devices; i++)
		sample(text, name, COUNTER, "device", m->device[i].name,
		       (sent ? m->device[i].sent : m->device[i].received)[figure], 0);
}

static void write_network(struct text *text, const struct metrics *m)
{
	direction(text, m, "kiln_network_receive_bytes", "bytes", "Bytes received.", false, 0);
	direction(text, m, "kiln_network_receive_packets", "", "Packets received.", false, 1);
	direction(text, m, "kiln_network_receive_errors", "", "Packets received with an error.", false, 2);
	direction(text, m, "kiln_network_receive_drops", "", "Packets received and dropped.", false, 3);
	direction(text, m, "kiln_network_transmit_bytes", "bytes", "Bytes sent.", true, 0);
	direction(text, m, "kiln_network_transmit_packets", "", "Packets sent.", true, 1);
	direction(text, m, "kiln_network_transmit_errors", "", "Packets that could not be sent.", true, 2);
	direction(text, m, "kiln_network_transmit_drops", "", "Packets dropped instead of sent.", true, 3);
}

static void write_tcp(struct text *text, const struct metrics *m)
{
	const struct tcp *tcp = &m->tcp;

	one(text, "kiln_tcp_connections", GAUGE, "", "TCP connections that are established.", tcp->connections, 0);
	family(text, "kiln_tcp_opens", COUNTER, "", "TCP connections made, by who asked.");
	sample(text, "kiln_tcp_opens", COUNTER, "by", "here", tcp->opened, 0);
	sample(text, "kiln_tcp_opens", COUNTER, "by", "peer", tcp->accepted, 0);
	one(text, "kiln_tcp_failed_opens", COUNTER, "", "TCP connections that did not come about.", tcp->failed, 0);
	one(text, "kiln_tcp_resets", COUNTER, "", "Established TCP connections that were reset.", tcp->resets, 0);
	family(text, "kiln_tcp_segments", COUNTER, "", "TCP segments.");
	sample(text, "kiln_tcp_segments", COUNTER, "direction", "receive", tcp->received, 0);
	sample(text, "kiln_tcp_segments", COUNTER, "direction", "transmit", tcp->sent, 0);
	one(text, "kiln_tcp_retransmitted_segments", COUNTER, "", "TCP segments sent again.", tcp->retransmitted, 0);
	one(text, "kiln_tcp_receive_errors", COUNTER, "", "TCP segments received broken.", tcp->errors, 0);
	one(text, "kiln_tcp_listen_overflows", COUNTER, "", "Connections refused because the application accepts too slowly.",
	    tcp->overflows, 0);
	one(text, "kiln_tcp_listen_drops", COUNTER, "", "Connection requests dropped by listening sockets.", tcp->drops, 0);
}

static void write_disks(struct text *text, const struct metrics *m)
{
	static const char *const names[] = {"kiln_disk_reads", "kiln_disk_read_bytes", "kiln_disk_writes",
					    "kiln_disk_written_bytes"};
	static const char *const help[] = {"Requests to read from a disk.", "Bytes read from a disk.",
					   "Requests to write to a disk.", "Bytes written to a disk."};
	size_t i;
	int figure;

	for (figure = 0; figure < 4 && m->disks; figure++) {
		family(text, names[figure], COUNTER, figure & 1 ? "bytes" : "", help[figure]);
		for (i = 0; i < m->disks; i++) {
			const struct disk *disk = &m->disk[i];

			sample(text, names[figure], COUNTER, "device", disk->name,
			       (figure < 2 ? disk->read : disk->written)[figure & 1] * (figure & 1 ? 512 : 1), 0);
		}
	}
}

static void write_integrity(struct text *text, const struct metrics *m)
{
	one(text, "kiln_verifications", COUNTER, "", "Times the image's files were compared with their digests.",
	    m->integrity.passes, 0);
	one(text, "kiln_verified_files", GAUGE, "", "Files of the image that were compared the last time.", m->integrity.files, 0);
	one(text, "kiln_changed_files", GAUGE, "", "Files that were not as they were built, the last time.",
	    m->integrity.changed, 0);
}

static void write_rules(struct text *text, const struct metrics *m)
{
	size_t i;

	if (m->rules)
		family(text, "kiln_rule_matches", COUNTER, "", "Findings that a rule fits, and what is done about them.");
	for (i = 0; i < m->rules; i++) {
		label(text, "kiln_rule_matches_total{rule=", m->rule[i].rule->name);
		label(text, ",response=", conf_responses[m->rule[i].rule->response]);
		text_string(text, "} ");
		text_unsigned(text, m->rule[i].matched);
		text_string(text, "\n");
	}
}

static void write_agent(struct text *text, const struct metrics *m)
{
	one(text, "kiln_agent_resident_memory_bytes", GAUGE, "bytes", "Memory the agent has in use.", m->agent_resident_bytes, 0);
	one(text, "kiln_agent_cpu_seconds", COUNTER, "seconds", "CPU time of the agent.", m->agent_cpu_ticks, 2);
	one(text, "kiln_agent_lost_events", COUNTER, "", "Events that did not fit on the console.", m->events_lost, 0);
	one(text, "kiln_agent_requests", COUNTER, "", "HTTP requests the agent answered.", m->requests, 0);
}

void metrics_write(struct text *text, const struct metrics *metrics)
{
	write_application(text, metrics);
	write_processes(text, metrics);
	write_output(text, metrics);
	write_kernel(text, metrics);
	write_guard(text, metrics);
	write_machine(text, metrics);
	write_network(text, metrics);
	write_tcp(text, metrics);
	write_disks(text, metrics);
	write_integrity(text, metrics);
	write_rules(text, metrics);
	write_agent(text, metrics);
	text_string(text, "# EOF\n");
}
