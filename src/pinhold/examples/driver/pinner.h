/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What /dev/pinner is asked for: the same for the driver and for programs. */
#ifndef PINNER_H
#define PINNER_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define PINNER_WRITE	1u	/* the device may write to the pages */
#define PINNER_LONGTERM	2u	/* they are held until user space says so: right for this driver */
#define PINNER_FORCE	4u	/* a mistake: the process's own rights do not count */
#define PINNER_GET	8u	/* a mistake: references instead of pins */

struct pinner_area {
	__u64 address;		/* of whole pages of the calling process */
	__u64 bytes;
	__u32 flags;
	__u32 unused;
};

#define PINNER_PIN	_IOW('P', 0xb0, struct pinner_area)
#define PINNER_READ	_IOW('P', 0xb1, __u64)	/* copies all that is held to this address */
#define PINNER_FILL	_IOW('P', 0xb2, __u64)	/* fills all that is held with this byte */
#define PINNER_UNPIN	_IO('P', 0xb3)

#endif
