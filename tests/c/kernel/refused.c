/* PID 1 without a C library: makes the system calls whose numbers it was built with (CALLS: a list of numbers, made
   REPEAT times each) and prints what the kernel answered. Then it ends the machine. */
enum { WRITE = 1, REBOOT = 169 };

static long make_call(long number, long first, long second, long third)
{
	long answer;
	register long fourth __asm__("r10") = 0;
	__asm__ volatile("syscall"
			 : "=a"(answer)
			 : "a"(number), "D"(first), "S"(second), "d"(third), "r"(fourth)
			 : "rcx", "r11", "memory");
	return answer;
}

static void print_number(long value, char end)
{
	char text[24];
	int at = sizeof text;
	unsigned long rest = value < 0 ? -(unsigned long)value : (unsigned long)value;
	text[--at] = end;
	do
		text[--at] = (char)('0' + rest % 10);
	while (rest /= 10);
	if (value < 0)
		text[--at] = '-';
	make_call(WRITE, 1, (long)(text + at), (long)(sizeof text - at));
}

void _start(void)
{
	static const long calls[] = { CALLS };
	for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++) {
		long answer = 0;
		for (int n = 0; n < REPEAT; n++)
			answer = make_call(calls[i], 0, 0, 0);
		make_call(WRITE, 1, (long)"answer ", 7);
		print_number(calls[i], ' ');
		print_number(answer, '\n');
	}
	make_call(REBOOT, 0xfee1dead, 672274793, 0x1234567);
	for (;;)
		;
}
