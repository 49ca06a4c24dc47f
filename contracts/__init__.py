"""What both sides of the FaceChain API promise, as JSON, with a small Python face."""
