/*
 * A pin mechanism for pinhold: references by vmsplice(), in a pipe of this program's.
 * Build: cc -o pipe pipe.c      Use: pinhold run stock --on live --pin exec:./pipe
 *
 * vmsplice() takes the pages of the process that calls it, as a driver's ioctl does.  So "pin" is answered by asking for
 * the call, on this program's end of the pipe; what is held then is read here.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

int main(void)
{
	char line[4096], path[4000];
	unsigned long address, length;
	long held = 0, error;
	int in[2], copy[2];

	setlinebuf(stdout);
	puts("pinhold 1 get read fast held readable");
	while (fgets(line, sizeof line, stdin)) {
		if (sscanf(line, "pin %*d %lx %lu read", &address, &length) == 2) {
			struct iovec part = { (void *)address, length };
			const unsigned char *byte = (const unsigned char *)&part;
			if (pipe(in))
				return 1;
			printf("call 278 fd:%d buf:", in[1]); /* vmsplice(fd, part, 1, SPLICE_F_NONBLOCK) */
			for (size_t i = 0; i < sizeof part; i++)
				printf("%02x", byte[i]);
			puts(" 1 2");
		} else if (sscanf(line, "returned %ld %ld", &held, &error) == 2) {
			held < 0 ? printf("error %ld\n", error) : printf("held %ld\n", held / 4096);
		} else if (sscanf(line, "read %3999s", path) == 1) {
			char *data = malloc(held);
			int file = open(path, O_WRONLY);
			if (pipe(copy) || tee(in[0], copy[1], held, 0) != held || read(copy[0], data, held) != held ||
			    write(file, data, held) != held)
				return 1;
			close(copy[0]), close(copy[1]), close(file), free(data);
			puts("ok");
		} else if (!strcmp(line, "unpin\n")) {
			close(in[0]), close(in[1]);
			puts("ok");
		}
	}
	return 0;
}
