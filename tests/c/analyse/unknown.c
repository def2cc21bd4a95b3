/* A number nobody can know before the program runs. */
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) { return argc > 1 ? (int)syscall(atoi(argv[1])) : 0; }
