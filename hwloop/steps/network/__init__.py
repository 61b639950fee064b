"""Networks, trained, mapped and run."""
