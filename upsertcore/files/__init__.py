"""
Files of contacts: CSV, JSON Lines and JSON arrays, read row by row.

Rules:
    Reading decides nothing: a row is what the file says, or why it cannot be read.
    Memory holds one row and one block of a file, never the file.
"""
