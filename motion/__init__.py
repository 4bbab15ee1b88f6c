"""The domain: skeletons, rigs, motion, takes, the geometry that links them, and the store that keeps them."""
