"""One procedure over many settings and seeds: each point an ordinary run with its record."""
