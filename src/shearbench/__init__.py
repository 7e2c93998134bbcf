"""shearbench: which network still reads digits when they leave the clean world of MNIST?"""
