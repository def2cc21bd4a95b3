#include "sample.h"

#include <fcntl.h>
#include <string.h>

#include "clock.h"
#include "companion.h"
#include "event.h"
#include "file.h"
#include "health.h"
#include "integrity.h"
#include "guard.h"
#include "network.h"
#include "rules.h"
#include "scan.h"
#include "supervisor.h"
#include "sys.h"

#define MOST_PROCESSES 1024
#define NEVER_REUSED 300 /* process ids below are given out once only: RESERVED_PIDS, include/linux/threads.h */

static uint64_t booting_ticks;

static const char *path_of(struct text *text, uint64_t pid, const char *file)
{
	text_string(text, "/proc/");
	text_unsigned(text, pid);
	text_string(text, file);
	return text_end(text);
}

static bool read_process(uint64_t pid, struct process *process)
{
	char path[64], data[1024];
	struct text text = text_in(path, sizeof path);
	long size = file_read(path_of(&text, pid, "/stat"), data, sizeof data);

	return size > 0 && process_parse(data, (size_t)size, process);
}

/* The size of /proc/<pid>/fd is the number of open descriptors (fs/proc/fd.c). */
static uint64_t open_files(uint64_t pid)
{
	char path[64];
	struct text text = text_in(path, sizeof path);
	struct stat status;

	return sys_stat(path_of(&text, pid, "/fd"), &status) < 0 ? 0 : (uint64_t)status.st_size;
}

/* The most it had in use, in bytes. */
static uint64_t peak(uint64_t pid)
{
	uint64_t kilobytes = 0;
	const struct counter wanted = {"VmHWM", &kilobytes};
	char path[64], data[2048];
	struct text text = text_in(path, sizeof path);
	long size = file_read(path_of(&text, pid, "/status"), data, sizeof data);

	if (size > 0)
		named_parse(data, (size_t)size, &wanted, 1);
	return kilobytes * 1024;
}

static void add_process(struct metrics *m, uint64_t pid)
{
	struct process process;
	int i;

	if (!read_process(pid, &process) || process_is_kernel_thread(&process))
		return;
	m->processes++;
	m->threads += process.threads;
	m->cpu_ticks += process.own_ticks + process.children_ticks;
	m->virtual_bytes += process.virtual_bytes;
	m->resident_bytes += process.resident_bytes;
	m->peak_bytes += peak(pid);
	for (i = 0; i < 2; i++)
		m->faults[i] += process.own_faults[i] + process.children_faults[i];
	m->open_files += open_files(pid);
}

/* Kernel threads are as old as the machine: what is older than the first application is none of its processes. */
static bool may_be_of_application(uint64_t pid)
{
	static uint64_t first;
	int now = supervisor_application()->pid;

	if (!first && now)
		first = (uint64_t)now;
	return pid > 1 && pid != (uint64_t)companion_pid() && (pid >= first || pid >= NEVER_REUSED);
}

static bool pid_of(const char *name, uint64_t *pid)
{
	struct scan scan = scan_of(name, strlen(name));

	return scan_unsigned(&scan, 10, INT32_MAX, pid) && scan_at_end(&scan);
}

static void add_processes(struct metrics *m)
{
	static _Alignas(struct dirent) char entries[4096];
	long fd = sys_open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t pid;
	long size, at;

	if (fd < 0)
		return;
	while ((size = sys_getdents((int)fd, entries, sizeof entries)) > 0) {
		for (at = 0; at < size && m->processes < MOST_PROCESSES;) {
			const struct dirent *entry = (const void *)(entries + at);

			if (pid_of(entry->d_name, &pid) && may_be_of_application(pid))
				add_process(m, pid);
			at += entry->d_reclen;
		}
	}
	sys_close((int)fd);
}

static void add_machine(struct metrics *m)
{
	struct sysinfo info = {0};
	int i;

	sys_sysinfo(&info);
	m->memory_bytes = (uint64_t)info.totalram * info.mem_unit;
	m->free_bytes = (uint64_t)info.freeram * info.mem_unit;
	m->shared_bytes = (uint64_t)info.sharedram * info.mem_unit;
	m->buffer_bytes = (uint64_t)info.bufferram * info.mem_unit;
	for (i = 0; i < 3; i++)
		m->load_hundredths[i] = (uint64_t)info.loads[i] * 100 >> 16; /* SI_LOAD_SHIFT */
	m->uptime_ms = (uint64_t)(clock_us() / MILLISECOND);
}

static void add_activity(struct metrics *m)
{
	const struct counter wanted[] = {{"ctxt", &m->switches}, {"processes", &m->forks}};
	static char data[8192];
	long size = file_read("/proc/stat", data, sizeof data);

	if (size > 0)
		named_parse(data, (size_t)size, wanted, 2);
}

static void add_boot(struct metrics *m)
{
	const struct application *app = supervisor_application();

	m->boot_ms[0] = (uint64_t)(app->booted_us / MILLISECOND);
	m->boot_ms[1] = (uint64_t)(app->first_started_us / MILLISECOND);
	m->boot_ms[2] = (uint64_t)(app->first_healthy_us / MILLISECOND);
}

/* What ended processes used is counted with whoever waited for them: in the end, the agent. */
static void add_agent(struct metrics *m)
{
	struct process agent;
	int i;

	if (!read_process(1, &agent))
		return;
	m->agent_resident_bytes = agent.resident_bytes;
	m->agent_cpu_ticks = agent.own_ticks - booting_ticks;
	m->cpu_ticks += agent.children_ticks;
	for (i = 0; i < 2; i++)
		m->faults[i] += agent.children_faults[i];
}

void sample_begin(void)
{
	struct process agent;

	if (read_process(1, &agent))
		booting_ticks = agent.own_ticks;
}

void sample_take(const struct conf *conf, struct metrics *m)
{
	const struct application *app = supervisor_application();
	uint16_t missing;
	int i;

	*m = (struct metrics){.kernel = *kernel_counts(), .events_lost = event_lost(), .integrity = *integrity()};
	m->up = app->pid != 0;
	m->healthy = m->up && !app->stopping && !app->frozen && listening_on_all(conf, &missing) &&
		     !health_reason();
	m->frozen = app->frozen;
	m->restarts = app->restarts;
	m->crashes = app->crashes;
	m->most_open_files = conf->open_files;
	m->start_time_ms = (uint64_t)((clock_us_of(CLOCK_REALTIME) - clock_us() + app->started_us) / MILLISECOND);
	for (i = 0; i < 2; i++)
		m->output[i] = application_output(i);
#ifdef KILN_COMPANION
	m->declared = companion_counts(m->process);
#endif
	add_processes(m);
	add_machine(m);
	add_activity(m);
	add_boot(m);
	add_agent(m);
	guard_count(&m->guard);
	m->rule = rules_states(&m->rules);
}
