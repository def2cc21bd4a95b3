#include "conf_values.h"

#include <string.h>

#include "scan.h"

#define MOST_ID 0xfffffffeu /* (uid_t)-1 means "leave as it is" */

const char *conf_number(const char *value, uint64_t least, uint64_t most, uint64_t *to)
{
	struct scan scan = scan_of(value, strlen(value));

	if (!scan_unsigned(&scan, 10, most, to) || !scan_at_end(&scan) || *to < least)
		return "not a number that is allowed here";
	return NULL;
}

const char *conf_id(const char *value, uint32_t *to)
{
	uint64_t found = 0;
	const char *wrong = conf_number(value, 0, MOST_ID, &found);

	*to = (uint32_t)found;
	return wrong;
}

char *conf_word(char **value)
{
	char *found = *value;
	char *space = strchr(found, ' ');

	*value = space ? space + 1 : found + strlen(found);
	if (space)
		*space = '\0';
	return found;
}

const char *conf_flag(const char *value, bool *to)
{
	*to = strcmp(value, "yes") == 0;
	return *to || strcmp(value, "no") == 0 ? NULL : "neither yes nor no";
}

const char *conf_restart(const char *value, enum restart *to)
{
	static const char *const names[] = {"never", "on-failure", "always"};
	size_t i = 0;

	while (i < sizeof names / sizeof *names && strcmp(value, names[i]) != 0)
		i++;
	*to = (enum restart)i;
	return i < sizeof names / sizeof *names ? NULL : "none of never, on-failure, always";
}
