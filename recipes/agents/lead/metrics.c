/* /metrics: OpenMetrics 1.0 text. Names and base units follow Prometheus' conventions. */
#include "agent.h"

#include <string.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#define TICKS 100 /* USER_HZ */

static void family(struct text *text, const char *name, const char *type, const char *unit, const char *help)
{
    const char *const parts[] = {"# TYPE ", name, " ", type, "\n"};
    for (unsigned i = 0; i < 5; i++)
        text_put(text, parts[i]);
    if (*unit) {
        const char *const line[] = {"# UNIT ", name, " ", unit, "\n"};
        for (unsigned i = 0; i < 5; i++)
            text_put(text, line[i]);
    }
    const char *const last[] = {"# HELP ", name, " ", help, "\n"};
    for (unsigned i = 0; i < 5; i++)
        text_put(text, last[i]);
}

static void sample(struct text *text, const char *name, const char *suffix, int64_t value, unsigned places)
{
    text_put(text, name);
    text_put(text, suffix);
    text_put(text, " ");
    if (places)
        text_fixed(text, value, places);
    else
        text_number(text, value);
    text_put(text, "\n");
}

static void gauge(struct text *text, const char *name, const char *unit, const char *help, int64_t value, unsigned places)
{
    family(text, name, "gauge", unit, help);
    sample(text, name, "", value, places);
}

static void counter(struct text *text, const char *name, const char *unit, const char *help, int64_t value,
                    unsigned places)
{
    family(text, name, "counter", unit, help);
    sample(text, name, "_total", value, places);
}

static void application(struct text *text, const struct watch *watch)
{
    struct process process;
    const struct app *app = watch->app;
    gauge(text, "kiln_application_up", "", "1 while the application runs.", app->pid != 0, 0);
    gauge(text, "kiln_application_healthy", "", "1 while it runs and listens on every declared port.", watch->healthy, 0);
    counter(text, "kiln_application_restarts", "", "Times the agent started it again.", app->restarts, 0);
    counter(text, "kiln_application_output_lines", "", "Lines it printed that were passed on.", (int64_t)app->lines, 0);
    counter(text, "kiln_application_output_lines_dropped", "", "Lines dropped because the console was slower.",
            (int64_t)app->dropped, 0);
    if (!app->pid || !proc_process(app->pid, &process))
        return;
    counter(text, "kiln_application_cpu_seconds", "seconds", "Processor time, user and system.",
            (int64_t)process.cpu_ticks * (100 / TICKS), 2);
    gauge(text, "kiln_application_resident_memory_bytes", "bytes", "Resident memory.", (int64_t)process.resident_bytes, 0);
    gauge(text, "kiln_application_virtual_memory_bytes", "bytes", "Virtual memory.", (int64_t)process.virtual_bytes, 0);
    gauge(text, "kiln_application_threads", "", "Threads.", (int64_t)process.threads, 0);
    gauge(text, "kiln_application_open_fds", "", "Open file descriptors.", process.descriptors, 0);
    gauge(text, "kiln_application_start_time_seconds", "seconds", "When it was started, since the epoch.",
          (int64_t)time(NULL) * 100 - now_us() / 10000 + (int64_t)process.start_ticks, 2);
}

static void machine(struct text *text)
{
    struct sysinfo info;
    if (sysinfo(&info) != 0)
        return;
    int64_t unit = info.mem_unit;
    gauge(text, "kiln_memory_total_bytes", "bytes", "Memory the kernel manages.", (int64_t)info.totalram * unit, 0);
    gauge(text, "kiln_memory_free_bytes", "bytes", "Memory nobody uses.", (int64_t)info.freeram * unit, 0);
    gauge(text, "kiln_load1", "", "Load average over one minute.", (int64_t)(info.loads[0] * 100 >> SI_LOAD_SHIFT), 2);
    gauge(text, "kiln_processes", "", "Processes and threads.", info.procs, 0);
    gauge(text, "kiln_uptime_seconds", "seconds", "Time since the kernel started.", now_us() / 1000, 3);
}

static void network(struct text *text)
{
    static const struct {
        const char *name, *unit, *help;
        unsigned field;
        bool sent;
    } rows[] = {
        {"kiln_network_receive_bytes", "bytes", "Bytes received.", 0, false},
        {"kiln_network_receive_packets", "", "Packets received.", 1, false},
        {"kiln_network_receive_errors", "", "Packets received with errors.", 2, false},
        {"kiln_network_transmit_bytes", "bytes", "Bytes sent.", 0, true},
        {"kiln_network_transmit_packets", "", "Packets sent.", 1, true},
        {"kiln_network_transmit_errors", "", "Packets that could not be sent.", 2, true},
    };
    char table[2048];
    struct traffic traffic[4];
    proc_read("/proc/net/dev", table, sizeof table);
    unsigned count = proc_traffic(table, traffic, 4);
    for (unsigned row = 0; count && row < sizeof rows / sizeof *rows; row++) {
        family(text, rows[row].name, "counter", rows[row].unit, rows[row].help);
        for (unsigned i = 0; i < count; i++) {
            const uint64_t *values = rows[row].sent ? traffic[i].sent : traffic[i].received;
            text_put(text, rows[row].name);
            text_put(text, "_total{device=\"");
            text_put(text, traffic[i].name);
            sample(text, "\"}", "", (int64_t)values[rows[row].field], 0);
        }
    }
}

void metrics_write(struct text *text, const struct watch *watch)
{
    struct process agent;
    application(text, watch);
    machine(text);
    network(text);
    counter(text, "kiln_kernel_warnings", "", "Kernel messages of level warning and above.", (int64_t)watch->kmsg->warnings, 0);
    counter(text, "kiln_refused_system_calls", "", "Refused system calls the kernel reported.", (int64_t)watch->kmsg->refused, 0);
    if (proc_process(getpid(), &agent))
        gauge(text, "kiln_agent_resident_memory_bytes", "bytes", "Resident memory of the agent.", (int64_t)agent.resident_bytes, 0);
    text_put(text, "# EOF\n");
}
