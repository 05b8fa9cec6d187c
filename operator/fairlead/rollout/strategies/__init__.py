"""The built-in rollout strategies; they register like anybody else's."""
