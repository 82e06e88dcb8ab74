// SPDX-License-Identifier: GPL-2.0
/*
 * A driver that pins user memory, as small as one can be: a device that a process hands its pages to.
 *
 * What a driver of yours takes from it: hold_pages() and let_go().  The rest is what every device with an ioctl has.
 * READ and FILL stand for the device's DMA: they go through the held pages, not through the process's page tables.
 * With its flags it can also be told to make the classic mistakes; docs/howto/test-a-driver.md shows what they come to.
 * For test machines only.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/version.h>

#include "pinner.h"

#define KNOWN	(PINNER_WRITE | PINNER_LONGTERM | PINNER_FORCE | PINNER_GET)
#define MOST	(1ul << 18)	/* pages: 1 GiB */

/* One for each open file.  mm: whose pages they are, and who is charged for them; its address space may be gone. */
struct holding {
	struct mutex lock;
	struct mm_struct *mm;
	struct page **pages;
	unsigned long count;
	u32 flags;
};

/* pin_user_pages(), or get_user_pages() where that mistake is asked for; up to 6.4 they had one argument more. */
static long take(unsigned long address, unsigned long count, u32 flags, struct page **pages)
{
	unsigned int foll = 0;

	foll |= flags & PINNER_WRITE ? FOLL_WRITE : 0;
	foll |= flags & PINNER_LONGTERM ? FOLL_LONGTERM : 0;
	foll |= flags & PINNER_FORCE ? FOLL_FORCE : 0;
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
	if (flags & PINNER_GET)
		return get_user_pages(address, count, foll, pages, NULL);
	return pin_user_pages(address, count, foll, pages, NULL);
#else
	if (flags & PINNER_GET)
		return get_user_pages(address, count, foll, pages);
	return pin_user_pages(address, count, foll, pages);
#endif
}

/* The pages back to the kernel: dirty, if the device may have written to them. */
static void give_back(struct page **pages, unsigned long count, u32 flags)
{
	unsigned long i;

	if (!(flags & PINNER_GET)) {
		unpin_user_pages_dirty_lock(pages, count, flags & PINNER_WRITE);
		return;
	}
	for (i = 0; i < count; i++) {
		if (flags & PINNER_WRITE)
			set_page_dirty_lock(pages[i]);
		put_page(pages[i]);
	}
}

/* Pin all of the area, or nothing.  What is pinned for long is charged against RLIMIT_MEMLOCK, before it is pinned. */
static long hold_pages(struct holding *held, const struct pinner_area *area)
{
	unsigned long count = area->bytes >> PAGE_SHIFT, got = 0;
	struct page **pages;
	long now;

	if (held->count)
		return -EBUSY;
	if (!count || count > MOST || !PAGE_ALIGNED(area->address | area->bytes) || area->flags & ~KNOWN)
		return -EINVAL;
	pages = kvcalloc(count, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;
	now = account_locked_vm(current->mm, count, true);
	if (now)
		goto free;
	mmap_read_lock(current->mm);
	do {			/* it may stop before the end, and tells why when it is asked for the rest */
		now = take(area->address + got * PAGE_SIZE, count - got, area->flags, pages + got);
		got += now > 0 ? now : 0;
	} while (now > 0 && got < count);
	mmap_read_unlock(current->mm);
	if (got == count) {
		mmgrab(current->mm);
		held->mm = current->mm;
		held->pages = pages;
		held->count = count;
		held->flags = area->flags;
		return 0;
	}
	give_back(pages, got, area->flags);
	account_locked_vm(current->mm, count, false);
	now = now ? now : -EFAULT;
free:
	kvfree(pages);
	return now;
}

static void let_go(struct holding *held)
{
	if (!held->count)
		return;
	give_back(held->pages, held->count, held->flags);
	account_locked_vm(held->mm, held->count, false);
	mmdrop(held->mm);
	kvfree(held->pages);
	held->count = 0;
}

static long read_pages(struct holding *held, void __user *to)
{
	unsigned long i;

	for (i = 0; i < held->count; i++) {
		if (copy_to_user(to + i * PAGE_SIZE, page_address(held->pages[i]), PAGE_SIZE))
			return -EFAULT;
		cond_resched();
	}
	return 0;
}

static long fill_pages(struct holding *held, u8 byte)
{
	unsigned long i;

	if (!(held->flags & PINNER_WRITE))
		return -EPERM;
	for (i = 0; i < held->count; i++)
		memset(page_address(held->pages[i]), byte, PAGE_SIZE);
	return 0;
}

static long pinner_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	struct holding *held = file->private_data;
	union {
		struct pinner_area area;
		u64 number;
	} ask = { };
	long result = -ENOTTY;

	if (_IOC_SIZE(command) > sizeof(ask))
		return -ENOTTY;
	if (copy_from_user(&ask, (void __user *)argument, _IOC_SIZE(command)))
		return -EFAULT;
	mutex_lock(&held->lock);
	switch (command) {
	case PINNER_PIN:
		result = hold_pages(held, &ask.area);
		break;
	case PINNER_READ:
		result = read_pages(held, u64_to_user_ptr(ask.number));
		break;
	case PINNER_FILL:
		result = fill_pages(held, ask.number);
		break;
	case PINNER_UNPIN:
		let_go(held);
		result = 0;
		break;
	}
	mutex_unlock(&held->lock);
	return result;
}

static int pinner_open(struct inode *inode, struct file *file)
{
	struct holding *held = kzalloc(sizeof(*held), GFP_KERNEL);

	if (!held)
		return -ENOMEM;
	mutex_init(&held->lock);
	file->private_data = held;
	return 0;
}

/* The last close, at the latest when the process that has the file ends: no page stays pinned. */
static int pinner_release(struct inode *inode, struct file *file)
{
	struct holding *held = file->private_data;

	let_go(held);
	kfree(held);
	return 0;
}

static const struct file_operations pinner_operations = {
	.owner = THIS_MODULE,
	.open = pinner_open,
	.release = pinner_release,
	.unlocked_ioctl = pinner_ioctl,
};

static struct miscdevice pinner_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "pinner",
	.fops = &pinner_operations,
	.mode = 0600,
};

module_misc_device(pinner_device);
MODULE_DESCRIPTION("Pins user memory: the example of pinhold for authors of drivers");
MODULE_LICENSE("GPL");
