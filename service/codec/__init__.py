"""Pictures in and out, in processes of their own."""
