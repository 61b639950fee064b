"""Discovery of instruments: where they are looked for, what they answer, which drivers fit."""
