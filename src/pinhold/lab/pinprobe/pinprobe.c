// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/pinprobe: takes FOLL_PIN references on the caller's pages as a driver would, and looks through them.
 *
 * One pin per open file, of any number of pages.  PIN takes it from the calling process; whoever holds the file may
 * then ask what the pinned pages contain (LOOK), fill them (FILL) or let them go (UNPIN, or the last close).
 * For test machines only: it reads and writes pages behind the back of their owner.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/version.h>

#define PROBE_WRITE	1u
#define PROBE_LONGTERM	2u
#define PROBE_FAST	4u
#define PROBE_FORCE	8u
#define PROBE_KNOWN	(PROBE_WRITE | PROBE_LONGTERM | PROBE_FAST | PROBE_FORCE)

#define PROBE_MOST	(1ul << 20)	/* pages: 4 GiB */
#define PROBE_ODD	(-1)		/* LOOK: a page whose bytes are not all the same */

struct probe_pin {
	__u64 addr;
	__u64 pages;
	__u32 flags;
	__u32 unused;
};

struct probe_look {
	__u64 to;			/* one __s16 a page: its byte, or PROBE_ODD */
	__u64 first;
	__u64 count;
};

#define PROBE_IOC_PIN	_IOW('p', 0xa0, struct probe_pin)
#define PROBE_IOC_LOOK	_IOW('p', 0xa1, struct probe_look)
#define PROBE_IOC_FILL	_IOW('p', 0xa2, __u64)
#define PROBE_IOC_UNPIN	_IO('p', 0xa3)

struct probe {
	struct mutex lock;
	struct page **pages;
	unsigned long held;
	bool writable;
};

static void probe_let_go(struct probe *probe)
{
	if (probe->held)
		unpin_user_pages_dirty_lock(probe->pages, probe->held, probe->writable);
	kvfree(probe->pages);
	probe->pages = NULL;
	probe->held = 0;
}

static long probe_gup(unsigned long addr, unsigned long count, unsigned int flags, unsigned int gup, struct page **to)
{
	long got;

	if (flags & PROBE_FAST)
		return pin_user_pages_fast(addr, min_t(unsigned long, count, INT_MAX), gup, to);
	mmap_read_lock(current->mm);
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
	got = pin_user_pages(addr, count, gup, to, NULL);
#else
	got = pin_user_pages(addr, count, gup, to);
#endif
	mmap_read_unlock(current->mm);
	return got;
}

/* All of the pages or none. */
static long probe_pin(struct probe *probe, const struct probe_pin *ask)
{
	unsigned int gup = 0;
	long got = 0;

	if (probe->pages)
		return -EBUSY;
	if (!ask->pages || ask->pages > PROBE_MOST || !PAGE_ALIGNED(ask->addr) || (ask->flags & ~PROBE_KNOWN))
		return -EINVAL;
	gup |= ask->flags & PROBE_WRITE ? FOLL_WRITE : 0;
	gup |= ask->flags & PROBE_LONGTERM ? FOLL_LONGTERM : 0;
	gup |= ask->flags & PROBE_FORCE ? FOLL_FORCE : 0;
	probe->pages = kvcalloc(ask->pages, sizeof(*probe->pages), GFP_KERNEL);
	if (!probe->pages)
		return -ENOMEM;
	probe->writable = ask->flags & PROBE_WRITE;
	while (probe->held < ask->pages) {
		got = probe_gup(ask->addr + probe->held * PAGE_SIZE, ask->pages - probe->held, ask->flags, gup,
				probe->pages + probe->held);
		if (got <= 0)
			break;
		probe->held += got;
	}
	if (probe->held == ask->pages)
		return 0;
	probe_let_go(probe);
	return got ? got : -EFAULT;
}

static long probe_look(struct probe *probe, const struct probe_look *ask)
{
	s16 __user *to = u64_to_user_ptr(ask->to);
	u64 i;

	if (ask->count > probe->held || ask->first > probe->held - ask->count)
		return -ERANGE;
	for (i = 0; i < ask->count; i++) {
		const u8 *page = page_address(probe->pages[ask->first + i]);	/* 64-bit: no highmem */
		s16 seen = memchr_inv(page, page[0], PAGE_SIZE) ? PROBE_ODD : page[0];

		if (put_user(seen, to + i))
			return -EFAULT;
		if (!(i & 1023)) {
			if (fatal_signal_pending(current))
				return -EINTR;
			cond_resched();
		}
	}
	return 0;
}

static long probe_fill(struct probe *probe, u64 byte)
{
	unsigned long i;

	if (!probe->held || !probe->writable)
		return -EPERM;
	for (i = 0; i < probe->held; i++)
		memset(page_address(probe->pages[i]), (int)(byte & 0xff), PAGE_SIZE);
	return 0;
}

static long probe_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	struct probe *probe = file->private_data;
	union {
		struct probe_pin pin;
		struct probe_look look;
		__u64 byte;
	} ask;
	long result = -ENOTTY;

	if (_IOC_SIZE(command) > sizeof(ask))
		return -ENOTTY;
	if (_IOC_SIZE(command) && copy_from_user(&ask, (void __user *)argument, _IOC_SIZE(command)))
		return -EFAULT;
	if (mutex_lock_interruptible(&probe->lock))
		return -EINTR;
	switch (command) {
	case PROBE_IOC_PIN:
		result = probe_pin(probe, &ask.pin);
		break;
	case PROBE_IOC_LOOK:
		result = probe_look(probe, &ask.look);
		break;
	case PROBE_IOC_FILL:
		result = probe_fill(probe, ask.byte);
		break;
	case PROBE_IOC_UNPIN:
		probe_let_go(probe);
		result = 0;
		break;
	}
	mutex_unlock(&probe->lock);
	return result;
}

static int probe_open(struct inode *inode, struct file *file)
{
	struct probe *probe = kzalloc(sizeof(*probe), GFP_KERNEL);

	if (!probe)
		return -ENOMEM;
	mutex_init(&probe->lock);
	file->private_data = probe;
	return 0;
}

static int probe_release(struct inode *inode, struct file *file)
{
	struct probe *probe = file->private_data;

	probe_let_go(probe);
	kfree(probe);
	return 0;
}

static const struct file_operations probe_operations = {
	.owner = THIS_MODULE,
	.open = probe_open,
	.release = probe_release,
	.unlocked_ioctl = probe_ioctl,
};

static struct miscdevice probe_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "pinprobe",
	.fops = &probe_operations,
	.mode = 0600,
};

module_misc_device(probe_device);
MODULE_DESCRIPTION("Pins user pages as a driver does, and shows what the pins see");
MODULE_LICENSE("GPL");
