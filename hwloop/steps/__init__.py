"""The steps that hwloop ships, one a file."""
