/* Runs a pure part of the agent on inputs from stdin, under the sanitizers.
 *
 * harness MODE: every input is a length (4 bytes, little endian) and so many bytes, each copied to memory of exactly
 * that size; every answer is one line of JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "backoff.h"
#include "conf.h"
#include "dhcp_message.h"
#include "digests.h"
#include "guard_text.h"
#include "http.h"
#include "kmsg.h"
#include "lines.h"
#include "metrics.h"
#include "rules.h"
#include "sha256.h"
#include "tables.h"
#include "text.h"

static void put_json(const char *data, size_t size)
{
	size_t room = size * 6 + 3;
	char *memory = malloc(room);
	struct text text = text_in(memory, room);

	text_json(&text, data, size);
	if (text.cut)
		abort();
	fwrite(memory, 1, text.used, stdout);
	free(memory);
}

static void put_string(const char *string)
{
	if (string)
		put_json(string, strlen(string));
	else
		printf("null");
}

static void put_strings(char *const list[])
{
	const char *comma = "";

	printf("[");
	for (; *list; list++, comma = ",") {
		printf("%s", comma);
		put_string(*list);
	}
	printf("]");
}

static void put_numbers(const uint64_t *numbers, size_t count)
{
	size_t i;

	printf("[");
	for (i = 0; i < count; i++)
		printf("%s%" PRIu64, i ? "," : "", numbers[i]);
	printf("]");
}

static void on_json(char *data, size_t size)
{
	put_json(data, size);
}

/* The text must be cut, never overflow, in a buffer of any size. */
static void on_narrow(char *data, size_t size)
{
	size_t room;

	for (room = 1; room < 40; room++) {
		char *memory = malloc(room);
		struct text text = text_in(memory, room);

		text_json(&text, data, size);
		text_signed(&text, INT64_MIN);
		text_fraction(&text, UINT64_MAX, 6);
		text_end(&text);
		free(memory);
	}
	printf("true");
}

static void put_mounts(const struct conf *conf)
{
	size_t i;

	for (i = 0; i < conf->mounts; i++) {
		printf("%s[", i ? "," : "");
		put_string(conf->mount[i].type);
		printf(",");
		put_string(conf->mount[i].source);
		printf(",");
		put_string(conf->mount[i].target);
		printf(",%lu,", conf->mount[i].flags);
		put_string(conf->mount[i].data);
		printf("]");
	}
}

/* Some of them: the list has no end of its own. */
static void put_list(char *const list[], size_t count)
{
	size_t i;

	printf("[");
	for (i = 0; i < count; i++) {
		printf("%s", i ? "," : "");
		put_string(list[i]);
	}
	printf("]");
}

static void put_conf(const struct conf *conf)
{
	uint64_t ports[CONF_PORTS], groups[CONF_GROUPS];
	size_t i;

	for (i = 0; i < conf->ports; i++)
		ports[i] = conf->port[i];
	for (i = 0; i < conf->groups; i++)
		groups[i] = conf->group[i];
	printf("{\"arguments\":");
	put_strings(conf->argument);
	printf(",\"environment\":");
	put_strings(conf->environment);
	printf(",\"directory\":");
	put_string(conf->directory);
	printf(",\"hostname\":");
	put_string(conf->hostname);
	printf(",\"mounts\":[");
	put_mounts(conf);
	printf("],\"owners\":[");
	for (i = 0; i < conf->owners; i++) {
		printf("%s[", i ? "," : "");
		put_string(conf->owner[i].path);
		printf(",%u,%u]", conf->owner[i].uid, conf->owner[i].gid);
	}
	printf("],\"ports\":");
	put_numbers(ports, conf->ports);
	printf(",\"groups\":");
	put_numbers(groups, conf->groups);
	printf(",\"guard\":");
	put_list(conf->guard, conf->guards);
	printf(",\"rules\":[");
	for (i = 0; i < conf->rules; i++) {
		const struct conf_rule *rule = &conf->rule[i];

		printf("%s[", i ? "," : "");
		put_string(rule->name);
		printf(",\"%s\",%" PRIu64 ",%" PRIu64 ",", conf_responses[rule->response], rule->count, rule->window_ms);
		put_string(rule->event);
		printf(",");
		put_string(rule->what);
		printf("]");
	}
	printf("]");
	printf(",\"secrets\":[");
	for (i = 0; i < conf->secrets; i++) {
		const struct conf_secret *secret = &conf->secret[i];

		printf("%s[", i ? "," : "");
		put_string(secret->name);
		printf(",");
		put_string(secret->path);
		printf(",%u,%u,%u]", secret->uid, secret->gid, secret->mode);
	}
	printf("],\"checks\":[");
	for (i = 0; i < CHECKS; i++) {
		const struct conf_check *check = &conf->check[i];

		printf("%s[%u,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",", i ? "," : "", check->port,
		       check->interval_ms, check->timeout_ms, check->failures, check->start_ms);
		put_string(check->path ? check->path : "");
		printf("]");
	}
	printf("],\"beside\":[");
	for (i = 0; i < conf->beside; i++) {
		const struct conf_process *process = &conf->process[i];

		printf("%s[", i ? "," : "");
		put_string(process->name);
		printf(",");
		put_list(process->argument, process->arguments);
		printf(",");
		put_list(process->environment, process->variables);
		printf(",");
		put_string(process->directory);
		printf(",%d,%" PRIu64 ",%" PRIu64 ",%u,%u,%d]", (int)process->restart, process->open_files,
		       process->processes, process->uid, process->gid, process->companion);
	}
	printf("]");
	printf(",\"uid\":%u,\"gid\":%u,\"restart\":%d,\"stop_signal\":%d,\"stop_timeout_ms\":%" PRIu64
	       ",\"open_files\":%" PRIu64 ",\"processes\":%" PRIu64 ",\"read_only\":%d,\"network\":%d,\"agent_port\":%d"
	       ",\"dhcp_wait_ms\":%" PRIu64 "}",
	       conf->uid, conf->gid, (int)conf->restart, conf->stop_signal, conf->stop_timeout_ms, conf->open_files,
	       conf->processes, conf->read_only, conf->network, conf->agent_port, conf->dhcp_wait_ms);
}

static void on_conf(char *data, size_t size)
{
	static struct conf conf;
	struct conf_error error;
	char *text = malloc(size + 1);

	memcpy(text, data, size);
	if (conf_parse(text, size, &conf, &error)) {
		put_conf(&conf);
	} else {
		printf("{\"line\":%u,\"reason\":", error.line);
		put_string(error.reason);
		printf("}");
	}
	free(text);
}

/* Lines `rule …`, of which the last is meant, then `ms event kind verdict count what` each: the responses. */
static void on_rules(char *data, size_t size)
{
	static struct conf conf;
	struct conf_error error;
	struct rule_state state = {0};
	char *text = malloc(size + 32), *line, *rest;
	const char *comma = "";

	memcpy(text, data, size);
	text[size] = '\0';
	rest = strstr(text, "\n\n");
	*rest = '\0';
	rest += 2;
	if (!conf_parse(text, strlen(text), &conf, &error))
		abort();
	state.rule = &conf.rule[conf.rules - 1];
	printf("[");
	while ((line = strsep(&rest, "\n")) != NULL && *line) {
		const char *at = strsep(&line, " "), *event = strsep(&line, " "), *kind = strsep(&line, " ");
		const char *verdict = strsep(&line, " "), *count = strsep(&line, " ");
		struct finding finding = {
			.event = event, .kind = scan_of(kind, strlen(kind)), .verdict = scan_of(verdict, strlen(verdict)),
			.what = scan_of(line, strlen(line)), .count = strtoull(count, NULL, 10),
		};

		printf("%s\"%s\"", comma, !rule_fits(state.rule, &finding) ? "no" :
		       conf_responses[rule_take(&state, &finding, atoll(at) * 1000)]);
		comma = ",";
	}
	printf("]");
	free(text);
}

/* The first byte says how many bytes come at once, 0: as many as there is room for. */
static void on_lines(char *data, size_t size)
{
	static struct lines lines;
	size_t step = size ? (unsigned char)data[0] : 0;
	size_t at = size ? 1 : 0;
	const char *comma = "";
	struct line line;

	memset(&lines, 0, sizeof lines);
	printf("[");
	while (at < size || lines.end > lines.start) {
		char *to;
		size_t room = lines_room(&lines, &to);
		size_t some = size - at < room ? size - at : room;

		if (step && step < some)
			some = step;
		memcpy(to, data + at, some);
		lines_added(&lines, some);
		at += some;
		while (lines_next(&lines, at == size, &line)) {
			printf("%s[", comma);
			put_json(line.data, line.size);
			printf(",%d]", line.more);
			comma = ",";
			lines_take(&lines, &line);
		}
	}
	printf("]");
}

static void on_kmsg(char *data, size_t size)
{
	struct kmsg kmsg;
	struct refused refused;

	if (!kmsg_parse(data, size, &kmsg)) {
		printf("null");
		return;
	}
	printf("{\"level\":%u,\"facility\":%u,\"line\":", kmsg.level, kmsg.facility);
	put_json(kmsg.line, kmsg.size);
	if (kmsg_refused(&kmsg, &refused)) {
		printf(",\"nr\":%" PRId64 ",\"pid\":%" PRId64 ",\"ip\":%" PRIu64 ",\"comm\":", refused.number, refused.pid,
		       refused.ip);
		put_json(refused.comm, refused.comm_size);
	}
	printf("}");
}

static void on_http(char *data, size_t size)
{
	struct http_request request = {HTTP_NO_PAGE, false};
	int status = http_parse(data, size, &request);
	char memory[256];
	struct text head = text_in(memory, sizeof memory);

	http_head(&head, status ? status : 431, "application/openmetrics-text; version=1.0.0; charset=utf-8", SIZE_MAX);
	if (head.cut)
		abort();
	printf("[%d,%d,%d]", status, (int)request.page, request.head);
}

static void on_status(char *data, size_t size)
{
	printf("%d", http_status(data, size));
}

static void on_process(char *data, size_t size)
{
	struct process p;

	if (!process_parse(data, size, &p)) {
		printf("null");
		return;
	}
	put_numbers((const uint64_t[]){p.own_ticks, p.children_ticks, p.threads, p.virtual_bytes, p.resident_bytes,
				       process_is_kernel_thread(&p), p.own_faults[0], p.children_faults[0],
				       p.own_faults[1], p.children_faults[1]}, 10);
}

static void on_traffic(char *data, size_t size)
{
	struct traffic traffic[4];
	size_t count = traffic_parse(data, size, traffic, 4);
	size_t i;

	printf("[");
	for (i = 0; i < count; i++) {
		printf("%s[", i ? "," : "");
		put_string(traffic[i].name);
		printf(",");
		put_numbers(traffic[i].received, 4);
		printf(",");
		put_numbers(traffic[i].sent, 4);
		printf("]");
	}
	printf("]");
}

/* Two numbers of TCP, by the names of /proc/net/snmp. */
static void on_counters(char *data, size_t size)
{
	uint64_t found[2] = {0, 0};
	const struct counter counters[] = {{"CurrEstab", &found[0]}, {"RetransSegs", &found[1]}};

	counters_parse(data, size, "Tcp", counters, 2);
	put_numbers(found, 2);
}

static void on_named(char *data, size_t size)
{
	uint64_t found[2] = {0, 0};
	const struct counter counters[] = {{"VmHWM", &found[0]}, {"ctxt", &found[1]}};

	named_parse(data, size, counters, 2);
	put_numbers(found, 2);
}

static void on_disks(char *data, size_t size)
{
	struct disk disks[3];
	size_t count = disks_parse(data, size, disks, 3);
	size_t i;

	printf("[");
	for (i = 0; i < count; i++) {
		printf("%s[", i ? "," : "");
		put_string(disks[i].name);
		printf(",");
		put_numbers(disks[i].read, 2);
		printf(",");
		put_numbers(disks[i].written, 2);
		printf("]");
	}
	printf("]");
}

/* Looks for the ports 80, 443 and 8080. */
static void on_listeners(char *data, size_t size)
{
	bool past = false;
	uint32_t found = listeners_parse(data, size, (const uint16_t[]){80, 443, 8080}, 3, &past);

	printf("[%u,%d]", found, past);
}

static void on_address(char *data, size_t size)
{
	char *text = malloc(size + 1);
	uint32_t address, mask;

	memcpy(text, data, size);
	text[size] = '\0';
	if (address_parse_network(text, &address, &mask))
		printf("[%u,%u]", address, mask);
	else if (address_parse(text, &address))
		printf("[%u]", address);
	else
		printf("null");
	free(text);
}

static uint32_t number_at(const char *data)
{
	const unsigned char *at = (const unsigned char *)data;

	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* A client's MAC and number, then a reply. */
static void on_dhcp(char *data, size_t size)
{
	struct dhcp_client client;
	struct dhcp_lease lease;
	enum dhcp_type type;
	char *message = malloc(size + 1);
	size_t i;

	if (size < 10) {
		free(message);
		printf("null");
		return;
	}
	memcpy(client.mac, data, DHCP_MAC);
	client.xid = number_at(data + DHCP_MAC);
	message = realloc(message, size == 10 ? 1 : size - 10); /* exactly as much as there is */
	memcpy(message, data + 10, size - 10);
	type = dhcp_read((const uint8_t *)message, size - 10, &client, &lease);
	free(message);
	if (!type) {
		printf("null");
		return;
	}
	printf("[%d,%u,%u,%u,%u,%u,%u,%u,[", (int)type, lease.server, lease.address, lease.mask, lease.gateway,
	       lease.seconds, lease.renew_s, lease.rebind_s);
	for (i = 0; i < lease.resolvers; i++)
		printf("%s%u", i ? "," : "", lease.resolver[i]);
	printf("]]");
}

/* A client's MAC and number, the kind, the seconds, and three addresses: the message, its bytes as numbers. */
static void on_dhcp_question(char *data, size_t size)
{
	struct dhcp_client client;
	struct dhcp_question question;
	uint8_t message[DHCP_SIZE];
	size_t i;

	if (size < 25) {
		printf("null");
		return;
	}
	memcpy(client.mac, data, DHCP_MAC);
	client.xid = number_at(data + 6);
	question.type = (enum dhcp_type)(unsigned char)data[10];
	question.elapsed_s = (uint16_t)((unsigned char)data[11] << 8 | (unsigned char)data[12]);
	question.current = number_at(data + 13);
	question.requested = number_at(data + 17);
	question.server = number_at(data + 21);
	memset(message, 0x55, sizeof message);
	dhcp_write(message, &client, &question);
	printf("[");
	for (i = 0; i < sizeof message; i++)
		printf("%s%u", i ? "," : "", message[i]);
	printf("]");
}

static void on_address_text(char *data, size_t size)
{
	char memory[24];
	struct text text = text_in(memory, sizeof memory);

	if (size < 8) {
		printf("null");
		return;
	}
	address_write_network(&text, number_at(data), number_at(data + 4));
	put_json(memory, text.used);
}

static void put_digest(const uint8_t *digest)
{
	size_t i;

	printf("\"");
	for (i = 0; i < SHA256_BYTES; i++)
		printf("%02x", digest[i]);
	printf("\"");
}

/* The first byte says how many bytes are added at once. */
static void on_sha256(char *data, size_t size)
{
	size_t step = size && data[0] ? (unsigned char)data[0] : 1;
	uint8_t digest[SHA256_BYTES];
	struct sha256 sum;
	size_t at;

	sha256_begin(&sum);
	for (at = 1; at < size; at += step)
		sha256_add(&sum, data + at, size - at < step ? size - at : step);
	sha256_end(&sum, digest);
	put_digest(digest);
}

static void on_digest(char *data, size_t size)
{
	struct digest digest;
	char *line = malloc(size + 1);

	memcpy(line, data, size);
	if (digest_parse(line, size, &digest)) {
		printf("[");
		put_digest(digest.sum);
		printf(",%" PRIu64 ",", digest.size);
		put_string(digest.path);
		printf("]");
	} else {
		printf("null");
	}
	free(line);
}

/* A policy's first letter, then for each run "<s or f><milliseconds>", blanks between. */
static void on_backoff(char *data, size_t size)
{
	static const char *const words[] = {"end", "restart", "give up"};
	struct backoff backoff = {0};
	char *text = strndup(data, size);
	char *word = strtok(text, " ");
	enum restart policy = *word == 'n' ? RESTART_NEVER : *word == 'a' ? RESTART_ALWAYS : RESTART_ON_FAILURE;
	const char *comma = "";

	printf("[");
	while ((word = strtok(NULL, " "))) {
		int64_t delay = -1;
		enum next next = backoff_next(&backoff, policy, *word == 'f', atol(word + 1), &delay);

		printf("%s[\"%s\",%" PRId64 "]", comma, words[next], delay);
		comma = ",";
	}
	printf("]");
	free(text);
}

static void put_scan(struct scan scan)
{
	put_json(scan.at, (size_t)(scan.end - scan.at));
}

static void on_guard_event(char *data, size_t size)
{
	struct guard_event event;

	if (!guard_event_parse(data, size, &event)) {
		printf("null");
		return;
	}
	printf("[");
	put_scan(event.kind);
	printf(",");
	put_scan(event.verdict);
	printf(",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",", event.pid, event.uid, event.ip, event.kept);
	put_json(event.comm, event.comm_size);
	printf(",");
	put_json(event.what, event.what_size);
	printf(guard_event_is_usual(&event) ? ",\"usual\"]" : "]");
}

static void on_guard_counts(char *data, size_t size)
{
	static struct guard_counts counts;
	size_t i;

	memset(&counts, 0, sizeof counts);
	guard_counts_parse(data, size, &counts);
	printf("{\"sealed\":%d,\"lost\":%" PRIu64, counts.sealed, counts.lost);
	for (i = 0; i < counts.events; i++)
		printf(",\"%s %s\":%" PRIu64, counts.event[i].kind, counts.event[i].verdict, counts.event[i].count);
	for (i = 0; i < CALL_COUNT; i++)
		if (counts.call[i].made)
			printf(",\"%zu\":[%" PRIu64 ",%" PRIu64 "]", i, counts.call[i].made, counts.call[i].failed);
	printf("}");
}

/* The names of the system calls by number; the input does not matter. */
static void on_calls(char *data, size_t size)
{
	const char *name = call_names;
	size_t i;

	(void)data;
	(void)size;
	printf("[");
	for (i = 0; i < CALL_COUNT; i++, name += strlen(name) + 1) {
		printf("%s", i ? "," : "");
		put_string(name);
	}
	printf("]");
}

/* The input is the name of a network device. */
static void on_metrics(char *data, size_t size)
{
	static struct metrics m = {
		.up = true, .healthy = true, .restarts = 3, .crashes = 2, .processes = 4, .threads = 9, .open_files = 31,
		.most_open_files = 1024, .cpu_ticks = 1234, .virtual_bytes = 5000000, .resident_bytes = 400000,
		.start_time_ms = 1700000000123, .output = {{"stdout", 100, 7}, {"stderr", 50, 0}},
		.kernel = {{0, 0, 1, 2, 3}, 11, 12, 13}, .memory_bytes = 64000000, .free_bytes = 32000000,
		.shared_bytes = 1000, .buffer_bytes = 2000, .uptime_ms = 987654, .load_hundredths = {5, 150, 299},
		.device = {{"lo", {1, 2, 3, 4}, {5, 6, 7, 8}}, {"", {9, 10, 11, 12}, {13, 14, 15, UINT64_MAX}}},
		.devices = 2, .peak_bytes = 500000, .faults = {77, 3}, .switches = 4444, .forks = 55,
		.boot_ms = {220, 250, 0}, .tcp = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, UINT64_MAX},
		.disk = {{"vda", {1, 2}, {3, 4}}, {"vdb", {5, 6}, {7, 8}}}, .disks = 2, .process = {{"worker", true, 2}, {"poller", false, 0}},
		.declared = 2, .guard = {true, 5, {{"exec", "denied", 1}, {"code", "audited", 2}, {"listen", "allowed", 3}}, 3,
		{[0] = {10, 1}, [1] = {20, 0}, [462] = {1, 1}}},
		.agent_resident_bytes = 90000, .agent_cpu_ticks = 6, .events_lost = 1, .requests = 8};
	static char memory[65536];
	struct text text = text_in(memory, sizeof memory);

	static struct conf_rule rules[CONF_RESPONSES];
	static struct rule_state states[CONF_RESPONSES];
	size_t i;

	for (i = 0; i < CONF_RESPONSES; i++) {
		rules[i] = (struct conf_rule){.name = conf_responses[i], .response = (enum response)i};
		states[i] = (struct rule_state){.rule = &rules[i], .matched = i};
	}
	m.rule = states;
	m.rules = CONF_RESPONSES;
	memcpy(m.device[1].name, data, size < TRAFFIC_NAME ? size : TRAFFIC_NAME - 1);
	metrics_write(&text, &m);
	put_json(memory, text.used);
}

static const struct {
	const char *name;
	void (*run)(char *data, size_t size);
} modes[] = {
	{"json", on_json}, {"narrow", on_narrow}, {"conf", on_conf}, {"lines", on_lines}, {"kmsg", on_kmsg},
	{"http", on_http}, {"status", on_status}, {"process", on_process}, {"traffic", on_traffic}, {"listeners", on_listeners},
	{"counters", on_counters}, {"named", on_named}, {"disks", on_disks},
	{"address", on_address}, {"backoff", on_backoff}, {"sha256", on_sha256}, {"digest", on_digest},
	{"metrics", on_metrics},
	{"rules", on_rules}, {"guard event", on_guard_event}, {"guard counts", on_guard_counts}, {"calls", on_calls},
	{"dhcp", on_dhcp}, {"dhcp question", on_dhcp_question}, {"address text", on_address_text},
};

static void each_input(void (*run)(char *data, size_t size))
{
	unsigned char length[4];

	while (fread(length, 1, 4, stdin) == 4) {
		size_t size = length[0] | (size_t)length[1] << 8 | (size_t)length[2] << 16;
		char *data = malloc(size ? size : 1);

		if (fread(data, 1, size, stdin) != size)
			abort();
		run(data, size);
		printf("\n");
		free(data);
	}
}

int main(int argc, char **argv)
{
	size_t i;

	for (i = 0; argc == 2 && i < sizeof modes / sizeof *modes; i++) {
		if (strcmp(argv[1], modes[i].name) == 0) {
			each_input(modes[i].run);
			return 0;
		}
	}
	return 2;
}
