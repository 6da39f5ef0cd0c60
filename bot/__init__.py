"""Where people meet it: Slack, the web, the command line, the local workspace and the demo."""
