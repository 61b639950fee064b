"""Instruments of other libraries in the roles of this one."""
