"""The demo: a made-up company, its handbook, its members, and the story that they play."""
