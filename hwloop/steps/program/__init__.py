"""Program cells to target conductances and verify them."""
