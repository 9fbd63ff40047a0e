"""What a person does with the installed package, from an empty environment."""
