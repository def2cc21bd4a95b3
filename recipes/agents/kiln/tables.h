/* Tables of /proc as values (Documentation/filesystems/proc.rst in the kernel's source). */
#ifndef KILN_TABLES_H
#define KILN_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* /proc/<pid>/stat; a tick is 10 ms. Its children are those it waited for. Faults: minor, major. */
struct process {
	uint64_t flags, own_faults[2], children_faults[2], own_ticks, children_ticks, threads, virtual_bytes, resident_bytes;
};
bool process_parse(const char *data, size_t size, struct process *process);
bool process_is_kernel_thread(const struct process *process);

/* /proc/net/dev */
#define TRAFFIC_NAME 16
struct traffic {
	char name[TRAFFIC_NAME];
	uint64_t received[4], sent[4]; /* bytes, packets, errors, drops */
};
size_t traffic_parse(const char *data, size_t size, struct traffic *traffic, size_t most);

/* Numbers by name. */
struct counter {
	const char *name;
	uint64_t *to;
};

/* /proc/net/snmp and /proc/net/netstat: for each protocol a line of names, then one of numbers. What is not there, or
 * negative, is left alone. */
void counters_parse(const char *data, size_t size, const char *protocol, const struct counter *counters, size_t count);

/* /proc/<pid>/status, /proc/stat: a name, then its number, on a line. */
void named_parse(const char *data, size_t size, const struct counter *counters, size_t count);

/* /proc/diskstats: devices that were read from or written to */
#define DISK_NAME 32
struct disk {
	char name[DISK_NAME];
	uint64_t read[2], written[2]; /* requests, sectors of 512 bytes */
};
size_t disks_parse(const char *data, size_t size, struct disk *disks, size_t most);

/* /proc/net/tcp and tcp6, whole lines: which of the ports are listened on, one bit each. The kernel lists the listening
 * sockets first: `past` is set when it is behind them. */
uint32_t listeners_parse(const char *data, size_t size, const uint16_t *ports, size_t count, bool *past);

#endif
