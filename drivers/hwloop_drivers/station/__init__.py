"""The instruments of a station: configured, routed, addressed by the biasing scheme."""
