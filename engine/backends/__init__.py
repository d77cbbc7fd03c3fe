"""Ways of running a network: one module each, all behind `protocol.Backend`."""
