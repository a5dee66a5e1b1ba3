"""Figures of arrays, in one style; nothing here imports what measures."""
