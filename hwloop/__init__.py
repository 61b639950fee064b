"""Hardware-in-the-loop control of memristor crossbars: bench, emulator or recording."""
