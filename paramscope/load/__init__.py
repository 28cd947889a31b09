"""What a command line names → the objects that it stands for."""
