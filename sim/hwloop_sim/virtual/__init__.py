"""The virtual bench: servers that speak instruments' languages, wired to one emulated array."""
