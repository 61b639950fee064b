"""Pages of instruments: every command that a driver sends, with the text that says what it does."""
