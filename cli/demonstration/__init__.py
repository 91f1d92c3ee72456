"""The demonstration: real data, an agent that travels, an answer that is checked."""
