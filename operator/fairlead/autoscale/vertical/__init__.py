"""spec.autoscale.resources: how much an App's containers should request, by what they have used. Pure."""
