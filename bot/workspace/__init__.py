"""A local workspace that speaks Slack's Web API and Socket Mode: the real SDK and Bolt run unmodified against it."""
