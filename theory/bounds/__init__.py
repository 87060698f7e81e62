"""What the theorems say of your numbers."""
