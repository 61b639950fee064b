"""Steps that measure what depends on when pulses come: facilitation, relaxation, spike timing."""
