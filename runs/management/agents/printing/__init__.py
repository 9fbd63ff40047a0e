"""What the commands print, and in which form."""
