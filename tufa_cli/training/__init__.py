"""Training the regressor: config, loss, loop. Distributed set-up comes with issue 4."""
