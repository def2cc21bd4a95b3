/* Rules: what is done about what the machine's guards find. A finding that a rule fits is counted, and from the rule's
 * number on within its window answered. */
#ifndef KILN_RULES_H
#define KILN_RULES_H

#include <stddef.h>
#include <stdint.h>

#include "conf.h"
#include "scan.h"

/* `event` is that of the console's line; `kind`, `verdict` and `what` are its fields, empty where it has none. */
struct finding {
	const char *event;
	struct scan kind, verdict, what;
	int64_t pid; /* 0: of nobody */
	uint64_t count; /* how often: findings that are counted but not told come with the next one that is */
};

struct rule_state {
	const struct conf_rule *rule;
	uint64_t matched; /* findings, since boot */
	uint64_t recent;  /* since `since_us` */
	int64_t since_us;
};

/* Pure: whether a rule fits, and what there is to do about it by now: RESPONSE_COUNT, or the rule's own response. */
bool rule_fits(const struct conf_rule *rule, const struct finding *finding);
enum response rule_take(struct rule_state *state, const struct finding *finding, int64_t now_us);

void rules_open(const struct conf *conf);
void rules_note_number(const char *event, int64_t kind, int64_t pid);
void rules_note(const struct finding *finding); /* after the finding itself is told */
void rules_watch(void);
void rules_turn(void);
const struct rule_state *rules_states(size_t *count);
uint64_t rules_alerts(void);

#endif
