"""Figures of facilitation, relaxation and spike timing."""
