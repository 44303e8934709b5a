"""Programs: flags, a gin configuration and one call each."""
