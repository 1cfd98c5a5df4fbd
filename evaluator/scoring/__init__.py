"""Windows, the score-first loop, test-time training, bpb."""
