/*
 * The program that makes pinhold pin by /dev/pinner: the pattern for a driver of your own.
 * Build: cc -o pin pin.c      Use: pinhold run seed --on vm:6.12 --module pinner-6.12.117.ko --pin exec:./pin
 *
 * It declares what the driver is meant to give.  An argument makes the driver do something else than that: one of the
 * classic mistakes.  docs/mechanisms.md has the protocol; the driver pins the memory of the process that makes the
 * ioctl, so that "pin" is answered by asking for the ioctl, on this program's descriptor.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "pinner.h"

static const struct {
	const char *name;
	unsigned read, write;	/* what a read-only and a writable pin pass to the driver */
} ways[] = {
	{ "right", PINNER_LONGTERM, PINNER_LONGTERM | PINNER_WRITE },
	{ "get", PINNER_GET, PINNER_GET | PINNER_WRITE },
	{ "short", 0, PINNER_WRITE },
	{ "force", PINNER_LONGTERM, PINNER_LONGTERM | PINNER_WRITE | PINNER_FORCE },
};

/* Ask for ioctl(device, PINNER_PIN, area) in the process whose memory it is. */
static void ask_for_pin(int device, const struct pinner_area *area)
{
	printf("call 16 fd:%d %lu buf:", device, (unsigned long)PINNER_PIN);
	for (size_t i = 0; i < sizeof *area; i++)
		printf("%02x", ((const unsigned char *)area)[i]);
	puts("");
}

/* Write all that the driver holds to the file. */
static int read_back(int device, const struct pinner_area *area, const char *path)
{
	char *data = malloc(area->bytes);
	__u64 to = (unsigned long)data;
	int file = open(path, O_WRONLY), good;

	good = data && !ioctl(device, PINNER_READ, &to) && write(file, data, area->bytes) == (ssize_t)area->bytes;
	close(file);
	free(data);
	return good;
}

int main(int argc, char **argv)
{
	char line[4096], word[4000];
	struct pinner_area area = { 0 };
	unsigned long long byte;
	long value, error;
	size_t way = 0;
	int device = open("/dev/pinner", O_RDWR);

	while (argc > 1 && way < sizeof ways / sizeof *ways && strcmp(argv[1], ways[way].name))
		way++;
	if (way == sizeof ways / sizeof *ways) {
		fprintf(stderr, "pin: no way is called %s: right, get, short or force\n", argv[1]);
		return 1;
	}
	setlinebuf(stdout);
	puts("pinhold 1 read write longterm held readable writable");
	while (fgets(line, sizeof line, stdin)) {
		if (sscanf(line, "pin %*d %llx %llu %3999s", &area.address, &area.bytes, word) == 3) {
			area.flags = strcmp(word, "write") ? ways[way].read : ways[way].write;
			if (device < 0)
				puts("cannot open /dev/pinner: is the module loaded, and are you root?");
			else
				ask_for_pin(device, &area);
		} else if (sscanf(line, "returned %ld %ld", &value, &error) == 2) {
			value < 0 ? printf("error %ld\n", error) : printf("held %llu\n", area.bytes / 4096);
		} else if (sscanf(line, "read %3999s", word) == 1) {
			puts(read_back(device, &area, word) ? "ok" : "cannot read the pages back");
		} else if (sscanf(line, "write %llu", &byte) == 1) {
			puts(ioctl(device, PINNER_FILL, &byte) ? "cannot write to a read-only pin" : "ok");
		} else if (!strcmp(line, "unpin\n")) {
			ioctl(device, PINNER_UNPIN);
			puts("ok");
		}
	}
	return 0;
}
