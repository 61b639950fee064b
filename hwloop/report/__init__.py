"""The HTML report about a record."""
