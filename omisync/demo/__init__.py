"""The main job with nothing installed: own Postgres, simulator, daemon and a sample shop."""
