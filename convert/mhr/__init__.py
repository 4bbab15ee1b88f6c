"""The Momentum Human Rig as files speak of it: parameters found from joints, meshes kept, rotations that are stale."""
