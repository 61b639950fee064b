"""The catalogue of records and imports: they are listed, searched and compared by name."""
