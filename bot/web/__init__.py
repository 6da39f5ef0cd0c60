"""The web server: health, and a page that says what is serving, what was trained, and whether the log verifies."""
