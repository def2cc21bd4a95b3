#include "rules.h"

#include <string.h>

#include "clock.h"
#include "event.h"
#include "evidence.h"
#include "loop.h"
#include "supervisor.h"
#include "text.h"

#define BURST 16 /* alerts of one rule at once, and then one in every INTERVAL */
#define INTERVAL SECOND

static struct rule_state states[CONF_RULES];
static struct {
	int64_t refilled_us, spent;
	uint64_t kept;
} allowances[CONF_RULES];
static size_t count;
static uint64_t alerts;

void rules_open(const struct conf *conf)
{
	for (count = 0; count < conf->rules; count++)
		states[count].rule = &conf->rule[count];
}

static bool may_tell(size_t i)
{
	int64_t more = (clock_us() - allowances[i].refilled_us) / INTERVAL;

	allowances[i].refilled_us += more * INTERVAL;
	allowances[i].spent -= more < allowances[i].spent ? more : allowances[i].spent;
	if (allowances[i].spent >= BURST)
		return false;
	allowances[i].spent++;
	return true;
}

static void event_word(const char *key, struct scan word)
{
	if (word.at < word.end)
		event_bytes(key, word.at, (size_t)(word.end - word.at));
}

static void begin(size_t i, enum response response)
{
	event_begin(response == RESPONSE_LOG ? "rule" : "alert");
	event_string("rule", states[i].rule->name);
	event_string("response", conf_responses[response]);
}

static void end(size_t i)
{
	event_number("matched", (int64_t)states[i].matched);
	if (allowances[i].kept)
		event_number("suppressed", (int64_t)allowances[i].kept);
	event_end();
	allowances[i].kept = 0;
}

static void tell(size_t i, enum response response, const struct finding *finding)
{
	begin(i, response);
	event_string("on", finding->event);
	event_word("kind", finding->kind);
	event_word("verdict", finding->verdict);
	event_word("what", finding->what);
	if (finding->pid)
		event_number("pid", finding->pid);
	end(i);
}

void rules_note(const struct finding *finding)
{
	enum response strongest = RESPONSE_COUNT;
	size_t i;

	for (i = 0; i < count; i++) {
		enum response response = RESPONSE_COUNT;

		if (rule_fits(states[i].rule, finding))
			response = rule_take(&states[i], finding, clock_us());
		if (response == RESPONSE_COUNT)
			continue;
		alerts += response > RESPONSE_LOG;
		if (response > RESPONSE_ALERT || may_tell(i))
			tell(i, response, finding);
		else
			allowances[i].kept++;
		strongest = response > strongest ? response : strongest;
	}
	if (strongest > RESPONSE_ALERT && supervisor_hold()) {
		evidence_tell(finding->pid);
		supervisor_respond(strongest);
	}
}

void rules_note_number(const char *event, int64_t kind, int64_t pid)
{
	char word[24];
	struct text text = text_in(word, sizeof word);

	text_signed(&text, kind);
	rules_note(&(struct finding){.event = event, .kind = scan_of(word, text.used), .pid = pid, .count = 1});
}

/* The last of a flood are told of as well, once there is room: how many they were. */
void rules_turn(void)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (allowances[i].kept && may_tell(i)) {
			begin(i, states[i].rule->response);
			end(i);
		}
}

void rules_watch(void)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (allowances[i].kept)
			loop_wake_at(allowances[i].refilled_us + INTERVAL);
}

const struct rule_state *rules_states(size_t *to)
{
	*to = count;
	return states;
}

uint64_t rules_alerts(void)
{
	return alerts;
}
