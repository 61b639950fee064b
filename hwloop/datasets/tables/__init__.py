"""One door for tables: a file of any program becomes columns, before a reader looks at it."""
