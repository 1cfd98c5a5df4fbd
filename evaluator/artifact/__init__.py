"""bytes -> tensors"""
