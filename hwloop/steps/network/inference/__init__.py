"""Inference in bulk: samples stream through a placed network in bounded memory."""
