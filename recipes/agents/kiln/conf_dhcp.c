#include "conf_values.h"

const char *conf_on_dhcp(struct conf *conf, char *value)
{
	return conf_number(value, 1, 600000, &conf->dhcp_wait_ms);
}
