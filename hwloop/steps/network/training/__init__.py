"""Training of networks in software, before they are mapped."""
