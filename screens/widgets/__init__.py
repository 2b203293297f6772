"""Small parts that several screens show."""
