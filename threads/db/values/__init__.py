"""Values in the forms in which databases store and compare them; their sizes."""
