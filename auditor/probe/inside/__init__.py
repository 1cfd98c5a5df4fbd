"""What runs in the sandbox, around and beneath the submission's code. The only part of ``auditor`` that has torch."""
