"""The step contract, and the steps that hwloop ships, one a file."""
