"""The kernel lab: stock kernels and one's own, booted in QEMU, with the live target as the guest's agent."""
