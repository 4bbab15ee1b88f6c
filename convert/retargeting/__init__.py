"""What carrying motion onto another skeleton is made of."""
