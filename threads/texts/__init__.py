"""The text of threads, by which people find them: titles and messages."""
