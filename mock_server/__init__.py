"""A server on your machine that behaves as DashScope FaceChain does: no keys, no cost, real pictures."""
