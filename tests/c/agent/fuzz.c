/* libFuzzer's entry to the agent's pure parts: the first byte chooses one of the harness's modes, the rest is its input.
 * A second entry, `main` with -DREPLAY, runs the files it is given once each: finds stay tests without clang. */
#define main harness_main
#include "harness.c"
#undef main

static int is_left_out(const char *name)
{
	/* no text from outside: the harness alone reads these, and only what its tests write */
	return strcmp(name, "rules") == 0 || strcmp(name, "backoff") == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t count = sizeof modes / sizeof *modes;
	char *copy;

	if (!size || is_left_out(modes[data[0] % count].name))
		return 0;
	copy = malloc(size > 1 ? size - 1 : 1); /* exactly as much as there is: one byte beyond is found */
	if (size > 1)
		memcpy(copy, data + 1, size - 1);
	modes[data[0] % count].run(copy, size - 1);
	free(copy);
	rewind(stdout);
	return 0;
}

#ifdef REPLAY
int main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		static uint8_t data[1 << 20];
		FILE *file = fopen(argv[i], "rb");
		size_t size = file ? fread(data, 1, sizeof data, file) : 0;

		if (!file)
			return 2;
		fclose(file);
		LLVMFuzzerTestOneInput(data, size);
	}
	return 0;
}
#endif
