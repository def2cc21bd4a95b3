/* What the traced program runs. */
#include <unistd.h>

int main(void)
{
	return getpgid(0) < 0;
}
