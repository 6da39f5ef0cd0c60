"""What is written for people outside: a model card, a bill of materials, a signed bundle, and a compliance export."""
