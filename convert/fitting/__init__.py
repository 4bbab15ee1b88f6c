"""What the fit of a body to landmarks is made of."""
