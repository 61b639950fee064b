"""The rows of a record in its HDF5 file, which is whole at every moment.

Columns are laid out before the run; each row and then its counter are written in place, past HDF5.
Where the structure has to change, a copy takes the file's place.
"""
