"""`yin repl`: entries of people, compiled here and evaluated by an agent on a node."""
