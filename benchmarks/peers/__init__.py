"""The same model behind other servers, and behind ours."""
