"""What strangers' bytes meet first, given bytes by a fuzzer that sees which branches they take; `make fuzz`."""
