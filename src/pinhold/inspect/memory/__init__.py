"""Where a kernel's memory is read: a guest's RAM, a guest by QMP, a dump, /proc/kcore."""
