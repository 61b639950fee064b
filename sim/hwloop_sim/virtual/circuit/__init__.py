"""The circuit of a virtual bench: outputs, relays, lines, the array, and a clock."""
