#include "traffic.h"

#include "file.h"

static void add_devices(struct metrics *m)
{
	char data[2048];
	long size = file_read("/proc/net/dev", data, sizeof data);

	m->devices = size > 0 ? traffic_parse(data, (size_t)size, m->device, METRICS_DEVICES) : 0;
}

static void add_tcp(struct tcp *tcp)
{
	const struct counter snmp[] = {
		{"CurrEstab", &tcp->connections}, {"ActiveOpens", &tcp->opened}, {"PassiveOpens", &tcp->accepted},
		{"AttemptFails", &tcp->failed}, {"EstabResets", &tcp->resets}, {"InSegs", &tcp->received},
		{"OutSegs", &tcp->sent}, {"RetransSegs", &tcp->retransmitted}, {"InErrs", &tcp->errors},
	};
	const struct counter netstat[] = {{"ListenOverflows", &tcp->overflows}, {"ListenDrops", &tcp->drops}};
	static char data[8192];
	long size = file_read("/proc/net/snmp", data, sizeof data);

	if (size > 0)
		counters_parse(data, (size_t)size, "Tcp", snmp, sizeof snmp / sizeof *snmp);
	size = file_read("/proc/net/netstat", data, sizeof data);
	if (size > 0)
		counters_parse(data, (size_t)size, "TcpExt", netstat, sizeof netstat / sizeof *netstat);
}

static void add_disks(struct metrics *m)
{
	char data[2048];
	long size = file_read("/proc/diskstats", data, sizeof data);

	m->disks = size > 0 ? disks_parse(data, (size_t)size, m->disk, METRICS_DISKS) : 0;
}

void traffic_take(struct metrics *m)
{
	add_devices(m);
	add_tcp(&m->tcp);
	add_disks(m);
}
