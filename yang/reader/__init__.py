"""Readers: source text of a language to forms with spans."""
