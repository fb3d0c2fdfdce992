"""The nouns: what is recorded, how it is named, how it is written down. Nothing here does I/O."""
