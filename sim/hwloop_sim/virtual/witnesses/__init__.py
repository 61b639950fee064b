"""Virtual oscilloscopes, which watch the lines of a virtual bench and drive nothing."""
