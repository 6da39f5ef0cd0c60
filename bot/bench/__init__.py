"""What `apprentice bench` measures: the product's own code beside what a user would pick instead, in one run."""
