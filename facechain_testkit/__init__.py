"""Test kit for clients of DashScope FaceChain."""
