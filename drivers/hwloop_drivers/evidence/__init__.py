"""Records of acceptance tests on boxes, sent back by labs: none yet, and none is made up.

A file is put here as ``hwloop accept`` wrote it. Records of virtual benches do not belong here.
"""
