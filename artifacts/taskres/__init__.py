"""Task residuals: classification tasks learned in seconds over a frozen image encoder (TaskRes, CVPR 2023)."""
