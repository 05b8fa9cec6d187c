"""What people are shown, as plain values: the CLI prints them, a dashboard draws them. Pure: `now` is an argument."""
