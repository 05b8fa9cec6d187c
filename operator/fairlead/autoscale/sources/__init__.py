"""Where metrics are read: one small pure class for each sort of source, found by entry point `fairlead.metric_sources`."""
