"""Experiments on the submission's own code, at toy size, in the sandbox.

``record`` and ``plan`` say what goes in and what comes out. What is under ``inside`` runs in the sandbox, with torch;
everything else is torch-free.
"""
