"""A patch of the kernel's source: which functions it changes, and which tests go through them."""
