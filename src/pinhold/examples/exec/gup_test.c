/*
 * A pin mechanism for pinhold: the pattern for a driver, on the kernel's own test driver (CONFIG_GUP_TEST).
 * Build: cc -o gup_test gup_test.c      Use: pinhold run seed --on live --pin exec:./gup_test
 *
 * The driver pins the memory of the process that makes the ioctl, so "pin" is answered by asking for the ioctl, on this
 * program's descriptor.  Reading back is between this program and the driver.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct start { unsigned long long address, size; unsigned flags, padding; };
#define PIN_START 0x40186707UL /* _IOW('g', 7, struct start) */
#define PIN_STOP 0x6708UL
#define PIN_READ 0x40086709UL /* _IOW('g', 9, unsigned long long) */

int main(void)
{
	char line[4096], path[4000];
	struct start start = { 0 };
	long value, error;
	int file, device = open("/sys/kernel/debug/gup_test", O_RDWR);

	setlinebuf(stdout);
	puts("pinhold 1 read longterm held readable");
	while (fgets(line, sizeof line, stdin)) {
		if (sscanf(line, "pin %*d %llx %llu read", &start.address, &start.size) == 2) {
			if (device < 0) {
				puts("cannot open /sys/kernel/debug/gup_test");
				continue;
			}
			printf("call 16 fd:%d %lu buf:", device, PIN_START); /* ioctl(fd, PIN_START, &start) */
			for (size_t i = 0; i < sizeof start; i++)
				printf("%02x", ((unsigned char *)&start)[i]);
			puts("");
		} else if (sscanf(line, "returned %ld %ld", &value, &error) == 2) {
			value < 0 ? printf("error %ld\n", error) : printf("held %llu\n", start.size / 4096);
		} else if (sscanf(line, "read %3999s", path) == 1) {
			char *data = malloc(start.size);
			file = open(path, O_WRONLY);
			if (ioctl(device, PIN_READ, &data) || write(file, data, start.size) != (ssize_t)start.size)
				return 1;
			close(file), free(data);
			puts("ok");
		} else if (!strcmp(line, "unpin\n")) {
			ioctl(device, PIN_STOP);
			puts("ok");
		}
	}
	return 0;
}
