// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/pinprobe: takes FOLL_PIN references on the caller's pages as a driver would, and looks through them.
 *
 * One pin per open file, of any number of pages.  PIN takes it from the calling process; whoever holds the file may
 * then ask what the pinned pages contain (LOOK), fill them (FILL) or let them go (UNPIN, or the last close).
 * ENTRIES needs no pin and changes nothing: it tells which entries map pages of the calling process.
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

struct probe_entries {
	__u64 addrs;			/* one __u64 a page: an address in it */
	__u64 to;			/* one __u32 a page: ENTRY_* */
	__u64 count;
};

#define ENTRY_LEVEL	3u		/* 0 of a PTE, 1 of a PMD, 2 of a PUD */
#define ENTRY_PRESENT	4u		/* accessible or not */
#define ENTRY_WRITE	8u
#define ENTRY_DIRTY	16u
#define ENTRY_EXCLUSIVE	32u		/* the anonymous page, or the swap entry of one, is */

#define PROBE_IOC_PIN	_IOW('p', 0xa0, struct probe_pin)
#define PROBE_IOC_LOOK	_IOW('p', 0xa1, struct probe_look)
#define PROBE_IOC_FILL	_IOW('p', 0xa2, __u64)
#define PROBE_IOC_UNPIN	_IO('p', 0xa3)
#define PROBE_IOC_ENTRIES	_IOW('p', 0xa4, struct probe_entries)

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

static u32 entry_of(unsigned int level, unsigned long pfn, bool write, bool dirty)
{
	u32 entry = level | ENTRY_PRESENT | (write ? ENTRY_WRITE : 0) | (dirty ? ENTRY_DIRTY : 0);

#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 19, 0)
	if (pfn_valid(pfn) && PageAnon(pfn_to_page(pfn)) && PageAnonExclusive(pfn_to_page(pfn)))
		entry |= ENTRY_EXCLUSIVE;
#endif
	return entry;
}

/*
 * 0 where nothing is mapped.  Interrupts are off, so that no table that is walked can be freed, as for GUP-fast.  What
 * is a leaf says _PAGE_PSE: pud_leaf() of some releases leaves out those that are not accessible.
 */
static u32 probe_entry(struct mm_struct *mm, unsigned long addr)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	p4d_t *p4d;
	pud_t pud;
	pmd_t pmd;
	pte_t pte;

	if (pgd_none(*pgd))
		return 0;
	p4d = p4d_offset(pgd, addr);
	if (p4d_none(*p4d))
		return 0;
	pud = READ_ONCE(*pud_offset(p4d, addr));
	if (pud_val(pud) & _PAGE_PSE)
		return entry_of(2, pud_pfn(pud), pud_write(pud), pud_dirty(pud));
	if (!(pud_val(pud) & _PAGE_PRESENT))
		return 0;
	pmd = READ_ONCE(*pmd_offset(&pud, addr));
	if (pmd_val(pmd) & _PAGE_PSE)
		return entry_of(1, pmd_pfn(pmd), pmd_write(pmd), pmd_dirty(pmd));
	if (!(pmd_val(pmd) & _PAGE_PRESENT))
		return 0;
	pte = READ_ONCE(*pte_offset_kernel(&pmd, addr));
	if (pte_present(pte))
		return entry_of(0, pte_pfn(pte), pte_write(pte), pte_dirty(pte));
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 19, 0)
	if (!pte_none(pte) && pte_swp_exclusive(pte))
		return ENTRY_EXCLUSIVE;
#endif
	return 0;
}

static long probe_entries(const struct probe_entries *ask)
{
	u64 __user *addrs = u64_to_user_ptr(ask->addrs);
	u32 __user *to = u64_to_user_ptr(ask->to);
	u64 i, addr;

	if (!current->mm || ask->count > PROBE_MOST)
		return -EINVAL;
	for (i = 0; i < ask->count; i++) {
		u32 seen;

		if (get_user(addr, addrs + i))
			return -EFAULT;
		if (addr >= TASK_SIZE)
			return -EINVAL;
		local_irq_disable();
		seen = probe_entry(current->mm, addr);
		local_irq_enable();
		if (put_user(seen, to + i))
			return -EFAULT;
		if (!(i & 1023))
			cond_resched();
	}
	return 0;
}

static long probe_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	struct probe *probe = file->private_data;
	union {
		struct probe_pin pin;
		struct probe_look look;
		struct probe_entries entries;
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
	case PROBE_IOC_ENTRIES:
		result = probe_entries(&ask.entries);
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
