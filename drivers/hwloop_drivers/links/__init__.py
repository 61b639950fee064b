"""Links to instruments, over VISA and serial ports."""
