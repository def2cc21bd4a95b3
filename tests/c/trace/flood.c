/* More different calls than the recorder has room for. */
#include <sys/prctl.h>

int main(void)
{
	int option;

	for (option = 1000; option < 20000; option++)
		prctl(option);
	return 0;
}
