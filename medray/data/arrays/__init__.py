"""Sources that are arrays already: .npz files and MedMNIST, and their resizing."""
